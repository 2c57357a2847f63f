"""Tables of parts with styles, as lines for `formats.drawing`: columns as wide as they must be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.formats.drawing import Line, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Holds together what belongs to one cell: `drawing.broken` breaks at blanks only.
_TIGHT = "\N{NO-BREAK SPACE}"

#: Between two columns.
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        right: it stands flush right, as numbers do.
        spare: it is left out where there is not enough room; the one with the highest number first.
    """

    heading: str
    right: bool = False
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table."""

    parts: tuple[Part, ...] = ()

    @property
    def width(self) -> int:
        """Characters."""
        return sum(len(part.text) for part in self.parts)


def cell(text: str, style: str = "") -> Cell:
    """A cell with one part."""
    return Cell((Part(text, style),))


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, indent: int = 0) -> Iterator[Line]:
    """Rows under their headings, if there are any headings; a column whose cells are all empty is left out."""
    used = [n for n in range(len(columns)) if any(row[n].width for row in rows)]
    widths = {n: max(len(columns[n].heading), *(row[n].width for row in rows)) for n in used}
    while indent + sum(widths[n] + _GAP for n in used) - _GAP > width and any(columns[n].spare for n in used):
        used.remove(max(used, key=lambda n: columns[n].spare))
    headings = [cell(column.heading, "quiet") for column in columns]
    for row in (headings, *rows) if any(column.heading for column in columns) else rows:
        yield _row(columns, row, {n: widths[n] for n in used}, indent)


def _row(columns: Sequence[Column], row: Sequence[Cell], widths: Mapping[int, int], indent: int) -> Line:
    parts = [Part(_TIGHT * indent)]
    for n, width in widths.items():
        padding = Part(_TIGHT * (width - row[n].width))
        held = [replace(part, text=part.text.replace(" ", _TIGHT)) for part in row[n].parts]
        parts += [padding, *held] if columns[n].right else [*held, padding]
        parts.append(Part(_TIGHT * _GAP))
    return Line(tuple(part for part in parts[:-1] if part.text))
