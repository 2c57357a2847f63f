"""The connection tracking table of the real kernel: listing, counting, deleting by mark."""

from __future__ import annotations

from contextlib import closing
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import pytest

from evenflow.kernel.conntrack import Conntrack, Direction, Entry
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.lab.entries import EntryMaker
from evenflow.model.flow import ICMP, TCP, UDP, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel


class Table:
    """Conntrack in a namespace of its own, and a way to put entries into it."""

    def __init__(self) -> None:
        with NetworkNamespace.create() as namespace, namespace.entered():
            self.conntrack = Conntrack()
            self.maker = EntryMaker()

    def close(self) -> None:
        self.conntrack.close()
        self.maker.close()


@pytest.fixture
def table() -> Iterator[Table]:
    with closing(Table()) as made:
        yield made


def test_entries_are_listed_as_they_are(table: Table) -> None:
    table.maker.add("192.0.2.1", "198.51.100.7", (40000, 53), 0x10001)
    table.maker.add("2001:db8::1", "2001:db8::2", (40000, 443), 7, TCP)
    table.maker.add("192.0.2.1", "198.51.100.7", (0, 0), 0, ICMP)
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
        table.maker.add("192.0.2.1", "198.51.100.7", (40000 + number, 53), mark)
        table.maker.add("2001:db8::1", "2001:db8::2", (40000 + number, 53), mark)
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
        table.maker.add("192.0.2.1", "198.51.100.7", (40000 + number, 53), number)
    assert table.conntrack.count() == 100
    table.conntrack.delete_all()
    assert table.conntrack.count() == 0


@pytest.mark.parametrize(("mark", "mask"), [(0, 0), (1, 0), (0x10001, 0xFFFF)])
def test_a_mark_that_would_delete_all_or_nothing_is_a_mistake(table: Table, mark: int, mask: int) -> None:
    table.maker.add("192.0.2.1", "198.51.100.7", (40000, 53), 1)
    with pytest.raises(ValueError, match="mark"):
        table.conntrack.delete_marked(mark, mask)
    assert table.conntrack.count() == 1


def test_a_hundred_thousand_of_one_mark_go_and_all_others_stay(table: Table) -> None:
    table.maker.add_many(100_000, "10.0.0.0", 0x10001)
    table.maker.add_many(20_000, "11.0.0.0", 0x10002)
    assert table.conntrack.count() == 120_000
    table.conntrack.delete_marked(1, 0xFFFF)
    assert next(table.conntrack.entries(1, 0xFFFF), None) is None
    assert table.conntrack.count() == 20_000
    assert all(entry.mark == 0x10002 for entry in table.conntrack.entries())


def test_one_entry_is_found_by_its_ends_in_either_direction(table: Table) -> None:
    table.maker.add("192.0.2.1", "198.51.100.7", (40000, 53), 5)
    table.maker.add("192.0.2.1", "198.51.100.7", (40000, 53), 6, TCP)
    table.maker.add("2001:db8::1", "2001:db8::2", (40000, 443), 7, TCP)
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
