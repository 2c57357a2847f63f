"""Counting in loops that Numba compiles: one pass over a block where NumPy makes a dozen.

Each is what a method of `core.simulate`, `simulate_clients`, `simulate_series` or `simulate_chance` does with NumPy.
`sizes` has a number of bytes for each row, or is empty: then each row counts for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evenflow.core.columns_numba import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Span(NamedTuple):
    """The first and last of some steps; `finite` False: a time is none."""

    first: int
    last: int
    finite: bool


@inlined
def _amount(sizes: NDArray[np.uint64], row: int) -> float:
    return float(sizes[row]) if len(sizes) else 1.0


@compiled
def count_outcomes(
    found: NDArray[np.int32], sizes: NDArray[np.uint64], flows: NDArray[np.int64], amounts: NDArray[np.float64]
) -> None:
    """Add each row to its outcome."""
    for row in range(len(found)):
        flows[found[row]] += 1
        amounts[found[row]] += _amount(sizes, row)


@compiled
def span_of(start_s: NDArray[np.float64], step_s: float) -> Span:
    """The steps that some times lie in."""
    first, last = np.inf, -np.inf
    for row in range(len(start_s)):
        time = start_s[row]
        if not abs(time) < np.inf:
            return Span(0, 0, False)
        first, last = min(first, time), max(last, time)
    return Span(int(first / step_s), int(last / step_s), True)


@compiled
def count_steps(
    found: NDArray[np.int32],
    sizes: NDArray[np.uint64],
    start_s: NDArray[np.float64],
    step_s: float,
    first: int,
    table: NDArray[np.float64],
) -> None:
    """Add each row to its step and outcome; `table` has shape (steps, outcomes)."""
    for row in range(len(found)):
        table[int(start_s[row] / step_s) - first, found[row]] += _amount(sizes, row)


@compiled
def lacks_a_page(source: NDArray[np.uint32], pages: NDArray[np.int32], page_bits: int) -> bool:
    """Whether a source lies in no page yet."""
    for row in range(len(source)):  # noqa: SIM110 - Numba compiles no any() of a generator
        if pages[source[row] >> np.uint32(page_bits)] < 0:
            return True
    return False


@compiled
def count_clients(
    source: NDArray[np.uint32],
    columns: NDArray[np.int32],
    sizes: NDArray[np.uint64],
    pages: NDArray[np.int32],
    page_bits: int,
    flows: NDArray[np.int64],
    amounts: NDArray[np.float64],
) -> None:
    """Add each row to its source and column; the tables have shape (pages, 2^page_bits, columns)."""
    mask = np.uint32((1 << page_bits) - 1)
    for row in range(len(source)):
        page = pages[source[row] >> np.uint32(page_bits)]
        within = source[row] & mask
        flows[page, within, columns[row]] += 1
        amounts[page, within, columns[row]] += _amount(sizes, row)


@compiled
def pairs_of(
    source: NDArray[np.uint32],
    destination: NDArray[np.uint32],
    columns: NDArray[np.int32],
    none: int,
    shift: int,
    keys: NDArray[np.uint64],
    ways: NDArray[np.uint64],
) -> int:
    """Keys and ways of the pairs that are looked at; how many. The hash is `simulate_clients._mixed`."""
    count = 0
    for row in range(len(source)):
        mixed = (np.uint64(source[row]) << np.uint64(32) | np.uint64(destination[row])) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
        if columns[row] < none and (shift == 0 or mixed >> np.uint64(64 - shift) == np.uint64(0)):
            keys[count], ways[count] = mixed, np.uint64(1) << np.uint64(columns[row])
            count += 1
    return count


@compiled
def count_cells(
    cells: NDArray[np.uint32],
    columns: NDArray[np.int32],
    none: int,
    sizes: NDArray[np.uint64],
    flows: NDArray[np.float64],
    amounts: NDArray[np.float64],
) -> None:
    """Add each row that is balanced to the cell of its key."""
    for row in range(len(cells)):
        if columns[row] < none:
            flows[cells[row]] += 1.0
            amounts[cells[row]] += _amount(sizes, row)
