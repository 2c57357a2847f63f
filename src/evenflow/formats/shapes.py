"""Pictures as a list of shapes with names of styles; drawn as SVG here, and as PNG by whoever can."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle from its upper left corner on, with round corners of a radius."""

    x: float
    y: float
    width: float
    height: float
    style: str
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled shape."""

    points: tuple[Point, ...]
    style: str


@dataclass(frozen=True, slots=True)
class Path:
    """A line from point to point."""

    points: tuple[Point, ...]
    style: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text at the foot of its first line."""

    x: float
    y: float
    text: str
    style: str
    anchor: Literal["start", "middle", "end"] = "start"


Shape = Rectangle | Polygon | Path | Label


@dataclass(frozen=True, slots=True)
class Picture:
    """Shapes on a ground; y grows downwards, the unit is a pixel. `title` says what it shows."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def moved(shape: Shape, down: float) -> Shape:
    """A shape further down."""
    if isinstance(shape, Polygon | Path):
        return replace(shape, points=tuple((x, y + down) for x, y in shape.points))
    return replace(shape, y=shape.y + down)


def to_svg(picture: Picture) -> str:
    """One `<svg>` element; its styles are classes of the page that it stands in."""
    return (
        f'<svg viewBox="0 0 {picture.width:g} {picture.height:g}" role="img" '
        f'aria-label="{escape(picture.title)}">{"".join(_elements(picture.shapes))}</svg>'
    )


def _elements(shapes: Iterable[Shape]) -> Iterable[str]:
    for shape in shapes:
        style = f'class="{shape.style}"'
        match shape:
            case Rectangle():
                place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
                yield f"<rect {style} {place}{_radius(shape)}/>"
            case Polygon():
                yield f'<polygon {style} points="{_points(shape.points)}"/>'
            case Path():
                yield f'<polyline {style} points="{_points(shape.points)}"/>'
            case Label():
                place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" text-anchor="{shape.anchor}"'
                yield f"<text {style} {place}>{escape(shape.text)}</text>"


def _n(number: float) -> str:
    """To a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")


def _radius(shape: Rectangle) -> str:
    return f' rx="{_n(shape.radius)}"' if shape.radius else ""


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
