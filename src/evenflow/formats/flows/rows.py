"""Flows on their way into blocks: rows that were read one by one, and what was passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evenflow.model.flow import PORT_PROTOCOLS, Family
from evenflow.model.flows import FlowBlock, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Rows of a block that is made of single rows.
BLOCK_ROWS = 1 << 16

#: Letters of a row that are shown.
_SHOWN = 80


class Skips:
    """What was passed over, by reason."""

    def __init__(self) -> None:
        self._found: dict[str, Skipped] = {}

    def add(self, reason: str, place: int, example: str = "", rows: int = 1) -> None:
        """Rows that are passed over; `place` is the number of the first of them."""
        before = self._found.get(reason)
        shown = example if len(example) <= _SHOWN else f"{example[:_SHOWN]}…"
        if before is None:
            self._found[reason] = Skipped(reason, rows, place, shown)
        else:
            self._found[reason] = Skipped(reason, before.rows + rows, before.first, before.example)

    def all(self) -> tuple[Skipped, ...]:
        """So far, the most frequent first."""
        return tuple(sorted(self._found.values(), key=lambda skipped: -skipped.rows))

    @property
    def rows(self) -> int:
        """How many in all."""
        return sum(skipped.rows for skipped in self._found.values())


@dataclass(frozen=True, slots=True)
class FlowRow:
    """One flow. Addresses as numbers; `size_bytes` and times None where they are not told."""

    family: Family
    source: int
    destination: int
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    size_bytes: int | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass
class RowsToBlocks:
    """Collects rows and gives them as blocks of one family each."""

    rows: dict[Family, list[FlowRow]] = field(default_factory=lambda: {family: [] for family in Family})

    def add(self, row: FlowRow) -> Iterator[FlowBlock]:
        """Add a row; a block, when one is full."""
        waiting = self.rows[row.family]
        waiting.append(row)
        if len(waiting) >= BLOCK_ROWS:
            self.rows[row.family] = []
            yield block_of(waiting)

    def rest(self) -> Iterator[FlowBlock]:
        """What is left."""
        for family, waiting in self.rows.items():
            if waiting:
                self.rows[family] = []
                yield block_of(waiting)


def block_of(rows: list[FlowRow]) -> FlowBlock:
    """Rows of one family as a block."""
    family = rows[0].family
    sizes = [row.size_bytes for row in rows]
    return FlowBlock(
        family,
        words_of([row.source for row in rows], family),
        words_of([row.destination for row in rows], family),
        np.array([row.protocol for row in rows], np.uint8),
        np.array([row.source_port if row.protocol in PORT_PROTOCOLS else 0 for row in rows], np.uint16),
        np.array([row.destination_port if row.protocol in PORT_PROTOCOLS else 0 for row in rows], np.uint16),
        None if None in sizes else np.array(sizes, np.uint64),
        _times([row.start_s for row in rows]),
        _times([row.end_s for row in rows]),
    )


def words_of(addresses: list[int], family: Family) -> NDArray[np.uint32]:
    """Numbers of addresses as the words of a `FlowBlock`."""
    if family is Family.IPV4:
        return np.array(addresses, np.uint32)
    packed = b"".join(address.to_bytes(16, "big") for address in addresses)
    return np.ascontiguousarray(np.frombuffer(packed, ">u4").reshape(-1, 4).T.astype(np.uint32))


def _times(seconds: list[float | None]) -> NDArray[np.float64] | None:
    if all(second is None for second in seconds):
        return None
    return np.array([np.nan if second is None else second for second in seconds], np.float64)
