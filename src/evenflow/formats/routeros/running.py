"""Running what a script says in its language, as far as the file tells what it comes to.

`:local`, `:global`, `:set`; functions; `:if`, `:for`, `:foreach`, `:while`, `:do` with known conditions and bounds.
What is not known is not run, and told of where it would change what takes part in routing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.embedded import concerns_routing
from evenflow.formats.routeros.expressions import Environment, expand, found, holds
from evenflow.formats.routeros.menus import ROOT, menu_at
from evenflow.formats.routeros.notes import Notes
from evenflow.formats.routeros.operations import UnknownValueError, elements
from evenflow.formats.routeros.pieces import parse_block
from evenflow.formats.routeros.statement import Code, FindExpression, Kind, Template, menu_text, written
from evenflow.formats.routeros.variables import Array, flat, forget_assigned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from evenflow.formats.routeros.items import Items
    from evenflow.formats.routeros.statement import Statement, Value
    from evenflow.formats.routeros.variables import Known, Variables

#: Statements that are run in one file, and more for each that stands in it; long ones count several times. More than
#: scripts take to set a router up.
_MOST_RUN, _FOR_EACH = 5_000, 10

#: Characters of code in a statement that count as one more.
_CODE_OF_ONE = 200

#: Calls and blocks within each other.
_MAX_DEPTH = 32


#: Why something is not run.
_UNKNOWN = "what it depends on is known only to the running router"
_TOO_LONG = "it goes on for too long"


class _TooLongError(Exception):
    """A loop that does not end, or takes longer than it may."""


class Runner:
    """Runs the statements of the language; commands are given to `command`."""

    def __init__(
        self, items: Items, variables: Variables, notes: Notes, command: Callable[[Statement], None], *, size: int
    ) -> None:
        """`size`: how many statements the file has."""
        self._items = items
        self._variables = variables
        self._notes = notes
        self._command = command
        self._left = _MOST_RUN + _FOR_EACH * size
        self._parsed: dict[tuple[str, int], tuple[Statement, ...]] = {}
        self._declared: list[dict[str, Known | None]] = []

    def run(self, statement: Statement) -> None:
        """Run one statement of the file; a finding tells of what can't be."""
        before = self._items.made
        try:
            self._statement(statement)
        except _TooLongError:
            made_something = self._items.made > before
            self._items.take_back(before)
            self._not_run(statement, _TOO_LONG, made_something=made_something)

    # --- statements ----------------------------------------------------------------------------------------------

    def _statement(self, statement: Statement) -> None:
        self._spend(_cost(statement))
        if statement.kind is Kind.COMMAND:
            self._command(statement)
        elif statement.kind is Kind.SCRIPT and not self._understood(statement):
            self._not_run(statement)

    def _spend(self, cost: int = 1) -> None:
        self._left -= cost
        if self._left < 0:
            raise _TooLongError

    def _understood(self, statement: Statement) -> bool:
        """Run a statement of the language; False where only the running script knows what it does."""
        match statement.command:
            case "local" | "global" | "set":
                self._assign(statement)
                return True
            case "if":
                return self._if(statement)
            case "for":
                return self._for(statement)
            case "foreach":
                return self._foreach(statement)
            case "while" | "do":
                return self._do(statement)
            case "":
                return self._call(statement)
            case "execute" | "import":
                what = f":{statement.command} is not done, so what it runs is not known; write its commands here"
                self._notes.warning("script-not-run", statement.origin, what)
        return not statement.body

    def _not_run(self, statement: Statement, why: str = _UNKNOWN, *, made_something: bool = False) -> None:
        """Tell that a statement is not run, if that matters: what it does stands in its body, or was seen by now."""
        forget_assigned((statement, *statement.body), self._variables)
        menus = dict.fromkeys(menu_text(each.menu) for each in flat(statement.body) if concerns_routing(each))
        if menus or made_something:
            name = f":{statement.command}" if statement.command else " ".join(statement.text.split())[:40]
            changes = ", ".join(menus) or "what takes part in routing"
            what = f"{name} changes {changes} here, and is not run: {why}; write the commands themselves"
            self._notes.error("script-not-run", statement.origin, what)

    def _block(self, statements: Iterable[Statement], given: Mapping[str, Known]) -> None:
        """Run a block: what it declares, and what it is given, holds within it alone."""
        if len(self._declared) >= _MAX_DEPTH:
            raise _TooLongError
        self._spend()
        self._declared.append({})
        for name, value in given.items():
            self._declare(name)
            self._variables[name] = value
        try:
            for statement in statements:
                self._statement(statement)
        finally:
            for name, before in self._declared.pop().items():
                if before is None:
                    self._variables.pop(name, None)
                else:
                    self._variables[name] = before

    def _declare(self, name: str) -> None:
        if self._declared:
            self._declared[-1].setdefault(name, self._variables.get(name))

    def _body(self, statement: Statement, value: Value | None, notes: Notes | None = None) -> tuple[Statement, ...]:
        """The statements of a block; what is wrong in them was told when the file was read, else it is in `notes`."""
        if not isinstance(value, Code) or not value.text.startswith("{"):
            return ()
        key = (value.text, value.line)
        if key not in self._parsed:
            menu = menu_at(statement.menu) or ROOT
            self._parsed[key] = parse_block(value, menu, notes or Notes(statement.origin.file))
        return self._parsed[key]

    # --- what each does ------------------------------------------------------------------------------------------

    def _assign(self, statement: Statement) -> None:
        if not statement.positional or not isinstance(statement.positional[0], str):
            return
        name = statement.positional[0]
        if statement.command == "local":
            self._declare(name)
        function = statement.get("do")
        known: Known | None = function if isinstance(function, Code) else None
        if len(statement.positional) == 2:
            known = self._value(statement.positional[1], statement)
        elif known is None and statement.command == "global":
            return  # it only makes the variable known here
        if known is None:
            self._variables.pop(name, None)
        else:
            self._variables[name] = known

    def _if(self, statement: Statement) -> bool:
        if len(statement.positional) != 1:
            return False
        truth = holds(statement.positional[0], self._environment(statement))
        if truth is None:
            return False
        self._block(self._body(statement, statement.get("do" if truth else "else")), {})
        return True

    def _for(self, statement: Statement) -> bool:
        names = statement.positional
        bounds = [self._number(statement, key) for key in ("from", "to")]
        step = self._number(statement, "step") if statement.get("step") is not None else None
        if len(names) != 1 or not isinstance(names[0], str) or None in bounds or step == 0:
            return False
        first, last = (bound for bound in bounds if bound is not None)
        step = step or (1 if first <= last else -1)
        body = self._body(statement, statement.get("do"))
        for number in range(first, last + (1 if step > 0 else -1), step):
            self._block(body, {names[0]: str(number)})
        return True

    def _number(self, statement: Statement, key: str) -> int | None:
        value = statement.get(key)
        known = self._value(value, statement) if value is not None else None
        text = known if isinstance(known, str) else ""
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 10 else None

    def _foreach(self, statement: Statement) -> bool:
        over = statement.get("in")
        words = [name for name in statement.positional if isinstance(name, str)]
        names = [name.strip() for name in ",".join(words).split(",") if name.strip()]
        known = self._value(over, statement) if over is not None else None
        known = found(known, self._environment(statement)) if known is not None else None
        if not 1 <= len(names) <= 2 or known is None:
            return False
        try:
            values = elements(known)
        except UnknownValueError:
            return False
        keys = known.keys if isinstance(known, Array) else (None,) * len(values)
        body = self._body(statement, statement.get("do"))
        for place, (key, value) in enumerate(zip(keys, values, strict=True)):
            named = {names[0]: key if key is not None else str(place)} if len(names) == 2 else {}
            self._block(body, {**named, names[-1]: value})
        return True

    def _do(self, statement: Statement) -> bool:
        """`:do {…}`, with `while=` or `on-error=`; `:while (…) do={…}`."""
        asked_first = statement.command == "while"
        condition = statement.get("while")
        block = statement.get("do") or statement.get("command")
        if statement.positional:
            if asked_first:
                condition = statement.positional[0]
            else:
                block = statement.positional[0]
        body = self._body(statement, block)
        first = True
        while True:
            truth = True if condition is None else None
            if condition is not None and (asked_first or not first):
                truth = holds(condition, self._environment(statement))
                if truth is None:
                    return False
            if truth is False:
                return True
            self._block(body, {})
            first = False
            if condition is None:
                return True

    def _call(self, statement: Statement) -> bool:
        """`$function a=1`, `[/ip route disable 0]`."""
        function = statement.positional[0] if statement.positional else None
        if isinstance(function, FindExpression):
            return True
        if isinstance(function, Code) and function.text.startswith("["):
            # What stands in it was not looked at when the file was read.
            block = Code(f"{{{function.text[1:-1]}}}", function.line)
            self._block(self._body(statement, block, self._notes), {})
            return True
        name = function.variable if isinstance(function, Template) else None
        code = self._variables.get(name) if name is not None else None
        if not isinstance(code, Code):
            what = f"{' '.join(statement.text.split())[:60]}: this function is not in the file, so it is not known what"
            self._notes.warning("script-not-run", statement.origin, f"{what} it does; write its commands here")
            return True
        given: dict[str, Known] = {}
        for place, value in enumerate(statement.positional[1:], 1):
            given[str(place)] = self._value(value, statement) or ""
        for argument in statement.arguments:
            given[argument.name] = self._value(argument.value, statement) or ""
        self._block(self._body(statement, code), given)
        return True

    # --- values --------------------------------------------------------------------------------------------------

    def _environment(self, statement: Statement) -> Environment:
        return Environment(self._variables, self._items, statement.menu)

    def _value(self, value: Value, statement: Statement) -> Known | None:
        return expand(value, self._environment(statement))


def _cost(statement: Statement) -> int:
    """What a statement counts as: what has to be worked out in it may be long."""
    values = (*statement.positional, *(argument.value for argument in statement.arguments))
    worked_out = sum(len(written(value)) for value in values if not isinstance(value, str))
    return 1 + worked_out // _CODE_OF_ONE
