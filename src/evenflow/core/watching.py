"""What a machine's links say of the things that are watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.routing import resolve_gateway
from evenflow.model.flow import BOTH_FAMILIES, family_of
from evenflow.model.router import AddressGateway

if TYPE_CHECKING:
    from evenflow.model.flow import Address, Family
    from evenflow.model.health import Watch
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router


def link_problem(watch: Watch, router: Router, machine: Machine) -> str:
    """Why nothing can leave by what is watched, in words; "" when nothing stands in the way."""
    if watch.interface is None:
        return ""
    link = machine.link(watch.interface)
    if link is None:
        return f"interface {watch.interface} is missing"
    if not link.up:
        return f"interface {watch.interface} is down"
    if not link.carrier:
        return f"no carrier on {watch.interface}"
    if watch.gateways and not any(
        resolve_gateway(gateway, family, router, machine) is not None
        for gateway in watch.gateways
        for family in BOTH_FAMILIES
        if not isinstance(gateway, AddressGateway) or family_of(gateway.address) is family
    ):
        return f"no gateway is known on {watch.interface}"
    return ""


def next_hops(watch: Watch, router: Router, machine: Machine) -> dict[Family, Address]:
    """The address of its gateway in each family, as it is now; of a point-to-point link that of the other end."""
    found: dict[Family, Address] = {}
    for gateway in watch.gateways:
        for family in BOTH_FAMILIES:
            if isinstance(gateway, AddressGateway) and family_of(gateway.address) is not family:
                continue
            hop = resolve_gateway(gateway, family, router, machine)
            if hop is None:
                continue
            address = hop.gateway or _other_end(hop.interface, family, machine)
            if address is not None:
                found.setdefault(family, address)
    return found


def _other_end(interface: str, family: Family, machine: Machine) -> Address | None:
    peers = (own.peer for own in machine.addresses if own.interface == interface and own.peer is not None)
    return next((peer for peer in peers if family_of(peer) is family), None)
