"""Charts as SVG: rates over time, and connection counts next to their target and what chance allows."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final

from evenflow.formats.chart import WIDTH, ShareBar, round_step, shares_picture
from evenflow.formats.shapes import to_svg
from evenflow.lab.results import MomentKind
from evenflow.lab.topology import MEGABIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.lab.results import Moment, Report, Share

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 64, 46, 28
_PLOT_HEIGHT: Final = 240

# Labels of moments closer to each other than this stand on different lines.
_LABEL_ROOM: Final = 110


class _Axes:
    """Where a time and a rate stand in the picture."""

    def __init__(self, report: Report) -> None:
        self.end_s = max((sample.at_s for sample in report.samples), default=1.0)
        shaped = max(uplink.rate_bps for uplink in report.topology.uplinks)
        seen = max((sample.to_router_bps for sample in report.samples), default=0.0)
        self.top_bps = max(shaped * 1.12, min(seen, shaped * 1.5))
        self.bottom = _TOP + _PLOT_HEIGHT

    def x(self, at_s: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * at_s / self.end_s

    def y(self, rate_bps: float) -> float:
        return self.bottom - _PLOT_HEIGHT * min(rate_bps, self.top_bps) / self.top_bps


def rates_chart(report: Report) -> str:
    """Rates towards the router over time, one line per uplink; cut and restore marked."""
    axes = _Axes(report)
    parts = [*_cut_bands(report.moments, axes), *_grid(axes)]
    for n, uplink in enumerate(report.topology.uplinks):
        y = axes.y(uplink.rate_bps)
        parts.append(f'<line class="limit line-{n % 4}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(WIDTH - _RIGHT + 6, y + 4, f"{uplink.name} {uplink.rate_bps / MEGABIT:g}", f"name-{n % 4}"))
    for n, uplink in enumerate(report.topology.uplinks):
        parts.append(_line(report, uplink.name, axes, n))
    parts += _moments(report.moments, axes)
    return (
        f'<svg viewBox="0 0 {WIDTH} {axes.bottom + _BOTTOM}" role="img" '
        f'aria-label="Mbit/s per uplink over time">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _grid(axes: _Axes) -> list[str]:
    parts = []
    step_bps = 10 * MEGABIT if axes.top_bps <= 60 * MEGABIT else round_step(axes.top_bps / 5)
    for n in range(int(axes.top_bps / step_bps) + 1):
        y = axes.y(n * step_bps)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{n * step_bps / MEGABIT:g}", "label", "end"))
    step_s = round_step(axes.end_s / 8)
    parts += [
        _text(axes.x(n * step_s), axes.bottom + 20, f"{n * step_s:g} s", "label", "middle")
        for n in range(int(axes.end_s / step_s) + 1)
    ]
    return parts


def _line(report: Report, uplink: str, axes: _Axes, n: int) -> str:
    points = [
        f"{axes.x(sample.at_s):.1f},{axes.y(sample.to_router_bps):.1f}"
        for sample in report.samples
        if sample.uplink == uplink
    ]
    if not points:
        return ""
    first, last = points[0].split(",")[0], points[-1].split(",")[0]
    curve = " ".join(points)
    return (
        f'<polygon class="area-{n % 4}" points="{first},{axes.bottom} {curve} {last},{axes.bottom}"/>'
        f'<polyline class="rate line-{n % 4}" points="{curve}"/>'
    )


def _cut_bands(moments: Sequence[Moment], axes: _Axes) -> list[str]:
    """The times without a carrier."""
    bands = []
    for n, moment in enumerate(moments):
        if moment.kind is MomentKind.CUT:
            later = (one.at_s for one in moments[n + 1 :] if one.kind is MomentKind.RESTORE)
            left, right = axes.x(moment.at_s), axes.x(next(later, axes.end_s))
            bands.append(
                f'<rect class="cut" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{_PLOT_HEIGHT}"/>'
            )
    return bands


def _moments(moments: Sequence[Moment], axes: _Axes) -> list[str]:
    parts, before, raised = [], -math.inf, False
    for moment in moments:
        x = axes.x(moment.at_s)
        raised = not raised if x - before < _LABEL_ROOM else False
        before = x
        top = _TOP - (26 if raised else 10)
        parts.append(f'<line class="moment" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 4}" y2="{axes.bottom}"/>')
        parts.append(_text(x, top, moment.label, "label strong", "middle"))
    return parts


# --- shares -----------------------------------------------------------------------------------------------------


def shares_chart(shares: Sequence[Share]) -> str:
    """Counts as bars from 0 to all, with the target and the range that chance allows."""
    return to_svg(shares_picture("Connections per uplink", [_share_bar(share) for share in shares]))


def _share_bar(share: Share) -> ShareBar:
    of_all = max(share.of, 1)
    return ShareBar(
        share.uplink,
        share.share,
        share.target,
        share.low / of_all,
        share.high / of_all,
        f"{share.connections} of {share.of}, {share.share:.1%}",
        f"target {share.target:.1%}, chance {share.low}–{share.high}",
    )
