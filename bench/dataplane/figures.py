"""What came out, and what it comes to. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.dataplane.cpu_time import Spent
    from evenflow.model.flow import Family

    #: What each layout spent on one packet, by its name.
    Round = Mapping[str, Spent]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the quarters around it."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured.

    Attributes:
        uplinks: how many.
        rules: diversions before the balance.
        family: of the packets.
        what: packets: "known" or "new" ones of the LAN, or "answers"; by TCP: "connect" or "download".
    """

    uplinks: int
    rules: int
    family: Family
    what: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One layout in one case, for each packet, connection or kilobyte.

    Attributes:
        case: what was measured.
        layout: its name.
        cost_ns: time of a CPU.
        ratio: to the limit, each taken in the same round.
        instructions: the median; None where the machine does not count them.
    """

    case: Case
    layout: str
    cost_ns: Spread
    ratio: Spread
    instructions: float | None = None


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, inclusive.

    Raises:
        statistics.StatisticsError: fewer than two values.
    """
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def figures(case: Case, rounds: Sequence[Round], limit: str) -> list[Figure]:
    """Of all layouts, in the order of the first round; `limit` is one of them."""
    return [_figure(case, layout, rounds, limit) for layout in rounds[0]]


def _figure(case: Case, layout: str, rounds: Sequence[Round], limit: str) -> Figure:
    counted = [one[layout].instructions for one in rounds]
    known = [count for count in counted if count is not None]
    return Figure(
        case,
        layout,
        spread([one[layout].seconds * 1e9 for one in rounds]),
        spread([one[layout].seconds / one[limit].seconds for one in rounds]),
        statistics.median(known) if known else None,
    )
