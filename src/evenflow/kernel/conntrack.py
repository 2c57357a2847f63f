"""The connection tracking table: list it, count it, delete from it by mark.

Format: Linux, include/uapi/linux/netfilter/nfnetlink_conntrack.h. Deleting by mark is one message; the kernel walks its
table itself, which is many times faster than to list the entries and delete them one by one.
"""

from __future__ import annotations

import errno
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from evenflow.kernel.netlink import (
    NETLINK_NETFILTER,
    NetlinkError,
    NetlinkSocket,
    Request,
    asking,
    attribute,
    by_kind,
    nested,
)
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flow import Address

_SUBSYS_CTNETLINK: Final = 1
_GET, _DELETE, _GET_STATS = 1, 2, 5
_HEADER_BYTES: Final = 4

_TUPLE_ORIGINAL, _TUPLE_REPLY, _STATUS, _MARK, _MARK_MASK = 1, 2, 3, 8, 21
_STATS_ENTRIES: Final = 1

# IPS_* of nf_conntrack_common.h.
_SEEN_REPLY: Final = 1 << 1
_ASSURED: Final = 1 << 2
_SOURCE_NAT: Final = 1 << 4
_DESTINATION_NAT: Final = 1 << 5

# The tuple of a connection over IPv4 with ports, as the kernel lays it out: an attribute with two addresses, another
# with protocol and two ports. Nearly all tuples are such, and unpacking them at once takes a third of the time.
_PORTS4: Final = struct.Struct("!4x4x4s4x4s4x4xB3x4xH2x4xH2x")
_PORTS4_HEADERS: Final = tuple(
    (offset, struct.pack("=HH", length, kind))
    for offset, length, kind in ((0, 20, 0x8001), (4, 8, 1), (20, 28, 0x8002), (24, 5, 1), (32, 6, 2), (40, 6, 3))
)


class Direction(NamedTuple):
    """Addresses and ports of one direction of a connection; ports are 0 where the protocol has none."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int


class Entry(NamedTuple):
    """One tracked connection.

    `original` is as its first packet came, `reply` as answers are awaited: they differ by more than direction where
    there is NAT. `protocol` is the IP protocol number, `status` the kernel's IPS_* bits.
    """

    family: Family
    protocol: int
    original: Direction
    reply: Direction
    mark: int
    status: int

    @property
    def answered(self) -> bool:
        """Whether the other side has sent anything."""
        return bool(self.status & _SEEN_REPLY)

    @property
    def assured(self) -> bool:
        """Whether it is well established, so that the kernel does not drop it early."""
        return bool(self.status & _ASSURED)

    @property
    def source_nat(self) -> bool:
        """Whether its source is rewritten."""
        return bool(self.status & _SOURCE_NAT)

    @property
    def destination_nat(self) -> bool:
        """Whether its destination is rewritten."""
        return bool(self.status & _DESTINATION_NAT)


class Conntrack:
    """The table of the network namespace that the thread is in when this is made."""

    def __init__(self) -> None:
        """Open the socket.

        Raises:
            NotSupportedError: this kernel has no nfnetlink.
        """
        with asking("open a netlink socket for connection tracking"):
            self._netlink = NetlinkSocket(NETLINK_NETFILTER)

    def entries(self, mark: int = 0, mask: int = 0) -> Iterator[Entry]:
        """All entries with `ct mark & mask == mark`, in no order.

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            NotSupportedError: this kernel has no ctnetlink.
            SystemRefusedError: any other refusal.
        """
        with asking("list the tracked connections"):
            payloads = self._netlink.dump(_message(_GET, _by_mark(mark, mask)))
        for payload in payloads:
            entry = _decode(payload)
            if entry and entry.mark & mask == mark:
                yield entry

    def find(self, protocol: int, ends: Direction) -> Entry | None:
        """The entry that a packet with these ends belongs to, in either direction; None when there is none.

        Asks the kernel's table for one tuple. Not for protocols whose tuple has more than addresses and ports (ICMP).

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            NotSupportedError: this kernel has no ctnetlink.
            SystemRefusedError: any other refusal.
        """
        with asking("look for a tracked connection"):
            try:
                replies = self._netlink.request(_of_tuple(protocol, ends))
            except NetlinkError as problem:
                if problem.number != errno.ENOENT:
                    raise
                return None
        return _decode(replies[0]) if replies else None

    def count(self) -> int:
        """How many entries there are.

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            NotSupportedError: this kernel has no ctnetlink.
            SystemRefusedError: any other refusal.
        """
        with asking("count the tracked connections"):
            reply = self._netlink.request(_message(_GET_STATS))[0]
        return int(struct.unpack("!I", by_kind(reply, _HEADER_BYTES)[_STATS_ENTRIES])[0])

    def delete_marked(self, mark: int, mask: int) -> None:
        """Delete all entries with `ct mark & mask == mark`, and no others.

        Raises:
            ValueError: the mask is empty, which would be all entries, or the mark has bits outside of it: nothing fits.
            NotPermittedError: CAP_NET_ADMIN is missing.
            NotSupportedError: this kernel has no ctnetlink.
            SystemRefusedError: any other refusal.
        """
        if not mask or mark & ~mask:
            raise ValueError(f"mark {mark:#x} with mask {mask:#x}")
        with asking(f"delete the tracked connections with mark {mark:#x}/{mask:#x}"):
            self._delete(_by_mark(mark, mask))

    def delete_all(self) -> None:
        """Delete all entries.

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            NotSupportedError: this kernel has no ctnetlink.
            SystemRefusedError: any other refusal.
        """
        with asking("delete all tracked connections"):
            self._delete(b"")

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _delete(self, which: bytes) -> None:
        try:
            self._netlink.request(_message(_DELETE, which))
        except NetlinkError as problem:
            # Nothing fitted.
            if problem.number != errno.ENOENT:
                raise


def _message(kind: int, which: bytes = b"") -> Request:
    return Request(_SUBSYS_CTNETLINK << 8 | kind, struct.pack("!BBH", socket.AF_UNSPEC, 0, 0) + which)


def _of_tuple(protocol: int, ends: Direction) -> Request:
    """A request for the entry that has these ends in its original or its reply direction."""
    four = ends.source.version == 4
    addresses = nested(
        1, attribute(1 if four else 3, ends.source.packed), attribute(2 if four else 4, ends.destination.packed)
    )
    ports = (attribute(2, struct.pack("!H", ends.source_port)), attribute(3, struct.pack("!H", ends.destination_port)))
    header = struct.pack("!BBH", socket.AF_INET if four else socket.AF_INET6, 0, 0)
    original = nested(_TUPLE_ORIGINAL, addresses, nested(2, attribute(1, bytes([protocol])), *ports))
    return Request(_SUBSYS_CTNETLINK << 8 | _GET, header + original)


def _by_mark(mark: int, mask: int) -> bytes:
    if not mask:
        return b""
    return attribute(_MARK, struct.pack("!I", mark)) + attribute(_MARK_MASK, struct.pack("!I", mask))


def _decode(payload: bytes) -> Entry | None:
    """An entry; None for a family other than IPv4 and IPv6."""
    if payload[0] == socket.AF_INET:
        family = Family.IPV4
    elif payload[0] == socket.AF_INET6:
        family = Family.IPV6
    else:
        return None
    held = by_kind(payload, _HEADER_BYTES)
    protocol, original = _direction(held[_TUPLE_ORIGINAL])
    _, reply = _direction(held[_TUPLE_REPLY])
    mark = int.from_bytes(held.get(_MARK, b""))
    return Entry(family, protocol, original, reply, mark, int.from_bytes(held.get(_STATUS, b"")))


class _Tuple(NamedTuple):
    """The kernel's tuple: what a connection is found by in one direction."""

    protocol: int
    direction: Direction


def _direction(data: bytes) -> _Tuple:
    if len(data) == _PORTS4.size and all(data.startswith(header, offset) for offset, header in _PORTS4_HEADERS):
        source, destination, protocol, source_port, destination_port = _PORTS4.unpack(data)
        ends = Direction(IPv4Address(source), IPv4Address(destination), source_port, destination_port)
        return _Tuple(protocol, ends)
    parts = by_kind(data)
    addresses, transport = by_kind(parts[1]), by_kind(parts[2])
    ports = (int.from_bytes(transport.get(2, b"")), int.from_bytes(transport.get(3, b"")))
    if 1 in addresses:
        ends = Direction(IPv4Address(addresses[1]), IPv4Address(addresses[2]), *ports)
    else:
        ends = Direction(IPv6Address(addresses[3]), IPv6Address(addresses[4]), *ports)
    return _Tuple(transport[1][0], ends)
