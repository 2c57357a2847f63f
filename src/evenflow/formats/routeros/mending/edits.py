"""Edits of a script, as values, and what they make of its text. Lines are numbered as they are before all of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evenflow.formats.routeros.mending.spans import (
    in_export_order,
    place_in_export,
    with_flag,
    with_property,
    without_property,
)
from evenflow.formats.routeros.mending.text import Line, SourceText
from evenflow.formats.routeros.statement import Kind, menu_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evenflow.formats.routeros.statement import MenuPath, Statement
    from evenflow.formats.routeros.writing.words import Command


@dataclass(frozen=True, slots=True)
class Place:
    """Before or behind the command that begins on a line."""

    line: int
    behind: bool = False


@dataclass(frozen=True, slots=True)
class SetProperty:
    """Give a property of the command that begins on `line` another value; None takes it out."""

    line: int
    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class AddFlag:
    """Give the command that begins on `line` a property by its name alone."""

    line: int
    name: str


@dataclass(frozen=True, slots=True)
class AddCommand:
    """A new command."""

    command: Command
    place: Place


@dataclass(frozen=True, slots=True)
class CopyCommand:
    """A command once more, with other values; None leaves a property out."""

    line: int
    changes: tuple[tuple[str, str | None], ...]
    place: Place


@dataclass(frozen=True, slots=True)
class MoveCommand:
    """A command, with all of its lines, elsewhere."""

    line: int
    place: Place


@dataclass(frozen=True, slots=True)
class ReplaceLine:
    """The text of one line, whatever command it is of."""

    line: int
    text: str


#: What rules do anyway, and exports leave out.
_PASSES = ("passthrough", "yes")

Edit = SetProperty | AddFlag | AddCommand | CopyCommand | MoveCommand | ReplaceLine


class UneditableError(Exception):
    """What an edit is about does not stand on lines of its own: it is made in a loop, or shares a line."""


def commands_of(statements: Sequence[Statement]) -> dict[int, Statement]:
    """By their first lines, the commands that can be edited: those that have their lines for themselves."""
    users: defaultdict[int, int] = defaultdict(int)
    for statement in statements:
        for line in range(statement.origin.line, statement.last_line + 1):
            users[line] += 1
    return {
        statement.origin.line: statement
        for statement in statements
        if statement.kind is Kind.COMMAND
        and all(users[line] == 1 for line in range(statement.origin.line, statement.last_line + 1))
    }


def menu_of(edit: Edit, commands: Mapping[int, Statement]) -> MenuPath | None:
    """The menu whose items an edit puts elsewhere; None where all stay in their places."""
    match edit:
        case AddCommand(command):
            return command.menu
        case CopyCommand(line) | MoveCommand(line) if line in commands:
            return commands[line].menu
        case _:
            return None


def edited(text: SourceText, statements: Sequence[Statement], edits: Iterable[Edit]) -> SourceText:
    """The text with all of the edits, each done once.

    Raises:
        UneditableError: a command of an edit can't be edited.
        MalformedError: it can't be read.
    """
    editing = _Editing(text, statements)
    for edit in dict.fromkeys(edits):
        editing.do(edit)
    return editing.text()


@dataclass(slots=True)
class _Inserted:
    """What comes before and behind a command."""

    before: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)


class _Editing:
    """The edits of one text, being collected."""

    def __init__(self, text: SourceText, statements: Sequence[Statement]) -> None:
        self._text = text
        self._commands = commands_of(statements)
        self._menus = _menus(statements)
        self._changed: dict[int, str] = {}
        self._moved: set[int] = set()
        self._replaced: dict[int, str] = {}
        self._inserted: defaultdict[int, _Inserted] = defaultdict(_Inserted)

    def do(self, edit: Edit) -> None:
        match edit:
            case SetProperty(line, name, value):
                self._changed[line] = _changed(self._of(line), self._command(line).menu, {name: value})
            case AddFlag(line, name):
                self._changed[line] = with_flag(self._of(line), self._command(line).menu, name)
            case AddCommand(command, place):
                self._insert(place, self._in_its_style(command, place), command.menu)
            case CopyCommand(line, changes, place):
                menu = self._command(line).menu
                self._insert(place, _changed(self._written(line), menu, dict(changes)), menu)
            case MoveCommand(line, place):
                self._insert(place, self._of(line), self._command(line).menu)
                self._moved.add(line)
            case ReplaceLine(line, text):
                self._replaced[line] = text

    def text(self) -> SourceText:
        lines: list[Line] = []
        at = 1
        while at <= len(self._text.lines):
            last = self._commands[at].last_line if at in self._commands else at
            inserted = self._inserted.get(at, _Inserted())
            lines += self._new(inserted.before, at)
            if at not in self._moved:
                lines += self._kept(at, last)
            lines += self._new(inserted.behind, last)
            at = last + 1
        return SourceText(tuple(_ended(lines, self._text)), self._text.encoding, self._text.byte_order_mark)

    def _kept(self, first: int, last: int) -> list[Line]:
        """The lines of a command, or one other line, with what has changed of them."""
        old = self._text.lines[first - 1 : last]
        if first not in self._changed:
            return [
                Line(self._replaced.get(number, line.text), line.end, line.number)
                for number, line in enumerate(old, start=first)
            ]
        new = self._changed[first].split("\n")
        ends = [line.end for line in old[: len(new) - 1]] + [old[-1].end]
        return [Line(text, end, line.number) for text, end, line in zip(new, ends, old, strict=False)]

    def _new(self, texts: list[str], beside: int) -> list[Line]:
        number = self._text.lines[beside - 1].number
        return [Line(row, self._text.usual_end, number) for text in texts for row in text.split("\n")]

    def _insert(self, place: Place, text: str, menu: MenuPath) -> None:
        at = self._command(place.line)
        indent = _indent(self._written(place.line))
        there = self._menus[at.origin.line]
        bare = text.lstrip(" \t")
        said = bare if bare.startswith("/") or menu == there else f"{menu_text(menu)} {bare}"
        inserted = self._inserted[place.line]
        (inserted.behind if place.behind else inserted.before).append(f"{indent}{said}")

    def _in_its_style(self, command: Command, place: Place) -> str:
        """A new command, with its properties in the order of exports where the one beside it has them so."""
        beside = self._command(place.line)
        shown = tuple(pair for pair in command.properties if pair != _PASSES)
        if in_export_order([argument.name for argument in beside.arguments]):
            shown = tuple(sorted(shown, key=lambda pair: place_in_export(pair[0])))
        return str(replace(command, properties=shown))

    def _of(self, line: int) -> str:
        """A command as it is by now."""
        return self._changed.get(line) or self._written(line)

    def _written(self, line: int) -> str:
        command = self._command(line)
        return "\n".join(each.text for each in self._text.lines[line - 1 : command.last_line])

    def _command(self, line: int) -> Statement:
        if line not in self._commands:
            raise UneditableError(line)
        return self._commands[line]


def _changed(text: str, menu: MenuPath, changes: Mapping[str, str | None]) -> str:
    for name, value in changes.items():
        text = without_property(text, menu, name) if value is None else with_property(text, menu, name, value)
    return text


def _menus(statements: Iterable[Statement]) -> dict[int, MenuPath]:
    """For the first line of each command the menu that a bare `add` there speaks to."""
    found: dict[int, MenuPath] = {}
    menu: MenuPath = ()
    for statement in statements:
        if statement.kind in (Kind.MENU, Kind.GROUP):
            menu = statement.menu
        elif statement.kind is Kind.COMMAND:
            found[statement.origin.line] = menu
    return found


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t"))]


def _ended(lines: Sequence[Line], text: SourceText) -> list[Line]:
    """The lines, each ended but the last one, which is as the last one was."""
    last = text.lines[-1].end if text.lines else ""
    *others, end = lines
    return [
        *(Line(line.text, line.end or text.usual_end, line.number) for line in others),
        Line(end.text, last and (end.end or text.usual_end), end.number),
    ]
