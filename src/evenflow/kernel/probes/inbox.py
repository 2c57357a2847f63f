"""A socket that receives for many probes: read in batches, each datagram with the time that it arrived.

The kernel writes the time of arrival on each datagram (SO_TIMESTAMPNS, socket(7)). So an answer is not late because the
loop was busy when it came, and need not even wake it: to wake costs several times what it costs to read a datagram.
Where rounds follow each other quickly, answers are read when the next one begins.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

# SO_TIMESTAMPNS_NEW of asm-generic/socket.h, since Linux 5.1: 64 bits wide on each machine.
_SO_TIMESTAMPNS: Final = 64
_STAMP: Final = struct.Struct("=qq")

#: Datagrams read at once, so that a flood does not keep the loop from all else. Reading so many takes 1 ms.
_BATCH: Final = 256

#: An IP header with all options, and more than any answer to a probe of ours. More would be cut off, and be wrong.
_RECEIVE_BYTES: Final = 256
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_STAMP.size) + socket.CMSG_SPACE(4)

Ancillary = list[tuple[int, int, bytes]]


def arrival_s(ancillary: Iterable[tuple[int, int, bytes]], now_s: float, wall_ns: int) -> float | None:
    """When a datagram arrived, on the clock that `now_s` is of; None when that is not known.

    The kernel's stamp is of the wall clock, which can jump: one that is not in the past is not believed (one from
    before the probe was sent is not either; see `Ledger.answered`).

    Args:
        ancillary: what came with it.
        now_s: the loop's clock, read after the datagram.
        wall_ns: the wall clock, read at the same time.
    """
    for level, kind, data in ancillary:
        if kind == _SO_TIMESTAMPNS and level == socket.SOL_SOCKET and len(data) == _STAMP.size:
            seconds, nanoseconds = _STAMP.unpack(data)
            age_ns = wall_ns - seconds * 1_000_000_000 - nanoseconds
            return now_s - age_ns / 1e9 if age_ns >= 0 else None
    return None


class Inbox:
    """Reads a datagram socket, when it is told to or also whenever something is there. It owns the socket.

    Attributes:
        closed: by its owner, or because reading failed.
    """

    def __init__(
        self,
        own: socket.socket,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[bytes, Any, float | None, Ancillary], None],
        awaiting: Callable[[], bool],
        *,
        at_once: bool,
    ) -> None:
        """Begin.

        Args:
            own: a socket that does not block.
            loop: whose clock times of arrival are of.
            take: gets data, sender, time of arrival and what else came with it.
            awaiting: when it says no, nothing more is read: the call that would find nothing is spared.
            at_once: read whenever something is there; else `read` has to be called.
        """
        self.socket = own
        self.closed = False
        self._loop = loop
        self._take = take
        self._awaiting = awaiting
        try:
            own.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:  # an older kernel: the time of reading has to do
            at_once = True
        self._at_once = at_once
        if at_once:
            loop.add_reader(own, self.read)

    def close(self) -> None:
        """Close the socket."""
        if not self.closed:
            self.closed = True
            if self._at_once:
                self._loop.remove_reader(self.socket)
            self.socket.close()

    def read(self) -> None:
        """Read what is there, while something is awaited."""
        for _ in range(_BATCH):
            if self.closed or not self._awaiting():
                return
            try:
                data, ancillary, _, sender = self.socket.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # The interface went down or away under it. An error that stays would wake the loop for ever.
                self.close()
                return
            arrived_s = arrival_s(ancillary, self._loop.time(), time.time_ns())
            self._take(data, sender, arrived_s, ancillary)
