"""Routes and route rules of a `Router` as the kernel is to have them, on this machine.

A routing mark's table is looked up first; when no route there can be used, the lookup goes on with the user's
rules, then with main: that is RouterOS's order, and the order of our priorities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from evenflow.core.numbering import marks_named, needs_own_table, probe_table
from evenflow.model.dataplane import (
    MAIN_TABLE_NUMBER,
    PRIORITY_AFTER_MARKS,
    PRIORITY_BEFORE_MARKS,
    PRIORITY_END,
    PRIORITY_FALLBACK,
    PRIORITY_MARKS,
    PRIORITY_PAST_MARKS,
    PRIORITY_PROBES,
    PRIORITY_UNMARKED,
    ROUTING_MARK_MASK,
    FibHop,
    FibRoute,
    FibRule,
    Jump,
)
from evenflow.model.finding import Finding, Origin, error
from evenflow.model.flow import BOTH_FAMILIES, Family, family_of
from evenflow.model.matcher import MarkKind
from evenflow.model.router import (
    LAST_RESORT_DISTANCE,
    MAIN_TABLE,
    AddressGateway,
    InterfaceGateway,
    LearnedGateway,
    RouteKind,
    RuleAction,
    RuleStage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.core.numbering import Numbers
    from evenflow.model.flow import Address, Network
    from evenflow.model.machine import Link, Machine
    from evenflow.model.router import Gateway, Route, Router, RouteRule

#: How deep a gateway may be reached through routes to other gateways. RouterOS's recursive routes use one level
#: for a probe host behind the provider; loops must end.
RECURSION_DEPTH = 4

#: Scopes of RouterOS: what is connected has 10; no scope is over 255.
CONNECTED_SCOPE, ANY_SCOPE = 10, 255


#: How many rules of the kernel there can be at each stage: as many as it has priorities.
RULES_OF_STAGE = {
    RuleStage.BEFORE_MARKS: PRIORITY_UNMARKED - PRIORITY_BEFORE_MARKS,
    RuleStage.AFTER_MARKS: PRIORITY_END - PRIORITY_AFTER_MARKS,
}

#: To jump over the rules of marks takes as long as some ten of them, and most packets have a mark.
_WORTH_JUMPING = 32


@dataclass(frozen=True, slots=True)
class Routing:
    """Routes and rules for the kernel, and what stood in the way of some.

    `uplink_interfaces` are those that a default route leaves by, also one that is not in force.
    """

    routes: tuple[FibRoute, ...]
    rules: tuple[FibRule, ...]
    uplink_interfaces: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()

    @property
    def families(self) -> frozenset[Family]:
        """The families that have a route to anywhere."""
        return frozenset(route.family for route in self.routes if route.kind is RouteKind.UNICAST)


def resolve(router: Router, machine: Machine, numbers: Numbers) -> Routing:
    """All routes that can be put into the kernel now, and the rules that lead to them.

    A route whose interface is missing or down, or whose gateway is not known yet, is left out: the kernel would
    refuse it. `core.lint` tells the user.
    """
    routes: dict[tuple[object, ...], FibRoute] = {}
    known: list[FibRoute] = []
    now = replace(router, routes=tuple(route for route in router.routes if route.in_force))
    for route in router.routes:
        made = _fib_route(route, router, machine, numbers)
        if made is None:
            continue
        known.append(made)
        if len(now.routes) < len(router.routes):
            made = _fib_route(route, now, machine, numbers)  # a gateway may be reached by a route that is lost
        if made is None or not route.in_force:
            continue
        same = routes.get(made.key)
        if same is not None and same.kind is RouteKind.UNICAST is made.kind:
            # Equal distance: RouterOS 7 joins them to one route over several gateways.
            made = replace(same, hops=_together(made.family, (*same.hops, *made.hops)))
        routes[made.key] = made
    unicast = {(r.family, r.table) for r in known if r.kind is RouteKind.UNICAST}
    kept = (*(r for r in routes.values() if _has_purpose(r, unicast)), *_probe_routes(router, machine, numbers))
    families = {route.family for route in kept}
    families |= {family for rule in router.mangle for family in rule.families}
    families |= {family for rule in router.rules for family in rule.families}
    rules = tuple(rule for family in BOTH_FAMILIES if family in families for rule in _rules(router, family, numbers))
    uplinks = {hop.interface for route in known if route.destination.prefixlen == 0 for hop in route.hops}
    return Routing(kept, rules, frozenset(uplinks), tuple(_conflicts(kept, machine, router.file)))


def _probe_routes(router: Router, machine: Machine, numbers: Numbers) -> Iterator[FibRoute]:
    """For each watch that looks beyond its gateway: a table that leads there whether or not it is lost."""
    for watch in router.watches:
        if not needs_own_table(watch):
            continue
        for family in BOTH_FAMILIES:
            hops = (
                resolve_gateway(gateway, family, router, machine) for gateway in watch.gateways if _of(gateway, family)
            )
            hop = next((hop for hop in hops if hop is not None), None)
            if hop is not None:
                yield FibRoute(family, numbers.table(probe_table(watch)), family.any_network, 1, (hop,))


def _of(gateway: Gateway, family: Family) -> bool:
    return not isinstance(gateway, AddressGateway) or family_of(gateway.address) is family


def _has_purpose(route: FibRoute, unicast: set[tuple[Family, int]]) -> bool:
    """Whether a policy's "no uplink is left" default makes sense: not in a family that no uplink has.

    A policy whose gateways are all learnt may find that there is no IPv6 at all; an unreachable default would then
    cut IPv6 off for whoever has it from elsewhere.
    """
    is_last_resort = route.kind is RouteKind.UNREACHABLE and route.metric == LAST_RESORT_DISTANCE
    return not is_last_resort or route.destination.prefixlen > 0 or (route.family, route.table) in unicast


def _fib_route(route: Route, router: Router, machine: Machine, numbers: Numbers) -> FibRoute | None:
    family = family_of(route.destination)
    hops: tuple[FibHop, ...] = ()
    if route.kind is RouteKind.UNICAST:
        found = (resolve_gateway(gateway, family, router, machine, route.target_scope) for gateway in route.gateways)
        hops = _together(family, (hop for hop in found if hop is not None))
        if not hops:
            return None
    return FibRoute(
        family,
        numbers.table(route.table),
        route.destination,
        route.distance,
        hops,
        route.kind,
        route.preferred_source,
    )


def _together(family: Family, hops: Iterable[FibHop]) -> tuple[FibHop, ...]:
    """The hops that can share a route. Of IPv6 only those with an address (Linux, rt6_qualify_for_ecmp())."""
    found = tuple(dict.fromkeys(hops))
    if family is Family.IPV4 or len(found) < 2:
        return found
    return tuple(hop for hop in found if hop.gateway is not None) or found[:1]


def resolve_gateway(
    gateway: Gateway, family: Family, router: Router, machine: Machine, target_scope: int = ANY_SCOPE
) -> FibHop | None:
    """The next hop that a gateway means on this machine now; None when it can't be used.

    An address is looked up in the networks of the machine and in the routes of its table, as far as their scope is
    not over `target_scope`.
    """
    match gateway:
        case InterfaceGateway(interface):
            return FibHop(interface) if _usable(machine, interface) else None
        case AddressGateway(address, interface) if interface is not None:
            return FibHop(interface, address) if _usable(machine, interface) else None
        case AddressGateway():
            return _resolve_address(gateway, router, machine, target_scope, RECURSION_DEPTH)
        case LearnedGateway(interface, fallback):
            if not _usable(machine, interface):
                return None
            return _learned(machine, interface, family) or _stated(fallback, interface, family, machine)


def _stated(fallback: Address | None, interface: str, family: Family, machine: Machine) -> FibHop | None:
    """The gateway that the file states, while the interface has a network that it lies in; else it is inactive."""
    if fallback is None or family_of(fallback) is not family:
        return None
    link = connected_link(fallback, machine)
    return FibHop(interface, fallback) if link is not None and link.name == interface else None


def _usable(machine: Machine, interface: str) -> bool:
    link = machine.link(interface)
    return link is not None and link.up


def _learned(machine: Machine, interface: str, family: Family) -> FibHop | None:
    """What DHCP, PPP or a router advertisement left in the kernel for an interface.

    The default route of the smallest metric that somebody else has put there; else the other end of a
    point-to-point address; else the link itself where it needs no next hop and has an address of the family.
    """
    defaults = [
        route
        for route in machine.routes
        if route.family is family and route.table == MAIN_TABLE_NUMBER and route.destination.prefixlen == 0
    ]
    for route in sorted(defaults, key=lambda route: route.metric):
        for hop in route.hops:
            if hop.interface == interface:
                return hop
    link = machine.link(interface)
    for own in machine.addresses:
        if own.interface != interface or family_of(own.address) is not family or own.address.is_link_local:
            continue
        if link is not None and link.point_to_point:
            return FibHop(interface)
        if own.peer is not None:
            return FibHop(interface, own.peer)
    return None


def _resolve_address(
    gateway: AddressGateway, router: Router, machine: Machine, target_scope: int, depth: int
) -> FibHop | None:
    """The interface of a gateway given by its address alone: on a network of ours, or by a route of its table.

    Networks of ours are part of main only. Source of the scopes: MikroTik's manual, "IP Routing", Nexthop Lookup.
    """
    address, table = gateway.address, gateway.table or MAIN_TABLE
    connected = connected_link(address, machine) if table == MAIN_TABLE and target_scope >= CONNECTED_SCOPE else None
    if connected is not None:
        return FibHop(connected.name, address) if connected.up else None
    if depth == 0:
        return None
    routes = [
        route
        for route in router.routes
        if route.table == table
        and route.kind is RouteKind.UNICAST
        and route.scope <= target_scope
        and route.destination.version == address.version
        and route.destination.prefixlen > 0
        and address in route.destination
    ]
    for route in sorted(routes, key=lambda route: (-route.destination.prefixlen, route.distance)):
        for inner in route.gateways:
            if isinstance(inner, AddressGateway) and inner.interface is None:
                hop = _resolve_address(inner, router, machine, route.target_scope, depth - 1)
            else:
                hop = resolve_gateway(inner, family_of(address), router, machine)
            if hop is not None:
                return hop
    return None


def connected_link(address: Address, machine: Machine) -> Link | None:
    """The link that has a network with this address, the smallest network first."""
    if isinstance(address, IPv6Address) and address.is_link_local:
        return None  # every link has that network: an interface must be named
    found: list[tuple[int, str]] = []
    for own in machine.addresses:
        if own.peer == address:
            found.append((address.max_prefixlen + 1, own.interface))
        elif own.peer is None and own.address.version == address.version and address in own.address.network:
            found.append((own.address.network.prefixlen, own.interface))
    links = (machine.link(name) for _, name in sorted(found, key=lambda pair: -pair[0]))
    return next((link for link in links if link is not None), None)


def _conflicts(routes: Iterable[FibRoute], machine: Machine, file: str) -> Iterator[Finding]:
    """Foreign routes that stand where one of ours must: the kernel can't hold both."""
    foreign = {route.key: route for route in machine.routes}
    for route in routes:
        other = foreign.get(route.key)
        if other is not None:
            yield error(
                "route-conflict",
                Origin(file),
                f"the machine already has a route to {route.destination} with metric {route.metric} in table "
                f"{route.table} (protocol {other.protocol}), and the kernel can't hold a second; "
                f"change the metric of that one, or the distance in this file",
            )


def _rules(router: Router, family: Family, numbers: Numbers) -> Iterator[FibRule]:
    """The rules of one family: before marks, the marks, after marks, after main."""
    own = [rule for rule in router.rules if family in rule.families and _fits(rule, family)]
    yield from _user_rules(own, RuleStage.BEFORE_MARKS, PRIORITY_BEFORE_MARKS, family, numbers)
    of_marks = list(_rules_of_marks(router, family, numbers))
    yield from of_marks
    if len(of_marks) >= _WORTH_JUMPING:
        # The kernel asks rules one by one, and has no mark for what comes in from an uplink, and for a packet's source.
        unmarked = FibRule(family, PRIORITY_UNMARKED, mask=ROUTING_MARK_MASK)
        yield replace(unmarked, kind=Jump.GOTO, goto=PRIORITY_PAST_MARKS)
        yield FibRule(family, PRIORITY_PAST_MARKS, kind=Jump.NOP)
    yield from _user_rules(own, RuleStage.AFTER_MARKS, PRIORITY_AFTER_MARKS, family, numbers)
    yield from _user_rules(own, RuleStage.AFTER_MAIN, PRIORITY_FALLBACK, family, numbers)


def _rules_of_marks(router: Router, family: Family, numbers: Numbers) -> Iterator[FibRule]:
    for name in sorted(_marks(router)):
        mark = numbers.routing_marks[name]
        yield FibRule(family, PRIORITY_MARKS, numbers.table(name), mark=mark, mask=ROUTING_MARK_MASK)
    for watch in router.watches:
        if needs_own_table(watch):
            mark = numbers.probe_mark(watch)
            yield FibRule(family, PRIORITY_PROBES, numbers.table(probe_table(watch)), mark=mark, mask=ROUTING_MARK_MASK)


def _marks(router: Router) -> set[str]:
    """Every name that a packet may carry as its routing mark: those in mangle, and every table but main.

    Tables that only a rule behind main leads to are no marks.
    """
    tables = {table.name for table in router.tables} | {route.table for route in router.routes}
    tables -= {rule.table for rule in router.rules if rule.stage is RuleStage.AFTER_MAIN and rule.table}
    return (tables - {MAIN_TABLE}) | marks_named(router.mangle, MarkKind.ROUTING)


def _fits(rule: RouteRule, family: Family) -> bool:
    """Whether the addresses that a rule names are of this family."""
    return all(network is None or family_of(network) is family for network in (rule.source, rule.destination))


def _user_rules(
    rules: Iterable[RouteRule], stage: RuleStage, priority: int, family: Family, numbers: Numbers
) -> Iterator[FibRule]:
    for rule in rules:
        if rule.stage is stage:
            for made in _fib_rules(rule, family, numbers):
                yield replace(made, priority=priority)
                # The kernel keeps rules of one priority in the order of their arrival, which a repair could change.
                priority += stage is not RuleStage.AFTER_MAIN


def _selecting(network: Network | None) -> Network | None:
    """The kernel keeps no selector that selects everything."""
    return network if network is not None and network.prefixlen else None


def rules_made(rule: RouteRule) -> int:
    """How many rules of the kernel a route rule takes."""
    return 2 if rule.action is RuleAction.LOOKUP_ONLY else 1


def _fib_rules(rule: RouteRule, family: Family, numbers: Numbers) -> Iterator[FibRule]:
    selector = FibRule(
        family,
        0,
        source=_selecting(rule.source),
        destination=_selecting(rule.destination),
        in_interface=rule.interface,
        mark=numbers.mark(MarkKind.ROUTING, rule.routing_mark),
        mask=ROUTING_MARK_MASK if rule.routing_mark else 0,
    )
    if rule.action is RuleAction.DROP:
        yield replace(selector, kind=RouteKind.BLACKHOLE)
        return
    if rule.action is not RuleAction.UNREACHABLE:
        assert rule.table is not None
        yield replace(selector, table=numbers.table(rule.table), suppress_prefix_length=rule.min_prefix)
    if rule.action is not RuleAction.LOOKUP:
        yield replace(selector, kind=RouteKind.UNREACHABLE)
