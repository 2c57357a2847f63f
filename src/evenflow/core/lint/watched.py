"""Default routes that nobody watches, and tables with one way only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import default_routes, uplinks
from evenflow.model.finding import info, warning
from evenflow.model.router import MAIN_TABLE, AddressGateway, RouteKind, RuleAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.model.finding import Finding
    from evenflow.model.flow import Address
    from evenflow.model.router import Gateway, Route, Router


def watched_findings(router: Router) -> Iterator[Finding]:
    """What is missing for failover; of a router with one uplink nothing is."""
    if len(uplinks(router)) > 1:
        yield from _not_watched(router)
        yield from _only_one_way(router)


def _not_watched(router: Router) -> Iterator[Finding]:
    """Gateways whose silence no route takes note of: a link that stays up keeps them in force."""
    first: dict[Address, Route] = {}
    for route in default_routes(router):
        for gateway in route.gateways:
            if isinstance(gateway, AddressGateway):
                first.setdefault(gateway.address, route)
    watched = {
        gateway.address
        for route in router.routes
        for gateway in route.gateways
        if isinstance(gateway, AddressGateway) and is_watched(route)
    }
    for address, route in first.items():
        if address not in watched:
            yield warning(
                "gateway-not-watched",
                route.origin,
                f"nothing watches gateway {address}: when it falls silent and its link stays up, connections still go "
                "there; add check-gateway=ping to its default routes",
            )


def is_watched(route: Route) -> bool:
    """Whether anything takes note of it when a gateway of the route falls silent."""
    return route.check_gateway is not None or bool(route.watches) or any(route.gateway_watches)


def _only_one_way(router: Router) -> Iterator[Finding]:
    """Tables for routing marks with one default route: what it carries goes by the main table when it is gone.

    Nothing is told of tables that keep it from there: they are meant to have one way.
    """
    tables: dict[tuple[str, int], list[Route]] = {}
    for route in default_routes(router):
        if route.table != MAIN_TABLE:
            tables.setdefault((route.table, route.destination.version), []).append(route)
    for (table, version), routes in tables.items():
        if is_strict(router, table, version):
            continue
        others = [route for (_, other), found in tables.items() if other == version for route in found]
        if len(_gateways(routes)) == 1 < len(_gateways(others)):
            yield info(
                "no-second-route",
                routes[0].origin,
                f"table {table} has no second default route: when this one goes, what has its mark leaves by whatever "
                "the main table prefers; add the others with larger distances to choose",
            )


def is_strict(router: Router, table: str, version: int) -> bool:
    """Whether what has the mark of a table never goes by main: by a default route that refuses it, or a route rule.

    `version` is that of IP, 4 or 6.
    """
    refused = any(
        route.table == table and route.kind is not RouteKind.UNICAST
        for route in router.routes
        if route.destination.prefixlen == 0 and route.destination.version == version
    )
    return refused or any(
        rule.action is RuleAction.LOOKUP_ONLY and rule.table == table
        for rule in router.rules
        if any(family.any_network.version == version for family in rule.families)
    )


def _gateways(routes: Iterable[Route]) -> set[Gateway]:
    return {gateway for route in routes for gateway in route.gateways}
