"""Packets and connections, as a classifier and a mangle rule see them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
InterfaceAddress = IPv4Interface | IPv6Interface


class Family(enum.Enum):
    """An address family. The value is its word in nftables."""

    IPV4 = "ip"
    IPV6 = "ip6"

    @property
    def address_bits(self) -> int:
        """Bits of one address: 32 or 128."""
        return 32 if self is Family.IPV4 else 128

    @property
    def any_network(self) -> Network:
        """The default route's destination."""
        return IPv4Network("0.0.0.0/0") if self is Family.IPV4 else IPv6Network("::/0")


BOTH_FAMILIES = (Family.IPV4, Family.IPV6)


def family_of(value: Address | Network | InterfaceAddress) -> Family:
    """The family of an address, network or interface address."""
    return Family.IPV4 if value.version == 4 else Family.IPV6


class ConnectionState(enum.Enum):
    """What connection tracking says of a packet; the values are RouterOS's words and nftables's too."""

    NEW = "new"
    ESTABLISHED = "established"
    RELATED = "related"
    INVALID = "invalid"
    UNTRACKED = "untracked"


ICMP, TCP, UDP, DCCP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 58, 132, 136

#: Protocols whose ports enter a classifier's key (design: PCC; RouterOS's kernel sources).
PORT_PROTOCOLS = frozenset({TCP, UDP, UDPLITE, SCTP, DCCP})


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as it meets the router.

    Attributes:
        source, destination: addresses as they stand in the packet when it arrives (before destination NAT).
        protocol: IP protocol number.
        source_port, destination_port: 0 where the protocol has none.
        in_interface: where it came in; None for a packet of the router's own.
        state: what connection tracking says of it.
        connection_mark: mark of its connection so far; None is no-mark.
        routing_mark, packet_mark: marks that the packet itself carries already (own sockets only); None: no-mark.
        source_mac: hardware address of the sender on Ethernet, 6 bytes, None where there is none.
        known: a connection that connection tracking has an entry of; NAT was decided by its first packet.
        translated_source, translated_destination: what NAT of a known connection makes of the addresses in this
            direction; None where it leaves them.
        translated_destination_port: likewise of the destination's port.
        masqueraded_by: the interface whose address a known connection has by masquerade; only in the direction
            of its first packet.
        later_fragment: a fragment without the transport header.
    """

    source: Address
    destination: Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    in_interface: str | None = None
    state: ConnectionState = ConnectionState.NEW
    connection_mark: str | None = None
    routing_mark: str | None = None
    packet_mark: str | None = None
    source_mac: bytes | None = None
    known: bool = False
    translated_source: Address | None = None
    translated_destination: Address | None = None
    translated_destination_port: int | None = None
    masqueraded_by: str | None = None
    later_fragment: bool = False

    @property
    def family(self) -> Family:
        """The packet's family."""
        return family_of(self.destination)

    @property
    def is_redirected(self) -> bool:
        """Whether NAT of a known connection changes where it goes."""
        return (self.translated_destination or self.translated_destination_port) is not None

    @property
    def has_ports(self) -> bool:
        """Whether its ports enter a classifier's key."""
        return self.protocol in PORT_PROTOCOLS
