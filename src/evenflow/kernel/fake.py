"""A kernel in memory, with switches to make it fail. It passes the contract tests that the real one passes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from evenflow.core import saved
from evenflow.errors import NotSupportedError, SystemRefusedError
from evenflow.kernel import fake_nft
from evenflow.kernel.rt_codec import describe_route, describe_rule, kernel_metric
from evenflow.model.dataplane import (
    MAIN_TABLE_NUMBER,
    AddRoute,
    AddRouteRule,
    Dataplane,
    DeleteRoute,
    DeleteRouteRule,
    FibHop,
    FibRoute,
    NftTransaction,
    SetSysctl,
)
from evenflow.model.flow import Family, family_of
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from evenflow.model.dataplane import FibRule, Operation
    from evenflow.model.flow import Address
    from evenflow.model.nft import NftTable

#: RTPROT_KERNEL: routes that the kernel makes for its own addresses.
_KERNEL_PROTOCOL: Final = 2


def never(_: Operation) -> bool:
    """Fail on nothing."""
    return False


def of_kind(*kinds: type) -> Callable[[Operation], bool]:
    """Fail on operations of these types."""
    return lambda operation: isinstance(operation, kinds)


def numbered(*numbers: int) -> Callable[[Operation], bool]:
    """Fail on the operations with these numbers, counted from 0 since the switch was made."""
    seen = 0

    def switch(_: Operation) -> bool:
        nonlocal seen
        seen += 1
        return seen - 1 in numbers

    return switch


class FakeKernel:
    """A kernel in memory.

    Attributes:
        fail_on: asked before each operation; True makes it fail with nothing done.
        executed: operations that were carried out, in order.
    """

    def __init__(
        self,
        machine: Machine | None = None,
        sysctls: Mapping[str, str] | None = None,
        fail_on: Callable[[Operation], bool] = never,
    ) -> None:
        machine = machine or Machine()
        self.fail_on = fail_on
        self.executed: list[Operation] = []
        self._links = {link.name: link for link in machine.links}
        self._addresses = list(machine.addresses)
        self._routes = list(machine.routes)
        self._rules = list(machine.rules)
        self._sysctls = dict(sysctls or {})
        self._table: NftTable | None = None

    # --- as `evenflow.kernel.linux.Kernel` ---------------------------------------------------------------------------

    def read_machine(self) -> Machine:
        """See `Kernel`."""
        foreign = tuple(route for route in self._routes if not route.is_ours)
        rules = tuple(rule for rule in self._rules if not rule.is_ours)
        return Machine(tuple(self._links.values()), tuple(self._addresses), foreign, rules)

    def read_dataplane(self, sysctl_names: Iterable[str] = ()) -> Dataplane:
        """See `Kernel`."""
        before = saved.from_table(self._table, saved.SAVED_SET)
        return Dataplane(
            table=saved.without_kept(self._table),
            routes=frozenset(route for route in self._routes if route.is_ours),
            rules=frozenset(rule for rule in self._rules if rule.is_ours),
            sysctls={name: self._sysctls[name] for name in {*sysctl_names, *before} if name in self._sysctls},
            saved=before,
            standing=saved.from_table(self._table, saved.STANDING_SET),
        )

    def execute(self, operation: Operation) -> None:
        """See `Kernel`."""
        if self.fail_on(operation):
            raise SystemRefusedError(f"told to fail on {type(operation).__name__}")
        match operation:
            case NftTransaction(operations):
                self._table = fake_nft.apply(self._table, operations)
            case AddRoute(route, replacing):
                self._add_route(route, replacing=replacing)
            case DeleteRoute(route):
                self._routes = [other for other in self._routes if other != _as_held(route)]
            case AddRouteRule(rule):
                self._add_rule(rule)
            case DeleteRouteRule(rule):
                self._rules = [other for other in self._rules if other != _rule_as_held(rule)]
            case SetSysctl(name, value):
                if name not in self._sysctls:
                    raise NotSupportedError(f"this machine does not have the sysctl {name}")
                self._sysctls[name] = " ".join(value.split())
        self.executed.append(operation)

    # --- what happens to a machine by itself -------------------------------------------------------------------------

    def add_link(self, name: str, *, up: bool = True, carrier: bool = True, point_to_point: bool = False) -> None:
        """A device appears."""
        index = max((link.index for link in self._links.values()), default=0) + 1
        self._links[name] = Link(name, index, up, carrier, point_to_point)

    def set_link(self, name: str, *, up: bool | None = None, carrier: bool | None = None) -> None:
        """A device goes up or down, or gets or loses its carrier.

        Down takes its routes along, and its IPv6 addresses. Up brings those that belong to its IPv4 addresses back.
        """
        link = self._links[name]
        was_up = link.up
        link = replace(link, up=link.up if up is None else up, carrier=link.carrier if carrier is None else carrier)
        self._links[name] = link
        if was_up and not link.up:
            self._addresses = [a for a in self._addresses if a.interface != name or a.address.version == 4]
            self._drop_routes(lambda _: True)
        elif link.up and not was_up:
            for address in self._addresses:
                if address.interface == name:
                    self._routes.append(_connected(address))

    def delete_link(self, name: str) -> None:
        """A device vanishes, with its addresses and routes."""
        del self._links[name]
        self._addresses = [address for address in self._addresses if address.interface != name]
        self._drop_routes(lambda _: True)

    def add_address(self, address: LinkAddress) -> None:
        """A device gets an address, and the kernel the route that belongs to it."""
        self._addresses.append(address)
        if self._usable(address.interface):
            self._routes.append(_connected(address))

    def delete_address(self, address: LinkAddress) -> None:
        """A device loses an address; with its last IPv4 address it loses all IPv4 routes.

        Routes that have it as their source vanish from the main table only (fib_sync_down_addr).
        """
        self._addresses.remove(address)
        gone, own = address.address.ip, _connected(address)
        self._routes = [
            route
            for route in self._routes
            if route != own and (route.preferred_source != gone or route.table != MAIN_TABLE_NUMBER)
        ]
        self._drop_routes(lambda route: route.family is Family.IPV4)

    def add_foreign_route(self, route: FibRoute) -> None:
        """Somebody else adds a route."""
        self._routes.append(route)

    def add_foreign_rule(self, rule: FibRule) -> None:
        """Somebody else adds a route rule."""
        self._rules.append(rule)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _usable(self, interface: str) -> bool:
        return interface in self._links and self._links[interface].up

    def _drop_routes(self, which: Callable[[FibRoute], bool]) -> None:
        """Drop routes none of whose hops can be used any more, as far as `which` says so."""

        def dead(route: FibRoute) -> bool:
            return bool(route.hops) and which(route) and not any(self._alive(hop, route.family) for hop in route.hops)

        self._routes = [route for route in self._routes if not dead(route)]

    def _alive(self, hop: FibHop, family: Family) -> bool:
        if not self._usable(hop.interface):
            return False
        # Without an address of its own a device does no IPv4.
        on_device = [a for a in self._addresses if a.interface == hop.interface]
        return family is Family.IPV6 or any(a.address.version == 4 for a in on_device)

    def _add_route(self, route: FibRoute, *, replacing: bool) -> None:
        what = f"could not add the route {describe_route(route)}"
        held = _as_held(route)
        same = [other for other in self._routes if other.key == held.key]
        in_the_way = [other for other in same if not replacing or other.protocol != route.protocol]
        if in_the_way:
            raise SystemRefusedError(f"{what}: there is {describe_route(in_the_way[0])}")
        if route.kind is RouteKind.UNICAST and not route.hops:
            raise SystemRefusedError(f"{what}: it leads nowhere")
        for hop in route.hops:
            self._check_hop(hop, route, what)
        if route.preferred_source is not None:
            own = {address.address.ip for address in self._addresses}
            if route.preferred_source not in own:
                raise SystemRefusedError(f"{what}: {route.preferred_source} is no address of this machine")
        self._routes = [other for other in self._routes if other not in same]
        self._routes.append(held)

    def _check_hop(self, hop: FibHop, route: FibRoute, what: str) -> None:
        if not self._usable(hop.interface):
            raise SystemRefusedError(f"{what}: the link {hop.interface} is missing or down")
        if route.family is Family.IPV6 and len(route.hops) > 1 and hop.gateway is None:
            raise SystemRefusedError(f"{what}: with several hops to IPv6 each needs a gateway")
        if hop.gateway is not None and not self._believable(hop.gateway, hop.interface):
            raise SystemRefusedError(f"{what}: {hop.gateway} can't be a gateway by {hop.interface}")

    def _believable(self, gateway: Address, interface: str) -> bool:
        """Whether the kernel believes that the gateway is on the link, as our requests tell it (onlink).

        It does not if the gateway is the machine itself, or (IPv6) if the main table knows it on another link.
        """
        own = [address for address in self._addresses if address.address.ip == gateway]
        if gateway.version == 4 or gateway.is_link_local:
            return all(address.interface != interface for address in own)
        known = [
            route
            for route in self._routes
            if route.table == MAIN_TABLE_NUMBER and route.hops and gateway in route.destination
        ]
        best = max(known, key=lambda route: route.destination.prefixlen, default=None)
        elsewhere = best and best.destination.prefixlen and all(hop.interface != interface for hop in best.hops)
        return not own and not elsewhere

    def _add_rule(self, rule: FibRule) -> None:
        held = _rule_as_held(rule)
        if held in self._rules:
            raise SystemRefusedError(f"could not add the {describe_rule(rule)}: it is there already")
        self._rules.append(held)


def _as_held(route: FibRoute) -> FibRoute:
    return replace(route, metric=kernel_metric(route))


def _rule_as_held(rule: FibRule) -> FibRule:
    """The kernel keeps no selector that selects everything."""
    source = rule.source if rule.source and rule.source.prefixlen else None
    destination = rule.destination if rule.destination and rule.destination.prefixlen else None
    return replace(rule, source=source, destination=destination)


def _connected(address: LinkAddress) -> FibRoute:
    """The route that the kernel makes for an address of its own."""
    family = family_of(address.address)
    destination = address.address.network
    if address.peer is not None and family is Family.IPV4:
        destination = IPv4Network(f"{address.peer}/{destination.prefixlen}", strict=False)
    return FibRoute(
        family=family,
        table=MAIN_TABLE_NUMBER,
        destination=destination,
        metric=256 if family is Family.IPV6 else 0,
        hops=(FibHop(address.interface),),
        preferred_source=address.address.ip if family is Family.IPV4 else None,
        protocol=_KERNEL_PROTOCOL,
    )
