"""Commands that are torn: whose lines are no longer joined by a backslash, as on web pages, or that are cut off."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.formats.routeros.menus import menu_at
from evenflow.formats.routeros.properties import PROPERTIES
from evenflow.formats.routeros.scanner import MalformedError
from evenflow.formats.routeros.statement import Kind

if TYPE_CHECKING:
    from evenflow.formats.routeros.arguments import ArgumentReader
    from evenflow.formats.routeros.menus import Menu
    from evenflow.formats.routeros.scanner import Scanner
    from evenflow.formats.routeros.statement import Statement

_PROPERTY = re.compile(r"([a-z][a-z0-9-]*)=")

#: An item as `print` shows it: its number, its flags, then its comment or its properties.
_PRINTED_ITEM = re.compile(r"[0-9]{1,5}[ \t]+(?:(?:[A-Z*][A-Za-z*+]{0,4}|[a-z])[ \t]+){0,4}(?:;;;|[a-z][a-z0-9-]*=)")

#: Arguments of a command that takes another line in; no command has as many.
_MOST_JOINED = 100

#: Of a line that is no command, so much is looked at for what it may be.
_LOOKED_AT = 500


def with_rest(above: Statement, scan: Scanner, reader: ArgumentReader, *, in_group: bool) -> Statement | None:
    """The command above together with the line that the scanner stands at the beginning of; None if it is no rest.

    It is one if it begins with a property of the command's menu, or with the value that the command ended before.
    """
    menu = menu_at(above.menu)
    if above.kind is not Kind.COMMAND or above.command not in ("add", "set") or menu is None or menu.schema is None:
        return None
    found = _PROPERTY.match(scan.text, scan.pos)
    arguments = list(above.arguments)
    if len(arguments) > _MOST_JOINED:
        return None
    try:
        if not (found and found[1] in menu.schema.names):
            if not arguments or arguments[-1].value != "" or above.positional:
                return None
            arguments[-1] = replace(arguments[-1], value=scan.value())
        given = reader.read(menu, above.command, in_group=in_group)
    except MalformedError:
        return None
    if given.positional:
        return None
    return replace(
        above,
        arguments=(*arguments, *given.named),
        flags=(*above.flags, *given.flags),
        unset=(*above.unset, *given.unset),
        last_line=scan.line,
    )


class LostParts:
    """What is wrong with lines that are no commands but have properties: parts of commands, or what `print` shows."""

    def __init__(self) -> None:
        self._printed: Menu | None = None
        self._item_seen = False
        self._menu_missing = False

    def go_on(self, printed: Menu | None = None) -> None:
        """A menu or a command comes; `printed`: the menu, if it is a `print`."""
        self._printed = printed
        self._item_seen = self._menu_missing = False

    def menu_is_missing(self) -> None:
        """A command of no menu comes: what it is torn into may be of any."""
        self._menu_missing = True

    def problem(self, raw: str, menu: Menu, *, behind: bool) -> MalformedError | None:
        """What is wrong with a text that is no command; None if it is prose.

        Args:
            raw: the text.
            menu: the one that it would be said to.
            behind: whether it stands behind a command on one line, which says something else without it.
        """
        item = _PRINTED_ITEM.match(raw)
        self._item_seen = self._item_seen or item is not None
        schema = (self._printed or menu).schema
        names = PROPERTIES if self._item_seen or self._menu_missing else schema.names if schema else ()
        words = raw[:_LOOKED_AT].split()
        named = [word for word in words if (found := _PROPERTY.match(word)) and found[1] in names]
        if not named:
            return None
        many = 2 * len(named) > len(words)
        if self._printed or item or (self._item_seen and many):
            return MalformedError("it is what print shows, and no command; give what /export writes")
        if behind or many:
            return MalformedError("it is a part of a command; put it behind the others, with a \\ where a line ends")
        return None


def end_of_command(text: str, start: int) -> int:
    """Where the line of `start` ends, with the lines that a backslash joins to it."""
    while True:
        end = text.find("\n", start)
        if end < 0:
            return len(text)
        last = end - 1
        while last > start and text[last] in " \t":
            last -= 1
        if last < start or text[last] != "\\":
            return end
        start = end + 1
