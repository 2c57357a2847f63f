"""Routes that compete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import default_routes
from evenflow.model.finding import Finding, warning
from evenflow.model.router import MAIN_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.router import Route, Router


def route_findings(router: Router) -> Iterator[Finding]:
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
