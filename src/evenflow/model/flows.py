"""Many flows at once, as columns: what a flow file is read into, and what a simulation counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from evenflow.model.flow import Family


@dataclass(frozen=True, slots=True)
class FlowBlock:
    """Some flows of one family, one row each; a row is a connection in the direction of its first packet.

    Addresses are unsigned 32-bit words in host byte order, so that IPv4's is the number of the address: shape (n,).
    IPv6 has four words for each address, the most significant first: shape (4, n).

    Attributes:
        source, destination: addresses, uint32.
        protocol: IP protocol numbers, uint8, shape (n,).
        source_port, destination_port: uint16, shape (n,); 0 for protocols without ports.
        size_bytes: bytes of both directions together, uint64, shape (n,); None where the file does not tell.
        start_s: when it began, seconds since the epoch, float64, shape (n,); None where the file does not tell.
        end_s: when it ended, likewise; None: all of its bytes count where it began.
    """

    family: Family
    source: NDArray[np.uint32]
    destination: NDArray[np.uint32]
    protocol: NDArray[np.uint8]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    size_bytes: NDArray[np.uint64] | None = None
    start_s: NDArray[np.float64] | None = None
    end_s: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.protocol)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows of a file that are no flows, all for one reason.

    Attributes:
        reason: in words ("not IP", "cut short", …).
        rows: how many.
        first: number of the first of them: line of a text, row of a table, packet of a capture; counted from 1.
        example: what stands there, shortened; "" where it can't be shown.
    """

    reason: str
    rows: int
    first: int
    example: str = ""


class FlowSource(Protocol):
    """A file of flows that is being read: memory is bounded however long it is."""

    @property
    def what(self) -> str:
        """The format that was recognised, in words."""

    @property
    def unit(self) -> str:
        """What `Skipped.first` counts: "line", "row" or "packet"."""

    @property
    def rows(self) -> int | None:
        """How many rows there are, where the file tells that before it is read."""

    def blocks(self) -> Iterator[FlowBlock]:
        """All flows, in blocks of one family each; only once."""

    def skipped(self) -> tuple[Skipped, ...]:
        """What was passed over so far."""

    def part_read(self) -> float | None:
        """How much of the file has been read, 0 to 1; None where that is not known."""
