"""Where each key of a TOML document stands: `tomllib` gives the values, this gives lines and columns.

The scanner trusts that `tomllib` has accepted the text. It knows just enough of TOML v1.0.0 to step over values:
strings of all four kinds, arrays over several lines, inline tables, dotted and quoted keys, tables and arrays of
tables.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass

#: A path as in the parsed document: keys of tables and indices of arrays.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """1-based line, and 1-based column in characters."""

    line: int
    column: int


_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
# The closing quotes may follow one or two quotes that belong to the string: at most five in a row.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def positions(text: str) -> dict[Path, Position]:
    """The position of every key, table and array element of a document that `tomllib` accepts.

    A table that is spoken of several times stands where it is named first.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


class _Scanner:
    """A cursor over the text, and what has been found so far."""

    def __init__(self, text: str) -> None:
        # tomllib does the same before it reads: only "\n" ends a line.
        self._text = text.replace("\r\n", "\n")
        self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        self._at = 0
        self._array_tables: dict[Path, int] = {}
        self.found: dict[Path, Position] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._array_table()
            elif self._text[self._at] == "[":
                self._at += 1
                table = self._key((), through_arrays=True)
                self._at += 1
            else:
                self._pair(table)
            self._skip(_GAP)

    def _array_table(self) -> Path:
        """`[[a.b]]`; leaves the cursor behind it."""
        start = self._at
        self._at += 2
        array = self._key((), through_arrays=True, last_is_array=True)
        self._at += 2
        index = self._array_tables.get(array, 0)
        self._array_tables[array] = index + 1
        self._record((*array, index), start)
        return (*array, index)

    def _pair(self, table: Path) -> None:
        path = self._key(table)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _key(self, base: Path, *, through_arrays: bool = False, last_is_array: bool = False) -> Path:
        """A dotted key and the blanks around it; a header's path goes through the last table of an array."""
        path = base
        while True:
            self._skip(_BLANK)
            start = self._at
            path = (*path, self._key_part())
            self._record(path, start)
            self._skip(_BLANK)
            more = self._text.startswith(".", self._at)
            if through_arrays and path in self._array_tables and (more or not last_is_array):
                path = (*path, self._array_tables[path] - 1)
            if not more:
                return path
            self._at += 1

    def _key_part(self) -> str:
        if self._text[self._at] not in "\"'":
            return self._take(_BARE)
        value = tomllib.loads("key = " + self._take(_STRING))["key"]
        return str(value)

    def _value(self, path: Path) -> None:
        first = self._text[self._at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        elif first in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        self._skip(_GAP)
        while self._text[self._at] != "]":
            element = (*path, index)
            self._record(element, self._at)
            self._value(element)
            self._skip(_GAP)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_GAP)
            index += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip(_GAP)
        while self._text[self._at] != "}":
            self._pair(path)
            self._skip(_GAP)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_GAP)
        self._at += 1

    def _record(self, path: Path, at: int) -> None:
        line = bisect_right(self._starts, at)
        self.found.setdefault(path, Position(line, at - self._starts[line - 1] + 1))

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None  # tomllib has accepted the text
        self._at = match.end()
        return match.group()
