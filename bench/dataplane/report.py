"""What came out as Markdown, and as JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.dataplane.figures import Figure, Spread
    from evenflow.model.flow import Family

#: What each case is called in print, and what its cost is of.
_WHAT: Final = {
    "known": "packets of known flows, from the LAN",
    "answers": "packets of known flows, from the Internet",
    "new": "first packets of flows",
    "connect": "TCP connections",
    "download": "a TCP download, for each kilobyte",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    processor: str
    cpus: int
    kernel: str
    counts_instructions: bool


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run.

    Attributes:
        machine: where.
        rounds: how many of each case.
        limit: the layout that the ratios are to.
        sources: where each layout is taken from, by its name.
        left_out: layouts that could not be loaded, and why.
        figures: in the order in which they were measured.
    """

    machine: Machine
    rounds: int
    limit: str
    sources: dict[str, str]
    left_out: dict[str, str]
    figures: tuple[Figure, ...]


def to_json(result: Result) -> dict[str, Any]:
    """An object for `json.dump`; times are in nanoseconds."""
    plain = asdict(result)
    for figure, made in zip(result.figures, plain["figures"], strict=True):
        made["case"]["family"] = figure.case.family.value
    return plain


def to_markdown(result: Result) -> str:
    """A table for each family and case: a column for each number of uplinks and rules, a line for each layout."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Result) -> Iterator[str]:
    machine = result.machine
    yield f"Measured on {machine.processor}, {machine.cpus} CPUs, Linux {machine.kernel}."
    yield f"Time of a CPU for each packet, as a ratio to {result.limit} in the same round: medians of {result.rounds}"
    yield "rounds in which all layouts take turns, in brackets the quarters around each."
    if not machine.counts_instructions:
        yield "This machine does not count instructions."
    yield ""
    for layout, reason in result.left_out.items():
        yield f"- {layout} is not measured: {reason}"
    kinds = dict.fromkeys((figure.case.what, figure.case.family) for figure in result.figures)
    for what, family in kinds:
        yield from _table(result, what, family)
    yield "Layouts:"
    yield ""
    yield from (f"- {layout}: {source}" for layout, source in result.sources.items())


def _table(result: Result, what: str, family: Family) -> Iterator[str]:
    of_kind = [one for one in result.figures if (one.case.what, one.case.family) == (what, family)]
    sites = list(dict.fromkeys((one.case.uplinks, one.case.rules) for one in of_kind))
    yield ""
    yield f"**{family.name.replace('IPV', 'IPv')}, {_WHAT[what]}**"
    yield ""
    yield f"| uplinks / rules | {' | '.join(f'{uplinks} / {rules}' for uplinks, rules in sites)} |"
    yield f"|---|{'---|' * len(sites)}"
    for layout in dict.fromkeys(one.layout for one in of_kind):
        by_site = {(one.case.uplinks, one.case.rules): one for one in of_kind if one.layout == layout}
        cells = (_cell(by_site.get(site), layout == result.limit) for site in sites)
        yield f"| {layout} | {' | '.join(cells)} |"
    yield ""


def _cell(figure: Figure | None, is_limit: bool) -> str:  # noqa: FBT001 - a question of the one caller
    if figure is None:
        return "–"
    cost = f"{figure.cost_ns.median:,.0f} ns" if is_limit else _ratio(figure.ratio)
    return cost if figure.instructions is None else f"{cost}, {figure.instructions:,.0f} instructions"


def _ratio(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def summary(figures: Sequence[Figure]) -> Iterator[str]:
    """A line for each layout of one case, for who waits."""
    for one in figures:
        yield f"  {one.layout:<16} {one.cost_ns.median:9,.0f} ns  {_ratio(one.ratio)}"
