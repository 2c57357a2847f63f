"""Lines of text with styles, broken to a width under a prefix that goes on at the left."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Part:
    """Text of one style; styles are named for what they say: "yes", "no", "place", "mark", "stage", "quiet", ""."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line. `begin` stands at the left of it, `go_on` at the left of what does not fit."""

    parts: tuple[Part, ...]
    begin: tuple[Part, ...] = ()
    go_on: tuple[Part, ...] = ()


def broken(line: Line, width: int) -> Iterator[tuple[Part, ...]]:
    """The line in pieces of at most `width` characters; a longer word stands alone."""
    row, used = list(line.begin), _length(line.begin)
    fresh = True
    for word in _words(line.parts):
        length = _length(word)
        if not fresh and used + 1 + length > width:
            yield tuple(row)
            row, used, fresh = list(line.go_on), _length(line.go_on), True
        if not fresh:
            row.append(Part(" "))
            used += 1
        row.extend(word)
        used += length
        fresh = False
    yield tuple(row)


def _length(parts: tuple[Part, ...]) -> int:
    return sum(len(part.text) for part in parts)


def _words(parts: tuple[Part, ...]) -> Iterator[tuple[Part, ...]]:
    """What stands between blanks; a word can have several styles. A no-break space holds together."""
    letters = [(letter, part.style) for part in parts for letter in part.text]
    for blank, run in groupby(letters, key=lambda pair: pair[0] == " "):
        if blank:
            continue
        styled = groupby(run, key=lambda pair: pair[1])
        yield tuple(Part("".join(letter for letter, _ in group), style) for style, group in styled)


def plain(row: Iterable[Part]) -> str:
    """A row without its styles."""
    return "".join(part.text for part in row).replace("\N{NO-BREAK SPACE}", " ").rstrip()


#: What stands in for each sign where a terminal or file knows plain letters only.
_ASCII = str.maketrans(
    {
        "│": "|", "├": "+", "─": "-", "╰": "`", "▶": ">", "◀": "<", "●": "*", "✓": "+", "✗": "x", "·": "-", "→": "->",
        "×": "*", "█": "#", "▏": "|", "–": "-", "…": "...",
        "▁": ".", "▂": ":", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%",
    }
)  # fmt: skip


def ascii_only(text: str) -> str:
    """The same with plain letters in place of signs; `2³²` becomes `2^32`."""
    return text.replace("2³²", "2^32").translate(_ASCII)
