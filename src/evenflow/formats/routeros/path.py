"""Menu paths: `/ip firewall mangle`, `/ip/firewall/mangle/add`, `ip fi man add`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.routeros.menus import COMMANDS, OTHER_COMMANDS, Ambiguous, Menu, menu_at
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.scanner import MalformedError
from evenflow.formats.routeros.statement import menu_text
from evenflow.model.finding import Origin, Severity

if TYPE_CHECKING:
    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.scanner import Scanner

_WORD = re.compile(r"(?:\.\.|[A-Za-z0-9][A-Za-z0-9-]*)(?=[\s/;}\\#]|\Z)")
_ORDINARY = re.compile(r"[a-z0-9][a-z0-9-]*")

#: Menus all of whose submenus are known: another one is worth a finding.
_COMPLETE = frozenset(
    {(), ("ip",), ("ipv6",), ("interface",), ("routing",)} | {path[:-1] for path in SCHEMAS} - {("tool",)}
)

#: Likeness (of difflib) from which an unknown menu is taken for a misspelt one.
_ALIKE = 0.85


class NotAMenuError(Exception):
    """What stands here is no menu and no command: prose, or another language."""


@dataclass(frozen=True, slots=True)
class Target:
    """The menu of a path, and the command behind it ("" if there is none)."""

    menu: Menu
    command: str = ""


class PathReader:
    """Reads paths from a scanner. Unknown menus are told of once each."""

    def __init__(self, scanner: Scanner, notes: Notes) -> None:
        self._scan = scanner
        self._notes = notes
        self._told: set[tuple[str, ...]] = set()

    def read(self, base: Menu, line: int, *, slash: bool) -> Target:
        """A path from `base`; the scanner stands at its first word.

        Args:
            base: the menu that the first word is looked up in.
            line: where the statement begins, for findings.
            slash: whether it is certain that this is a path; else every word must be known.

        Raises:
            NotAMenuError: it is not a path.
            MalformedError: a word stands for several menus.
        """
        node, first = base, True
        while True:
            word = self._word(first=first)
            if not word:
                return Target(node)
            found = menu_at(node.path[:-1]) if word == ".." else node.resolve(word)
            if found is Ambiguous.AMBIGUOUS:
                if not slash:
                    raise NotAMenuError
                raise MalformedError(f"{word} stands for several things in {menu_text(node.path)}; write it out")
            if found is None:
                if not slash:
                    raise NotAMenuError
                return self._unknown(node, line)
            self._scan.pos += len(word)
            first = False
            if isinstance(found, str):
                return Target(node, found)
            assert isinstance(found, Menu)
            node = found

    def _word(self, *, first: bool) -> str:
        """The next word, or "" if none follows; the scanner is put before it."""
        scan = self._scan
        scan.skip_blanks()
        if not first and scan.text.startswith("/", scan.pos):
            scan.pos += 1
            scan.skip_blanks()
        found = _WORD.match(scan.text, scan.pos)
        return found[0] if found else ""

    def _unknown(self, node: Menu, line: int) -> Target:
        """A path that goes on with a word that `node` has not: to the next command, or to the end of the line."""
        words: list[str] = []
        command = ""
        while word := self._word(first=not words):
            if not _ORDINARY.fullmatch(word):
                raise NotAMenuError
            self._scan.pos += len(word)
            if words and (word in COMMANDS or word in OTHER_COMMANDS):
                command = word
                break
            words.append(word)
        if not words:
            raise NotAMenuError
        ended = self._scan.text[self._scan.pos : self._scan.pos + 1] in ("", "\n", ";", "#", "}")
        if not command and not ended:
            command = words.pop()
        if not words:
            self._tell_command(node, command, line)
            return Target(node, command)
        path = (*node.path, *words)
        self._tell_menu(node, path, line)
        return Target(Menu(path, known=False), command)

    def _tell_command(self, node: Menu, command: str, line: int) -> None:
        where = Origin(self._notes.file, line, f"{menu_text(node.path)} {command}")
        if not node.path:
            raise NotAMenuError
        what = f"{command} is not a known command of {menu_text(node.path)}; it is kept, but does nothing here"
        if node.schema:
            self._notes.error("unknown-command", where, f"{what}. Write add, set, remove, enable or disable")

    def _tell_menu(self, node: Menu, path: tuple[str, ...], line: int) -> None:
        if node.path not in _COMPLETE or path in self._told:
            return
        self._told.add(path)
        text = menu_text(path)
        where = Origin(self._notes.file, line, text)
        like = difflib.get_close_matches(text[:80], [menu_text(known) for known in SCHEMAS], 1, _ALIKE)
        if like:
            what = f"there is no menu {text}, so what it is told is not done; did you mean {like[0]}?"
            self._notes.add(Severity.ERROR, "unknown-menu", where, what)
        else:
            what = f"{text} is not a known menu; what it is told is kept, but does nothing here. Check the spelling"
            self._notes.add(Severity.WARNING, "unknown-menu", where, what)
