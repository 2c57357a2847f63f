"""Frames to send: UDP from clients of the LAN to servers of the Internet, no two of them of the same flow. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING

from bench.dataplane.site import CLIENTS
from evenflow.model.flow import UDP, Family

if TYPE_CHECKING:
    import random

    from evenflow.model.flow import Address

_ETHERTYPES = {Family.IPV4: 0x0800, Family.IPV6: 0x86DD}
_HEADER_BYTES = {Family.IPV4: 20, Family.IPV6: 40}
_ETHERNET = struct.Struct("!6s6sH")

#: Small packets: what is measured is the cost of a packet, not of its bytes.
_PAYLOAD = bytes(18)


@dataclass(frozen=True, slots=True)
class Ends:
    """Addresses and UDP ports of a packet."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int

    @property
    def family(self) -> Family:
        """Of the addresses."""
        return Family.IPV4 if self.source.version == 4 else Family.IPV6


def draw(count: int, family: Family, rng: random.Random) -> list[Ends]:
    """That many flows from 16,384 clients to 65,536 servers.

    No two have client port, server and server port in common, so that no address translation has to change a port.
    """
    clients = ip_network(CLIENTS[family])[0]
    servers = ip_network("198.18.0.0/15" if family is Family.IPV4 else "2001:db8:b000::/64")[0]
    found: dict[tuple[Address, int], Ends] = {}
    while len(found) < count:
        server, port = servers + rng.randrange(1 << 16), rng.randrange(1024, 1 << 16)
        client = clients + rng.randrange(1, 1 << 14)
        found[server, port] = Ends(client, server, port, rng.choice((53, 443, 3478, 8801, 51820)))
    return list(found.values())


def frame(ends: Ends, sender: bytes, to: bytes) -> bytes:
    """An Ethernet frame between two MAC addresses, its checksums right. Formats: RFC 768, 791, 8200."""
    length = 8 + len(_PAYLOAD)
    addresses = ends.source.packed + ends.destination.packed
    head = struct.pack("!HHH", ends.source_port, ends.destination_port, length)
    checked = _checksum(addresses + struct.pack("!HH", UDP, length) + head + b"\0\0" + _PAYLOAD) or 0xFFFF
    datagram = head + struct.pack("!H", checked) + _PAYLOAD
    ethernet = _ETHERNET.pack(to, sender, _ETHERTYPES[ends.family])
    if ends.family is Family.IPV6:
        return ethernet + struct.pack("!IHBB", 6 << 28, length, UDP, 64) + addresses + datagram
    network = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, UDP, 0)
    return ethernet + network[:10] + struct.pack("!H", _checksum(network + addresses)) + addresses + datagram


def ends_of(content: bytes) -> Ends | None:
    """Of a frame with UDP; None for any other."""
    ethertype = int.from_bytes(content[12:14], "big")
    family = next((family for family, number in _ETHERTYPES.items() if number == ethertype), None)
    if family is None or content[14 + (9 if family is Family.IPV4 else 6)] != UDP:
        return None
    size, behind = family.address_bits // 8, 14 + _HEADER_BYTES[family]
    kind = IPv4Address if family is Family.IPV4 else IPv6Address
    source, destination = (kind(content[at : at + size]) for at in (behind - 2 * size, behind - size))
    return Ends(source, destination, *struct.unpack_from("!HH", content, behind))


def answer(content: bytes) -> bytes:
    """The frame that goes back: ends swapped, which changes no checksum.

    Raises:
        ValueError: it is no frame with UDP.
    """
    ends = ends_of(content)
    if ends is None:
        raise ValueError("not UDP")
    back = Ends(ends.destination, ends.source, ends.destination_port, ends.source_port)
    return frame(back, content[:6], content[6:12])


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
