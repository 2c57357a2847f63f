"""Routes that compete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import default_routes
from evenflow.model.finding import Finding, warning
from evenflow.model.router import MAIN_TABLE, InterfaceGateway, RouteKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.router import Gateway, Route, Router


def route_findings(router: Router) -> Iterator[Finding]:
    """Routes of the same distance that will surprise."""
    yield from _equal_defaults(router)
    yield from _no_multipath(router)


def _no_multipath(router: Router) -> Iterator[Finding]:
    """IPv6 routes that should share, one of them by an interface alone: the kernel has no multipath for these."""
    sharing: dict[object, dict[Gateway, Route]] = {}
    for route in router.routes:
        if route.destination.version == 6 and route.kind is RouteKind.UNICAST:
            gateways = sharing.setdefault((route.table, route.destination, route.distance), {})
            gateways |= {gateway: route for gateway in route.gateways if gateway not in gateways}
    for gateways in sharing.values():
        alone = [gateway for gateway in gateways if isinstance(gateway, InterfaceGateway)]
        if alone and len(gateways) > 1:
            used = alone[0].interface if len(alone) == len(gateways) else "those with an address"
            yield warning(
                "no-ipv6-multipath",
                gateways[alone[-1]].origin,
                f"these IPv6 routes have the same distance, and Linux can't spread over gateways without an address: "
                f"only {used} will be used; write gateway=ADDRESS%{alone[-1].interface}, or give each its own distance",
            )


def _equal_defaults(router: Router) -> Iterator[Finding]:
    """Default routes of main with the same distance, and different gateways."""
    first: dict[tuple[int, int], Route] = {}
    for route in default_routes(router):
        if route.table != MAIN_TABLE:
            continue
        other = first.setdefault((route.destination.version, route.distance), route)
        if other.gateways != route.gateways:
            where = f" (line {other.origin.line})" if other.origin.line else ""
            yield warning(
                "equal-distance",
                route.origin,
                f"another default route of main{where} has distance {route.distance}, too: RouterOS 7 spreads "
                "connections over both, RouterOS 6 takes either; give each its own distance",
            )
