"""Pictures of shapes as PNG, by Matplotlib: the same picture as the SVG, in the colours of the day."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.patches import Polygon as PolygonPatch

from evenflow.formats.page import LIGHT
from evenflow.formats.shapes import Label, Path, Polygon, Rectangle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from evenflow.formats.shapes import Picture, Shape

#: Pixels of the file for each of the picture: sharp on dense screens and in print.
_SCALE: Final = 2

#: A picture's pixel is an inch's 96th, as in CSS; Matplotlib's points are 72nds.
_POINTS: Final = 72 / 96


@dataclass(frozen=True, slots=True)
class _Pen:
    """Of a line: the name of its colour, its width in pixels, its dashes."""

    colour: str
    width: float
    dashes: tuple[float, tuple[float, float]] | Literal["-"] = "-"


#: `formats.page` has the same for SVG.
_PENS: Final = {
    "limit": _Pen("ink", 1.0, (0.0, (3.0, 5.0))),
    "grid": _Pen("rule", 1.0),
    "moment": _Pen("soft", 1.0),
    "range": _Pen("soft", 1.6),
    "target": _Pen("ink", 2.0),
    "rate": _Pen("ink", 1.8),
}

_SIZES: Final = {"title": 20.0, "node-title": 15.0}


def to_png(picture: Picture) -> bytes:
    """The file's content."""
    figure = Figure(figsize=(picture.width / 96, picture.height / 96), dpi=96 * _SCALE, facecolor=LIGHT["card"])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    axes.set_axis_off()
    for place, shape in enumerate(picture.shapes):
        _draw(axes, shape, place)
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _draw(axes: Axes, shape: Shape, place: int) -> None:
    """One shape; later ones lie above."""
    match shape:
        case Rectangle():
            rounded = f"round,pad=0,rounding_size={min(shape.radius, shape.width / 2, shape.height / 2)}"
            box = FancyBboxPatch(
                (shape.x, shape.y), shape.width, shape.height, rounded, fc=_fill(shape.style), lw=0, zorder=place
            )
            axes.add_patch(box)
        case Polygon():
            alpha = 0.15 if shape.style.startswith("area") else 1.0
            axes.add_patch(PolygonPatch(shape.points, fc=_fill(shape.style), alpha=alpha, lw=0, zorder=place))
        case Path():
            pen = next(_PENS[name] for name in _PENS if name in shape.style.split())
            colour = _of_uplink(shape.style) or LIGHT[pen.colour]
            xs, ys = zip(*shape.points, strict=True)
            width = pen.width * _POINTS
            axes.add_line(Line2D(xs, ys, color=colour, lw=width, ls=pen.dashes, zorder=place, solid_capstyle="butt"))
        case Label():
            _write(axes, shape, place)


def _write(axes: Axes, label: Label, place: int) -> None:
    names = label.style.split()
    points = next((_SIZES[name] for name in names if name in _SIZES), 13.0) * _POINTS
    bold = "strong" in names or "name" in label.style or points > 13 * _POINTS
    colour = LIGHT["ink"] if "strong" in names or "label" not in names else LIGHT["soft"]
    anchor = {"start": "left", "middle": "center", "end": "right"}[label.anchor]
    axes.text(
        label.x, label.y, label.text.replace("$", r"\$"), color=_of_uplink(label.style) or colour, size=points,
        weight="bold" if bold else "normal", ha=anchor, va="baseline", zorder=place,
    )  # fmt: skip


def _of_uplink(style: str) -> str | None:
    """The colour of `bar-3`, `name-3` and the like."""
    number = re.search(r"-(\d)\b", style)
    return LIGHT[f"c{number[1]}"] if number else None


def _fill(style: str) -> str:
    return _of_uplink(style) or LIGHT[style]
