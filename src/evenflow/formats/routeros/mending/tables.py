"""Tables and routes of a script, as mends ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import routing_marks, table_of

if TYPE_CHECKING:
    from evenflow.formats.routeros.mending.script import Script


def table_property(script: Script) -> str:
    """How this script gives a route its table: `routing-mark` where RouterOS 6 wrote it."""
    return "routing-mark" if _routes_say(script, "routing-mark") else "routing-table"


def is_of_seven(script: Script) -> bool:
    """Whether a script without a header has what only RouterOS 7 knows: declared tables, or routes that name them."""
    declares = any(command.menu == ("routing", "table") for command in script.commands.values())
    return declares or _routes_say(script, "routing-table")


def _routes_say(script: Script, name: str) -> bool:
    commands = script.commands.values()
    return any(command.menu[-1:] == ("route",) and command.get(name) is not None for command in commands)


def free_tables(script: Script) -> list[str]:
    """Tables of uplinks that no connection mark leads to."""
    used = {table_of(mark, script.router) for mark in routing_marks(script.router).values()}
    tables = (uplink.table for uplink in script.uplinks if uplink.table is not None)
    return [table for table in dict.fromkeys(tables) if table not in used]
