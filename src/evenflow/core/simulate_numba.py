"""Counting in loops that Numba compiles: one pass over a block where NumPy makes a dozen.

Each is what a method of `core.simulate`, `simulate_clients`, `simulate_series` or `simulate_chance` does with NumPy.
`sizes` has a number of bytes for each row, or is empty: then each row counts for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.columns_numba import compiled, inlined

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Rows one after the other go to sums of their own: to add to what has just been stored has to wait for it.
LANES = 4


@inlined
def _amount(sizes: NDArray[np.uint64], row: int) -> float:
    return float(sizes[row]) if len(sizes) else 1.0


@compiled
def count_outcomes(found: NDArray[np.int32], sizes: NDArray[np.uint64], counts: NDArray[np.float64]) -> None:
    """Add each row to its outcome; `counts` has shape (LANES, outcomes, 2): flows and amounts."""
    for row in range(len(found)):
        outcome = counts[row & (LANES - 1), found[row]]
        outcome[0] += 1.0
        outcome[1] += _amount(sizes, row)


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
def count_clients(
    source: NDArray[np.uint32],
    columns: NDArray[np.int32],
    sizes: NDArray[np.uint64],
    pages: NDArray[np.int32],
    page_bits: int,
    counts: NDArray[np.float64],
    first: int,
) -> int:
    """Add the rows from `first` on to their source and column, up to one that has no page; the number of that one.

    `counts` has shape (pages, 2^page_bits, columns, 2): flows and amounts, which so are fetched together.
    """
    mask = np.uint32((1 << page_bits) - 1)
    for row in range(first, len(source)):
        page = pages[source[row] >> np.uint32(page_bits)]
        if page < 0:
            return row
        client = counts[page, source[row] & mask, columns[row]]
        client[0] += 1.0
        client[1] += _amount(sizes, row)
    return len(source)


@compiled
def pairs_of(
    source: NDArray[np.uint32],
    destination: NDArray[np.uint32],
    columns: NDArray[np.int32],
    none: int,
    shift: int,
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Keys and ways of the pairs that are looked at. The hash is `simulate_clients._mixed`."""
    keys, ways = np.empty(len(source), np.uint64), np.empty(len(source), np.uint64)
    count = 0
    for row in range(len(source)):
        mixed = (np.uint64(source[row]) << np.uint64(32) | np.uint64(destination[row])) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
        if columns[row] < none and (shift == 0 or mixed >> np.uint64(64 - shift) == np.uint64(0)):
            keys[count], ways[count] = mixed, np.uint64(1) << np.uint64(columns[row])
            count += 1
    return keys[:count].copy(), ways[:count].copy()


@compiled
def count_cells(
    cells: NDArray[np.uint32],
    columns: NDArray[np.int32],
    none: int,
    sizes: NDArray[np.uint64],
    counts: NDArray[np.float64],
) -> None:
    """Add each row that is balanced to the cell of its key; `counts` has shape (cells, 2): flows and amounts."""
    for row in range(len(cells)):
        if columns[row] < none:
            cell = counts[cells[row]]
            cell[0] += 1.0
            cell[1] += _amount(sizes, row)
