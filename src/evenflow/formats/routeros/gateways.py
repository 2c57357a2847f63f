"""`check-gateway=`: the watches that a script's routes ask for.

RouterOS keeps one state for each gateway and way of checking it, and routes that ask for no check do not share it
(manual, "IP Routing": the check belongs to the next-hop object, of which there is one for each combination). An
interface as gateway has no address that could be asked, so there the property has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from evenflow.core.uplinks import default_routes, interface_of
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.values import duration_ms, number
from evenflow.formats.routeros.version import Version
from evenflow.model.health import ROUTEROS, ProbeMethod, ProbeTarget, Watch
from evenflow.model.router import MAIN_TABLE, AddressGateway, CheckGateway, InterfaceGateway, LearnedGateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.formats.routeros.items import Items
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.finding import Origin
    from evenflow.model.flow import Address
    from evenflow.model.health import HealthSettings
    from evenflow.model.router import Gateway, Route, Router

#: From here on the timing can be set, and a question waits one second for its answer.
_TIMING_CAN_BE_SET = Version(7, 21)
_SHORT_TIMEOUT_MS = 1000

#: Routes that are looked at to find the interfaces of gateways: more than any router's take, a second or two at most.
#: Where a file has more, the rest of its gateways is asked as the router's own packets go.
_MOST_LOOKUPS = 500_000

#: Default routes that are looked at to find the gateway of an interface.
_MOST_DEFAULTS = 100

_METHODS = {CheckGateway.PING: ProbeMethod.ICMP, CheckGateway.ARP: ProbeMethod.NEIGHBOUR}


@dataclass(frozen=True, slots=True)
class Timing:
    """When a gateway counts as lost, for each way of checking it."""

    ping: HealthSettings = ROUTEROS
    arp: HealthSettings = ROUTEROS


def read_timing(items: Items, version: Version | None, notes: Notes) -> Timing:
    """The timing of a release (unknown: of those before 7.21), and what `/routing settings` says of it."""
    short = replace(ROUTEROS, timeout_ms=_SHORT_TIMEOUT_MS)
    usual = short if version is not None and version >= _TIMING_CAN_BE_SET else ROUTEROS
    ping = usual
    for item in items.of(("routing", "settings")):
        reading = Reading(item, notes, "setting")
        interval = reading.value("check-gateway-ping-interval", partial(duration_ms, 100, 600_000), 0)
        timeout = reading.value("check-gateway-ping-timeout", partial(duration_ms, 1, 1000), 0)
        count = reading.value("check-gateway-ping-count", partial(number, low=1, high=65535), 0)
        if interval or timeout or count:
            ping = replace(
                short,
                interval_ms=interval or short.interval_ms,
                timeout_ms=timeout or short.timeout_ms,
                fall=count or short.fall,
            )
    return Timing(ping, usual)


def watch_gateways(router: Router, timing: Timing, notes: Notes) -> Router:
    """The router with a watch for each gateway that a route wants checked; those that it has stay."""
    watcher = _Watcher(router, timing, notes)
    routes = tuple(watcher.watched(route) for route in router.routes)
    return replace(router, routes=routes, watches=(*router.watches, *watcher.watches.values()))


class _Watcher:
    """Makes one watch for each gateway and way of checking it."""

    def __init__(self, router: Router, timing: Timing, notes: Notes) -> None:
        self.watches: dict[tuple[Gateway, CheckGateway], Watch] = {}
        self._timing = timing
        self._notes = notes
        self._names = {watch.name for watch in router.watches}
        # All that is needed to find the interface of a gateway.
        on_the_way = (r for r in router.routes if r.table == MAIN_TABLE and r.destination.prefixlen > 0)
        self._ways = replace(router, routes=tuple(on_the_way))
        self._lookups_left = _MOST_LOOKUPS

    def watched(self, route: Route) -> Route:
        """The route with the names of its gateways' watches."""
        check = route.check_gateway
        if check is CheckGateway.BFD and route.gateways:
            what = "check-gateway=bfd: BFD is not spoken here, so the gateway is not watched; write ping or arp"
            self._notes.warning("unsupported-check", route.origin, what)
        if check not in _METHODS:
            return route
        names = tuple(self._watch(gateway, check, route.origin) for gateway in route.gateways)
        return replace(route, gateway_watches=names) if any(names) else route

    def _watch(self, gateway: Gateway, check: CheckGateway, origin: Origin) -> str:
        """The name of the watch for a gateway, "" where there is nothing to ask."""
        if isinstance(gateway, InterfaceGateway):
            return ""
        known = self.watches.get((gateway, check))
        if known is None:
            known = self.watches[gateway, check] = Watch(
                self._name(gateway, check),
                self._interface(gateway),
                # A gateway that is learnt must be looked up; one with an address is asked by it, as main routes it.
                gateways=(gateway,) if isinstance(gateway, LearnedGateway) else (),
                targets=(
                    ProbeTarget(_METHODS[check], gateway.address if isinstance(gateway, AddressGateway) else None),
                ),
                settings=self._timing.ping if check is CheckGateway.PING else self._timing.arp,
                origin=origin,
            )
        return known.name

    def _interface(self, gateway: Gateway) -> str | None:
        self._lookups_left -= len(self._ways.routes) + 1
        return interface_of(gateway, self._ways) if self._lookups_left >= 0 else gateway.interface

    def _name(self, gateway: Gateway, check: CheckGateway) -> str:
        """The gateway as written; with the way of checking, or a number, behind it where that is taken."""
        base = _written(gateway)
        numbered = (f"{base} {check.value} {number}" for number in count(2))
        name = next(name for name in chain((base, f"{base} {check.value}"), numbered) if name not in self._names)
        self._names.add(name)
        return name


def _address(gateway: Gateway) -> Address | None:
    return gateway.address if isinstance(gateway, AddressGateway) else None


def _written(gateway: Gateway) -> str:
    if not isinstance(gateway, AddressGateway):
        return gateway.interface
    interface = f"%{gateway.interface}" if gateway.interface else ""
    table = f"@{gateway.table}" if gateway.table else ""
    return f"{gateway.address}{interface}{table}"


# --- netwatch ------------------------------------------------------------------------------------------------------


def by_their_uplinks(watches: tuple[Watch, ...], router: Router) -> tuple[Watch, ...]:
    """Watches that are bound to an interface, with the gateway by which its packets reach hosts beyond the link."""
    if all(watch.interface is None for watch in watches):
        return watches
    gateways: dict[tuple[str, int], Gateway] = {}
    for route in islice(default_routes(router), _MOST_DEFAULTS):
        for gateway in route.gateways:
            interface = interface_of(gateway, router)
            if interface is not None:
                gateways.setdefault((interface, route.destination.version), gateway)
    connected = replace(router, routes=())
    return tuple(_by_its_uplink(watch, gateways, connected) for watch in watches)


def _by_its_uplink(watch: Watch, gateways: Mapping[tuple[str, int], Gateway], connected: Router) -> Watch:
    address = watch.targets[0].address
    if watch.interface is None or address is None or address.is_link_local:
        return watch
    if interface_of(AddressGateway(address), connected) == watch.interface:
        return watch
    gateway = gateways.get((watch.interface, address.version))
    return watch if gateway is None else replace(watch, gateways=(gateway,))
