"""Which items a selector means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.formats.routeros.expressions import Environment, expand
from evenflow.formats.routeros.operations import SIMPLE_PATTERN
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.selection import UnselectableError
from evenflow.formats.routeros.statement import FindExpression, FindTerm, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.formats.routeros.items import Item
    from evenflow.formats.routeros.variables import Known, Variables

#: What a property that an item does not state compares as.
_DEFAULTS = {
    "disabled": "no", "dynamic": "no", "invalid": "no", "static": "yes", "default": "no", "distance": "1",
    "routing-table": "main", "routing-mark": "main", "comment": "", "type": "unicast",
}  # fmt: skip

#: Properties that only the running router knows.
_OF_STATE = frozenset(("active", "inactive", "running", "bound", "status", "gateway-status", "ecmp"))

#: Comparisons in one file: more than any router's script makes, and some seconds at most.
_MAX_COMPARISONS = 3_000_000


class Selector:
    """Selects among items; counts what that costs."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._comparisons = 0

    def select(self, pool: Sequence[Item], selector: Known) -> list[Item]:
        """The items of `pool` that are meant, in order.

        Raises:
            UnselectableError: the selector can't be followed.
        """
        self._comparisons += len(pool)
        if self._comparisons > _MAX_COMPARISONS:
            raise UnselectableError("the file selects items too often; name them where they are added")
        if isinstance(selector, FindExpression):
            return self._found(pool, selector)
        if not isinstance(selector, str):
            raise UnselectableError("it is no item; name the items")
        chosen: list[Item] = []
        for word in selector.split(","):
            chosen += _by_word(pool, word)
        return chosen

    def _found(self, pool: Sequence[Item], expression: FindExpression) -> list[Item]:
        if expression.alternatives is None:
            raise UnselectableError(f"[{expression.text}] is more than properties compared with values; write those")
        alternatives = [[self._ready(term) for term in terms] for terms in expression.alternatives]
        self._comparisons += len(pool) * sum(len(terms) for terms in alternatives)
        return [item for item in pool if any(all(_holds(term, item) for term in terms) for terms in alternatives)]

    def _ready(self, term: FindTerm) -> FindTerm:
        """The term with its value known, its name not yet spelt out."""
        value = expand(term.value, Environment(self._variables))
        if not isinstance(value, str):
            raise UnselectableError(f"{written(term.value)} is known only when the script runs; write the value")
        if term.operator not in ("=", "!=", "~") or term.name in _OF_STATE:
            raise UnselectableError(f"{term.name}{term.operator}{value} is known only to the running router")
        if term.operator == "~" and (len(value) > 200 or not SIMPLE_PATTERN.fullmatch(value)):
            raise UnselectableError(f'the pattern "{value}" is not plain text; compare with = instead')
        return FindTerm(term.name, term.operator, value)


def _by_word(pool: Sequence[Item], word: str) -> list[Item]:
    if word.isdecimal() and word.isascii():
        number = int(word) if len(word) < 9 else len(pool)
        return list(pool[number : number + 1])
    return [item for item in pool if word and word in (item.text("name"), item.text("default-name"))][:1]


def _holds(term: FindTerm, item: Item) -> bool:
    schema = SCHEMAS.get(item.menu)
    name = schema.resolve(term.name) if schema else term.name
    wanted = str(term.value)
    value = item.properties.get(name, _default(item, name))
    actual = value if isinstance(value, str) else written(value)
    if term.operator == "~":
        return re.search(wanted, actual) is not None
    return (actual == wanted) == (term.operator == "=")


def _default(item: Item, name: str) -> str:
    if name == "dst-address" and item.menu[-1] == "route":
        return "::/0" if item.menu[0] == "ipv6" else "0.0.0.0/0"
    return _DEFAULTS.get(name, "")
