"""Tables that give a number's class: built once from a `Partition`, read for every row."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from evenflow.core.classes import Partition

#: The first step through a table takes so many bits of a number: where most of the Internet has been told apart from
#: what a router knows more exactly.
ROOT_BITS = 16

#: Pages for the next 16 bits as long as there are not more of these (16 MB), else for the next 8: long address lists
#: would take gigabytes otherwise, while for a few networks to halve the steps is to halve the time.
_MOST_LARGE_PAGES = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Page:
    """A part of a table still to be filled.

    Attributes:
        at: where its cells begin.
        base: the first number that it is about.
        bits: the bits of a number below those that choose the cell.
        first, last: the spans of the partition that reach into it, or one more before.
    """

    at: int
    base: int
    bits: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ClassTable:
    """For numbers of 32 bits and more.

    Attributes:
        cells: a class each, or the negated place of a page. The first 2^16 are for the most significant bits of a
            number, those of a page for the next `page_bits`.
        page_bits: 8 or 16.
    """

    cells: NDArray[np.int32]
    page_bits: int


def class_table(partition: Partition) -> ClassTable:
    """The table of a partition; it grows with the spans, at most 15 KB for each when there are many."""
    page_bits = 16 if _large_pages(partition) <= _MOST_LARGE_PAGES else 8
    pages = deque([_Page(0, 0, partition.bits - ROOT_BITS, 0, len(partition.starts) - 1)])
    filled = []
    end = 1 << ROOT_BITS
    while pages:
        page = pages.popleft()
        cells = np.empty(1 << (page_bits if page.at else ROOT_BITS), np.int32)
        done, before = 0, page.first
        for cell, below in _below(partition, page):
            cells[done:cell] = partition.classes[before]
            last = below[-1]
            base = page.base + (cell << page.bits)
            if below[0] == last and partition.starts[last] == base:
                cells[cell] = partition.classes[last]
            else:
                cells[cell] = -end
                pages.append(_Page(end, base, page.bits - page_bits, before, last))
                end += 1 << page_bits
            done, before = cell + 1, last
        cells[done:] = partition.classes[before]
        filled.append(cells)
    return ClassTable(np.concatenate(filled), page_bits)


def _large_pages(partition: Partition) -> int:
    """How many pages of 16 bits there would be: one for each place in which a span begins that is no multiple of it."""
    return len(
        {
            (bits, start >> bits)
            for start in partition.starts
            for bits in range(16, partition.bits - ROOT_BITS + 1, 16)
            if start & ((1 << bits) - 1)
        }
    )


def _below(partition: Partition, page: _Page) -> Iterator[tuple[int, list[int]]]:
    """Each cell of a page in which a span begins, with these spans; not the one that reaches in from before."""

    def cell_of(span: int) -> int:
        return (partition.starts[span] - page.base) >> page.bits

    for cell, spans in groupby(range(page.first, page.last + 1), cell_of):
        if cell >= 0:
            yield cell, list(spans)


def direct_table(partition: Partition) -> NDArray[np.uint32]:
    """For numbers of 8 or 16 bits: the class of each."""
    lengths = np.diff([*partition.starts, 1 << partition.bits])
    return np.repeat(np.asarray(partition.classes, np.uint32), lengths)


@dataclass(frozen=True, slots=True)
class Remembered(Generic[T]):
    """What was built from a value is not built again for the same one.

    Found by identity: to hash the thousand spans of a partition takes as long as to look up thousands of rows.
    """

    _known: dict[int, tuple[object, T]] = field(default_factory=dict)

    def get(self, value: object, build: Callable[[], T]) -> T:
        """What was built from `value`, now or before; the value is kept, so that its identity stays its own."""
        if id(value) not in self._known:
            self._known[id(value)] = (value, build())
        return self._known[id(value)][1]
