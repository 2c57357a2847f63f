"""Packets of the same classes share their fate, whatever the router."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.classes import partition
from evenflow.core.pcc import classify, moduli
from evenflow.core.trace import Tracer
from evenflow.model.flow import ConnectionState, Family

if TYPE_CHECKING:
    from evenflow.core.classes import PacketClasses, Partition
    from evenflow.model.flow import Address, Packet
    from evenflow.model.trace import Trace


def class_of(number: int, cut: Partition) -> int:
    return cut.classes[bisect_right(cut.starts, number) - 1]


def another(number: int, cut: Partition, random: Random) -> int:
    """A number of the same class: at an end of one of its spans, or anywhere in it."""
    first, last = random.choice(list(cut.spans(class_of(number, cut))))
    return random.choice((first, last, random.randint(first, last)))


def address(number: int, family: Family) -> Address:
    return IPv4Address(number) if family is Family.IPV4 else IPv6Address(number)


def relative(packet: Packet, classes: PacketClasses, random: Random) -> Packet:
    return replace(
        packet,
        source=address(another(int(packet.source), classes.source, random), packet.family),
        destination=address(another(int(packet.destination), classes.destination, random), packet.family),
        protocol=another(packet.protocol, classes.protocol, random),
        source_port=another(packet.source_port, classes.source_port, random),
        destination_port=another(packet.destination_port, classes.destination_port, random),
    )


def fate(trace: Trace) -> tuple[object, ...]:
    marks = (trace.connection_mark, trace.routing_mark, trace.packet_mark)
    return (trace.disposition, *marks, trace.table, trace.out_interface, trace.gateway)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_packets_of_the_same_classes_share_their_fate(number: int, seed: int) -> None:
    random = Random(number)
    draw = Draw(random)
    router = draw.router()
    tracer = Tracer(router, MACHINE, seed)
    for connection in range(8):
        packet = draw.packet(connection)
        if packet.known or packet.later_fragment:
            continue
        packet = replace(packet, state=ConnectionState.NEW)
        classes = tracer.classes(packet.family)
        values = {one: classify(packet, one, modulus, seed) for one, modulus in moduli(router).items()}
        alike = {
            one: random.choice([v for v, number in enumerate(of_each) if number == of_each[values[one]]])
            for one, of_each in classes.buckets.items()
        }
        expected = tracer.outcome(packet, values)
        assert fate(tracer.outcome(relative(packet, classes, random), alike)) == fate(expected)
        if not router.nat:
            assert fate(tracer.trace(packet)) == fate(expected)


@given(st.lists(st.sets(st.integers(0, 255)), max_size=6), st.integers(0, 255), st.integers(0, 255))
def test_numbers_are_of_one_class_when_they_are_in_the_same_sets(sets: list[set[int]], one: int, other: int) -> None:
    cut = partition([[(number, number) for number in members] for members in sets], 8)
    same = [one in members for members in sets] == [other in members for members in sets]
    assert (class_of(one, cut) == class_of(other, cut)) is same
