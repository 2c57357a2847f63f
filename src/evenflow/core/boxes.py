"""Sets of packets as boxes: for each dimension (an interface, a class of addresses, a mark, …) the values it may have.

Values are bits of a number, so a box is a tuple of numbers, and a packet is in it when each of its values is. A box
with a dimension that has no value is empty and never made.
"""

from __future__ import annotations

from itertools import product
from operator import and_
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Box = tuple[int, ...]


def meet(one: Box, other: Box) -> Box | None:
    """The packets that are in both boxes; None when there are none."""
    both = tuple(map(and_, one, other))
    return None if 0 in both else both


def meet_all(some: Iterable[Box], others: Sequence[Box]) -> list[Box]:
    """The packets that are in one of `some` and in one of `others`."""
    return [both for one, other in product(some, others) if (both := meet(one, other)) is not None]


def without(one: Box, other: Box) -> Iterator[Box]:
    """The packets of a box that are not in the other, as boxes that do not overlap."""
    both = meet(one, other)
    if both is None:
        yield one
        return
    left = list(one)
    for dimension, shared in enumerate(both):
        outside = left[dimension] & ~shared
        if outside:
            yield (*left[:dimension], outside, *left[dimension + 1 :])
        left[dimension] = shared


def without_all(some: Iterable[Box], others: Iterable[Box]) -> list[Box]:
    """The packets that are in one of `some` and in none of `others`."""
    left = list(some)
    for other in others:
        left = [piece for one in left for piece in without(one, other)]
    return left


def joined(some: Iterable[Box]) -> list[Box]:
    """The same packets in fewer boxes: those that differ in one dimension only become one."""
    boxes = list(dict.fromkeys(some))
    for dimension in range(len(boxes[0]) if boxes else 0):
        alike: dict[Box, int] = {}
        for box in boxes:
            rest = (*box[:dimension], 0, *box[dimension + 1 :])
            alike[rest] = alike.get(rest, 0) | box[dimension]
        boxes = [(*rest[:dimension], values, *rest[dimension + 1 :]) for rest, values in alike.items()]
    return boxes


def bits(values: int) -> Iterator[int]:
    """The numbers of the bits that are set, ascending."""
    while values:
        lowest = values & -values
        yield lowest.bit_length() - 1
        values ^= lowest
