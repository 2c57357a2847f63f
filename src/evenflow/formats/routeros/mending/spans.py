"""Where the words of one command stand in its text, so that one of them can be changed and the others stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.scanner import PROMPT_OF_REST, Scanner
from evenflow.formats.routeros.writing.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.formats.routeros.statement import MenuPath

_NAME = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=")
_BLANK_LINE = re.compile(rf"{PROMPT_OF_REST}[ \t]*\\?[ \t]*")
_BEFORE = re.compile(rf"(?:[ \t]|\\[ \t]*\n{PROMPT_OF_REST})*\Z")

#: Exports have these first, and everything else in the order of the alphabet.
_FIRST = ("action", "chain")


def place_in_export(name: str) -> tuple[bool, str]:
    """Where a property stands among the others in an export; to sort by."""
    return name not in _FIRST, name


def in_export_order(names: Sequence[str]) -> bool:
    """Whether the properties of a command stand as in an export."""
    return list(names) == sorted(names, key=place_in_export)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command; `name` "" is no property: the command, its menu, an item."""

    name: str
    start: int
    value: int
    end: int


def words(text: str, menu: MenuPath) -> tuple[Word, ...]:
    """The words of one command, in order; abbreviated properties spelt out.

    Raises:
        MalformedError: it can't be read.
    """
    return tuple(_words(Scanner(text), menu))


def _words(scan: Scanner, menu: MenuPath) -> Iterator[Word]:
    schema = SCHEMAS.get(menu)
    while True:
        scan.skip_blanks()
        start = scan.pos
        sign = scan.text[start : start + 1]
        if sign == "\n":  # a backslash is lost before it, and the reader has joined the lines
            scan.pos += 1
            continue
        if sign in ("", "#", ";"):
            return
        name = _NAME.match(scan.text, start)
        scan.pos = name.end() if name else start
        value = scan.pos
        scan.value(long=True)
        if scan.pos == start:
            return
        said = name[1] if name else ""
        yield Word(schema.resolve(said) if schema else said, start, value, scan.pos)


def with_property(text: str, menu: MenuPath, name: str, value: str) -> str:
    """The command with a property set: in its place where it is there, else where an export would have it.

    Raises:
        MalformedError: it can't be read.
    """
    given = words(text, menu)
    there = next((word for word in reversed(given) if word.name == name), None)
    if there is not None:
        return f"{text[: there.value]}{quoted(value)}{text[there.end :]}"
    return _put(text, given, name, f"{name}={quoted(value)}")


def with_flag(text: str, menu: MenuPath, name: str) -> str:
    """The command with a property that is given by its name alone, such as `fib`.

    Raises:
        MalformedError: it can't be read.
    """
    return _put(text, words(text, menu), name, name)


def _put(text: str, given: Sequence[Word], name: str, said: str) -> str:
    """The command with a new word where an export would have it."""
    named = [word for word in given if word.name]
    behind = next((word for word in named if place_in_export(word.name) > place_in_export(name)), None)
    if behind is not None:
        return f"{text[: behind.start]}{said} {text[behind.start :]}"
    last = given[-1].end
    return f"{text[:last]} {said}{text[last:]}"


def without_property(text: str, menu: MenuPath, name: str) -> str:
    """The command without a property, and without the line that is left empty by that.

    Raises:
        MalformedError: it can't be read.
    """
    for word in reversed([word for word in words(text, menu) if word.name == name]):
        before, behind = text[: word.start], text[word.end :]
        if not behind:
            text = before[: _blanks_at_end(before)]
            continue
        text = before + (behind.lstrip(" \t") if before.endswith((" ", "\t")) else behind)
        text = "\n".join(_without_empty(text.split("\n")))
    return text


def _blanks_at_end(text: str) -> int:
    found = _BEFORE.search(text)
    return found.start() if found else len(text)


def _without_empty(lines: list[str]) -> list[str]:
    """Lines without those that only go on with the next one."""
    *others, last = lines
    return [*(line for line in others if not _BLANK_LINE.fullmatch(line)), last]
