"""Loads over time, in equal steps that become longer when there are too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.simulate_amounts import amounts_of, sizes_of

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from evenflow.model.flows import FlowBlock

#: Steps that are kept: two days of minutes. With more time than that steps become twice as long, and so on.
MOST_STEPS = 2880

#: The shortest step, seconds.
SHORTEST_S = 60

#: Steps that one flow's bytes are divided among at most; a longer one counts where it began.
_MOST_OF_A_FLOW = 2880


@dataclass(frozen=True, slots=True)
class _Rows:
    """Amounts, each with its step and column; shape (n,)."""

    steps: NDArray[np.int64]
    columns: NDArray[np.int32]
    amounts: NDArray[np.float64]


class Series:
    """Amounts by step and by column (an outcome, say). `step_s` grows."""

    def __init__(self, loops: ModuleType | None = None) -> None:
        """`loops`: those of `core.simulate_numba`, if they are to count."""
        self._loops = loops
        self.step_s = SHORTEST_S
        self._steps: dict[int, NDArray[np.float64]] = {}

    def add(self, block: FlowBlock, columns: NDArray[np.int32], width: int) -> None:
        """Add flows to their columns, shape (n,), of which there are `width`; what has no time (NaN) is left out."""
        if block.start_s is None or not len(block):
            return
        if (
            self._loops is None
            or block.end_s is not None
            or not self._add_by_loop(block, block.start_s, columns, width)
        ):
            self._add(block.start_s, block.end_s, columns, amounts_of(block), width)
        while len(self._steps) > MOST_STEPS:
            self._double()

    def _add_by_loop(
        self, block: FlowBlock, start_s: NDArray[np.float64], columns: NDArray[np.int32], width: int
    ) -> bool:
        """Whether it could be done: all times are finite, and there are not too many steps between them."""
        assert self._loops is not None
        ends = np.array([start_s.min(), start_s.max()])
        if not np.isfinite(ends).all():
            return False
        first, last = self._steps_of(ends).tolist()
        if last - first >= MOST_STEPS:
            return False
        table = np.zeros((last - first + 1, width))
        self._loops.count_steps(columns, sizes_of(block), start_s, float(self.step_s), first, table)
        for number, sums in enumerate(table):
            if sums.any():
                self._put(first + number, sums)
        return True

    def _add(
        self,
        start_s: NDArray[np.float64],
        end_s: NDArray[np.float64] | None,
        columns: NDArray[np.int32],
        amounts: NDArray[np.float64],
        width: int,
    ) -> None:
        if not np.isfinite(start_s.sum()):
            known = np.isfinite(start_s)
            start_s, columns, amounts = start_s[known], columns[known], amounts[known]
            end_s = end_s[known] if end_s is not None else None
        if not len(start_s):
            return
        rows = _Rows(self._steps_of(start_s), columns, amounts)
        if end_s is not None:
            ends = np.where(np.isfinite(end_s), end_s, start_s)
            more = self._steps_of(ends) - rows.steps
            more = np.where((more > 0) & (more < _MOST_OF_A_FLOW), more, 0)
            rows = _spread(rows, more) if more.any() else rows
        self._count(rows, width)

    def _steps_of(self, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """The step of each time; of those before 1970, which no file has, the one behind it."""
        return (times_s / self.step_s).astype(np.int64)

    def _count(self, rows: _Rows, width: int) -> None:
        lowest = int(rows.steps.min())
        if int(rows.steps.max()) - lowest < MOST_STEPS:
            places = rows.steps - lowest
            places *= width
            places += rows.columns
            sums = _sums(places, rows.amounts)
            sums.resize(-(-len(sums) // width) * width, refcheck=False)
            for number in np.unique(np.flatnonzero(sums) // width).tolist():
                self._put(lowest + number, sums[number * width : (number + 1) * width])
            return
        for number in np.unique(rows.steps).tolist():
            here = rows.steps == number
            self._put(number, _sums(rows.columns[here], rows.amounts[here]))

    def _put(self, step: int, sums: NDArray[np.float64]) -> None:
        before = self._steps.get(step)
        if before is None:
            self._steps[step] = sums.copy()
            return
        if len(before) < len(sums):
            before = np.pad(before, (0, len(sums) - len(before)))
        before[: len(sums)] += sums
        self._steps[step] = before

    def _double(self) -> None:
        before, self._steps = self._steps, {}
        self.step_s *= 2
        for step, sums in before.items():
            self._put(step // 2, sums)

    def table(self, width: int) -> tuple[float, NDArray[np.float64]] | None:
        """When the first step begins, and the amounts, shape (steps, width); None: no flow had a time."""
        if not self._steps:
            return None
        first, last = min(self._steps), max(self._steps)
        while last - first >= MOST_STEPS:
            self._double()
            first, last = min(self._steps), max(self._steps)
        found = np.zeros((last - first + 1, width))
        for step, sums in self._steps.items():
            found[step - first, : len(sums)] = sums
        return float(first * self.step_s), found


def _spread(rows: _Rows, more: NDArray[np.int64]) -> _Rows:
    """Each flow once for each step that it lasts, with equal parts of its amount."""
    times = more + 1
    starts = np.repeat(np.cumsum(times) - times, times)
    steps = np.repeat(rows.steps, times) + np.arange(len(starts)) - starts
    return _Rows(steps, np.repeat(rows.columns, times), np.repeat(rows.amounts / times, times))


def _sums(places: NDArray[np.int64] | NDArray[np.int32], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the amounts of each place."""
    return np.bincount(places, amounts).astype(np.float64, copy=False)
