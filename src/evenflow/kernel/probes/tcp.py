"""TCP connect: can a connection be made?

A refusal counts as an answer: the target's kernel sent it, so the path is there and back. That nothing listens is the
target's affair, not the uplink's. (A firewall on the way that refuses in the target's name can't be told apart.)
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from evenflow.kernel.probes.probe import reason_of
from evenflow.kernel.rt_codec import ADDRESS_FAMILY
from evenflow.model.flow import family_of

if TYPE_CHECKING:
    import asyncio

    from evenflow.kernel.probes.ledger import Ledger
    from evenflow.kernel.probes.probe import Probe
    from evenflow.kernel.probes.way import Way

_ANSWERS: Final = frozenset({0, errno.ECONNREFUSED})

# l_onoff, l_linger: closing resets. No state is left on either side; in the usual way five probes a second would leave
# 300 connections in TIME_WAIT here.
_RESET_ON_CLOSE: Final = struct.pack("@ii", 1, 0)


class TcpConnect:
    """A new connection for each probe, given up at once."""

    closed = False

    def __init__(self, way: Way, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> None:
        self._way = way
        self._ledger = ledger
        self._loop = loop
        self._connecting: dict[Probe, socket.socket] = {}

    def send(self, probe: Probe) -> None:
        """Begin to connect.

        Raises:
            OSError: it could not be begun.
        """
        where = self._way.socket_address(probe.address, probe.target.port)
        made = self._way.open(ADDRESS_FAMILY[family_of(probe.address)], socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            made.connect(where)
        except (BlockingIOError, ConnectionRefusedError):
            pass
        except OSError:
            made.close()
            raise
        # One that is settled already, a refused one too, is writable.
        self._connecting[probe] = made
        self._loop.add_writer(made, self._settled, probe)

    def collect(self) -> None:
        """The loop does it by itself."""

    def forget(self, probe: Probe) -> None:
        """Its time is over: give it up."""
        made = self._connecting.pop(probe, None)
        if made is not None:
            self._loop.remove_writer(made)
            made.close()

    def close(self) -> None:
        """Give up all."""
        for probe in tuple(self._connecting):
            self.forget(probe)

    def _settled(self, probe: Probe) -> None:
        number = self._connecting[probe].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.forget(probe)
        if number in _ANSWERS:
            self._ledger.answered(probe, None)
        else:
            self._ledger.lost(probe, reason_of(OSError(number, os.strerror(number))))
