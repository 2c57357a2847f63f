"""How far the reading of a file of flows is: a bar on standard error while that is a terminal."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenflow.model.flows import FlowSource

#: Files that are read faster than this show no bar: it would only flash.
_SILENT_S = 0.5


@contextmanager
def progress(source: FlowSource) -> Iterator[Callable[[int], None]]:
    """Gives what is to be called with the number of flows of each block that is done; the bar goes away at the end."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("reading", total=None, speed="")
    began_s, flows = time.monotonic(), 0

    def show(more: int) -> None:
        nonlocal flows
        flows += more
        took_s = time.monotonic() - began_s
        if took_s < _SILENT_S:
            return
        bar.start()
        part = source.part_read()
        speed = f"{flows:,} flows, {flows / took_s:,.0f} a second"
        bar.update(task, total=None if part is None else 1.0, completed=part or 0.0, speed=speed)

    try:
        yield show
    finally:
        bar.stop()
