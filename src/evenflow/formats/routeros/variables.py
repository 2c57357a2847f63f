"""Variables of a script, as far as their values stand in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.statement import Kind, Template, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.routeros.statement import Statement, Value

#: Name and value; a variable whose value only the running script knows is not in it.
Variables = dict[str, "Value"]


def expand(template: Template, variables: Variables) -> Value | None:
    """The value of a template; None if it has a part that only the running script knows."""
    name = template.variable
    if name is not None:
        return variables.get(name)
    texts: list[str] = []
    for part in template.parts:
        value = variables.get(part.name) if isinstance(part, Variable) else part
        if not isinstance(value, str):
            return None
        texts.append(value)
    return "".join(texts)


def assign(statement: Statement, variables: Variables) -> None:
    """Keep what `:local`, `:global` or `:set` says, if its value is known; else forget the variable."""
    if statement.command not in ("local", "global", "set") or not statement.positional:
        return
    name = statement.positional[0]
    if not isinstance(name, str):
        return
    if len(statement.positional) == 1:
        if statement.command == "local":
            variables.pop(name, None)
        return
    value: Value | None = statement.positional[1] if len(statement.positional) == 2 else None
    if isinstance(value, Template):
        value = expand(value, variables)
    if value is None:
        variables.pop(name, None)
    else:
        variables[name] = value


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
