"""Gateways whose interface no address of the file tells, and where they are likely to be.

What people paste has routes and rules, and seldom `/ip address`; uplinks with DHCP have none. A prediction that took
such routes for dead would be about another router.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from evenflow.core.routing import RECURSION_DEPTH
from evenflow.core.streams import classifier_of
from evenflow.core.uplinks import default_routes, interface_of, uplinks
from evenflow.model.flow import family_of
from evenflow.model.matcher import InInterface, MarkKind, OutInterface
from evenflow.model.router import AddressGateway, MarkAction, Masquerade, SourceNat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.flow import Address, Family
    from evenflow.model.router import Gateway, Router


def with_likely_interfaces(router: Router) -> Router:
    """The router with an interface for each gateway that is likely there though the file does not tell where."""
    likely = likely_interfaces(router)
    if not likely:
        return router

    def placed(gateway: Gateway) -> Gateway:
        if isinstance(gateway, AddressGateway) and gateway.interface is None and gateway.address in likely:
            return replace(gateway, interface=likely[gateway.address])
        return gateway

    routes = tuple(replace(route, gateways=tuple(map(placed, route.gateways))) for route in router.routes)
    return replace(router, routes=routes)


def likely_interfaces(router: Router) -> Mapping[Address, str]:
    """Gateways that no network of the file holds, and the interface that each is likely on.

    It is the one whose connections get a mark of the gateway's, else the only one with source NAT that is left. Where
    the file gives no network of any gateway, the others have an interface of their own, with the gateway's address for
    its name. Where it does, a gateway that none of this tells of is taken for wrong, and is not among them.
    """
    found: dict[Address, str] = {}
    unknown: dict[Address, None] = {}
    for uplink in uplinks(router):
        if uplink.interface is None:
            for address in (end for gateway in uplink.gateways for end in _ends(gateway, router)):
                unknown[address] = None
                name = interface_by_marks(uplink, router)
                if name is not None and not _has_address(name, family_of(address), router):
                    found[address] = name
    left, free = [address for address in unknown if address not in found], _free(found, router)
    if len(left) == 1 and len(free) == 1:
        found[left[0]] = free[0]
    elif not _gives_networks_of_gateways(router):
        found.update((address, str(address)) for address in left)
    return found


def is_nameless(interface: str | None) -> bool:
    """Whether an interface is one that `likely_interfaces` has made up."""
    try:
        ip_address(interface or "")
    except ValueError:
        return False
    return True


def interface_by_marks(uplink: RouterUplink, router: Router) -> str | None:
    """The interface whose incoming connections get a mark of the uplink."""
    marks = {
        MarkAction(MarkKind.CONNECTION, mark, passes) for mark in uplink.connection_marks for passes in (True, False)
    }
    named = (
        matcher.interface
        for rule in router.mangle
        if rule.action in marks and classifier_of(rule) is None
        for matcher in rule.matchers
        if isinstance(matcher, InInterface) and not matcher.negated
    )
    return next(named, None)


def _ends(gateway: Gateway, router: Router, depth: int = RECURSION_DEPTH) -> Iterator[Address]:
    """The gateways that a gateway is reached by, which have to be on a network: itself where no route leads to it."""
    if not isinstance(gateway, AddressGateway) or interface_of(gateway, router) is not None or depth == 0:
        return
    address = gateway.address
    ways = [
        route
        for route in router.routes
        if route.destination.prefixlen > 0
        if route.destination.version == address.version and address in route.destination
    ]
    for way in ways:
        for further in way.gateways:
            yield from _ends(further, router, depth - 1)
    if not ways:
        yield address


def _has_address(interface: str, family: Family, router: Router) -> bool:
    return any(
        family_of(own) is family for each in router.interfaces if each.name == interface for own in each.addresses
    )


def _free(found: Mapping[Address, str], router: Router) -> list[str]:
    """Interfaces with source NAT of their own that have neither an address nor a gateway."""
    nats = [rule for rule in router.nat if isinstance(rule.action, Masquerade | SourceNat)]
    asked = [m for rule in nats for m in rule.matchers if isinstance(m, OutInterface) and not m.negated]
    taken = {*found.values(), *(each.name for each in router.interfaces if each.addresses)}
    ways = {interface_of(gateway, router) for route in default_routes(router) for gateway in route.gateways}
    taken |= {name for name in ways if name is not None}
    return [name for name in dict.fromkeys(matcher.interface for matcher in asked) if name not in taken]


def _gives_networks_of_gateways(router: Router) -> bool:
    """Whether the file gives the network of any gateway that is an address alone."""
    alone = (
        gateway
        for route in router.routes
        for gateway in route.gateways
        if isinstance(gateway, AddressGateway) and gateway.interface is None
    )
    return any(interface_of(gateway, router) is not None for gateway in alone)
