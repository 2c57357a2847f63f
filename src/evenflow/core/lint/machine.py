"""A router against the machine that is to be it. Only what rules, translations and routes use is looked at."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from evenflow.core.hosts import listed
from evenflow.core.interfaces import interfaces_used
from evenflow.core.lint.foreign import foreign_findings
from evenflow.core.routing import ANY_SCOPE, resolve_gateway
from evenflow.core.uplinks import interface_of
from evenflow.model.finding import Finding, Origin, Severity, error, info, warning
from evenflow.model.flow import Family, family_of
from evenflow.model.router import MAIN_TABLE, AddressGateway, RouteKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.model.machine import LinkAddress, Machine
    from evenflow.model.router import Route, Router

_LOOPBACK = "lo"

#: What follows where nothing of a router is there.
_MISSING = frozenset(("interface-missing", "gateway-unreachable", "gateway-unresolved"))


def machine_findings(router: Router, machine: Machine) -> Iterator[Finding]:
    """One finding for each interface and each gateway that can't serve.

    Those of severity error keep the machine from being the router; with a warning a route is not used.
    """
    for name, origin in interfaces_used(router).items():
        finding = _interface_finding(name, origin, machine)
        if finding is not None:
            yield finding
    yield from _gateway_findings(router, machine)
    yield from foreign_findings(router, machine)


def for_a_checker(findings: Iterable[Finding], router: Router, machine: Machine) -> tuple[Finding, ...]:
    """Findings of `machine_findings`, as they are told of a file that may be meant for another machine.

    Where not one interface of it is on this one, it is: then one remark stands for all that is missing here.
    """
    names = dict.fromkeys((*(interface.name for interface in router.interfaces), *interfaces_used(router)))
    if not names or any(machine.link(name) is not None for name in names):
        return tuple(replace(finding, severity=Severity.WARNING) for finding in findings)
    what = f"no interface of this script ({listed(list(names), 'interfaces')}) is on this machine; {_there(machine)}"
    what += "; so it is taken to be of another one, and what is missing here is not told one by one"
    left = [replace(each, severity=Severity.WARNING) for each in findings if each.code not in _MISSING]
    return (info("other-machine", Origin(router.file), what), *left)


def _there(machine: Machine) -> str:
    names = _names(machine)
    return f"there are: {', '.join(names)}" if names else "there is none but lo"


def _names(machine: Machine) -> list[str]:
    return sorted(link.name for link in machine.links if link.name != _LOOPBACK)


def _interface_finding(name: str, origin: Origin, machine: Machine) -> Finding | None:
    link = machine.link(name)
    if link is None:
        there, close = _there(machine), get_close_matches(name, _names(machine), n=1)
        hint = f" did you mean {close[0]}?" if close else ""
        return _finding(
            "interface-missing", origin, f"interface {name} is not on this machine; {there}{hint and ';'}{hint}"
        )
    if link.master is not None:
        what = f"interface {name} is a port of {link.master}, so packets come in and leave by {link.master}; "
        return _finding("bridge-port", origin, f"{what}use {link.master}")
    if not link.up:
        return _finding("interface-down", origin, f"interface {name} is down; `ip link set {name} up` brings it up")
    return None


def _finding(code: str, origin: Origin, message: str) -> Finding:
    """An error in the words of the file, as far as the item is short enough to stand in front ("uplink isp1")."""
    short = origin.item and not origin.item.startswith("/")
    return error(code, origin, f"{origin.item}: {message}" if short else message)


def _gateway_findings(router: Router, machine: Machine) -> Iterator[Finding]:
    told = set()
    for route in router.routes:
        for gateway in route.gateways:
            if not isinstance(gateway, AddressGateway) or (gateway, route.target_scope) in told:
                continue
            told |= {(gateway, route.target_scope), (gateway, ANY_SCOPE)}
            if what := _of_this_machine(gateway, machine):
                message = f"gateway {gateway.address} is {what}; give the address of the router at the other end"
                yield _finding("gateway-unreachable", route.origin, message)
                continue
            if _can_be_reached(gateway, router, machine, route.target_scope):
                continue
            if _hangs_on_another(gateway, router, route.target_scope):
                continue  # of that route it is told why it can't be used
            if _has_a_route(gateway, router) or _can_be_reached(replace(gateway, table=None), router, machine):
                yield warning("gateway-unresolved", route.origin, _unresolved(gateway, route))
            else:
                yield _finding("gateway-unreachable", route.origin, _unreachable(gateway, machine))


def _of_this_machine(gateway: AddressGateway, machine: Machine) -> str:
    """What a gateway is if nobody else can be it; "" if somebody can."""
    for own in machine.addresses:
        if gateway.interface not in (None, own.interface):
            continue
        if own.address.ip == gateway.address:
            return f"the address of this machine on {own.interface}"
        network = own.address.network
        # Linux keeps the highest address of an IPv4 network for broadcasts, but for those of one or two (RFC 3021).
        if network.version == 4 and network.prefixlen < 31 and gateway.address == network.broadcast_address:
            return f"the broadcast address of {network} on {own.interface}"
    return ""


def _has_a_route(gateway: AddressGateway, router: Router) -> bool:
    """Whether a route of the file leads to the gateway, if it could be used."""
    return gateway.interface is None and any(
        route.destination.prefixlen > 0
        and route.destination.version == gateway.address.version
        and gateway.address in route.destination
        for route in router.routes
    )


def _hangs_on_another(gateway: AddressGateway, router: Router, target_scope: int) -> bool:
    """Whether a route leads to the gateway, in its table and within the scope, so that only that route can be wrong."""
    return gateway.interface is None and any(
        route.destination.prefixlen > 0
        and route.table == (gateway.table or MAIN_TABLE)
        and route.scope <= target_scope
        and route.kind is RouteKind.UNICAST
        and route.destination.version == gateway.address.version
        and gateway.address in route.destination
        for route in router.routes
    )


def _unresolved(gateway: AddressGateway, route: Route) -> str:
    """Why RouterOS does not use a route, although the machine knows its gateway."""
    table = gateway.table or MAIN_TABLE
    at = f"@{table}" if table != MAIN_TABLE else ""
    within = f"scope={route.target_scope} or less (this route's target-scope)"
    if table == MAIN_TABLE:
        mend = "raise this route's target-scope, or lower the scope of the route to the gateway"
    else:
        mend = "add such a route, or leave the table out: connected networks are part of main only"
    return (
        f"gateway {gateway.address}{at} is found by no usable route of table {table} with {within}, so RouterOS "
        f"does not use this route, and neither does evenflow; {mend}"
    )


def _can_be_reached(gateway: AddressGateway, router: Router, machine: Machine, target_scope: int = ANY_SCOPE) -> bool:
    """Whether some network of this machine holds the gateway; True as well where another finding says why not."""
    address = gateway.address
    interface = interface_of(gateway, router)
    if interface is not None:
        link = machine.link(interface)
        if link is None or not link.up or link.master is not None:
            return True
    if gateway.interface is None:
        return resolve_gateway(gateway, family_of(address), router, machine, target_scope) is not None
    link = machine.link(gateway.interface)
    assert link is not None
    return (
        link.point_to_point
        or (address.version == 6 and address.is_link_local)
        or any(_holds(own, gateway) for own in machine.addresses)
        or any(
            hop.interface == gateway.interface and hop.gateway is None and address in route.destination
            for route in machine.routes
            for hop in route.hops
            if route.destination.version == address.version
        )
    )


def _holds(own: LinkAddress, gateway: AddressGateway) -> bool:
    if own.interface != gateway.interface:
        return False
    if own.peer is not None:
        return own.peer == gateway.address
    return own.address.version == gateway.address.version and gateway.address in own.address.network


def _unreachable(gateway: AddressGateway, machine: Machine) -> str:
    family = family_of(gateway.address)
    own = [a for a in machine.addresses if family_of(a.address) is family and gateway.interface in (None, a.interface)]
    where = gateway.interface or "this machine"
    kind = "IPv4" if family is Family.IPV4 else "IPv6"
    networks = ", ".join(f"{a.address}" for a in own if a.interface != _LOOPBACK)
    has = f"{where} has {networks}" if networks else f"{where} has no {kind} address"
    mend = f"correct the gateway, or give {where} an address on its network"
    return f"gateway {gateway.address} is on no network of {where} ({has}); {mend}"
