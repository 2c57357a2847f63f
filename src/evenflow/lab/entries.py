"""Entries of connection tracking that no packet made: a full table in a second.

Source: Linux, include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Final, Self

from evenflow.kernel.netlink import (
    NETLINK_NETFILTER,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkSocket,
    Request,
    attribute,
    nested,
)
from evenflow.model.flow import ICMP, TCP, UDP

if TYPE_CHECKING:
    from evenflow.model.flow import Address

#: Message, attributes and values of that header: to make an entry; its two directions; how long it lives, seconds.
_NEW: Final = 1 << 8
_ORIGINAL, _REPLY, _PROTOCOL_INFO, _TIMEOUT, _MARK = 1, 2, 4, 7, 8
_ESTABLISHED: Final = b"\x03"
_LIFE_S: Final = 600


class EntryMaker:
    """Makes entries in the network namespace that it is made in."""

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(NETLINK_NETFILTER)

    def add(self, source: str, destination: str, ports: tuple[int, int], mark: int, protocol: int = UDP) -> None:
        """One connection, answered.

        Raises:
            SystemRefusedError: it is there already, or there is no room.
        """
        self._netlink.request(_entry(ip_address(source), ip_address(destination), ports, mark, protocol))

    def add_many(self, count: int, network: str, mark: int) -> None:
        """UDP entries from that many sources that follow each other, the first of which is `network`."""
        first, server = int(ip_address(network)), ip_address("198.51.100.7")
        for number in range(first, first + count):
            self._netlink.request(_entry(IPv4Address(number), server, (40000, 53), mark, UDP))

    def close(self) -> None:
        """Close the socket; the entries stay."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _entry(source: Address, destination: Address, ports: tuple[int, int], mark: int, protocol: int) -> Request:
    header = struct.pack("!BBH", socket.AF_INET if source.version == 4 else socket.AF_INET6, 0, 0)
    there = _tuple(_ORIGINAL, source, destination, ports, protocol)
    back = _tuple(_REPLY, destination, source, ports[::-1], protocol)
    rest = attribute(_TIMEOUT, struct.pack("!I", _LIFE_S)) + attribute(_MARK, struct.pack("!I", mark))
    if protocol == TCP:
        rest += nested(_PROTOCOL_INFO, nested(1, attribute(1, _ESTABLISHED)))
    return Request(_NEW, header + there + back + rest, NLM_F_CREATE | NLM_F_EXCL)


def _tuple(kind: int, source: Address, destination: Address, ports: tuple[int, int], protocol: int) -> bytes:
    first = 1 if source.version == 4 else 3
    addresses = nested(1, attribute(first, source.packed), attribute(first + 1, destination.packed))
    parts = [attribute(1, bytes((protocol,)))]
    if protocol == ICMP:
        code = bytes((8 if kind == _ORIGINAL else 0,))
        parts += [attribute(4, struct.pack("!H", 77)), attribute(5, code), attribute(6, b"\0")]
    else:
        parts += [attribute(number, struct.pack("!H", port)) for number, port in zip((2, 3), ports, strict=True)]
    return nested(kind, addresses, nested(2, *parts))
