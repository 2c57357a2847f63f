"""Sentences between the commands that look like commands at their beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.path import NotAMenuError
from evenflow.formats.routeros.properties import PROPERTIES
from evenflow.formats.routeros.scanner import MalformedError
from evenflow.formats.routeros.statement import written

if TYPE_CHECKING:
    from evenflow.formats.routeros.arguments import Arguments
    from evenflow.formats.routeros.menus import Menu

#: A sentence has more words than this for each property that it names.
_WORDS_FOR_EACH = 2

#: Properties of RouterOS that tell its commands from those of other languages: one may have the same name there.
_NAMES_THAT_TELL = 2

#: How many selectors a command may have.
_SELECTORS = {"add": 0, "set": 1, "remove": 1, "enable": 1, "disable": 1}


def refuse_prose(menu: Menu, command: str, given: Arguments, *, certain: bool) -> None:
    """Refuse what begins with the name of a command and goes on as a sentence: "set the gateway …".

    Args:
        menu: the one that it would be said to.
        command: its first word.
        given: what comes behind that.
        certain: whether it is a command all the same: it begins with a menu, or goes on with a property.

    Raises:
        NotAMenuError: it is one.
        MalformedError: it is a command with something in it that can't be there.
    """
    most = _SELECTORS.get(command)
    if most is None or len(given.positional) <= most:
        return
    words = [value for value in given.positional if isinstance(value, str) and "=" not in value]
    # A property may be named in it, too.
    sentence = words == given.positional and len(words) > len(given.named) * _WORDS_FOR_EACH and not given.flags
    if sentence and not certain:
        raise NotAMenuError
    if menu.schema and command == "add" and "add" in given.positional:
        raise MalformedError('another "add" is on the same line; put it on a line of its own')
    if sentence or (menu.schema and menu.schema.strict):
        word = written(given.positional[most])[:40]
        raise MalformedError(f'"{word}" is no property with its value; write NAME=VALUE')


def is_of_routeros(command: str, given: Arguments) -> bool:
    """Whether a command that stands before any menu is one of RouterOS, and not of another language."""
    known = [argument for argument in given.named if argument.name in PROPERTIES]
    of_items = command == "add" or bool(given.positional)
    return of_items and len(known) >= _NAMES_THAT_TELL and 2 * len(known) > len(given.named)
