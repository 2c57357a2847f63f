"""ICMP echo, for both families.

Formats: RFC 792 and RFC 4443 section 4; the filters raw(7) and RFC 3542 section 3.2. A raw socket of IPv4 receives the
IP header too, one of IPv6 does not.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from evenflow.kernel.probes.inbox import Inbox
from evenflow.kernel.probes.socket_filter import attach, half_equals
from evenflow.model.flow import Family

if TYPE_CHECKING:
    import asyncio

    from evenflow.kernel.probes.inbox import Ancillary
    from evenflow.kernel.probes.ledger import Ledger
    from evenflow.kernel.probes.probe import Probe
    from evenflow.kernel.probes.way import Way

_HEADER: Final = struct.Struct("!BBHHH")
_REQUEST4, _REPLY4, _REQUEST6, _REPLY6 = 8, 0, 128, 129
_ICMP_FILTER: Final = 1  # linux/icmp.h; with level SOL_RAW
_SOL_RAW: Final = 255
_ICMP6_FILTER: Final = 1  # linux/icmpv6.h
TOKEN_BYTES: Final = 16
_WORDS: Final = struct.Struct(f"!{(_HEADER.size + TOKEN_BYTES) // 2}H")


class _Awaited(NamedTuple):
    """What the answer to a probe must have: its sender as received, and its token."""

    probe: Probe
    sender: bytes | str
    token: bytes


def request4(ident: int, sequence: int, token: bytes) -> bytes:
    """An echo request of IPv4, with its checksum (RFC 1071). `token` has `TOKEN_BYTES` bytes."""
    without = _HEADER.pack(_REQUEST4, 0, 0, ident, sequence) + token
    total = sum(_WORDS.unpack(without))
    total = (total & 0xFFFF) + (total >> 16)
    total += total >> 16
    return _HEADER.pack(_REQUEST4, 0, ~total & 0xFFFF, ident, sequence) + token


def only_type6(kind: int) -> bytes:
    """An ICMP6_FILTER that lets one type through: a bit for each type, set where it is blocked."""
    blocked = [0xFFFF_FFFF] * 8
    blocked[kind >> 5] &= ~(1 << (kind & 31)) & 0xFFFF_FFFF
    return struct.pack("=8I", *blocked)


class Echo:
    """Echo requests of one family on one raw socket.

    An answer counts when it comes from the address that was asked, with the right identifier, sequence number and a
    random token that only who got the request can know. The kernel passes on only echo replies with our identifier:
    somebody else's pings, or a flood of replies, cost the daemon nothing.
    """

    def __init__(
        self, way: Way, ledger: Ledger, loop: asyncio.AbstractEventLoop, family: Family, *, at_once: bool
    ) -> None:
        """Open the socket; `at_once`: see `Inbox`.

        Raises:
            OSError: no such interface, CAP_NET_RAW is missing, the kernel lacks the family.
        """
        self._way = way
        self._ledger = ledger
        self._ident = int.from_bytes(os.urandom(2), "big")
        self._sequence = 0
        self._awaited: dict[int, _Awaited] = {}
        self._unanswered = 0
        ipv4 = family is Family.IPV4
        made = way.open(
            socket.AF_INET if ipv4 else socket.AF_INET6,
            socket.SOCK_RAW,
            socket.IPPROTO_ICMP if ipv4 else socket.IPPROTO_ICMPV6,
        )
        try:
            if ipv4:
                made.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~(1 << _REPLY4) & 0xFFFF_FFFF))
            else:
                made.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, only_type6(_REPLY6))
            attach(made, half_equals(4, self._ident, after_ip_header=ipv4))
        except OSError:
            made.close()
            raise
        self._reply_type = _REPLY4 if ipv4 else _REPLY6
        self._inbox = Inbox(made, loop, self._take4 if ipv4 else self._take6, self._awaiting, at_once=at_once)

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._inbox.closed

    def send(self, probe: Probe) -> None:
        """Send an echo request.

        Raises:
            OSError: it could not be sent.
        """
        token = os.urandom(TOKEN_BYTES)
        sequence = self._sequence = (self._sequence + 1) & 0xFFFF
        where = self._way.socket_address(probe.address)
        if probe.address.version == 4:
            awaited = _Awaited(probe, probe.address.packed, token)
            message = request4(self._ident, sequence, token)
        else:
            awaited = _Awaited(probe, where[0], token)
            message = _HEADER.pack(_REQUEST6, 0, 0, self._ident, sequence) + token  # the kernel adds the checksum
        self._inbox.socket.sendto(message, where)
        probe.key = sequence
        self._awaited[sequence] = awaited
        self._unanswered += 1

    def collect(self) -> None:
        """Read what has come."""
        self._inbox.read()

    def forget(self, probe: Probe) -> None:
        """Its time is over: from now on an answer is late."""
        awaited = self._awaited.get(probe.key)
        if awaited is not None and awaited.probe is probe:
            del self._awaited[probe.key]
            self._unanswered -= not probe.done

    def close(self) -> None:
        """Close the socket."""
        self._inbox.close()
        self._awaited.clear()

    def _awaiting(self) -> bool:
        return self._unanswered > 0

    def _take4(self, data: bytes, _sender: Any, arrived_s: float | None, _ancillary: Ancillary) -> None:
        header_bytes = (data[0] & 15) * 4
        self._take(data[header_bytes:], data[12:16], arrived_s)

    def _take6(self, data: bytes, sender: Any, arrived_s: float | None, _ancillary: Ancillary) -> None:
        self._take(data, sender[0], arrived_s)

    def _take(self, message: bytes, sender: bytes | str, arrived_s: float | None) -> None:
        if len(message) < _HEADER.size:
            self._ledger.ignore("truncated")
            return
        kind, code, _, ident, sequence = _HEADER.unpack_from(message)
        if ident != self._ident or kind != self._reply_type or code:
            self._ledger.ignore("not ours")  # from before the filters were in place
            return
        awaited = self._awaited.get(sequence)
        if awaited is None:
            self._ledger.ignore("late or never asked")
        elif sender != awaited.sender:
            self._ledger.ignore("wrong address")
        elif message[_HEADER.size :] != awaited.token:
            short = len(message) < _HEADER.size + TOKEN_BYTES
            self._ledger.ignore("truncated" if short else "wrong token")
        else:
            before = awaited.probe.done
            self._ledger.answered(awaited.probe, arrived_s)
            self._unanswered -= awaited.probe.done and not before
