"""Tables and routes of a script, as mends ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import default_routes, routing_marks, table_of
from evenflow.model.router import MAIN_TABLE

if TYPE_CHECKING:
    from evenflow.core.uplinks import RouterUplink
    from evenflow.formats.routeros.mending.script import Script


def table_property(script: Script) -> str:
    """How this script gives a route its table: `routing-mark` where RouterOS 6 wrote it."""
    six = any(
        command.menu[-1:] == ("route",) and command.get("routing-mark") is not None
        for command in script.commands.values()
    )
    return "routing-mark" if six else "routing-table"


def own_table(uplink: RouterUplink, script: Script) -> str | None:
    """The table that leads to an uplink first."""
    own = uplink.table
    return own if any(route.table == own for route in default_routes(script.router)) else None


def free_tables(script: Script) -> list[str]:
    """Tables of uplinks that no connection mark leads to."""
    used = {table_of(mark, script.router) for mark in routing_marks(script.router).values()}
    tables = dict.fromkeys(uplink.table for uplink in script.uplinks)
    return [table for table in tables if table not in (None, MAIN_TABLE) and table not in used and table is not None]
