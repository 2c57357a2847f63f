"""The connection tracking table of the real kernel: listing, counting, deleting by mark."""

from __future__ import annotations

import socket
import struct
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

import pytest

from evenflow.kernel.conntrack import Conntrack, Direction, Entry
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import (
    NETLINK_NETFILTER,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkSocket,
    Request,
    _frame,
    attribute,
    nested,
)
from evenflow.model.flow import ICMP, TCP, UDP, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flow import Address

pytestmark = pytest.mark.kernel

CT_NEW = 1 << 8


class Table:
    """Conntrack in a namespace of its own, and a way to put entries into it."""

    def __init__(self) -> None:
        with NetworkNamespace.create() as namespace, namespace.entered():
            self.conntrack = Conntrack()
            self._netlink = NetlinkSocket(NETLINK_NETFILTER)

    def add(self, source: str, destination: str, ports: tuple[int, int], mark: int, protocol: int = UDP) -> None:
        one, other = ip_address(source), ip_address(destination)
        header = struct.pack("!BBH", socket.AF_INET if one.version == 4 else socket.AF_INET6, 0, 0)
        there, back = _tuple(1, one, other, ports, protocol), _tuple(2, other, one, ports[::-1], protocol)
        rest = attribute(7, struct.pack("!I", 600)) + attribute(8, struct.pack("!I", mark))
        if protocol == TCP:
            rest += nested(4, nested(1, attribute(1, b"\x03")))  # established
        self._netlink.request(Request(CT_NEW, header + there + back + rest, NLM_F_CREATE | NLM_F_EXCL))

    def add_many(self, count: int, network: str, mark: int) -> None:
        """UDP entries from that many sources of a /8, many in one message to the kernel."""
        first, header = int(ip_address(network)), struct.pack("!BBH", socket.AF_INET, 0, 0)
        rest = attribute(7, struct.pack("!I", 600)) + attribute(8, struct.pack("!I", mark))
        server = ip_address("198.51.100.7")
        for start in range(0, count, 500):
            frames = []
            for n in range(start, min(start + 500, count)):
                client = IPv4Address(first + n)
                there = _tuple(1, client, server, (40000, 53), UDP)
                request = Request(CT_NEW, header + there + _tuple(2, server, client, (53, 40000), UDP) + rest)
                frames.append(_frame(request, NLM_F_CREATE | NLM_F_EXCL, 1))
            self._netlink._socket.send(b"".join(frames))

    def close(self) -> None:
        self.conntrack.close()
        self._netlink.close()


def _tuple(kind: int, source: Address, destination: Address, ports: tuple[int, int], protocol: int) -> bytes:
    first = 1 if source.version == 4 else 3
    addresses = nested(1, attribute(first, source.packed), attribute(first + 1, destination.packed))
    parts = [attribute(1, bytes((protocol,)))]
    if protocol == ICMP:
        code = bytes((8 if kind == 1 else 0,))
        parts += [attribute(4, struct.pack("!H", 77)), attribute(5, code), attribute(6, b"\0")]
    else:
        parts += [attribute(number, struct.pack("!H", port)) for number, port in zip((2, 3), ports, strict=True)]
    return nested(kind, addresses, nested(2, *parts))


@pytest.fixture
def table() -> Iterator[Table]:
    with closing(Table()) as made:
        yield made


def test_entries_are_listed_as_they_are(table: Table) -> None:
    table.add("192.0.2.1", "198.51.100.7", (40000, 53), 0x10001)
    table.add("2001:db8::1", "2001:db8::2", (40000, 443), 7, TCP)
    table.add("192.0.2.1", "198.51.100.7", (0, 0), 0, ICMP)
    found = {entry.protocol: entry for entry in table.conntrack.entries()}
    assert table.conntrack.count() == len(found) == 3
    one, other = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.7")
    udp = found[UDP]
    assert udp == Entry(
        Family.IPV4, UDP, Direction(one, other, 40000, 53), Direction(other, one, 53, 40000), 0x10001, udp.status
    )
    assert (udp.answered, udp.assured, udp.source_nat, udp.destination_nat) == (False, False, False, False)
    tcp = found[TCP]
    assert (tcp.family, tcp.mark) == (Family.IPV6, 7)
    assert tcp.original == Direction(IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"), 40000, 443)
    assert found[ICMP].original == Direction(one, other, 0, 0)


def test_exactly_the_marked_ones_are_deleted(table: Table) -> None:
    mask = 0xFFFF
    marks = [0x0001, 0x0002, 0x10001, 0x10002, 0x0101, 0]
    for number, mark in enumerate(marks):
        table.add("192.0.2.1", "198.51.100.7", (40000 + number, 53), mark)
        table.add("2001:db8::1", "2001:db8::2", (40000 + number, 53), mark)
    assert sorted(entry.mark for entry in table.conntrack.entries(1, mask)) == [1, 1, 0x10001, 0x10001]
    table.conntrack.delete_marked(1, mask)
    left = sorted(entry.mark for entry in table.conntrack.entries())
    assert left == sorted([mark for mark in marks if mark & mask != 1] * 2)
    assert list(table.conntrack.entries(1, mask)) == []
    table.conntrack.delete_marked(1, mask)
    assert table.conntrack.count() == len(left)


def test_all_are_deleted(table: Table) -> None:
    table.conntrack.delete_all()
    for number in range(100):
        table.add("192.0.2.1", "198.51.100.7", (40000 + number, 53), number)
    assert table.conntrack.count() == 100
    table.conntrack.delete_all()
    assert table.conntrack.count() == 0


@pytest.mark.parametrize(("mark", "mask"), [(0, 0), (1, 0), (0x10001, 0xFFFF)])
def test_a_mark_that_would_delete_all_or_nothing_is_a_mistake(table: Table, mark: int, mask: int) -> None:
    table.add("192.0.2.1", "198.51.100.7", (40000, 53), 1)
    with pytest.raises(ValueError, match="mark"):
        table.conntrack.delete_marked(mark, mask)
    assert table.conntrack.count() == 1


def test_a_hundred_thousand_of_one_mark_go_and_all_others_stay(table: Table) -> None:
    table.add_many(100_000, "10.0.0.0", 0x10001)
    table.add_many(20_000, "11.0.0.0", 0x10002)
    assert table.conntrack.count() == 120_000
    table.conntrack.delete_marked(1, 0xFFFF)
    assert next(table.conntrack.entries(1, 0xFFFF), None) is None
    assert table.conntrack.count() == 20_000
    assert all(entry.mark == 0x10002 for entry in table.conntrack.entries())


def test_one_entry_is_found_by_its_ends_in_either_direction(table: Table) -> None:
    table.add("192.0.2.1", "198.51.100.7", (40000, 53), 5)
    table.add("192.0.2.1", "198.51.100.7", (40000, 53), 6, TCP)
    table.add("2001:db8::1", "2001:db8::2", (40000, 443), 7, TCP)
    one, other = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.7")
    there, back = Direction(one, other, 40000, 53), Direction(other, one, 53, 40000)
    for ends in (there, back):
        udp, tcp = table.conntrack.find(UDP, ends), table.conntrack.find(TCP, ends)
        assert udp is not None
        assert tcp is not None
        assert (udp.mark, udp.original, tcp.mark, tcp.original) == (5, there, 6, there)
    six = Direction(IPv6Address("2001:db8::2"), IPv6Address("2001:db8::1"), 443, 40000)
    found = table.conntrack.find(TCP, six)
    assert found is not None
    assert (found.mark, found.reply) == (7, six)
    assert table.conntrack.find(UDP, six) is None
    assert table.conntrack.find(UDP, there._replace(source_port=40001)) is None
