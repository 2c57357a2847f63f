"""Address types and address ranges, as Linux and RouterOS see them."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

from evenflow.model.flow import Family, family_of
from evenflow.model.matcher import AddressRange, AddressType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.flow import Address, Network
    from evenflow.model.machine import LinkAddress, Machine

LOOPBACK = "lo"

_LIMITED_BROADCAST = IPv4Address("255.255.255.255")


def range_of(network: Network) -> AddressRange:
    """All addresses of a network, first and last included."""
    return AddressRange(network.network_address, network.broadcast_address)


def contains(ranges: Iterable[AddressRange], address: Address) -> bool:
    """Whether one of the ranges holds the address; ranges of the other family never do."""
    return any(r.first.version == address.version and int(r.first) <= int(address) <= int(r.last) for r in ranges)


def merge(ranges: Iterable[AddressRange], family: Family) -> tuple[AddressRange, ...]:
    """The ranges of one family in order, none touching the next."""
    own = sorted((int(r.first), int(r.last)) for r in ranges if family_of(r.first) is family)
    merged: list[list[int]] = []
    for first, last in own:
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    make = IPv4Address if family is Family.IPV4 else lambda n: ip_address(n.to_bytes(16, "big"))
    return tuple(AddressRange(make(first), make(last)) for first, last in merged)


def type_of(address: Address, machine: Machine) -> AddressType:
    """The type that the kernel's local table gives an address (Linux, inet_addr_type() and nft_fib).

    Multicast and limited broadcast go by their number; local and subnet broadcast by the machine's addresses;
    everything else is unicast. Local are also whole IPv4 networks of the loopback device, and the first address of
    each IPv6 network that a router is in (RFC 4291, 2.6.1).
    """
    if address.is_multicast:
        return AddressType.MULTICAST
    if address == _LIMITED_BROADCAST or address == IPv4Address(0):
        return AddressType.BROADCAST
    if address.is_loopback:
        return AddressType.LOCAL
    near = [
        own for own in machine.addresses if own.address.version == address.version and address in own.address.network
    ]
    if any(own.address.ip == address or _is_local_by(own, address) for own in near):
        return AddressType.LOCAL
    for own in near:
        network = own.address.network
        if (
            network.version == 4
            and network.prefixlen < 31
            and own.peer is None
            and address == network.broadcast_address
        ):
            return AddressType.BROADCAST
    return AddressType.UNICAST


def _is_local_by(own: LinkAddress, address: Address) -> bool:
    """Whether an address of the machine's makes another one of its network local, too."""
    network = own.address.network
    if network.version == 6:
        return network.prefixlen < 127 and address == network.network_address
    return own.interface == LOOPBACK
