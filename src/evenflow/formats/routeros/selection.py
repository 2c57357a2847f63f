"""`[ find … ]`: which items a command is about."""

from __future__ import annotations

import re

from evenflow.formats.routeros.menus import ROOT, Menu
from evenflow.formats.routeros.scanner import MalformedError, Scanner
from evenflow.formats.routeros.statement import Code, FindExpression, FindTerm, Value

# The lengths are bounds against a text made to be tried in many ways; the longest menu has 40 characters.
_FIND = re.compile(r"\s*(?:/?([a-z0-9][a-z0-9 /-]{0,80}?)[ /]{1,8})?find(?![\w-])")
_NAME = re.compile(r"(!?)\s*\.?([A-Za-z][A-Za-z0-9-]*)")
_OPERATOR = re.compile(r"\s*(!=|<=|>=|=|~|<|>)\s*")
_GAP = re.compile(r"(?:\s|\\[ \t]*\n)*")
_AND, _OR = re.compile(r"&&|and(?![\w-])"), re.compile(r"\|\||or(?![\w-])")
_WHERE = re.compile(r"where(?![\w-])")

#: Parentheses within parentheses in the conditions of a find.
_MAX_DEPTH = 8

#: Alternatives that `a and (b or c)` may multiply out to.
_MAX_ALTERNATIVES = 64

Alternatives = tuple[tuple[FindTerm, ...], ...]


class UnselectableError(Exception):
    """What a selector means can't be said; the message says why."""


def read_find(code: Code) -> FindExpression | None:
    """The find expression that a piece in square brackets is, None if it is something else."""
    inner = code.text[1:-1]
    found = _FIND.match(inner)
    if found is None:
        return None
    menu = None
    if found[1] is not None:
        menu = _path(found[1])
        if menu is None:
            return None
    return FindExpression(menu, read_conditions(inner[found.end() :], code.line), inner.strip(), code.line)


def read_conditions(text: str, line: int) -> Alternatives | None:
    """The conditions after `find`, as alternatives of terms; None if they are of another kind."""
    reader = _Conditions(text, line)
    try:
        alternatives = reader.any_of(0)
    except MalformedError:
        return None
    return alternatives if reader.at_end() else None


def _path(words: str) -> tuple[str, ...] | None:
    node: Menu = ROOT
    for word in words.replace("/", " ").split():
        child = node.resolve(word)
        if not isinstance(child, Menu):
            return None
        node = child
    return node.path


class _Conditions:
    """Recursive descent over `or`, `and`, terms; as deep as `_MAX_DEPTH`."""

    def __init__(self, text: str, line: int) -> None:
        self._scanner = Scanner(text, line)

    def at_end(self) -> bool:
        self._take(_GAP)
        return self._scanner.pos >= len(self._scanner.text)

    def any_of(self, depth: int) -> Alternatives:
        if depth > _MAX_DEPTH:
            raise MalformedError("conditions nested too deep")
        alternatives = self._all_of(depth)
        while self._take(_OR):
            alternatives += self._all_of(depth)
        return alternatives

    def _all_of(self, depth: int) -> Alternatives:
        alternatives: Alternatives = ((),)
        while True:
            self._take(_GAP)
            if self._take(_AND) or self._take(_WHERE):
                continue
            term = self._term(depth)
            if term is None:
                return alternatives
            alternatives = tuple((*left, *right) for left in alternatives for right in term)
            if len(alternatives) > _MAX_ALTERNATIVES:
                raise MalformedError("too many alternatives")

    def _term(self, depth: int) -> Alternatives | None:
        scanner = self._scanner
        if scanner.text.startswith("(", scanner.pos):
            scanner.pos += 1
            inner = self.any_of(depth + 1)
            self._take(_GAP)
            if not scanner.text.startswith(")", scanner.pos):
                raise MalformedError("a ( is not closed")
            scanner.pos += 1
            return inner
        if _OR.match(scanner.text, scanner.pos):
            return None
        name = _NAME.match(scanner.text, scanner.pos)
        if name is None:
            return None
        scanner.pos = name.end()
        operator = _OPERATOR.match(scanner.text, scanner.pos)
        if operator is None:
            return ((FindTerm(name[2], "!=" if name[1] else "=", "yes"),),)
        if name[1]:
            raise MalformedError("! before a comparison")
        scanner.pos = operator.end()
        value: Value = scanner.value()
        return ((FindTerm(name[2], operator[1], value),),)

    def _take(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._scanner.text, self._scanner.pos)
        if found is None or found.end() == self._scanner.pos:
            return False
        self._scanner.pos = found.end()
        return True
