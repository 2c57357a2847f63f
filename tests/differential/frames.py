"""Packets as bytes, put together by hand: each carries a number in bytes 8 to 11 behind its network header.

SCTP has its checksum there: it carries the number in bytes 20 to 23.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING

from evenflow.model.flow import ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, ConnectionState

if TYPE_CHECKING:
    from evenflow.model.flow import Packet

ETHERTYPES = {4: 0x0800, 6: 0x86DD}


class Turn(enum.Enum):
    """Whose turn it is in a connection. The value is what the number of such a packet has more than the connection's.

    TCP's number is what it acknowledges. So the client's sequence numbers begin where the answer's number is, and the
    server's where that of what follows is.
    """

    OPENING = 0
    ANSWERING = 0x4000_0000
    FOLLOWING = 0x2000_0000


#: Errors (ICMP) carry the head of the packet that they are about in those bytes: their number stands in the parts of it
#: that nobody looks at, behind the version (and for IPv4 the length of the header).
MARK_OF_ERROR = {4: 0x4500_0000, 6: 0x6000_0000}


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _transport(packet: Packet, number: int, connection: int, turn: Turn) -> bytes:
    ports = struct.pack("!HH", packet.source_port, packet.destination_port)
    if packet.protocol == TCP:
        return ports + _tcp(packet, number, connection, turn)
    if packet.protocol == UDP:
        # Long enough to come in two parts; the head of an error is shorter than that, too.
        return ports + struct.pack("!HHI", 44, 0, number) + bytes(32)
    if packet.protocol == UDPLITE:
        return ports + struct.pack("!HHI", 0, 0, number)
    if packet.protocol == SCTP:
        return ports + _sctp(number, connection, turn)
    if packet.protocol in (ICMP, ICMPV6):
        kinds = (8, 0) if packet.protocol == ICMP else (128, 129)
        return struct.pack("!BBHHHI", kinds[turn is Turn.ANSWERING], 0, 0, connection & 0xFFFF, 1, number)
    return struct.pack("!III", 0, 0, number)


def _tcp(packet: Packet, number: int, connection: int, turn: Turn) -> bytes:
    """What stands behind the ports: sequence number, our number as what is acknowledged, flags, window."""
    first, second = Turn.ANSWERING.value + connection - 1, Turn.FOLLOWING.value + connection - 1
    sequence, flags = {
        Turn.OPENING: (first, 0x02),
        Turn.ANSWERING: (second, 0x12),
        Turn.FOLLOWING: (first + 1, 0x10),
    }[turn]
    # All flags together are what connection tracking calls invalid.
    flags = 0x3F if packet.state is ConnectionState.INVALID else flags
    return struct.pack("!IIBBHHH", sequence, number, 0x50, flags, 8192, 0, 0)


def _sctp(number: int, connection: int, turn: Turn) -> bytes:
    """What stands behind the ports: the other side's tag, a checksum that nobody looks at, and one chunk (RFC 9260).

    INIT and INIT ACK with our number as the window, COOKIE ECHO with the number in its cookie.
    """
    client, server = connection, Turn.ANSWERING.value + connection
    if turn is Turn.FOLLOWING:
        return struct.pack("!II", server, 0) + struct.pack("!BBHII", 10, 0, 12, 0, number)
    checked, own, kind = (0, client, 1) if turn is Turn.OPENING else (client, server, 2)
    return struct.pack("!II", checked, 0) + struct.pack("!BBHIIHHI", kind, 0, 20, own, number, 1, 1, 1)


def datagram(packet: Packet, number: int, connection: int, turn: Turn) -> bytes:
    """The packet from its network header on."""
    return _network(packet, _transport(packet, number, connection, turn), number)


def error_about(packet: Packet, about: Packet, number: int) -> bytes:
    """An ICMP error of some router on the way, "host unreachable", with the head of the packet that it is about."""
    inner = bytearray(_network(about, _transport(about, 0, 0, Turn.OPENING), 0))
    inner[:4] = struct.pack("!I", MARK_OF_ERROR[about.source.version] + number)
    kind = struct.pack("!BBHI", 3, 1, 0, 0) if packet.protocol == ICMP else struct.pack("!BBHI", 1, 3, 0, 0)
    return _network(packet, kind + bytes(inner), number)


def fragments(packet: Packet, content: bytes, number: int) -> tuple[bytes, bytes]:
    """The packet in two parts; the ports are in the first."""
    head, first = (20, 24) if packet.source.version == 4 else (40, 24)
    body = content[head:]
    return _fragment(packet, body[:first], 0, number, more=True), _fragment(
        packet, body[first:], first, number, more=False
    )


def _fragment(packet: Packet, body: bytes, offset: int, number: int, *, more: bool) -> bytes:
    if packet.source.version == 4:
        return _network(packet, body, number, (0x2000 if more else 0) | offset // 8)
    header = struct.pack("!BBHI", packet.protocol, 0, offset | more, number)
    return _ipv6(packet, header + body, 44)


def _ipv6(packet: Packet, body: bytes, protocol: int) -> bytes:
    return (
        struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + packet.source.packed + packet.destination.packed + body
    )


def _network(packet: Packet, transport: bytes, number: int, place_in_whole: int | None = None) -> bytes:
    """A network header before a transport message; with its checksum, unless it is only a part of a message."""
    body = bytearray(transport)
    source, destination = packet.source.packed, packet.destination.packed
    place = {TCP: 16, UDP: 6, UDPLITE: 6, ICMP: 2, ICMPV6: 2}.get(packet.protocol)
    if place is not None and place_in_whole is None:
        pseudo = (
            b""
            if packet.protocol == ICMP
            else source + destination + struct.pack("!IHH", len(body), 0, packet.protocol)
        )
        body[place : place + 2] = struct.pack("!H", checksum(pseudo + bytes(body)))
    if packet.source.version == 6:
        return _ipv6(packet, bytes(body), packet.protocol)
    head = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + len(body), number & 0xFFFF, place_in_whole or 0, 64, packet.protocol, 0
    )
    head = head[:10] + struct.pack("!H", checksum(head + source + destination)) + source + destination
    return head + bytes(body)


def ethernet(packet: Packet, content: bytes, to: bytes, sender: bytes) -> bytes:
    """A packet in an Ethernet frame."""
    ethertype = struct.pack("!H", ETHERTYPES[packet.source.version])
    return to + sender + ethertype + content
