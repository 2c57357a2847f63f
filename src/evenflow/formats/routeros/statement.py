"""What a RouterOS script says, before it means anything: statements, arguments, values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from evenflow.model.finding import NOWHERE, Origin

MenuPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name` or `$"name"`."""

    name: str


@dataclass(frozen=True, slots=True)
class Code:
    """`{…}`, `(…)` or `[…]`, with its brackets, as it stands in the file; `line` is where it begins."""

    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """A value that is put together when the script runs: text, variables and code, in order."""

    parts: tuple[str | Variable | Code, ...]

    @property
    def variable(self) -> str | None:
        """The name when the value is one variable and nothing else."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Variable):
            return self.parts[0].name
        return None

    def __str__(self) -> str:
        """About as it was written."""
        return "".join(_written(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class FindTerm:
    """One condition of a `find`: property, operator ("=", "!=", "~", "<", ">", "<=", ">="), value.

    A bare property name (`find disabled`) is the same as `disabled=yes`; `!disabled` as `disabled!=yes`.
    """

    name: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class FindExpression:
    """`[MENU find CONDITIONS]`.

    Attributes:
        menu: the menu that it names, None for that of the command it stands in.
        alternatives: any of these must hold; each holds when all its terms do. `((),)` selects everything.
            None: the conditions are of a kind that is not taken apart here.
        text: as written, without the brackets.
    """

    menu: MenuPath | None
    alternatives: tuple[tuple[FindTerm, ...], ...] | None
    text: str = ""
    line: int = 0

    @property
    def narrows(self) -> bool:
        """Whether there are conditions: `[find]` selects everything."""
        return self.alternatives != ((),)


#: A literal value is a plain `str` with all escapes resolved.
Value = str | Template | FindExpression | Code


@dataclass(frozen=True, slots=True)
class Argument:
    """`name=value`; the name is spelt out even if the file abbreviates it. `line` is that of the name."""

    name: str
    value: Value
    line: int = 0


class Kind(enum.Enum):
    """What sort of statement it is."""

    MENU = "menu"  # a menu line: what follows is said to that menu
    COMMAND = "command"  # a command to a menu
    SCRIPT = "script"  # a statement of the scripting language: `:if`, `:local`, `$function`, `[…]`
    GROUP = "group"  # `{` or `}`
    COMMENT = "comment"
    UNKNOWN = "unknown"  # not RouterOS, or not well-formed; there is a finding about it


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        menu: the menu that it speaks to, spelt out; empty is the root.
        command: `add`, `set`, … spelt out; for a script statement its word without the colon; else "".
        arguments: the named ones, in order.
        flags: properties given by their bare name (`fib`, `blackhole`).
        unset: properties given as `!property`.
        positional: everything else, in order: item numbers, names, `find` expressions, conditions.
        body: statements of the blocks of a script statement (`do=`, `else=`, `on-error=`), in order.
        text: of comments, groups, calls and unknown statements: as written.
        last_line: line on which it ends; it begins on `origin.line`.
    """

    kind: Kind
    menu: MenuPath = ()
    command: str = ""
    arguments: tuple[Argument, ...] = ()
    flags: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    positional: tuple[Value, ...] = ()
    body: tuple[Statement, ...] = ()
    text: str = ""
    last_line: int = 0
    origin: Origin = NOWHERE

    def get(self, name: str) -> Value | None:
        """The value of a named argument (the last one, if several), None when it is not given."""
        for argument in reversed(self.arguments):
            if argument.name == name:
                return argument.value
        return None


def menu_text(menu: MenuPath) -> str:
    """A menu as people write it: "/ip firewall mangle"."""
    return "/" + " ".join(menu)


def written(value: Value) -> str:
    """A value about as it was written, for messages."""
    if isinstance(value, str):
        return value
    if isinstance(value, FindExpression):
        return f"[{value.text}]"
    return value.text if isinstance(value, Code) else str(value)


def _written(part: str | Variable | Code) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Code):
        return part.text
    return f"${part.name}" if part.name.isalnum() else f'$"{part.name}"'
