"""IP packets as a capture has them: what a link puts around them, and what of them a flow needs.

Source: https://www.tcpdump.org/linktypes.html; RFC 791, 8200, 9293, 768, 792, 4443; IEEE 802.1Q.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from evenflow.model.flow import ICMP, ICMPV6, PORT_PROTOCOLS, TCP, Family

#: Link types, by their numbers in a capture.
NULL, ETHERNET, RAW, LOOP, LINUX_SLL, IPV4, IPV6, LINUX_SLL2 = 0, 1, 101, 108, 113, 228, 229, 276

#: Link types of raw IP on some systems (BSD).
_RAW_TYPES: Final = (RAW, 12, 14, IPV4, IPV6)

_VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100)
_IPV4_TYPE, _IPV6_TYPE = 0x0800, 0x86DD

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16

_ICMP_ECHO: Final = {ICMP: (8, 0), ICMPV6: (128, 129)}
#: Types that cite the packet that they are about.
_ICMP_ERRORS: Final = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}

#: Extension headers of IPv6 that a packet's payload lies behind: hop-by-hop, routing, destination options, mobility.
_EXTENSIONS: Final = (0, 43, 60, 135)
_FRAGMENT: Final = 44


class NoFlow(Exception):  # noqa: N818 - most of what is no flow is no error
    """A packet that belongs to no flow; the argument says why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet.

    Attributes:
        source_port, destination_port: of ICMP echo both are its identifier.
        size_bytes: of the IP packet, as it was on the wire.
        fragment: identification of a fragmented packet, None for a whole one.
        later: a fragment without the transport header.
        begins, ends: a TCP segment that opens a connection, or ends one at once or from its side.
        sequence: of a TCP segment.
        about: the packet that an ICMP error cites.
    """

    family: Family
    source: int
    destination: int
    protocol: int
    source_port: int
    destination_port: int
    size_bytes: int
    fragment: int | None = None
    later: bool = False
    begins: bool = False
    ends: bool = False
    sequence: int = 0
    about: Seen | None = None


def packet(link_type: int, data: bytes) -> Seen:
    """The IP packet in a frame.

    Raises:
        NoFlow: there is none, or not enough of it was captured.
    """
    try:
        return _ip(_payload(link_type, data))
    except (struct.error, IndexError):
        raise NoFlow("too little of the packet was captured") from None


def _payload(link_type: int, data: bytes) -> bytes:
    """What the link carries, if it is IP."""
    if link_type == ETHERNET:
        return _of_ethertype(data, 12)
    if link_type in _RAW_TYPES:
        return data
    if link_type == LINUX_SLL:
        return _of_ethertype(data, 14)
    if link_type == LINUX_SLL2:
        (kind,) = struct.unpack_from("!H", data)
        return _of(kind, data, 20)
    if link_type in (NULL, LOOP):
        return data[4:]
    raise NoFlow(f"link type {link_type} is not known")


def _of_ethertype(data: bytes, place: int) -> bytes:
    (kind,) = struct.unpack_from("!H", data, place)
    while kind in _VLAN_TAGS:
        place += 4
        (kind,) = struct.unpack_from("!H", data, place)
    return _of(kind, data, place + 2)


def _of(kind: int, data: bytes, place: int) -> bytes:
    if kind not in (_IPV4_TYPE, _IPV6_TYPE):
        raise NoFlow("not IP")
    return data[place:]


def _ip(data: bytes) -> Seen:
    version = data[0] >> 4
    if version == 4:
        return _ipv4(data)
    if version == 6:
        return _ipv6(data)
    raise NoFlow("not IP")


def _ipv4(data: bytes) -> Seen:
    header = (data[0] & 15) * 4
    total, ident, offset = struct.unpack_from("!HHH", data, 2)
    protocol = data[9]
    source, destination = struct.unpack_from("!II", data, 12)
    if header < 20:
        raise NoFlow("a header that can't be")
    more, place = bool(offset & 0x2000), offset & 0x1FFF
    whole = not (more or place)
    ends = Family.IPV4, source, destination
    return _transport(*ends, protocol, data[header:], total or len(data), None if whole else ident, later=place > 0)


def _ipv6(data: bytes) -> Seen:
    length, following = struct.unpack_from("!HB", data, 4)
    source, destination = (int.from_bytes(data[place : place + 16], "big") for place in (8, 24))
    if len(data) < 40:
        raise NoFlow("too little of the packet was captured")
    place, fragment, later = 40, None, False
    while following in _EXTENSIONS or following == _FRAGMENT:
        if following == _FRAGMENT:
            offset, ident = struct.unpack_from("!HI", data, place + 2)
            fragment, later = ident, offset >> 3 > 0
            following, place = data[place], place + 8
            if later:
                break
            continue
        following, place = data[place], place + (data[place + 1] + 1) * 8
    ends = Family.IPV6, source, destination
    return _transport(*ends, following, data[place:], length + 40, fragment, later=later)


def _transport(  # noqa: PLR0913 - the parts of a packet
    family: Family,
    source: int,
    destination: int,
    protocol: int,
    data: bytes,
    size_bytes: int,
    fragment: int | None,
    *,
    later: bool,
) -> Seen:
    ends = family, source, destination, protocol
    if later:
        return Seen(*ends, 0, 0, size_bytes, fragment, later=True)
    if protocol in PORT_PROTOCOLS:
        first, second = struct.unpack_from("!HH", data)
        if protocol == TCP and len(data) > 13:
            (sequence,) = struct.unpack_from("!I", data, 4)
            flags = data[13]
            begins = bool(flags & _SYN) and not flags & _ACK
            ending = bool(flags & (_FIN | _RST))
            return Seen(*ends, first, second, size_bytes, fragment, begins=begins, ends=ending, sequence=sequence)
        return Seen(*ends, first, second, size_bytes, fragment)
    if protocol in _ICMP_ECHO:
        kind = data[0]
        if kind in _ICMP_ERRORS[protocol]:
            return Seen(*ends, 0, 0, size_bytes, fragment, about=_ip(data[8:]))
        if kind in _ICMP_ECHO[protocol]:
            (ident,) = struct.unpack_from("!H", data, 4)
            return Seen(*ends, ident, ident, size_bytes, fragment)
    return Seen(*ends, 0, 0, size_bytes, fragment)
