"""Routes of one distance where RouterOS 6 runs the script: it takes one of them, and nobody can say which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import default_routes
from evenflow.model.router import MAIN_TABLE

if TYPE_CHECKING:
    from evenflow.formats.routeros.items import Items
    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.version import Version
    from evenflow.model.router import Route, Router


def tell_of_equal_distances(router: Router, items: Items, version: Version | None, notes: Notes) -> None:
    """Findings of code `equal-distance` outside main, which `core.lint.routes` looks after for every release.

    RouterOS 7 joins such routes, as one with several gateways; there they may well be meant.
    """
    if not (version.major < 7 if version is not None else _is_of_six(items)):
        return
    first: dict[tuple[str, int, int], Route] = {}
    for route in default_routes(router):
        if route.table == MAIN_TABLE:
            continue
        other = first.setdefault((route.table, route.destination.version, route.distance), route)
        if other.gateways != route.gateways:
            what = (
                f"another default route of table {route.table} (line {other.origin.line}) has distance {route.distance}"
            )
            then = "RouterOS 6 takes either, and leaves the other unused; give each its own distance"
            notes.warning("equal-distance", route.origin, f"{what}, too: {then}")


def _is_of_six(items: Items) -> bool:
    """Whether a script without a header is written for RouterOS 6: its routes name their tables by `routing-mark`."""
    routes = [*items.of(("ip", "route")), *items.of(("ipv6", "route"))]
    return any(route.text("routing-mark") for route in routes) and not any(r.text("routing-table") for r in routes)
