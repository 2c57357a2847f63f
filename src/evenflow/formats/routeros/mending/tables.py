"""Tables and routes of a script, as mends ask for them; and how one more route is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.chance_groups import chance_groups
from evenflow.core.streams import stream_groups
from evenflow.core.uplinks import default_routes, interface_of, routing_marks, table_of
from evenflow.formats.routeros.mending.edits import AddCommand, CopyCommand
from evenflow.formats.routeros.mending.spans import with_property, without_property, words
from evenflow.formats.routeros.statement import FindExpression, Kind, menu_text, written
from evenflow.formats.routeros.version import version_of
from evenflow.formats.routeros.writing.keys import DHCP_TABLES
from evenflow.formats.routeros.writing.words import Command, quoted
from evenflow.model.matcher import MarkKind
from evenflow.model.router import MAIN_TABLE, AddressGateway, InterfaceGateway, LearnedGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evenflow.core.chance_groups import ChanceGroup
    from evenflow.core.streams import StreamGroup
    from evenflow.formats.routeros.mending.edits import Edit, Place
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.formats.routeros.statement import Statement
    from evenflow.model.router import Gateway, Route, Router


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


# --- what is balanced ----------------------------------------------------------------------------------------------


def balanced_tables(router: Router) -> frozenset[str]:
    """The tables that connections are divided among; main is one where a part is left without a way of its own.

    None of them where no classifier is, nor chance: rules for some hosts, or for a VPN, are somebody's choice of a way.
    """
    routing = routing_marks(router)
    filled = {route.table for route in default_routes(router)}
    found: set[str] = set()
    groups: tuple[StreamGroup | ChanceGroup, ...] = (*stream_groups(router), *chance_groups(router))
    for group in groups:
        shares = group.shares()
        marks = [mark if group.kind is MarkKind.ROUTING else routing.get(mark) for mark in shares]
        if group.kind is MarkKind.PACKET or not any(marks):
            continue
        tables = {table_of(mark, router) for mark in marks if mark is not None}
        found |= tables & filled
        if sum(shares.values()) < 1 or None in marks or tables - filled:
            found.add(MAIN_TABLE)
    return frozenset(found)


def ends(router: Router, gateways: Iterable[Gateway]) -> frozenset[str]:
    """What gateways come to, in whatever form they are given: their interfaces, or where these are unknown themselves.

    A DHCP client on an interface, the interface, and an address on it are one uplink.
    """
    return frozenset(interface_of(gateway, router) or _address(gateway) for gateway in gateways)


def _address(gateway: Gateway) -> str:
    assert isinstance(gateway, AddressGateway)
    return str(gateway.address)


# --- one more route ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewRoute:
    """A default route that is to be added to a table.

    Attributes:
        models: routes by the same gateway that the script has, those to be followed first.
    """

    models: tuple[Route, ...]
    table: str
    distance: int

    def edit(self, script: Script, place: Place) -> Edit | None:
        """The command of a model once more, or the interface of a PPP client as gateway; None where it is neither."""
        model = self._written(script)
        if model is not None:
            changes = (*self._changes(script), ("comment", None))
            return copied(script, model.origin.line, changes, place)
        command = self._by_interface(script)
        return None if command is None else AddCommand(command, place)

    def proposal(self, script: Script) -> tuple[str, ...]:
        """The lines to be pasted; of a DHCP client what makes it do so, where the release is known to have that."""
        model = self._written(script)
        if model is not None:
            return changed_text(script, model.origin.line, self._changes(script))
        command = self._by_interface(script)
        return self._by_client(script) if command is None else (f"{menu_text(command.menu)} {command}",)

    def model(self, script: Script) -> Route:
        """The route that it is like: one that is written as a route, if any is."""
        return self._written(script) or self.models[0]

    def is_learnt(self, script: Script) -> bool:
        """Whether only a DHCP client knows the gateway."""
        return self._written(script) is None and any(map(_is_learnt, self.models))

    def _written(self, script: Script) -> Route | None:
        commands = script.commands
        lines = {line for line, command in commands.items() if command.menu in (("ip", "route"), ("ipv6", "route"))}
        return next((m for m in self.models if m.origin.line in lines and not _is_learnt(m)), None)

    def _changes(self, script: Script) -> tuple[tuple[str, str | None], ...]:
        return ((table_property(script), self.table), ("distance", str(self.distance)))

    def _by_interface(self, script: Script) -> Command | None:
        """By the interface of a PPP client, which needs no address."""
        for model in self.models:
            command = script.commands.get(model.origin.line)
            if command is not None and command.menu[:1] == ("interface",):
                (gateway,) = model.gateways
                assert isinstance(gateway, InterfaceGateway)
                named = (("distance", str(self.distance)), ("gateway", gateway.interface))
                return Command(("ip", "route"), (*named, (table_property(script), self.table)))
        return None

    def _by_client(self, script: Script) -> tuple[str, ...]:
        version = version_of(script.statements)
        client = next((model for model in self.models if _is_learnt(model)), None)
        command = script.commands.get(client.origin.line) if client is not None else None
        if client is None or command is None or version is None or version < DHCP_TABLES:
            return ()
        routes = [route for route in script.router.routes if route.origin == client.origin]
        tables = [(route.table, route.distance) for route in routes] + [(self.table, self.distance)]
        said = ",".join(f"{table}:{distance}" for table, distance in tables)
        asked = f"[find interface={quoted(written(command.get('interface') or ''))}]"
        return (f"{menu_text(command.menu)} set {asked} default-route-tables={said}",)


def _is_learnt(route: Route) -> bool:
    return any(isinstance(gateway, LearnedGateway) for gateway in route.gateways)


def copied(script: Script, line: int, changes: tuple[tuple[str, str | None], ...], place: Place) -> Edit | None:
    """A command once more; None if there is a remark behind it, about the first one, and it can't go without."""
    command, text = script.commands[line], _text(script, line)
    if not text[_end(command, text) :].strip():
        return CopyCommand(line, changes, place)
    if not all(isinstance(argument.value, str) for argument in command.arguments):
        return None
    values = {argument.name: str(argument.value) for argument in command.arguments} | dict(changes)
    properties = tuple((name, value) for name, value in values.items() if value is not None)
    return AddCommand(Command(command.menu, properties, command.flags), place)


def changed_text(script: Script, line: int, changes: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    """The lines of a command with other values, and with its menu."""
    command, text = script.commands[line], _text(script, line)
    for name, value in changes:
        if value is None:
            text = without_property(text, command.menu, name)
        else:
            text = with_property(text, command.menu, name, value)
    text = text[: _end(command, text)].strip()
    return tuple((text if text.startswith("/") else f"{menu_text(command.menu)} {text}").split("\n"))


def _text(script: Script, line: int) -> str:
    return "\n".join(each.text for each in script.text.lines[line - 1 : script.commands[line].last_line])


def _end(command: Statement, text: str) -> int:
    """Where the words of a command end; a remark may follow."""
    return words(text, command.menu)[-1].end


# --- scripts that look for routes ----------------------------------------------------------------------------------


def selects_routes_by_comment(script: Script) -> bool:
    """Whether something in the file looks for routes by their comments: a script, netwatch, or a command itself."""
    return any(map(_selects_by_comment, _all(script.statements)))


def _all(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        yield from _all(statement.body)


def _selects_by_comment(statement: Statement) -> bool:
    values = (*(argument.value for argument in statement.arguments), *statement.positional)
    of_routes = statement.menu[-1:] == ("route",)
    if of_routes and any(isinstance(value, FindExpression) and "comment" in value.text for value in values):
        return True
    texts = ("" if statement.kind is Kind.COMMENT else statement.text, *(written(value) for value in values))
    return any(all(word in text for word in ("route", "find", "comment")) for text in texts)
