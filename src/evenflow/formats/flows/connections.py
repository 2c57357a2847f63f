"""Packets as connections, as connection tracking counts them.

Both directions are one, in the direction of its first packet. A SYN with another sequence number on the ports of a
connection begins a new one; so does a packet after the time in which connection tracking forgets
(net.netfilter.nf_conntrack_*_timeout: UDP 30 s, 120 s once it was answered, ICMP 30 s, others 600 s, TCP 5 days and
120 s once it is closed). Connections that are over are given away, so that memory is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evenflow.formats.flows.rows import FlowRow, RowsToBlocks, Skips
from evenflow.model.flow import ICMP, ICMPV6, TCP, UDP, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.formats.flows.packets import Seen
    from evenflow.model.flows import FlowBlock

_Key = tuple[Family, int, int, int, int, int]

_UDP_S, _ANSWERED_UDP_S, _ICMP_S, _OTHER_S, _TCP_S, _CLOSED_S = 30.0, 120.0, 30.0, 600.0, 432_000.0, 120.0

#: Connections that are kept; with more, those that have been silent longest are given away.
_MOST: Final = 1_000_000


@dataclass(slots=True)
class _Connection:
    """A connection that may go on."""

    key: _Key
    start_s: float
    end_s: float
    size_bytes: int
    sequence: int
    answered: bool = False
    closed: bool = False

    def forgotten_s(self) -> float:
        """When connection tracking forgets it."""
        protocol = self.key[3]
        if protocol == TCP:
            return self.end_s + (_CLOSED_S if self.closed else _TCP_S)
        if protocol == UDP:
            return self.end_s + (_ANSWERED_UDP_S if self.answered else _UDP_S)
        return self.end_s + (_ICMP_S if protocol in (ICMP, ICMPV6) else _OTHER_S)


class Connections:
    """The connections of a capture."""

    def __init__(self, skips: Skips) -> None:
        self._skips = skips
        self._open: dict[_Key, _Connection] = {}
        self._fragments: dict[tuple[Family, int, int, int, int], _Connection] = {}
        self._blocks = RowsToBlocks()

    def add(self, seen: Seen, when_s: float, number: int) -> Iterator[FlowBlock]:
        """A packet; blocks, when some are full."""
        if seen.about is not None:
            self._about(seen, number)
            return
        if seen.later:
            self._continue_fragment(seen, when_s, number)
            return
        key: _Key = (seen.family, seen.source, seen.destination, seen.protocol, seen.source_port, seen.destination_port)
        back: _Key = (
            seen.family,
            seen.destination,
            seen.source,
            seen.protocol,
            seen.destination_port,
            seen.source_port,
        )
        found = self._open.get(key)
        answer = False
        if found is None and back != key:
            found, answer = self._open.get(back), True
        if found is not None and self._is_over(found, seen, when_s, answer=answer):
            del self._open[found.key]
            yield from self._blocks.add(_row(found))
            found = None
        if found is None:
            found = self._open[key] = _Connection(key, when_s, when_s, 0, seen.sequence)
            answer = False
        found.size_bytes += seen.size_bytes
        found.end_s = max(found.end_s, when_s)
        found.answered = found.answered or answer
        found.closed = found.closed or seen.ends
        if seen.fragment is not None:
            self._fragments[seen.family, seen.source, seen.destination, seen.protocol, seen.fragment] = found
        if len(self._open) > _MOST:
            yield from self._give_away()

    def _is_over(self, found: _Connection, seen: Seen, when_s: float, *, answer: bool) -> bool:
        """Whether a packet on the tuple of a connection begins another one."""
        if when_s > found.forgotten_s():
            return True
        return seen.begins and (answer or seen.sequence != found.sequence) and found.key[3] == TCP

    def _about(self, seen: Seen, number: int) -> None:
        """An ICMP error belongs to the connection that it is about; the packet that it cites went the other way."""
        about = seen.about
        assert about is not None
        key, back = _key(about), _turned(_key(about))
        found = self._open.get(key) or self._open.get(back)
        if found is None:
            self._skips.add("an ICMP error about no connection of the capture", number)
        else:
            found.size_bytes += seen.size_bytes

    def _continue_fragment(self, seen: Seen, when_s: float, number: int) -> None:
        assert seen.fragment is not None
        found = self._fragments.get((seen.family, seen.source, seen.destination, seen.protocol, seen.fragment))
        if found is None:
            self._skips.add("a fragment whose beginning is not in the capture", number)
            return
        found.size_bytes += seen.size_bytes
        found.end_s = max(found.end_s, when_s)

    def _give_away(self) -> Iterator[FlowBlock]:
        """Half of the connections: those that have been silent longest."""
        self._fragments.clear()
        oldest = sorted(self._open.values(), key=lambda connection: connection.end_s)[: _MOST // 2]
        for connection in oldest:
            del self._open[connection.key]
            yield from self._blocks.add(_row(connection))

    def rest(self) -> Iterator[FlowBlock]:
        """What is still open when the capture ends."""
        for connection in self._open.values():
            yield from self._blocks.add(_row(connection))
        self._open.clear()
        yield from self._blocks.rest()


def _key(seen: Seen) -> _Key:
    return (seen.family, seen.source, seen.destination, seen.protocol, seen.source_port, seen.destination_port)


def _turned(key: _Key) -> _Key:
    """The same, in the other direction."""
    return (key[0], key[2], key[1], key[3], key[5], key[4])


def _row(connection: _Connection) -> FlowRow:
    family, source, destination, protocol, source_port, destination_port = connection.key
    ports = (0, 0) if protocol in (ICMP, ICMPV6) else (source_port, destination_port)
    ends = family, source, destination, protocol
    return FlowRow(*ends, *ports, connection.size_bytes, connection.start_s, connection.end_s)
