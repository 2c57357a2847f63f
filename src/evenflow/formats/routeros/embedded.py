"""Scripts within a configuration: those of DHCP clients that follow the gateway, and all others.

A DHCP client runs its script when its lease changes, with the gateway in `$"gateway-address"`. A script that gives
that to a route says no more than: this route's gateway is the one that the client learns. Other scripts are not run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.formats.routeros.following import Follower, changes_items
from evenflow.formats.routeros.items import Item, Items
from evenflow.formats.routeros.notes import Notes
from evenflow.formats.routeros.pieces import parse_embedded
from evenflow.formats.routeros.properties import SCHEMAS, SCRIPT_PROPERTIES
from evenflow.formats.routeros.selection import UnselectableError
from evenflow.formats.routeros.statement import (
    Code,
    FindExpression,
    Kind,
    Statement,
    Template,
    Value,
    Variable,
    menu_text,
    written,
)
from evenflow.formats.routeros.switching import run_names
from evenflow.formats.routeros.variables import flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.routeros.switching import ScriptBook
    from evenflow.model.finding import Origin

#: The name that stands for the learnt gateway among the variables; no variable of a script can be called so.
_LEARNT = Code("learnt gateway")

_GATEWAY_VARIABLES = ("gateway-address", "remote-address")
_FROM_CLIENT = re.compile(r"dhcp-client[\s/]+get\b[^;]{0,200}\bgateway\b")
_FIRST_VARIABLE = re.compile(r'\(\s*\$(?:"([^"]*)"|(\w+))')

#: What a script must contain to have any bearing on routing.
_OF_ROUTING = re.compile(r"rout|mangle|nat|address-list|interface|/ip|ip |script")

_ROUTES = ("ip", "route")

#: Clients that take a profile of `/ppp profile`.
_PPP_CLIENTS = tuple((f"{kind}-client",) for kind in ("pppoe", "l2tp", "pptp", "sstp", "ovpn", "ppp"))


def follow_dhcp_scripts(items: Items, book: ScriptBook, notes: Notes) -> None:
    """Make the gateways that DHCP clients' scripts set learned ones."""
    for client in list(items.of(("ip", "dhcp-client"))):
        script = client.properties.get("script")
        if client.in_force and script:
            reader = _ClientScript(client, client.text("interface"), items, notes)
            for statement in _with_named(script, client.origin, book):
                reader.read(statement)
            reader.conclude()
    for client in items.of(("ipv6", "dhcp-client")):
        script = client.properties.get("script")
        if client.in_force and script:
            _tell_not_run("script", client, flat(embedded_statements(script, client.origin)), notes)


def follow_ppp_profiles(profiles: Iterable[Statement], items: Items, book: ScriptBook, notes: Notes) -> None:
    """Make the routes that profiles add while the connections of their clients are up.

    A route by a PPP interface is not used while that is down; so it may stand there before, and stay.
    """
    clients = [item for menu in items.menus() if menu[1:] in _PPP_CLIENTS for item in items.of(menu) if item.in_force]
    for profile in profiles:
        name = profile.get("name") or (profile.positional[0] if profile.positional else "")
        followed = [client for client in clients if (client.text("profile") or "default") == name]
        script = profile.get("on-up")
        for client in followed if script else ():
            assert script is not None
            place = Item(client.menu, profile.origin, client.properties)
            reader = _ClientScript(place, client.text("name"), items, notes, script_of="on-up", adds_any=True)
            for statement in _with_named(script, place.origin, book):
                reader.read(statement)
            reader.conclude()
        if not followed:
            tell_of_scripts(profile, Item(profile.menu, profile.origin), notes)


class _ClientScript:
    """Follows one script; its conditions are not looked at, as they ask whether there is a connection."""

    def __init__(
        self,
        client: Item,
        interface: str,
        items: Items,
        notes: Notes,
        *,
        script_of: str = "script",
        adds_any: bool = False,
    ) -> None:
        """`adds_any`: routes that it adds by other gateways are no different from those of the file."""
        self._client = client
        self._interface = interface
        self._script_of = script_of
        self._adds_any = adds_any
        self._items = items
        self._notes = notes
        self._follower = Follower(items, {"interface": interface, "bound": "1"})
        self._learnt_one = False
        self._other: list[Statement] = []
        self._switching: list[Statement] = []

    def read(self, statement: Statement) -> None:
        """Take one statement into account."""
        if statement.kind is Kind.SCRIPT:
            self._assign(statement)
        elif statement.kind is Kind.UNKNOWN:
            what = (
                f'{self._script_of}= has "{statement.origin.item}" in it, which is no command of RouterOS; correct it'
            )
            self._notes.warning("script-not-run", self._client.origin, what)
        elif run_names(statement):
            names = ", ".join(run_names(statement))
            what = f"{self._script_of}= runs script {names}, which is not in this file; add it with /system script add"
            self._notes.warning("script-not-run", self._client.origin, what)
        elif changes_items(statement):
            if statement.menu != _ROUTES:
                self._other.append(statement)
            elif statement.command in ("add", "set") and self._is_learnt(statement.get("gateway")):
                self._learn(statement)
            elif self._adds_any and self._is_plain_add(statement):
                self._learnt_one = True
                self._add(statement, None)
            else:
                self._switching.append(statement)

    def conclude(self) -> None:
        """Tell what the script does that is not followed. Taking a route out while there is no lease is."""
        rest = self._other + ([] if self._learnt_one else self._switching)
        _tell_not_run(self._script_of, self._client, rest, self._notes)

    def _assign(self, statement: Statement) -> None:
        name = statement.positional[0] if statement.positional else None
        if (
            isinstance(name, str)
            and statement.command != "foreach"
            and len(statement.positional) == 2
            and self._is_learnt(statement.positional[1])
        ):
            self._follower.variables[name] = _LEARNT
            return
        self._follower.assign(statement)

    def _is_learnt(self, value: Value | None) -> bool:
        """Whether a value is, or begins with, the gateway that the client has learnt."""
        if isinstance(value, Code):
            if value == _LEARNT or _FROM_CLIENT.search(value.text):
                return True
            first = _FIRST_VARIABLE.match(value.text)
            return first is not None and self._names_gateway(first[1] if first[2] is None else first[2])
        if not isinstance(value, Template):
            return False
        head = value.parts[0]
        if isinstance(head, Variable) and head.name in ("gateway", "remote") and value.parts[1:2] == ("-address",):
            return True
        return isinstance(head, Variable) and self._names_gateway(head.name)

    def _is_plain_add(self, statement: Statement) -> bool:
        """Whether it adds a route all of which is known."""
        values = [self._follower.literal(argument.value) for argument in statement.arguments]
        return statement.command == "add" and all(isinstance(value, str) for value in values)

    def _names_gateway(self, name: str) -> bool:
        return name in _GATEWAY_VARIABLES or self._follower.variables.get(name) == _LEARNT

    def _learn(self, statement: Statement) -> None:
        self._learnt_one = True
        if statement.command == "add":
            self._add(statement, self._interface)
            return
        try:
            chosen = self._follower.items_of(statement, _ROUTES)
        except UnselectableError as problem:
            what = f"the script of the client sets a gateway, but {problem}"
            self._notes.error("unsupported-find", self._client.origin, what)
            return
        if not chosen:
            which = " ".join(written(value) for value in statement.positional)
            what = f"the script sets the gateway of {which}, but no route is that; give the route what it looks for"
            self._notes.warning("no-such-item", self._client.origin, what)
        for item in chosen:
            item.learned = self._interface

    def _add(self, statement: Statement, interface: str | None) -> None:
        """A route that only the script makes, unless the file has it: then this is the same one."""
        properties = {argument.name: self._follower.literal(argument.value) for argument in statement.arguments}
        if interface is not None:
            properties.pop("gateway")
        properties.update(dict.fromkeys(statement.flags, "yes"))
        route = Item(_ROUTES, self._client.origin, properties, learned=interface)
        same = [item for item in self._items.of(_ROUTES) if _same_route(item, route)]
        for item in same:
            item.learned = interface or item.learned
        if not same:
            self._items.of(_ROUTES).append(route)


def _same_route(one: Item, other: Item) -> bool:
    keys = (("comment", ""), ("dst-address", "0.0.0.0/0"), ("routing-table", "main"), ("routing-mark", "main"))
    return all((one.text(key) or default) == (other.text(key) or default) for key, default in keys)


def tell_of_scripts(statement: Statement, item: Item, notes: Notes) -> None:
    """Tell of the scripts in a statement's strings that would change routing, if they were run."""
    for argument in statement.arguments:
        if argument.name in SCRIPT_PROPERTIES and argument.value:
            _tell_not_run(argument.name, item, flat(embedded_statements(argument.value, item.origin)), notes)


def _with_named(script: Value, where: Origin, book: ScriptBook) -> Iterator[Statement]:
    """The statements of a script, and of the named ones that it runs; its text may be but the name of one."""
    yield from flat(book.named(str(script).strip()) or ())
    for statement in flat(embedded_statements(script, where)):
        named = [book.named(name) for name in run_names(statement)]
        yield from (one for statements in named for one in flat(statements or ()))
        if None in named or not named:
            yield statement


def embedded_statements(script: Value, where: Origin) -> tuple[Statement, ...]:
    """The statements of a script in a string, or in braces; () when it has no bearing on routing."""
    text = script.text[1:-1] if isinstance(script, Code) else str(script)
    if isinstance(script, FindExpression) or not _OF_ROUTING.search(text):
        return ()
    # What is wrong within a script matters only where the script is followed; that is told there.
    return parse_embedded(text, where.line, Notes(where.file))


def _tell_not_run(name: str, item: Item, statements: Iterable[Statement], notes: Notes) -> None:
    menus = dict.fromkeys(menu_text(each.menu) for each in statements if concerns_routing(each))
    if menus:
        what = f"{name}= of {item.origin.item} changes {', '.join(menus)} when it runs; scripts are not run here"
        notes.warning("script-not-run", item.origin, f"{what}. Write what it does as commands, if it matters")


def concerns_routing(statement: Statement) -> bool:
    """Whether a command changes something that this reader would read."""
    return changes_items(statement) and statement.menu in SCHEMAS
