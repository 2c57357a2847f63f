"""Packets as bytes, put together by hand: each carries a number in bytes 8 to 11 behind its network header."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from evenflow.model.flow import ICMP, ICMPV6, TCP, UDP

if TYPE_CHECKING:
    from evenflow.model.flow import Packet

ETHERTYPES = {4: 0x0800, 6: 0x86DD}

#: Added to a connection's number: the sequence number that its TCP begins with, and so what an answer acknowledges.
ANSWER = 0x4000_0000


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _transport(packet: Packet, number: int, connection: int, *, reply: bool) -> bytes:
    ports = struct.pack("!HH", packet.source_port, packet.destination_port)
    if packet.protocol == TCP:
        # Behind the ports: sequence number, acknowledgement (our number), SYN or SYN and ACK.
        sequence, flags = (1, 0x12) if reply else (ANSWER + connection - 1, 0x02)
        return ports + struct.pack("!IIBBHHH", sequence, number, 0x50, flags, 8192, 0, 0)
    if packet.protocol == UDP:
        return ports + struct.pack("!HHI", 12, 0, number)
    if packet.protocol in (ICMP, ICMPV6):
        kinds = (8, 0) if packet.protocol == ICMP else (128, 129)
        return struct.pack("!BBHHHI", kinds[reply], 0, 0, connection & 0xFFFF, 1, number)
    return struct.pack("!III", 0, 0, number)


def datagram(packet: Packet, number: int, connection: int, *, reply: bool = False) -> bytes:
    """The packet from its network header on. The kernel is told not to look at transport checksums, except ours."""
    body = bytearray(_transport(packet, number, connection, reply=reply))
    source, destination = packet.source.packed, packet.destination.packed
    place = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}.get(packet.protocol)
    if place is not None:
        pseudo = (
            b""
            if packet.protocol == ICMP
            else source + destination + struct.pack("!IHH", len(body), 0, packet.protocol)
        )
        body[place : place + 2] = struct.pack("!H", checksum(pseudo + bytes(body)))
    if packet.source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), packet.protocol, 64) + source + destination + bytes(body)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number & 0xFFFF, 0, 64, packet.protocol, 0)
    head = head[:10] + struct.pack("!H", checksum(head + source + destination)) + source + destination
    return head + bytes(body)


def ethernet(packet: Packet, content: bytes, to: bytes, sender: bytes) -> bytes:
    """A packet in an Ethernet frame."""
    ethertype = struct.pack("!H", ETHERTYPES[packet.source.version])
    return to + sender + ethertype + content
