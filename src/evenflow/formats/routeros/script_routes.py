"""Routes that scripts within a configuration make and that are not followed: on RouterOS they are there some time.

They stand in the stated router only, not in force and without a gateway, so that their tables don't count as empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.embedded import embedded_statements
from evenflow.formats.routeros.properties import SCRIPT_PROPERTIES
from evenflow.formats.routeros.variables import flat
from evenflow.model.flow import Family
from evenflow.model.router import MAIN_TABLE, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.routeros.statement import MenuPath, Statement
    from evenflow.model.flow import Network
    from evenflow.model.router import Router

_MENUS: dict[MenuPath, Family] = {("ip", "route"): Family.IPV4, ("ipv6", "route"): Family.IPV6}


def routes_of_scripts(statements: Iterable[Statement], router: Router) -> Iterator[Route]:
    """A default route for each table that scripts make routes for, and that has none in `router`."""
    filled = {(route.table, route.destination.version) for route in router.routes}
    for statement in statements:
        for argument in statement.arguments:
            if argument.name in SCRIPT_PROPERTIES and argument.value:
                for made in flat(embedded_statements(argument.value, statement.origin)):
                    family, table = _MENUS.get(made.menu), _table_of(made)
                    if family is None or table is None or (table, family.any_network.version) in filled:
                        continue
                    filled.add((table, family.any_network.version))
                    destination: Network = family.any_network
                    yield Route(table, destination, in_force=False, origin=statement.origin)


def _table_of(statement: Statement) -> str | None:
    """The table that a command gives a route to, None where it does not or only the running script knows."""
    table = statement.get("routing-table") or statement.get("routing-mark")
    if table is None:
        return MAIN_TABLE if statement.command == "add" else None
    return table if isinstance(table, str) and statement.command in ("add", "set") else None
