"""Multicast groups that a machine is in without a program having joined them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.model.flow import Address
    from evenflow.model.machine import Machine

#: Groups that every Linux router is in: all hosts and all routers (RFC 1112, 4; RFC 4291, 2.7.1).
_OF_EVERY_ROUTER = tuple(map(ip_address, ("224.0.0.1", "ff01::1", "ff02::1", "ff01::2", "ff02::2", "ff05::2")))

#: The solicited-node group of an IPv6 address is this with the address's last 24 bits (RFC 4291, 2.7.1).
_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))


def joined_groups(machine: Machine) -> frozenset[Address]:
    """The groups that the machine takes packets to; what programs on it have joined besides is not known."""
    solicited = (
        IPv6Address(_SOLICITED_NODE | (int(own.address.ip) & 0xFF_FFFF))
        for own in machine.addresses
        if own.address.version == 6
    )
    return frozenset((*_OF_EVERY_ROUTER, *solicited))
