"""Charts of shapes: scales for axes, and shares as bars next to their target and what chance makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evenflow.formats.page import COLOURS
from evenflow.formats.shapes import Label, Path, Picture, Rectangle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.formats.shapes import Shape

WIDTH: Final = 1040

_ROW: Final = 62
_BAR_LEFT, _BAR_RIGHT = 110, WIDTH - 250


def colour(number: int) -> int:
    """The colour of the uplink with that number; they begin anew where there are more uplinks than colours."""
    return number % COLOURS


def round_step(about: float) -> float:
    """The next 1, 2 or 5 times a power of ten that is not below."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= about)


@dataclass(frozen=True, slots=True)
class ShareBar:
    """A share with its target and where chance has it, all from 0 to 1, and two lines of text beside the bar."""

    name: str
    share: float
    target: float
    low: float
    high: float
    text: str
    more: str


def shares_picture(title: str, bars: Sequence[ShareBar]) -> Picture:
    """A bar for each, from 0 to all; the upright line is the target, the bracket what chance allows."""
    shapes = tuple(shape for n, bar in enumerate(bars) for shape in _bar(bar, n))
    return Picture(title, WIDTH, _ROW * len(bars) + 8, shapes)


def _bar(bar: ShareBar, n: int) -> Iterator[Shape]:
    y, span = n * _ROW + 22, _BAR_RIGHT - _BAR_LEFT

    def x(part: float) -> float:
        return _BAR_LEFT + span * min(max(part, 0.0), 1.0)

    low, high, target = x(bar.low), x(bar.high), x(bar.target)
    yield Label(_BAR_LEFT - 14, y + 17, bar.name, f"name-{colour(n)}", "end")
    yield Rectangle(_BAR_LEFT, y, span, 24, "track", 4)
    yield Rectangle(_BAR_LEFT, y, x(bar.share) - _BAR_LEFT, 24, f"bar-{colour(n)}", 4)
    yield Path(((low, y - 7), (low, y - 12), (high, y - 12), (high, y - 7)), "range")
    yield Path(((target, y - 12), (target, y + 29)), "target")
    yield Label(_BAR_RIGHT + 16, y + 10, bar.text, "strong label")
    yield Label(_BAR_RIGHT + 16, y + 27, bar.more, "label")
