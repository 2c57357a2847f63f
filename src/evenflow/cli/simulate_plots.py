"""The files of `--plot`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from evenflow.errors import NotInstalledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.formats.simulation import Told


class Plots:
    """Pictures that are to be written; that they can be is found out before hours are spent on what they show."""

    def __init__(self, files: Sequence[str]) -> None:
        """Raises NotInstalledError: matplotlib is missing, and a PNG is asked for."""
        self._files = [Path(file) for file in files]
        if any(file.suffix.lower() == ".png" for file in self._files):
            _must_draw_png()
        self.unwritable = next(filter(None, map(_why_unwritable, self._files)), "")

    def write(self, told: Told) -> str:
        """Write all; why one could not be written, "" if all could."""
        for file in self._files:
            try:
                file.write_bytes(_drawn(file, told))
            except OSError as problem:
                return f"{file} can't be written: {problem.strerror}"
        return ""


def _why_unwritable(file: Path) -> str:
    """Why a file can't be written, "" if it can; one that was not there is not there afterwards."""
    there = file.exists()
    try:
        with file.open("ab"):
            pass
    except OSError as problem:
        return f"{file} can't be written: {problem.strerror}"
    if not there:
        with suppress(OSError):
            file.unlink()
    return ""


def _drawn(file: Path, told: Told) -> bytes:
    from evenflow.formats.page import svg_file
    from evenflow.formats.simulation_picture import picture, render_html

    match file.suffix.lower():
        case ".html":
            return render_html(told).encode()
        case ".svg":
            return svg_file(picture(told)).encode()
        case _:
            from evenflow.cli.simulate_png import to_png

            return to_png(picture(told))


def _must_draw_png() -> None:
    """Raises NotInstalledError: what draws it is missing."""
    try:
        import evenflow.cli.simulate_png  # noqa: F401 - only whether it can be had
    except ImportError as problem:
        message = f"{problem}: to draw PNG, pip install 'evenflow[simulate]'; SVG and HTML take nothing"
        raise NotInstalledError(message) from problem
