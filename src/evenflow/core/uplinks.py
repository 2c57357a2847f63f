"""The uplinks of a router: the interfaces that its default routes leave by, with their names and target shares."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from evenflow.core.chance_groups import chance_groups
from evenflow.core.routing import RECURSION_DEPTH
from evenflow.core.streams import stream_groups
from evenflow.model.matcher import MarkKind, MarkMatch
from evenflow.model.router import (
    MAIN_TABLE,
    AddressGateway,
    InterfaceGateway,
    JumpAction,
    LearnedGateway,
    MarkAction,
    RouteKind,
    RuleStage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evenflow.core.chance_groups import ChanceGroup
    from evenflow.core.streams import StreamGroup
    from evenflow.model.finding import Origin
    from evenflow.model.flow import Address
    from evenflow.model.router import Gateway, MangleRule, Route, Router


@dataclass(frozen=True, slots=True)
class RouterUplink:
    """An uplink as a router has it.

    Attributes:
        name: that of the routing table in which it is nearest, else of its interface, else its gateway's address.
        interface: its device; None when the file does not tell where its gateway's address is.
        table: the routing table that it has its name from, None if from none.
        target: its streams over the denominator, 0 to 1: what was asked for, all uplinks up; of rules by counters and
            chance (`nth`, `random`) what they come to in the long run. The mean where several groups of rules (for
            different networks, say) divide connections.
        connection_marks: the marks that lead to it, in the order of the rules.
        gateways: all gateways that default routes name for it.
        bandwidth_bps: what the file says of its speed, None if nothing.
        origin: its first default route.
    """

    name: str
    interface: str | None
    table: str | None
    target: Fraction
    connection_marks: tuple[str, ...]
    gateways: tuple[Gateway, ...]
    bandwidth_bps: int | None
    origin: Origin


def uplinks(router: Router) -> tuple[RouterUplink, ...]:
    """The uplinks, in the order of their first default routes; no two have the same name."""
    nearest = _nearest(router)
    targets, marks = _targets(router, nearest), _marks(router, nearest)
    bandwidths = {interface.name: interface.bandwidth_bps for interface in router.interfaces}
    found: list[RouterUplink] = []
    for key, (first, gateways) in _leaving(router).items():
        interface = key if isinstance(key, str) else None
        table = _own_table(router, key, nearest)
        uplink = RouterUplink(
            table or str(key),
            interface,
            table,
            targets.get(key, Fraction(0)),
            tuple(marks.get(key, {})),
            tuple(gateways),
            bandwidths.get(interface) if interface is not None else None,
            first.origin,
        )
        found.append(uplink)
    return _with_own_names(found)


def _with_own_names(found: Iterable[RouterUplink]) -> tuple[RouterUplink, ...]:
    """An interface can have the name of another uplink's table; then it is told apart by a number."""
    taken = {uplink.name for uplink in found if uplink.table is not None}
    named = []
    for uplink in found:
        name, number = uplink.name, 2
        while uplink.table is None and name in taken:
            name, number = f"{uplink.name}-{number}", number + 1
        taken.add(name)
        named.append(replace(uplink, name=name))
    return tuple(named)


# --- from default routes to uplinks --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Nearest:
    """The smallest distance of a default route in a table, and what tells apart the uplinks at that distance.

    An uplink is told apart by its interface, or by the address of a gateway whose interface is unknown.
    """

    distance: int
    keys: dict[str | Address, None] = field(default_factory=dict)


def default_routes(router: Router) -> Iterator[Route]:
    """Routes that take everything nobody else takes, through some gateway."""
    return (r for r in router.routes if r.destination.prefixlen == 0 and r.kind is RouteKind.UNICAST)


def _leaving(router: Router) -> dict[str | Address, tuple[Route, dict[Gateway, None]]]:
    """For each uplink its first default route, and its gateways."""
    found: dict[str | Address, tuple[Route, dict[Gateway, None]]] = {}
    for route in default_routes(router):
        for gateway in route.gateways:
            _, gateways = found.setdefault(_key(gateway, router), (route, {}))
            gateways[gateway] = None
    return found


def _key(gateway: Gateway, router: Router) -> str | Address:
    interface = interface_of(gateway, router)
    if interface is not None:
        return interface
    assert isinstance(gateway, AddressGateway)
    return gateway.address


def interface_of(gateway: Gateway, router: Router) -> str | None:
    """The interface that a gateway is reached by, as far as the file tells.

    For an address alone: an interface with an address whose network holds it, else that of the most specific route to
    it (RouterOS's recursive routes) in main, or in the table that is named. None: only the machine can tell.
    """
    return _interface_of(gateway, router, RECURSION_DEPTH)


def _interface_of(gateway: Gateway, router: Router, depth: int) -> str | None:
    match gateway:
        case InterfaceGateway(interface) | LearnedGateway(interface):
            return interface
        case AddressGateway(_, str(interface)):
            return interface
        case AddressGateway(address):
            table = gateway.table or MAIN_TABLE
            connected = _connected(address, router) if table == MAIN_TABLE else None
            return connected or _recursive(address, table, router, depth)


def _connected(address: Address, router: Router) -> str | None:
    networks = [
        (own.network.prefixlen, interface.name)
        for interface in router.interfaces
        for own in interface.addresses
        if own.version == address.version and address in own.network
    ]
    return max(networks, key=lambda pair: pair[0])[1] if networks else None


def _recursive(address: Address, table: str, router: Router, depth: int) -> str | None:
    if depth == 0:
        return None
    ways = [
        route
        for route in router.routes
        if route.table == table and route.destination.prefixlen > 0
        if route.destination.version == address.version and address in route.destination
    ]
    for way in sorted(ways, key=lambda route: (-route.destination.prefixlen, route.distance)):
        for gateway in way.gateways:
            interface = _interface_of(gateway, router, depth - 1)
            if interface is not None:
                return interface
    return None


def _nearest(router: Router) -> dict[str, _Nearest]:
    """For each table its nearest uplinks; tables in the order of their declaration, then of their routes."""
    found: dict[str, _Nearest] = {}
    order = {table.name: place for place, table in enumerate(router.tables)}
    for route in sorted(default_routes(router), key=lambda route: order.get(route.table, len(order))):
        best = found.setdefault(route.table, _Nearest(route.distance))
        if route.distance < best.distance:
            best = found[route.table] = _Nearest(route.distance)
        if route.distance == best.distance:
            best.keys.update(dict.fromkeys(_key(gateway, router) for gateway in route.gateways))
    return found


def _own_table(router: Router, key: str | Address, nearest: Mapping[str, _Nearest]) -> str | None:
    """The table that an uplink is the nearest of, alone; of several the one where it is nearest."""
    last = {rule.table for rule in router.rules if rule.stage is RuleStage.AFTER_MAIN}
    own = [
        (best.distance, table)
        for table, best in nearest.items()
        if list(best.keys) == [key] and table != MAIN_TABLE and table not in last
    ]
    return min(own, key=lambda pair: pair[0])[1] if own else None


# --- from streams to uplinks ---------------------------------------------------------------------------------------


def routing_marks(router: Router) -> dict[str, str]:
    """For each connection mark the routing mark that its packets get; the first rule for it outside `output` counts.

    Followed: a rule for the connection mark that sets a routing mark, or jumps to a chain that does, or sets a
    packet mark for which another rule does.
    """
    found: dict[str, str] = {}
    for rule in sorted(router.mangle, key=lambda rule: rule.chain == "output"):
        mark = _matched(rule, MarkKind.CONNECTION)
        routing = _leads_to(rule, router) if mark is not None else None
        if mark is not None and routing is not None:
            found.setdefault(mark, routing)
    return found


def _matched(rule: MangleRule, kind: MarkKind) -> str | None:
    """The mark of that kind that a rule asks for."""
    asked = (m.mark for m in rule.matchers if isinstance(m, MarkMatch) and m.kind is kind and not m.negated)
    return next(asked, None)


def _leads_to(rule: MangleRule, router: Router) -> str | None:
    match rule.action:
        case MarkAction(MarkKind.ROUTING, mark):
            return mark
        case MarkAction(MarkKind.PACKET, mark) if mark is not None:
            followed = (other for other in router.mangle if _matched(other, MarkKind.PACKET) == mark)
        case JumpAction(chain):
            followed = (other for other in router.mangle if other.chain == chain)
        case _:
            return None
    marks = (r.action.mark for r in followed if isinstance(r.action, MarkAction) and r.action.kind is MarkKind.ROUTING)
    return next(marks, None)


def table_of(routing_mark: str, router: Router) -> str:
    """The table that a routing mark leads to: its own if there are routes in it, else that of a rule for the mark."""
    if any(route.table == routing_mark for route in router.routes):
        return routing_mark
    asked = (rule.table for rule in router.rules if rule.routing_mark == routing_mark and rule.table)
    return next(asked, routing_mark)


def _marks(router: Router, nearest: Mapping[str, _Nearest]) -> dict[str | Address, dict[str, None]]:
    """The connection marks that lead to each uplink."""
    found: dict[str | Address, dict[str, None]] = {}
    for mark, routing_mark in routing_marks(router).items():
        for key in _uplinks_of(routing_mark, router, nearest):
            found.setdefault(key, {})[mark] = None
    return found


def _targets(router: Router, nearest: Mapping[str, _Nearest]) -> dict[str | Address, Fraction]:
    """The target share of each uplink."""
    routing = routing_marks(router)
    all_groups: tuple[StreamGroup | ChanceGroup, ...] = (*stream_groups(router), *chance_groups(router))
    groups = [group for group in all_groups if _leads_somewhere(group, routing)]
    found: defaultdict[str | Address, Fraction] = defaultdict(Fraction)
    for group in groups:
        for mark, share in group.shares().items():
            routing_mark = mark if group.kind is MarkKind.ROUTING else routing.get(mark)
            keys = _uplinks_of(routing_mark, router, nearest) if routing_mark is not None else ()
            for key in keys:
                found[key] += share / len(keys) / len(groups)
    return dict(found)


def _leads_somewhere(group: StreamGroup | ChanceGroup, routing: Mapping[str, str]) -> bool:
    """Whether a group divides connections among routes: not those for queues or servers."""
    if group.kind is MarkKind.CONNECTION:
        return any(mark in routing for mark in group.shares())
    return group.kind is MarkKind.ROUTING


def _uplinks_of(routing_mark: str, router: Router, nearest: Mapping[str, _Nearest]) -> tuple[str | Address, ...]:
    best = nearest.get(table_of(routing_mark, router))
    return tuple(best.keys) if best else ()
