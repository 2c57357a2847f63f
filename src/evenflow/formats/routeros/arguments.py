"""What follows a command: named arguments, flags, `!property`, `find` expressions, words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.formats.routeros.properties import LONG_PROPERTIES
from evenflow.formats.routeros.scanner import TYPOGRAPHIC, MalformedError
from evenflow.formats.routeros.selection import read_find
from evenflow.formats.routeros.statement import Argument, Code, Value

if TYPE_CHECKING:
    from evenflow.formats.routeros.menus import Menu
    from evenflow.formats.routeros.properties import Schema
    from evenflow.formats.routeros.scanner import Scanner

_PAIR = rf'[ \t]+([a-z][a-z0-9-]*)=([^\s"\\$\[\](){{}};{TYPOGRAPHIC}]+)(?=[ \t\n])'

#: The usual argument, a plain value with a blank or the end of the line behind it; and several of them.
_USUAL, _SEVERAL = re.compile(_PAIR), re.compile(f"(?:{_PAIR})+")
_NAME = re.compile(r"(\.?[A-Za-z][A-Za-z0-9_.-]*)=")
_UNSET = re.compile(r"!([a-z][a-z0-9.-]*)(?=[\s;}\\]|\Z)")


#: More than any command of RouterOS takes.
_MOST = 1000


@dataclass(slots=True)
class Arguments:
    """The arguments of one command, being collected."""

    named: list[Argument] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    unset: list[str] = field(default_factory=list)
    positional: list[Value] = field(default_factory=list)


class ArgumentReader:
    """Reads arguments from a scanner."""

    def __init__(self, scanner: Scanner) -> None:
        self._scan = scanner

    def read(self, menu: Menu, command: str, *, in_group: bool, script: bool = False) -> Arguments:
        """Everything up to the end of the command, a comment behind it included.

        Raises:
            MalformedError: a string or bracket is not closed, or closes nothing; or there is no end of arguments.
        """
        scan, schema = self._scan, menu.schema
        names = schema.names if schema else {}
        given = Arguments()
        text = scan.text
        while True:
            usual = _SEVERAL.match(text, scan.pos)
            if len(given.named) > _MOST or len(given.positional) > _MOST or len(given.unset) > _MOST:
                raise MalformedError(f"it has more than {_MOST} arguments; split it")
            if usual:
                line, end = scan.line, usual.end()
                given.named += [
                    Argument(names.get(name) or _resolve(schema, name), value, line)
                    # The lookahead behind the last pair wants to see what follows.
                    for name, value in _USUAL.findall(text, scan.pos, end + 1)
                ]
                scan.pos = end
            elif self.at_end(in_group=in_group):
                return given
            else:
                self._unusual(given, schema, command, script=script)

    def _unusual(self, given: Arguments, schema: Schema | None, command: str, *, script: bool) -> None:
        scan = self._scan
        start, line = scan.pos, scan.line
        name = _NAME.match(scan.text, start)
        if name:
            scan.pos = name.end()
            value = self._value(long=script or name[1] in LONG_PROPERTIES)
            given.named.append(Argument(_resolve(schema, name[1]), value, line))
            return
        unset = None if script else _UNSET.match(scan.text, start)
        if unset:
            scan.pos = unset.end()
            given.unset.append(_resolve(schema, unset[1]))
            return
        positional = self._value(long=script)
        if scan.pos == start:
            raise MalformedError(f"{scan.text[start]} closes nothing; take it out, or put the value in quotes")
        if schema and command in ("add", "set") and positional in schema.flags:
            given.flags.append(str(positional))
        else:
            given.positional.append(positional)

    def _value(self, *, long: bool) -> Value:
        value = self._scan.value(long=long)
        if isinstance(value, Code) and value.text.startswith("["):
            return read_find(value) or value
        return value

    def at_end(self, *, in_group: bool) -> bool:
        """Whether the command ends here; goes over blanks and a comment behind it."""
        scan = self._scan
        scan.skip_blanks()
        sign = scan.text[scan.pos : scan.pos + 1]
        if sign == "#":
            end = scan.text.find("\n", scan.pos)
            scan.pos = len(scan.text) if end < 0 else end
            return True
        return sign in ("", "\n", ";") or (sign == "}" and in_group)


def _resolve(schema: Schema | None, name: str) -> str:
    return schema.resolve(name) if schema else name
