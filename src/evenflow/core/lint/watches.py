"""What is watched: how soon a loss is noticed, and settings that can't do what they are for."""

from __future__ import annotations

import math
from collections import Counter
from ipaddress import ip_network
from typing import TYPE_CHECKING

from evenflow.core.health import time_to_notice_s, time_to_return_s
from evenflow.core.health.window import LEAST_RESULTS
from evenflow.core.lint.interfaces import is_only_a_gateway
from evenflow.model.finding import Finding, error, info, warning
from evenflow.model.flow import BOTH_FAMILIES, family_of
from evenflow.model.router import (
    MAIN_TABLE,
    AddressGateway,
    InterfaceGateway,
    LearnedGateway,
    RouteKind,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flow import Address, Family, Network
    from evenflow.model.health import ProbeTarget, Watch
    from evenflow.model.router import Gateway, Route, Router

#: Unanswered probes of one target that are out at the same time; beyond, a dead line is bombarded.
MOST_AT_ONCE = 20


def watch_findings(router: Router) -> Iterator[Finding]:
    """For each watch how soon a loss is noticed, and what is wrong with it."""
    ways = _Ways(router)
    gateways = _gateways_watched(router, ways)
    for watch in router.watches:
        yield _detection_time(watch)
        yield from _settings(watch)
        yield from _families(watch)
        yield from _next_hop_only(watch, gateways.get(watch.name, frozenset()))
        yield from _follows_failover(watch, ways)
    yield from _tiers_without_weight(router)
    yield from _checks_without_address(router)


def _detection_time(watch: Watch) -> Finding:
    count = len(watch.targets)
    back = f"used again {_seconds(time_to_return_s(watch.settings, count))} after it"
    if math.isinf(notice := time_to_notice_s(watch.settings, count)):
        what = f"only the link is watched, so a silent line is never noticed; after a loss of carrier it is {back}"
        return info("detection-time", watch.origin, f"{watch.name}: {what} returns")
    what = f"a silent line is noticed within {_seconds(notice)}, and {back} answers"
    return info("detection-time", watch.origin, f"{watch.name}: {what}")


def _seconds(seconds: float) -> str:
    """At most three digits that matter: "0.9 s", "12 s", "5 min"."""
    if seconds >= 120:
        return f"{seconds / 60:.3g} min"
    return f"{seconds:.3g} s"


def _settings(watch: Watch) -> Iterator[Finding]:
    settings, targets = watch.settings, len(watch.targets)
    if not targets:
        return
    at_once = settings.timeout_ms // max(1, settings.interval_ms)
    if at_once > MOST_AT_ONCE:
        yield warning(
            "probe-storm",
            watch.origin,
            f"{watch.name}: a probe each {settings.interval_ms} ms, each waited for {settings.timeout_ms} ms: on a "
            f"dead line {at_once} are out at once for each target; use a shorter timeout, or a longer interval",
        )
    if settings.latency_ms is not None and settings.latency_ms >= settings.timeout_ms:
        yield warning(
            "limit-without-effect",
            watch.origin,
            f"{watch.name}: latency {settings.latency_ms} ms is never passed, as an answer after {settings.timeout_ms} "
            "ms counts as lost; use a lower latency, or a longer timeout",
        )
    results = settings.window_s * 1000 * targets / max(1, settings.interval_ms)
    if results < LEAST_RESULTS and (settings.loss_percent is not None or settings.latency_ms is not None):
        yield warning(
            "limit-without-effect",
            watch.origin,
            f"{watch.name}: loss and latency are judged on {LEAST_RESULTS} probes or more, and a window of "
            f"{_seconds(settings.window_s)} holds {int(results)}; use a longer window, or a shorter interval",
        )


# --- targets -------------------------------------------------------------------------------------------------------


def _families(watch: Watch) -> Iterator[Finding]:
    """Targets of a family that the line does not have never answer."""
    if not watch.gateways or not watch.targets:
        return
    families = {family for gateway in watch.gateways for family in _families_of(gateway)}
    missing = [each for each in watch.targets if each.address is not None and family_of(each.address) not in families]
    if not missing:
        return
    left = len(watch.targets) - len(missing)
    names = ", ".join(str(each.address) for each in missing)
    kind = "/".join(sorted({f"IPv{each.address.version}" for each in missing if each.address is not None}))
    what = f"{watch.name}: there is no {kind} gateway, so {names} never answers"
    if left < watch.settings.quorum:
        mend = "so it would count as lost for ever; give a gateway of that family, or other targets"
        yield error("targets-unreachable", watch.origin, f"{what}, {mend}")
    else:
        yield warning("targets-unreachable", watch.origin, f"{what}; take it out of the targets")


def _families_of(gateway: Gateway) -> tuple[Family, ...]:
    return (family_of(gateway.address),) if isinstance(gateway, AddressGateway) else BOTH_FAMILIES


class _Ways:
    """The routes of main, found by what they lead to."""

    def __init__(self, router: Router) -> None:
        self._specific: dict[Network, list[Route]] = {}
        self._defaults: Counter[int] = Counter()
        self._decided: Counter[tuple[str, int]] = Counter()
        for route in router.routes:
            if route.table != MAIN_TABLE or route.kind is not RouteKind.UNICAST:
                continue
            if route.destination.prefixlen > 0:
                self._specific.setdefault(route.destination, []).append(route)
                continue
            version = route.destination.version
            self._defaults[version] += 1
            self._decided.update((name, version) for name in set(route.watches))
        self._lengths = sorted({(network.version, network.prefixlen) for network in self._specific}, reverse=True)

    def to(self, address: Address) -> list[Route]:
        """The routes to an address that are more specific than a default; the most specific ones alone."""
        for version, length in self._lengths:
            if version == address.version:
                found = self._specific.get(ip_network((address, length), strict=False))
                if found:
                    return found
        return []

    def some_defaults_hang_on(self, name: str, version: int) -> bool:
        """Whether a watch decides on some default routes of a family, and on others it does not."""
        return 0 < self._decided[name, version] < self._defaults[version]


def _gateways_watched(router: Router, ways: _Ways) -> dict[str, frozenset[Address]]:
    """For each watch the addresses of the gateways whose routes hang on it."""
    found: dict[str, set[Address]] = {}
    for watch in router.watches:
        found[watch.name] = {g.address for g in watch.gateways if isinstance(g, AddressGateway)}
    pairs = {pair for route in router.routes for pair in zip(route.gateways, route.gateway_watches, strict=False)}
    for gateway, name in pairs:
        if name in found and isinstance(gateway, AddressGateway) and not _recursive(gateway, ways):
            found[name].add(gateway.address)
    return {name: frozenset(addresses) for name, addresses in found.items()}


def _recursive(gateway: AddressGateway, ways: _Ways) -> bool:
    """Whether a gateway is reached through another one: then it is a host beyond the next hop."""
    return gateway.interface is None and any(
        isinstance(other, AddressGateway | LearnedGateway)
        for route in ways.to(gateway.address)
        for other in route.gateways
    )


def _next_hop_only(watch: Watch, gateways: frozenset[Address]) -> Iterator[Finding]:
    if watch.targets and all(_is_next_hop(target, gateways) for target in watch.targets):
        yield info(
            "next-hop-only",
            watch.origin,
            f"{watch.name}: nobody beyond the next hop is asked, so an outage behind it is not noticed; "
            "ask hosts beyond it, too",
        )


def _is_next_hop(target: ProbeTarget, gateways: frozenset[Address]) -> bool:
    return target.address is None or target.address in gateways


def _follows_failover(watch: Watch, ways: _Ways) -> Iterator[Finding]:
    """A host that is reached by the routes that hang on it: once they are gone, it answers by the others."""
    address = watch.targets[0].address if watch.targets else None
    if watch.interface is not None or address is None or ways.to(address):
        return
    if ways.some_defaults_hang_on(watch.name, address.version):
        yield warning(
            "probe-follows-failover",
            watch.origin,
            f"{watch.name}: {address} is reached by the routes that it decides on; when they are gone it answers by "
            f"the others, and they come back, and so on; add a route to {address} by the line that it stands for",
        )


# --- what is not watched -------------------------------------------------------------------------------------------


def _tiers_without_weight(router: Router) -> Iterator[Finding]:
    for rule in router.mangle:
        if not isinstance(rule.action, SpreadAction):
            continue
        for tier in sorted({member.tier for member in rule.action.pool}):
            members = [member for member in rule.action.pool if member.tier == tier]
            if not any(member.weight for member in members):
                names = ", ".join(member.mark for member in members)
                yield warning(
                    "tier-without-weight",
                    rule.origin,
                    f"tier {tier}: the weight of {names} is 0, so it is passed over until no other tier is left; "
                    "give one of its uplinks a weight",
                )


def _checks_without_address(router: Router) -> Iterator[Finding]:
    told: set[str] = set()
    for route in router.routes:
        for gateway in route.gateways if route.check_gateway is not None else ():
            if isinstance(gateway, InterfaceGateway) and gateway.interface not in told:
                told.add(gateway.interface)
                what = (
                    f"check-gateway has no effect on gateway={gateway.interface}: an interface has no address that "
                    "could be asked, so this is a route as long as the interface is up"
                )
                if is_only_a_gateway(gateway.interface, router):
                    what += f"; if {gateway.interface} stands for an address, write the address"
                yield info("check-without-effect", route.origin, what)
