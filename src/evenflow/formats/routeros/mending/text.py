"""A script as its lines, in such a way that what nobody changes is written back byte for byte."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass

#: As `formats.routeros.source` ends lines: carriage returns before a line feed belong to the end; where there is not
#: one line feed, a carriage return is the end.
_LINE = re.compile(r"(.*?)(\r*\n|\Z)", re.DOTALL)
_OLD_MAC_LINE = re.compile(r"(.*?)(\r|\Z)", re.DOTALL)

_BOMS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

#: The encodings that a script without such a mark is read in, the first that can (`formats.routeros.source`).
_ENCODINGS = ("utf-8", "cp1252", "latin-1")

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        text: without its end.
        end: the characters that end it; "" for a last line that is not ended.
        number: that of the line in the file as it was given, of a new line that of the one that it was put beside.
    """

    text: str
    end: str
    number: int


@dataclass(frozen=True, slots=True)
class SourceText:
    """All lines of a file, and how they are encoded."""

    lines: tuple[Line, ...]
    encoding: str
    byte_order_mark: str = ""

    def encoded(self) -> bytes:
        """The bytes of the file."""
        text = "".join(line.text + line.end for line in self.lines)
        return (self.byte_order_mark + text).encode(self.encoding)

    def original(self, line: int) -> int:
        """The number that a line had in the file as it was given; 0 of 0, which is the file as a whole."""
        return self.lines[line - 1].number if 0 < line <= len(self.lines) else line

    @property
    def usual_end(self) -> str:
        r"""The line end that most lines have; `\n` where none has one."""
        ends = Counter(line.end for line in self.lines if line.end)
        return ends.most_common(1)[0][0] if ends else "\n"


def source_text(source: bytes) -> SourceText | None:
    """The lines of a script; None where they can't be written back as they are (torn UTF-16)."""
    encoding = next((name for mark, name in _BOMS.items() if source.startswith(mark)), None) or _encoding(source)
    text = source.decode(encoding, errors="replace")
    mark = _MARK if text.startswith(_MARK) else ""
    found = SourceText(_lines(text.removeprefix(_MARK)), encoding, mark)
    return found if found.encoded() == source else None


def _encoding(source: bytes) -> str:
    for name in _ENCODINGS:
        try:
            source.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    raise AssertionError  # Latin-1 has all bytes


def _lines(text: str) -> tuple[Line, ...]:
    pattern = _LINE if "\n" in text else _OLD_MAC_LINE
    parts = (found for found in pattern.finditer(text) if found[0])
    return tuple(Line(found[1], found[2], number) for number, found in enumerate(parts, start=1))
