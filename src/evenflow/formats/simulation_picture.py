"""A simulation as pictures: shares over time, uplinks against bandwidths, shares against targets, a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from evenflow.core.recommend import EVEN_ENOUGH, FULL
from evenflow.formats.amounts import clock, counted, percent, percent_range, rate, size
from evenflow.formats.chart import WIDTH, ShareBar, colour, round_step, shares_picture
from evenflow.formats.page import card, heading, page, pill, tiles
from evenflow.formats.shapes import Label, Path, Picture, Polygon, Rectangle, moved, to_svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.core.recommend import Candidate
    from evenflow.formats.shapes import Shape
    from evenflow.formats.simulation import Told
    from evenflow.model.simulation import Load, Steps, UplinkLoad

_LEFT, _RIGHT, _TOP = 110, 150, 14
_PLOT: Final = WIDTH - _LEFT - _RIGHT

#: Points of a curve; more can't be told apart on the width of the picture.
_MOST_POINTS: Final = 390

_STACK: Final = 200
_LANE: Final = 110


@dataclass(frozen=True, slots=True)
class Chapter:
    """A picture with its title and a line on how to read it."""

    title: str
    text: str
    picture: Picture


def pictures(told: Told) -> Iterator[Chapter]:
    """What there is to draw, in its order."""
    load = told.load
    what = "bytes" if load.size_bytes is not None else "flows"
    yield Chapter(
        f"Share of {what}",
        "The upright line is what was asked for, the bracket where 95 of 100 seeds have it.",
        shares_picture(f"Share of {what} of each uplink", [_share(one, load) for one in load.uplinks]),
    )
    if load.steps is not None and load.steps.count > 1:
        yield Chapter("Share over time", f"How the {what} divide, in UTC.", _stacked(load, load.steps))
        if load.size_bytes is not None:
            yield Chapter(
                "Each uplink against its bandwidth",
                "The line is what it carries, the ground under it the busiest minutes; dashed is what it can carry.",
                _lanes(load, load.steps),
            )
    if told.compared:
        yield Chapter(
            "Compared",
            f"Off its target: under 95 of 100 seeds; {100 * EVEN_ENOUGH:.0f} points are even enough. Fullest line: "
            "at the peak, on average over seeds. Split: with several public addresses.",
            _comparison(told.compared, told.recommended.place if told.recommended is not None else -1),
        )


def _share(one: UplinkLoad, load: Load) -> ShareBar:
    amount = size(one.size_bytes) if load.size_bytes is not None else counted(one.flows, "flow")
    return ShareBar(
        one.name,
        one.share,
        one.target,
        one.chance.low,
        one.chance.high,
        f"{percent(one.share)} · {amount}",
        f"target {percent(one.target)}, chance {percent_range(one.chance.low, one.chance.high)}",
    )


# --- over time ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """Steps of time joined to as many columns as can be told apart."""

    steps: Steps
    joined: int
    count: int

    @classmethod
    def of(cls, steps: Steps) -> _Columns:
        joined = -(-steps.count // _MOST_POINTS)
        return cls(steps, joined, -(-steps.count // joined))

    @property
    def length_s(self) -> float:
        return self.steps.length_s * self.joined

    def sums(self, uplink: UplinkLoad) -> list[int]:
        return [sum(part) for part in self._parts(uplink)]

    def peaks(self, uplink: UplinkLoad) -> list[int]:
        """The largest step of each column."""
        return [max(part) for part in self._parts(uplink)]

    def _parts(self, uplink: UplinkLoad) -> Iterator[tuple[int, ...]]:
        series = uplink.series_bytes
        return (series[first : first + self.joined] for first in range(0, len(series), self.joined))

    def edges(self) -> list[float]:
        """Where columns begin and end, from the left to the right of the plot."""
        return [_LEFT + _PLOT * n / self.count for n in range(self.count + 1)]


def _stairs(edges: Sequence[float], heights: Sequence[float]) -> list[tuple[float, float]]:
    """A line that is level within each column: what is told is a mean over its time."""
    return [point for n, y in enumerate(heights) for point in ((edges[n], y), (edges[n + 1], y))]


def _stacked(load: Load, steps: Steps) -> Picture:
    columns = _Columns.of(steps)
    edges, bottom = columns.edges(), _TOP + _STACK
    sums = [columns.sums(one) for one in load.uplinks]
    totals = [sum(parts) or 1 for parts in zip(*sums, strict=True)]
    shapes: list[Shape] = [Rectangle(_LEFT, _TOP, _PLOT, _STACK, "track")]
    below = [0.0] * columns.count
    target = 0.0
    for n, (uplink, parts) in enumerate(zip(load.uplinks, sums, strict=True)):
        above = [low + part / total for low, part, total in zip(below, parts, totals, strict=True)]
        lower = _stairs(edges, [bottom - _STACK * part for part in below])
        upper = _stairs(edges, [bottom - _STACK * part for part in above])
        shapes.append(Polygon((*upper, *reversed(lower)), f"bar-{colour(n)}"))
        middle = target + uplink.target / 2
        shapes.append(Label(WIDTH - _RIGHT + 10, bottom - _STACK * middle + 4, uplink.name, f"name-{colour(n)}"))
        below, target = above, target + uplink.target
        if n + 1 < len(load.uplinks):
            y = bottom - _STACK * target
            shapes.append(Path(((_LEFT, y), (WIDTH - _RIGHT, y)), "limit target"))
    shapes += [Label(_LEFT - 10, bottom - _STACK * part / 4 + 4, f"{25 * part} %", "label", "end") for part in range(5)]
    shapes += _times(columns, bottom)
    return Picture("Share of each uplink over time", WIDTH, bottom + 30, tuple(shapes))


def _times(columns: _Columns, bottom: float) -> Iterator[Shape]:
    """The axis of time; round hours or minutes, with the day where it is a new one."""
    start_s, length_s = columns.steps.start_s, columns.length_s * columns.count
    step_s = next((one for one in _TIME_STEPS if length_s / one <= 9), length_s / 8)
    at_s, day = -(-start_s // step_s) * step_s, ""
    while at_s <= start_s + length_s:
        x = _LEFT + _PLOT * (at_s - start_s) / length_s
        today = clock(at_s, day=True)[: -len(clock(at_s))].strip()
        text = clock(at_s) if today == day or not today else f"{today[5:]} {clock(at_s)}"
        yield Path(((x, bottom), (x, bottom + 5)), "moment")
        yield Label(x, bottom + 20, text, "label", "middle")
        at_s, day = at_s + step_s, today


#: Steps of an axis of time, seconds: from a minute to four weeks.
_TIME_STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2419200)


def _lanes(load: Load, steps: Steps) -> Picture:
    columns = _Columns.of(steps)
    shapes = [shape for n, one in enumerate(load.uplinks) for shape in _lane(one, n, columns)]
    bottom = _TOP + len(load.uplinks) * _LANE
    shapes += _times(columns, bottom)
    return Picture("Rate of each uplink against its bandwidth", WIDTH, bottom + 30, tuple(shapes))


def _lane(one: UplinkLoad, n: int, columns: _Columns) -> Iterator[Shape]:
    bottom, height = _TOP + (n + 1) * _LANE, _LANE - 18
    means = [8 * amount / columns.length_s for amount in columns.sums(one)]
    peaks = [8 * amount / columns.steps.length_s for amount in columns.peaks(one)]
    top = max([1.0, *peaks, 1.1 * (one.bandwidth_bps or 0)])

    def y(rate_bps: float) -> float:
        return bottom - height * rate_bps / top

    step = round_step(top / 3)
    for number in range(int(top / step) + 1):
        at = y(number * step)
        yield Path(((_LEFT, at), (WIDTH - _RIGHT, at)), "grid")
        yield Label(_LEFT - 10, at + 4, rate(number * step) if number else "0", "label", "end")
    ground = _stairs(columns.edges(), [y(each) for each in peaks])
    yield Polygon(((_LEFT, bottom), *ground, (WIDTH - _RIGHT, bottom)), f"area-{colour(n)}")
    yield Path(tuple(_stairs(columns.edges(), [y(each) for each in means])), f"rate line-{colour(n)}")
    x = WIDTH - _RIGHT + 10
    yield Label(x, bottom - height + 10, one.name, f"name-{colour(n)}")
    if one.bandwidth_bps:
        at = y(one.bandwidth_bps)
        yield Path(((_LEFT, at), (WIDTH - _RIGHT, at)), f"limit line-{colour(n)}")
        yield Label(x, bottom - height + 28, f"of {rate(one.bandwidth_bps)}", "label")
    if one.busiest is not None:
        yield Label(x, bottom - height + 46, f"{_busiest(one)}", "label")


def _busiest(one: UplinkLoad) -> str:
    assert one.busiest is not None
    full = (
        f"{100 * one.busiest.rate_bps / one.bandwidth_bps:.0f} %" if one.bandwidth_bps else rate(one.busiest.rate_bps)
    )
    return f"{full} at {clock(one.busiest.start_s)}"


# --- several ways to divide --------------------------------------------------------------------------------------

_WAY: Final = 46
_NAMES: Final = 380

#: Room for the number beside a bar.
_NUMBER: Final = 92


def _comparison(candidates: Sequence[Candidate], best: int) -> Picture:
    figures = [
        ("off by at most", [one.reach for one in candidates], "points"),
        ("clients split", [one.clients_split for one in candidates], "%"),
        ("pairs split", [one.pairs_split or 0.0 for one in candidates], "%"),
    ]
    fullest = [one.fullest for one in candidates if one.fullest is not None]
    if len(fullest) == len(candidates):
        figures.insert(1, ("fullest line", fullest, "%"))
    shapes: list[Shape] = []
    for n, one in enumerate(candidates):
        y = 54 + n * _WAY
        shapes.append(Label(14, y, "✓" if n == best else "", "strong"))
        shapes.append(Label(36, y, one.name, "strong" if n == best else "label"))
    room = (WIDTH - _NAMES) / len(figures)
    for place, (title, values, unit) in enumerate(figures):
        x, width = _NAMES + place * room, room - _NUMBER
        shapes.append(Label(x, 22, title, "label"))
        for n, value in enumerate(values):
            y = 40 + n * _WAY
            shapes.append(Rectangle(x, y, width, 18, "track", 4))
            shapes.append(Rectangle(x, y, width * value / max([*values, 0.01]), 18, f"bar-{place}", 4))
            shapes.append(Label(x + width + 8, y + 14, f"{100 * value:.1f} {unit}", "label"))
    return Picture("Ways to divide, compared", WIDTH, 44 + len(candidates) * _WAY, tuple(shapes))


# --- together ----------------------------------------------------------------------------------------------------


def picture(told: Told) -> Picture:
    """All of them in one, for a file."""
    shapes: list[Shape] = [Label(14, 34, _title(told), "title")]
    down = 80.0
    for chapter in pictures(told):
        shapes += [Label(14, down, chapter.title, "node-title"), Label(14, down + 20, chapter.text, "label")]
        shapes += [moved(shape, down + 32) for shape in chapter.picture.shapes]
        down += chapter.picture.height + 66
    return Picture(_title(told), WIDTH, down - 30, tuple(shapes))


def _title(told: Told) -> str:
    config, flows = (name.rpartition("/")[2] for name in (told.config, told.file.name))
    return f"{config} · {flows} · {counted(told.load.flows, 'flow')}"


def render_html(told: Told) -> str:
    """A page with all of them."""
    load = told.load
    full = [one for one in load.uplinks if one.busiest is not None and one.bandwidth_bps]
    over = [one.name for one in full if one.busiest and one.busiest.rate_bps > FULL * (one.bandwidth_bps or 0)]
    verdict = ""
    if full:
        text = f"over 80 % full: {', '.join(over)}" if over else "no line over 80 % full"
        verdict = pill(text, held=not over)
    figures = [(percent(one.share), f"{one.name}, target {percent(one.target)}") for one in load.uplinks[:5]]
    parts = [heading("evenflow simulate", _title(told), verdict), tiles(figures)]
    parts += [card(one.title, one.text, to_svg(one.picture)) for one in pictures(told)]
    if told.recommended is not None:
        chosen = told.compared[told.recommended.place]
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in told.recommended.reasons)
        parts.append(card(f"Take {chosen.name}", "Because:", f"<ul>{reasons}</ul>"))
    what = f"{told.file.what}, seed {told.seed}. {'; '.join(told.notes)}."
    return page(f"{_title(told)}: evenflow simulate", "".join(parts), what)
