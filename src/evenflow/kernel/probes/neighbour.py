"""The neighbour itself, below IP: ARP for IPv4, neighbour solicitation for IPv6.

Formats: RFC 826 (ARP), RFC 4861 sections 4.3, 4.4 and 7.1 (neighbour discovery), packet(7).

Neither has a number that joins an answer to its question. An answer goes to the newest probe of that neighbour; where
one takes longer than the interval, the round trip is told too short by whole intervals. When the wall clock jumps ahead
between an answer and its reading, the answer is not believed, and that probe is lost.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from evenflow.kernel.probes.echo import only_type6
from evenflow.kernel.probes.inbox import Inbox
from evenflow.kernel.probes.socket_filter import attach, half_equals
from evenflow.model.flow import Family

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from evenflow.kernel.probes.inbox import Ancillary
    from evenflow.kernel.probes.ledger import Ledger
    from evenflow.kernel.probes.probe import Probe, Prober
    from evenflow.kernel.probes.way import Hop, Way

_ETH_P_ARP: Final = 0x0806
_BROADCAST: Final = b"\xff" * 6
_PACKET_HOST: Final = 0  # linux/if_packet.h: addressed to us
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_ARP_ETHERNET: Final = (1, 0x0800, 6, 4)  # hardware, protocol, and the lengths of their addresses
_ARP_REQUEST, _ARP_REPLY = 1, 2

_SOLICITATION, _ADVERTISEMENT = 135, 136
_DISCOVERY: Final = struct.Struct("!BBHI16s")  # type, code, checksum, flags, target
_SOURCE_LINK_LAYER: Final = struct.Struct("!BB6s")
_SOLICITED: Final = 1 << 30
_SOLICITED_NODE: Final = bytes.fromhex("ff0200000000000000000001ff")
_HOP_LIMIT: Final = 255  # of what no router has passed on


class _Asked(NamedTuple):
    """A probe that is out, and by which hop."""

    probe: Probe
    hop: Hop


class _Book:
    """Who is asked, and which probes wait for each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._asked: dict[bytes, list[_Asked]] = {}

    def add(self, probe: Probe, hop: Hop) -> None:
        self._asked.setdefault(probe.address.packed, []).append(_Asked(probe, hop))

    def newest(self, address: bytes, arrived_s: float | None) -> _Asked | None:
        """The newest probe of that neighbour that was out when something arrived.

        What came before any was sent answers somebody else, often the kernel.
        """
        for entry in reversed(self._asked.get(address, ())):
            if arrived_s is None or entry.probe.sent_s <= arrived_s:
                return entry
        self._ledger.ignore("late or never asked")
        return None

    def forget(self, probe: Probe) -> None:
        address = probe.address.packed
        left = [entry for entry in self._asked.get(address, ()) if entry.probe is not probe]
        if left:
            self._asked[address] = left
        else:
            self._asked.pop(address, None)

    def clear(self) -> None:
        self._asked.clear()

    def __bool__(self) -> bool:
        # Read on when all are answered: what is left would be in front of the next answer.
        return bool(self._asked)


class Arp:
    """ARP requests. After an answer they go to the neighbour alone, as the kernel's own do; else to all."""

    def __init__(self, way: Way, ledger: Ledger, loop: asyncio.AbstractEventLoop, *, at_once: bool) -> None:
        """Open the socket; `at_once`: see `Inbox`.

        Raises:
            OSError: no such interface, CAP_NET_RAW is missing.
        """
        self._ledger = ledger
        self._book = _Book(ledger)
        self._known: dict[bytes, bytes] = {}
        made = way.open(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ARP))
        try:
            attach(made, half_equals(6, _ARP_REPLY))
            if way.interface is not None:
                made.bind((way.interface, _ETH_P_ARP))
        except OSError:
            made.close()
            raise
        self._inbox = Inbox(made, loop, self._take, self._book.__bool__, at_once=at_once)

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._inbox.closed

    def send(self, probe: Probe, hop: Hop, hardware: bytes) -> None:
        """Ask who has the address.

        Raises:
            OSError: it could not be sent.
        """
        address = probe.address.packed
        request = _ARP.pack(*_ARP_ETHERNET, _ARP_REQUEST, hardware, hop.source, bytes(6), address)
        to = self._known.get(address, _BROADCAST)
        self._inbox.socket.sendto(request, (hop.interface, _ETH_P_ARP, 0, 0, to))
        self._book.add(probe, hop)

    def collect(self) -> None:
        """Read what has come."""
        self._inbox.read()

    def forget(self, probe: Probe) -> None:
        """Its time is over. One that was not answered: ask all again, the address may have moved."""
        if not probe.done:
            self._known.pop(probe.address.packed, None)
        self._book.forget(probe)

    def close(self) -> None:
        """Close the socket."""
        self._inbox.close()
        self._book.clear()

    def _take(self, data: bytes, sender: Any, arrived_s: float | None, _ancillary: Ancillary) -> None:
        if len(data) < _ARP.size:
            self._ledger.ignore("truncated")
            return
        *kind, operation, hardware, address, to_hardware, to_address = _ARP.unpack_from(data)
        if tuple(kind) != _ARP_ETHERNET or operation != _ARP_REPLY:
            self._ledger.ignore("not ours")
            return
        asked = self._book.newest(address, arrived_s)
        if asked is None:
            return
        ours = sender[0] == asked.hop.interface and sender[2] == _PACKET_HOST
        if not ours or (to_hardware, to_address) != (asked.hop.hardware, asked.hop.source):
            self._ledger.ignore("wrong address")  # to somebody else, to all, by another interface
            return
        self._known[address] = hardware
        self._ledger.answered(asked.probe, arrived_s)


class Solicitation:
    """Neighbour solicitations, always to the neighbour's own multicast group."""

    def __init__(self, way: Way, ledger: Ledger, loop: asyncio.AbstractEventLoop, *, at_once: bool) -> None:
        """Open the socket; `at_once`: see `Inbox`.

        Raises:
            OSError: no such interface, CAP_NET_RAW is missing, no IPv6.
        """
        self._ledger = ledger
        self._book = _Book(ledger)
        made = way.open(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        try:
            made.setsockopt(socket.IPPROTO_ICMPV6, 1, only_type6(_ADVERTISEMENT))
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOP_LIMIT)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        except OSError:
            made.close()
            raise
        self._inbox = Inbox(made, loop, self._take, self._book.__bool__, at_once=at_once)

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._inbox.closed

    def send(self, probe: Probe, hop: Hop, hardware: bytes) -> None:
        """Ask who has the address.

        Raises:
            OSError: it could not be sent.
        """
        target = probe.address.packed
        message = _DISCOVERY.pack(_SOLICITATION, 0, 0, 0, target) + _SOURCE_LINK_LAYER.pack(1, 1, hardware)
        group = socket.inet_ntop(socket.AF_INET6, _SOLICITED_NODE + target[-3:])
        self._inbox.socket.sendto(message, (group, 0, 0, hop.index))
        self._book.add(probe, hop)

    def collect(self) -> None:
        """Read what has come."""
        self._inbox.read()

    def forget(self, probe: Probe) -> None:
        """Its time is over."""
        self._book.forget(probe)

    def close(self) -> None:
        """Close the socket."""
        self._inbox.close()
        self._book.clear()

    def _take(self, data: bytes, sender: Any, arrived_s: float | None, ancillary: Ancillary) -> None:
        if len(data) < _DISCOVERY.size:
            self._ledger.ignore("truncated")
            return
        kind, code, _, flags, target = _DISCOVERY.unpack_from(data)
        if kind != _ADVERTISEMENT or code or not flags & _SOLICITED or _hop_limit(ancillary) != _HOP_LIMIT:
            self._ledger.ignore("not ours")
            return
        asked = self._book.newest(target, arrived_s)
        if asked is None:
            return
        if socket.inet_pton(socket.AF_INET6, sender[0].partition("%")[0]) != target:
            self._ledger.ignore("wrong address")
            return
        self._ledger.answered(asked.probe, arrived_s)


def _hop_limit(ancillary: Ancillary) -> int | None:
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_HOPLIMIT and len(data) >= 4:
            return int(struct.unpack_from("=i", data)[0])
    return None


class Neighbour:
    """Asks neighbours of one family. Where a device looks up no neighbours, ICMP echo has to do."""

    def __init__(
        self,
        way: Way,
        ledger: Ledger,
        loop: asyncio.AbstractEventLoop,
        family: Family,
        echo: Callable[[], Prober],
        *,
        at_once: bool,
    ) -> None:
        """`echo` gives what sends ICMP echo in that family.

        Raises:
            OSError: no such interface, CAP_NET_RAW is missing, the kernel lacks the family.
        """
        self._way = way
        self._echo = echo
        self._asker = (Arp if family is Family.IPV4 else Solicitation)(way, ledger, loop, at_once=at_once)

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._asker.closed

    def send(self, probe: Probe) -> None:
        """Ask who has the address.

        Raises:
            OSError: it could not be sent.
        """
        hop = self._way.hop_to(probe.address)
        if hop.hardware is None:
            probe.prober = self._echo()
            probe.prober.send(probe)
        else:
            self._asker.send(probe, hop, hop.hardware)

    def collect(self) -> None:
        """Read what has come."""
        self._asker.collect()

    def forget(self, probe: Probe) -> None:
        """Its time is over."""
        self._asker.forget(probe)

    def close(self) -> None:
        """Close the socket."""
        self._asker.close()
