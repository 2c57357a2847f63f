"""Lines of a drawing on standard output: with colours on a terminal, plain elsewhere, in letters that it can take."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from evenflow.formats.drawing import ascii_only, broken, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.drawing import Line

#: Columns of output that goes to no terminal.
_WIDTH = 110

#: Colours of the styles that `formats.drawing` names. Signs and words tell the same: who sees no colour misses nothing.
_STYLES = {
    "stage": "bold",
    "yes": "green",
    "no": "red",
    "mark": "bold cyan",
    "place": "blue",
    "quiet": "dim",
}


def width_of_output() -> int:
    """Characters that stand on one line of it."""
    if _is_coloured():
        from rich.console import Console

        return Console().width
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else _WIDTH


def _is_coloured() -> bool:
    return sys.stdout.isatty() and not _is_simple()


def _is_simple() -> bool:
    return "utf" not in (sys.stdout.encoding or "").lower()


def show(lines: Iterable[Line], notes: Iterable[str]) -> None:
    """Print the notes, then the lines, as wide as there is room."""
    if _is_coloured():
        _show_coloured(lines, notes)
        return
    simple, width = _is_simple(), width_of_output()
    for note in notes:
        print(f"note: {note}")
    for line in lines:
        for row in broken(line, width):
            print(ascii_only(plain(row)) if simple else plain(row))


def _show_coloured(lines: Iterable[Line], notes: Iterable[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for note in notes:
        console.print(f"note: {note}", style="dim", markup=False)
    for line in lines:
        for row in broken(line, console.width):
            text = Text()
            for part in row:
                text.append(part.text.replace("\N{NO-BREAK SPACE}", " "), _STYLES.get(part.style, ""))
            console.print(text, no_wrap=True, overflow="ignore", crop=False)
