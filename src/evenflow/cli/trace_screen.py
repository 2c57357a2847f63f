"""A trace on a terminal, with colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from evenflow.formats.drawing import broken
from evenflow.formats.trace_picture import picture

if TYPE_CHECKING:
    from evenflow.formats.trace import Told

#: Colours of the styles that `formats.drawing` names. Signs and words tell the same: who sees no colour misses nothing.
_STYLES = {
    "stage": "bold",
    "yes": "green",
    "no": "red",
    "mark": "bold cyan",
    "place": "blue",
    "quiet": "dim",
}


def show(told: Told, *, every: bool) -> None:
    """Draw it as wide as the terminal is."""
    console = Console(highlight=False)
    for note in told.notes:
        console.print(f"note: {note}", style="dim", markup=False)
    for one in (told.first, told) if told.first is not None else (told,):
        for line in picture(one, every=every):
            for row in broken(line, console.width):
                text = Text()
                for part in row:
                    text.append(part.text.replace("\N{NO-BREAK SPACE}", " "), _STYLES.get(part.style, ""))
                console.print(text, no_wrap=True, overflow="ignore", crop=False)
