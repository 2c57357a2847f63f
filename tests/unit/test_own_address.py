"""Which of its addresses the kernel takes; that it does is for tests/differential."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from evenflow.core.addresses import type_of
from evenflow.core.own_address import masquerading, redirecting
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.matcher import AddressType

MACHINE = Machine(
    tuple(Link(name, number) for number, name in enumerate(("lo", "lan", "wan", "bare", "ppp"), 1)),
    (
        LinkAddress("lo", ip_interface("127.0.0.1/8")),
        LinkAddress("lo", ip_interface("10.77.0.1/24")),
        LinkAddress("lan", ip_interface("10.1.0.1/16")),
        LinkAddress("lan", ip_interface("fd00:1::1/64")),
        LinkAddress("wan", ip_interface("192.0.2.2/24")),
        LinkAddress("wan", ip_interface("198.51.100.2/24")),
        LinkAddress("wan", ip_interface("198.51.100.9/24")),
        LinkAddress("wan", ip_interface("fd00:9::2/64")),
        LinkAddress("wan", ip_interface("2001:db8:a::2/64")),
        LinkAddress("wan", ip_interface("2001:db8:b::2/64")),
        LinkAddress("wan", ip_interface("fe80::2/64")),
        LinkAddress("ppp", ip_interface("203.0.113.7/32"), ip_address("203.0.113.1")),
    ),
)


@pytest.mark.parametrize(
    ("interface", "next_hop", "source"),
    [
        ("wan", "192.0.2.1", "192.0.2.2"),
        ("wan", "198.51.100.1", "198.51.100.2"),  # of two in a network the first
        ("wan", "10.9.9.9", "192.0.2.2"),  # of none fitting the first of the interface
        ("wan", None, "192.0.2.2"),
        ("ppp", None, "203.0.113.7"),
        ("ppp", "203.0.113.1", "203.0.113.7"),
        ("bare", "192.0.2.1", "10.77.0.1"),  # without any the first of the machine
        ("lo", None, "10.77.0.1"),  # never 127.0.0.1
    ],
)
def test_masquerade_takes_an_address_of_the_next_hops_network(
    interface: str, next_hop: str | None, source: str
) -> None:
    hop = ip_address(next_hop) if next_hop else None
    assert masquerading(MACHINE, interface, ip_address("9.9.9.9"), hop) == ip_address(source)


@pytest.mark.parametrize(
    ("interface", "destination", "source"),
    [
        ("wan", "2001:db8:b::77", "2001:db8:b::2"),  # the longest common prefix
        ("wan", "2a00::1", "2001:db8:a::2"),  # of equals the first
        ("wan", "fd00:2::1", "fd00:9::2"),  # the same label
        ("lan", "2a00::1", "fd00:1::1"),  # the interface counts before the label
        ("bare", "2a00::1", "2001:db8:a::2"),
        ("wan", "fd00:1::1", "fd00:1::1"),  # the very address, wherever it is
    ],
)
def test_masquerade_chooses_as_for_the_routers_own_packets(interface: str, destination: str, source: str) -> None:
    assert masquerading(MACHINE, interface, ip_address(destination), None) == ip_address(source)


def test_nobody_can_give_what_nobody_has() -> None:
    assert masquerading(Machine(), "wan", ip_address("9.9.9.9"), None) is None
    assert masquerading(Machine(), "wan", ip_address("2a00::1"), None) is None
    assert redirecting(MACHINE, "bare", ip_address("9.9.9.9")) is None


def test_redirect_takes_the_first_address() -> None:
    assert redirecting(MACHINE, "wan", ip_address("9.9.9.9")) == ip_address("192.0.2.2")
    assert redirecting(MACHINE, "wan", ip_address("2a00::1")) == ip_address("fd00:9::2")


@pytest.mark.parametrize(
    ("interface", "destination", "given"),
    [
        ("wan", "ff02::fb", "fe80::2"),
        ("wan", "fe80::9", "fe80::2"),
        ("wan", "ff12::fb", "fe80::2"),  # the flags of a group do not matter
        ("wan", "ff05::2", None),  # no address of the site
        ("wan", "ff01::1", None),
        ("wan", "ff0e::1", "fd00:9::2"),
        ("lan", "ff02::fb", None),
    ],
)
def test_redirect_keeps_to_a_narrow_scope(interface: str, destination: str, given: str | None) -> None:
    assert redirecting(MACHINE, interface, ip_address(destination)) == (ip_address(given) if given else None)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.77.0.9", AddressType.LOCAL),  # all of a network of lo
        ("10.1.0.9", AddressType.UNICAST),
        ("10.1.255.255", AddressType.BROADCAST),
        ("fd00:1::", AddressType.LOCAL),  # the subnet-router anycast address
        ("fd00:1::9", AddressType.UNICAST),
        ("ff02::1", AddressType.MULTICAST),
    ],
)
def test_types_of_addresses(address: str, kind: AddressType) -> None:
    assert type_of(ip_address(address), MACHINE) is kind
