"""What an expression of the scripting language comes to, as far as the file tells: `("to_" . $name)`, `[:len $list]`.

Only what is certain is worked out: where RouterOS's order of evaluation is not documented (a `.` beside a `+` without
parentheses), or what only the running router knows is asked for, the value is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.routeros.notes import Notes
from evenflow.formats.routeros.operations import (
    FUNCTIONS,
    MOST_ELEMENTS,
    UnknownValueError,
    bounded,
    combined,
    text_of,
    truth_of,
    whole_number,
    word,
)
from evenflow.formats.routeros.pieces import parse_embedded
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.scanner import MalformedError, Scanner
from evenflow.formats.routeros.selection import UnselectableError, read_find
from evenflow.formats.routeros.statement import Code, FindExpression, Kind, Template, Variable
from evenflow.formats.routeros.variables import Array, Selected

if TYPE_CHECKING:
    from evenflow.formats.routeros.items import Item, Items
    from evenflow.formats.routeros.statement import MenuPath, Statement, Value
    from evenflow.formats.routeros.variables import Known, Variables

_GAP = re.compile(r"(?:\s|\\[ \t]*\n)*")
_LITERAL = re.compile(r"[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?|[0-9]+(?![\w.:])|[A-Za-z_][\w-]*")
_OPERATOR = re.compile(r"->|&&|\|\||!=|<=|>=|[-=<>~.,+*/%]|(?:and|or|in)(?![\w-])")
_KEY = re.compile(r'\s*(?:([A-Za-z0-9_.-]+)|"([^"\\$]*)")=')

#: How strongly an operator binds; those of one rank go from left to right.
_RANKS = {
    "||": 1, "or": 1, "&&": 2, "and": 2, "=": 3, "!=": 3, "<": 3, ">": 3, "<=": 3, ">=": 3, "~": 3, "in": 3,
    ",": 4, ".": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6, "->": 7,
}  # fmt: skip

_JOINING, _RECKONING = frozenset(",."), frozenset("+-*/%")

#: Expressions within expressions: more than scripts have.
_MAX_DEPTH = 24


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression is worked out with; without `items` nothing can be found among them."""

    variables: Variables
    items: Items | None = None
    menu: MenuPath = ()


def expand(value: Value, environment: Environment) -> Known | None:
    """What a value comes to; None if only the running script knows."""
    try:
        return _Evaluation(environment).value(value)
    except UnknownValueError:
        return None


def found(value: Known, environment: Environment) -> Known | None:
    """The value; of a `find` what it finds now, None if it can't be followed."""
    try:
        return _Evaluation(environment).found(value)
    except UnknownValueError:
        return None


def holds(condition: Value, environment: Environment) -> bool | None:
    """Whether a condition holds; None if only the running script knows."""
    value = expand(condition, environment)
    return {"true": True, "yes": True, "false": False, "no": False}.get(value) if isinstance(value, str) else None


class _Evaluation:
    """One value being worked out."""

    def __init__(self, environment: Environment, depth: int = 0) -> None:
        self._environment = environment
        self._depth = depth
        if depth > _MAX_DEPTH:
            raise UnknownValueError

    def value(self, value: Value) -> Known:
        """Raises UnknownValueError."""
        if isinstance(value, Template):
            return self._template(value)
        if isinstance(value, Code):
            return self._code(value)
        return value

    def _template(self, template: Template) -> Known:
        if template.variable is not None:
            return self._variable(template.variable)
        texts = []
        for part in template.parts:
            if isinstance(part, Variable):
                texts.append(text_of(self._variable(part.name)))
            else:
                texts.append(part if isinstance(part, str) else text_of(self._code(part)))
        return bounded("".join(texts))

    def _variable(self, name: str) -> Known:
        known = self._environment.variables.get(name)
        if known is None:
            raise UnknownValueError
        return known

    def _code(self, code: Code) -> Known:
        inner = _Evaluation(self._environment, self._depth + 1)
        try:
            match code.text[:1]:
                case "(":
                    return _Expression(code.text[1:-1], code.line, inner).whole()
                case "{":
                    return inner.array(code)
                case "[":
                    found = read_find(code)
                    return found if found is not None else inner.command(code)
        except MalformedError as problem:
            raise UnknownValueError from problem
        raise UnknownValueError

    def array(self, code: Code) -> Array:
        """`{…}`."""
        text = code.text[1:-1]
        scanner = Scanner(text, code.line)
        keys: list[str | None] = []
        values: list[Known] = []
        while True:
            scanner.pos = _end(_GAP, text, scanner.pos)
            if scanner.pos >= len(text):
                return Array(tuple(values), tuple(keys))
            key = _KEY.match(text, scanner.pos)
            if key:
                scanner.pos = key.end()
            values.append(self.value(scanner.value()))
            keys.append((key[1] if key[2] is None else key[2]) if key else None)
            scanner.pos = _end(_GAP, text, scanner.pos)
            if text[scanner.pos : scanner.pos + 1] not in ("", ";") or len(values) > MOST_ELEMENTS:
                raise UnknownValueError
            scanner.pos += 1

    # --- commands ------------------------------------------------------------------------------------------------

    def command(self, code: Code) -> Known:
        """`[…]`: a function of the language, or a property of an item."""
        statements = parse_embedded(code.text[1:-1].strip(), code.line, Notes(""))
        if len(statements) != 1:
            raise UnknownValueError
        (statement,) = statements
        if statement.kind is Kind.COMMAND and statement.command == "get":
            return self._get(statement)
        function = FUNCTIONS.get(statement.command) if statement.kind is Kind.SCRIPT else None
        if function is None or not statement.positional or statement.arguments:
            raise UnknownValueError
        return function([self.found(self.value(each)) for each in statement.positional])

    def _get(self, statement: Statement) -> Known:
        given = [self.value(each) for each in statement.positional]
        if len(given) != 2 or not isinstance(given[1], str) or statement.arguments:
            raise UnknownValueError
        menu = statement.menu or self._environment.menu
        items = self._select(menu, given[0])
        if len(items) != 1:
            raise UnknownValueError
        value = items[0].properties.get(given[1])
        if not isinstance(value, str):
            raise UnknownValueError
        return value

    def found(self, value: Known) -> Known:
        """The value; of a `find` what it finds."""
        if not isinstance(value, FindExpression):
            return value
        menu = value.menu if value.menu is not None else self._environment.menu
        return Selected(tuple(self._select(menu, value)))

    def _select(self, menu: MenuPath, selector: Known) -> list[Item]:
        if self._environment.items is None or (menu not in SCHEMAS and menu != ("interface",)):
            raise UnknownValueError
        try:
            return self._environment.items.selected(menu, selector)
        except UnselectableError as problem:
            raise UnknownValueError from problem


class _Expression:
    """What stands in parentheses, worked out from left to right by the rank of its operators."""

    def __init__(self, text: str, line: int, evaluation: _Evaluation) -> None:
        self._scanner = Scanner(text, line)
        self._evaluation = evaluation
        self._kinds: set[str] = set()

    def whole(self) -> Known:
        value = self._binary(1)
        if self._scanner.pos < len(self._scanner.text) or self._kinds >= {"joining", "reckoning"}:
            raise UnknownValueError
        return value

    def _binary(self, rank: int) -> Known:
        left = self._single()
        while True:
            self._skip()
            operator = _OPERATOR.match(self._scanner.text, self._scanner.pos)
            if operator is None or _RANKS[operator[0]] < rank:
                return left
            self._scanner.pos = operator.end()
            sign = operator[0]
            self._kinds |= {"joining"} if sign in _JOINING else {"reckoning"} if sign in _RECKONING else set()
            right = self._binary(_RANKS[sign] + 1)
            left = combined(sign, self._evaluation.found(left), self._evaluation.found(right))

    def _single(self, depth: int = 0) -> Known:
        if depth > _MAX_DEPTH:
            raise UnknownValueError
        self._skip()
        scanner, text = self._scanner, self._scanner.text
        sign = text[scanner.pos : scanner.pos + 1]
        if sign == "!":
            scanner.pos += 1
            return word(not truth_of(self._evaluation.found(self._single(depth + 1))))
        if sign == "-":
            scanner.pos += 1
            return str(-whole_number(self._single(depth + 1)))
        if sign == '"':
            return self._evaluation.value(scanner.string())
        if sign == "$":
            return self._evaluation.value(scanner.variable())
        if sign and sign in "([{":
            return self._evaluation.value(scanner.bracket())
        literal = _LITERAL.match(text, scanner.pos)
        if literal is None:
            raise UnknownValueError
        scanner.pos = literal.end()
        return literal[0]

    def _skip(self) -> None:
        self._scanner.pos = _end(_GAP, self._scanner.text, self._scanner.pos)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start
