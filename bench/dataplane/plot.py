"""The figures as a picture: cost against uplinks, and against rules, a line for each layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure as Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from bench.dataplane.figures import Case, Figure
    from bench.dataplane.report import Result

_TITLES: Final = {"known": "known flows", "answers": "their answers", "new": "new flows"}

#: Marked on the upright axis, as far as the lines go.
_RATIOS: Final = (0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100)


def draw(result: Result, path: Path) -> None:
    """Write a PNG: IPv4 left and IPv6 right of each pair, known flows above, their answers, new ones below."""
    packets = [one for one in result.figures if one.case.what in _TITLES]
    families = list(dict.fromkeys(one.case.family for one in packets))
    few_rules = min(one.case.rules for one in packets)
    few_uplinks = min(one.case.uplinks for one in packets)
    columns: list[tuple[str, Callable[[Case], int], list[Figure]]] = []
    for family in families:
        mine = [one for one in packets if one.case.family is family]
        name = family.name.replace("IPV", "IPv")
        along = [one for one in mine if one.case.rules == few_rules]
        columns.append((f"{name}, {few_rules} rule: uplinks", lambda case: case.uplinks, along))
        along = [one for one in mine if one.case.uplinks == few_uplinks]
        columns.append((f"{name}, {few_uplinks} uplinks: rules", lambda case: case.rules, along))
    picture = Picture(figsize=(4 * len(columns), 4 * len(_TITLES)), layout="constrained")
    grid = picture.subplots(len(_TITLES), len(columns), squeeze=False)
    for row, what in enumerate(_TITLES):
        for column, (title, along_axis, shown) in enumerate(columns):
            axes = grid[row][column]
            _lines(axes, [one for one in shown if one.case.what == what], along_axis)
            axes.set_title(f"{_TITLES[what]}; {title}", fontsize=9)
    grid[0][0].set_ylabel(f"cost of a packet / {result.limit}")
    picture.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    picture.savefig(path, dpi=110)


def _lines(axes: Axes, shown: Sequence[Figure], along_axis: Callable[[Case], int]) -> None:
    for layout in dict.fromkeys(one.layout for one in shown):
        points = sorted((along_axis(one.case), one.ratio) for one in shown if one.layout == layout)
        places = [place for place, _ in points]
        medians = [ratio.median for _, ratio in points]
        errors = [[ratio.median - ratio.low for _, ratio in points], [ratio.high - ratio.median for _, ratio in points]]
        width = 2.4 if layout == "evenflow" else 1.2
        axes.errorbar(places, medians, yerr=errors, marker="o", markersize=3, linewidth=width, label=layout)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted({along_axis(one.case) for one in shown}))
    low, high = min(one.ratio.low for one in shown), max(one.ratio.high for one in shown)
    axes.set_yticks([tick for tick in _RATIOS if 0.98 * low <= tick <= 1.1 * high])
    axes.get_xaxis().set_major_formatter("{x:g}")
    axes.get_yaxis().set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
