"""What the up-script and the down-script of a netwatch entry do to routes.

The usual ones disable routes while a host is lost and enable them when it is back, or give them another distance.
Conditions are not asked: what stands behind one is taken as done. Everything else that such a script does is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.formats.routeros.following import Follower
from evenflow.formats.routeros.notes import Notes
from evenflow.formats.routeros.pieces import parse_embedded
from evenflow.formats.routeros.selection import UnselectableError
from evenflow.formats.routeros.statement import Code, Kind, menu_text, written
from evenflow.formats.routeros.values import BadValueError, number, yes_or_no
from evenflow.formats.routeros.variables import flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.formats.routeros.items import Item, Items
    from evenflow.formats.routeros.statement import Statement, Value

ROUTE_MENUS = (("ip", "route"), ("ipv6", "route"))
SCRIPTS = ("system", "script")

#: Statements of the language that do nothing to the router.
_HARMLESS = frozenset(
    ("beep", "break", "continue", "delay", "do", "else", "error", "for", "foreach", "global", "if", "local",
     "log", "nothing", "onerror", "put", "return", "retry", "set", "while")
)  # fmt: skip

_CONDITIONS = frozenset(("if", "while", "for"))

#: Commands that only look.
_LOOKING = frozenset(("export", "find", "get", "monitor", "ping", "print", "flood-ping", "traceroute", "beep", "info"))

#: Statements that are followed in one file; more than any router's scripts have together.
_MOST_STATEMENTS = 100_000


@dataclass(slots=True)
class RouteChange:
    """What a script makes of a route; None is untouched."""

    disabled: bool | None = None
    distance: int | None = None


@dataclass(slots=True)
class Effects:
    """What a script does.

    Attributes:
        routes: the routes that it switches.
        beyond: what else it does, in a few words each, in order.
        conditional: a condition decides whether it switches some of them.
        problems: why something in it can't be followed; codes and messages.
    """

    routes: dict[Item, RouteChange] = field(default_factory=dict)
    beyond: dict[str, None] = field(default_factory=dict)
    conditional: bool = False
    problems: dict[str, str] = field(default_factory=dict)


class ScriptBook:
    """The named scripts of `/system script`, and which of them netwatch entries run."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        """Statements to the menu `/system script`."""
        self.run: set[str] = set()
        self._texts: dict[str, Value] = {}
        self._parsed: dict[str, tuple[Statement, ...]] = {}
        self._left = _MOST_STATEMENTS
        for statement in statements:
            name, source = statement.get("name"), statement.get("source")
            if statement.command == "add" and isinstance(name, str) and source is not None:
                self._texts[name] = source

    def effects(self, script: Value, line: int, items: Items) -> Effects:
        """What a script does: its text, or the name of one of these."""
        runner = _Runner(items, self)
        name = str(script).strip()
        if name in self._texts:
            runner.run_named(name)
        elif script:
            runner.run(self._parse(_text(script), line))
        return runner.effects

    def named(self, name: str) -> tuple[Statement, ...] | None:
        """The statements of a script of that name, which counts as run then; None when there is none."""
        if name not in self._texts:
            return None
        self.run.add(name)
        if name not in self._parsed:
            self._parsed[name] = self._parse(_text(self._texts[name]), 0)
        return self._parsed[name]

    def may_follow(self) -> bool:
        """Whether one more statement may be followed."""
        self._left -= 1
        return self._left >= 0

    def _parse(self, text: str, line: int) -> tuple[Statement, ...]:
        return parse_embedded(text, line, Notes(""))


def _text(script: Value) -> str:
    return script.text[1:-1] if isinstance(script, Code) else str(script)


class _Runner:
    """Follows one script, and those that it runs."""

    def __init__(self, items: Items, book: ScriptBook) -> None:
        self.effects = Effects()
        self._follower = Follower(items, {})
        self._book = book
        self._running: set[str] = set()

    def run_named(self, name: str) -> None:
        """Follow a named script, once."""
        statements = self._book.named(name)
        if statements is None:
            self.effects.beyond[f"runs script {name}, which is not in this file"] = None
        elif name not in self._running:
            self._running.add(name)
            self.run(statements)

    def run(self, statements: Iterable[Statement]) -> None:
        """Follow statements in their order."""
        for statement in flat(statements):
            if not self._book.may_follow():
                self.effects.problems["script-not-run"] = "the scripts of this file are too long to be followed"
                return
            if statement.kind is Kind.SCRIPT:
                self._language(statement)
            elif statement.kind is Kind.UNKNOWN:
                self.effects.beyond[f'"{statement.origin.item}"'] = None
            elif statement.kind is Kind.COMMAND:
                self._command(statement)

    def _language(self, statement: Statement) -> None:
        self._follower.assign(statement)
        if statement.command in _CONDITIONS and any(_switches(each) for each in flat(statement.body)):
            self.effects.conditional = True
        if statement.command not in _HARMLESS:
            self.effects.beyond[" ".join(statement.text.split())[:40]] = None

    def _command(self, statement: Statement) -> None:
        names = run_names(statement, self._follower)
        if names:
            for name in names:
                self.run_named(name)
        elif _switches(statement):
            self._switch(statement)
        elif statement.command not in _LOOKING and statement.menu != ("log",):
            self.effects.beyond[f"{menu_text(statement.menu)} {statement.command}"] = None

    def _switch(self, statement: Statement) -> None:
        change = self._change(statement)
        if change is None:
            names = ", ".join(f"{each.name}=" for each in statement.arguments)
            self.effects.beyond[f"{menu_text(statement.menu)} set {names}"] = None
            return
        which = " ".join(written(value) for value in statement.positional) or "it"
        try:
            chosen = self._follower.items_of(statement, statement.menu)
        except UnselectableError as problem:
            self.effects.problems["unsupported-find"] = f"{statement.origin.item} is not followed: {problem}"
            return
        if not chosen:
            what = f"{statement.origin.item} {which}: no route is that; give the route what it looks for"
            self.effects.problems["no-such-item"] = what
        for item in chosen:
            known = self.effects.routes.setdefault(item, RouteChange())
            known.disabled = known.disabled if change.disabled is None else change.disabled
            known.distance = known.distance if change.distance is None else change.distance

    def _change(self, statement: Statement) -> RouteChange | None:
        """What a command makes of its routes; None when it is more than switching them."""
        if statement.command != "set":
            return RouteChange(disabled=statement.command == "disable")
        given: Mapping[str, Value] = {each.name: self._follower.literal(each.value) for each in statement.arguments}
        if not given.keys() <= {"numbers", "disabled", "distance", "comment"}:
            return None
        change = RouteChange()
        try:
            if "disabled" in given:
                change.disabled = yes_or_no(written(given["disabled"]))
            if "distance" in given:
                change.distance = number(written(given["distance"]), 1, 255)
        except BadValueError:
            return None
        return change


def run_names(statement: Statement, follower: Follower | None = None) -> list[str]:
    """The names of the scripts that `/system script run` runs; with `follower`, those in variables, too."""
    if statement.menu != SCRIPTS or statement.command != "run":
        return []
    given = (*statement.positional, *(each.value for each in statement.arguments if each.name == "number"))
    return [written(follower.literal(value) if follower is not None else value) for value in given]


def _switches(statement: Statement) -> bool:
    """Whether a command may only switch routes."""
    return (
        statement.kind is Kind.COMMAND
        and statement.menu in ROUTE_MENUS
        and statement.command in ("enable", "disable", "set")
    )
