"""Variables of a script, as far as their values stand in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.routeros.statement import Code, FindExpression, Kind, Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.routeros.items import Item


@dataclass(frozen=True, slots=True)
class Array:
    """`{1;2}` or `{a=1;b=2}`: values in their order, and the key of each, None where it has none."""

    values: tuple[Known, ...] = ()
    keys: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """What a `find` has found."""

    items: tuple[Item, ...] = ()


#: What a variable can hold. Numbers, addresses and yes or no are text; a `find` is done where it is used; of `Code`
#: only what a function does, and what stands for a value to come.
Known = str | Array | Selected | FindExpression | Code

#: Name and value; a variable whose value only the running script knows is not in it.
Variables = dict[str, Known]


def forget_assigned(statements: Iterable[Statement], variables: Variables) -> None:
    """Forget what statements that may or may not run assign to."""
    for statement in flat(statements):
        if statement.kind is Kind.SCRIPT and statement.command in ("local", "global", "set") and statement.positional:
            variables.pop(str(statement.positional[0]), None)


def flat(statements: Iterable[Statement]) -> Iterator[Statement]:
    """The statements and all in their blocks, in the order of the text."""
    waiting = list(statements)[::-1]
    while waiting:
        statement = waiting.pop()
        yield statement
        waiting.extend(statement.body[::-1])
