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
from evenflow.formats.routeros.parser import parse_embedded
from evenflow.formats.routeros.properties import SCHEMAS, SCRIPT_PROPERTIES
from evenflow.formats.routeros.selector import UnselectableError
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
from evenflow.formats.routeros.variables import flat

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The name that stands for the learnt gateway among the variables; no variable of a script can be called so.
_LEARNT = Code("learnt gateway")

_GATEWAY_VARIABLE = "gateway-address"
_FROM_CLIENT = re.compile(r"dhcp-client[\s/]+get\b[^;]{0,200}\bgateway\b")
_FIRST_VARIABLE = re.compile(r'\(\s*\$(?:"([^"]*)"|(\w+))')

#: What a script must contain to have any bearing on routing.
_OF_ROUTING = re.compile(r"rout|mangle|nat|address-list|interface|/ip|ip ")

_ROUTES = ("ip", "route")


def follow_dhcp_scripts(items: Items, notes: Notes) -> None:
    """Make the gateways that DHCP clients' scripts set learned ones."""
    for client in list(items.of(("ip", "dhcp-client"))):
        script = client.properties.get("script")
        if client.in_force and script:
            _follow(client, script, items, notes)
    for client in items.of(("ipv6", "dhcp-client")):
        script = client.properties.get("script")
        if client.in_force and script:
            _tell_not_run("script", client, flat(_statements(script, client)), notes)


def _follow(client: Item, script: Value, items: Items, notes: Notes) -> None:
    reader = _DhcpScript(client, items, notes)
    for statement in flat(_statements(script, client)):
        reader.read(statement)
    reader.conclude()


class _DhcpScript:
    """Follows one script; its conditions are not looked at, as they ask whether there is a lease."""

    def __init__(self, client: Item, items: Items, notes: Notes) -> None:
        self._client = client
        self._items = items
        self._notes = notes
        self._follower = Follower(items, {"interface": client.text("interface"), "bound": "1"})
        self._learnt_one = False
        self._other: list[Statement] = []
        self._switching: list[Statement] = []

    def read(self, statement: Statement) -> None:
        """Take one statement into account."""
        if statement.kind is Kind.SCRIPT:
            self._assign(statement)
        elif statement.kind is Kind.UNKNOWN:
            what = f'script= has "{statement.origin.item}" in it, which is no command of RouterOS; correct it'
            self._notes.warning("script-not-run", self._client.origin, what)
        elif changes_items(statement):
            if statement.menu != _ROUTES:
                self._other.append(statement)
            elif statement.command in ("add", "set") and self._is_learnt(statement.get("gateway")):
                self._learn(statement)
            else:
                self._switching.append(statement)

    def conclude(self) -> None:
        """Tell what the script does that is not followed. Taking a route out while there is no lease is."""
        rest = self._other + ([] if self._learnt_one else self._switching)
        _tell_not_run("script", self._client, rest, self._notes)

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
        if isinstance(head, Variable) and head.name == "gateway" and value.parts[1:2] == ("-address",):
            return True
        return isinstance(head, Variable) and self._names_gateway(head.name)

    def _names_gateway(self, name: str) -> bool:
        return name == _GATEWAY_VARIABLE or self._follower.variables.get(name) == _LEARNT

    def _learn(self, statement: Statement) -> None:
        interface = self._client.text("interface")
        self._learnt_one = True
        if statement.command == "add":
            self._add(statement, interface)
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
            item.learned = interface

    def _add(self, statement: Statement, interface: str) -> None:
        """A route that only the script makes, unless the file has it: then this is the same one."""
        properties = {argument.name: self._follower.literal(argument.value) for argument in statement.arguments}
        properties.pop("gateway")
        route = Item(_ROUTES, self._client.origin, properties, learned=interface)
        same = [item for item in self._items.of(_ROUTES) if _same_route(item, route)]
        for item in same:
            item.learned = interface
        if not same:
            self._items.of(_ROUTES).append(route)


def _same_route(one: Item, other: Item) -> bool:
    keys = (("comment", ""), ("dst-address", "0.0.0.0/0"), ("routing-table", "main"), ("routing-mark", "main"))
    return all((one.text(key) or default) == (other.text(key) or default) for key, default in keys)


def tell_of_scripts(statement: Statement, item: Item, notes: Notes) -> None:
    """Tell of the scripts in a statement's strings that would change routing, if they were run."""
    for argument in statement.arguments:
        if argument.name in SCRIPT_PROPERTIES and argument.value:
            _tell_not_run(argument.name, item, flat(_statements(argument.value, item)), notes)


def _statements(script: Value, item: Item) -> tuple[Statement, ...]:
    text = script.text[1:-1] if isinstance(script, Code) else str(script)
    if isinstance(script, FindExpression) or not _OF_ROUTING.search(text):
        return ()
    # What is wrong within a script matters only where the script is followed; that is told there.
    return parse_embedded(text, item.origin.line, Notes(item.origin.file))


def _tell_not_run(name: str, item: Item, statements: Iterable[Statement], notes: Notes) -> None:
    menus = dict.fromkeys(menu_text(each.menu) for each in statements if concerns_routing(each))
    if menus:
        what = f"{name}= of {item.origin.item} changes {', '.join(menus)} when it runs; scripts are not run here"
        notes.warning("script-not-run", item.origin, f"{what}. Write what it does as commands, if it matters")


def concerns_routing(statement: Statement) -> bool:
    """Whether a command changes something that this reader would read."""
    return changes_items(statement) and statement.menu in SCHEMAS
