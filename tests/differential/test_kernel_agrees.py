"""The heart of the suite: what the kernel does with a packet is what the interpreter said, mark for mark."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from differential.bench import FAR_MAC, Bench, Seen
from differential.routers import Draw
from evenflow.core.numbering import Numbers, number_router
from evenflow.core.trace import Tracer
from evenflow.kernel.reconcile import carry_out, look_ahead, look_at_down
from evenflow.model.dataplane import PACKET_MARK_SHIFT, Dataplane
from evenflow.model.flow import TCP, UDP, ConnectionState, Packet
from evenflow.model.matcher import MarkKind
from evenflow.model.trace import Disposition, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

ROUTERS = 220

#: Where the long test begins, so that it plays other routers.
START = 10_000
CONNECTIONS = 30

#: How long the kernel may take to have dealt with what was sent, far beyond what it needs.
DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@dataclass
class Connection:
    """A connection as the test follows it: its first packet, what was said of it, its number."""

    packet: Packet
    trace: Trace
    number: int
    lost: bool = False


def numbers_of(trace: Trace, numbers: Numbers) -> tuple[int, int]:
    """A trace's marks as skb mark and ct mark."""
    mark = numbers.mark(MarkKind.ROUTING, trace.routing_mark)
    mark |= numbers.mark(MarkKind.PACKET, trace.packet_mark) << PACKET_MARK_SHIFT
    return mark, numbers.mark(MarkKind.CONNECTION, trace.connection_mark)


def expected(packet: Packet, trace: Trace, numbers: Numbers) -> Seen | None:
    """What is to be seen of a packet; None: nothing, since the kernel has no way to begin with."""
    mark, connection_mark = numbers_of(trace, numbers)
    if trace.disposition is Disposition.DELIVERED:
        return Seen(mark, connection_mark, delivered=True)
    if trace.out_interface is not None:
        return Seen(mark, connection_mark, trace.out_interface, trace.snat or packet.source)
    return Seen(mark, connection_mark) if packet.in_interface is not None else None


def wait_for(bench: Bench, number: int) -> dict[int, Seen]:
    """What was seen, once packet `number` was; a packet in gets there after all that were sent before it."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        seen = bench.seen()
        if number in seen:
            return seen
        assert time.monotonic() < deadline, f"packet {number} was not seen within {DEADLINE_S} s"


def confirmed(trace: Trace) -> bool:
    """Whether connection tracking keeps a connection: its first packet got through."""
    return trace.disposition in (Disposition.FORWARDED, Disposition.SENT, Disposition.DELIVERED)


def agrees(wanted: Seen | None, seen: Seen | None, said: Disposition) -> bool:
    """Whether what was seen is what was said. A packet dropped behind its last observer shows no last marks."""
    if said is Disposition.DROPPED:
        return seen is None or (seen.out_interface is None and not seen.delivered)
    return seen == wanted


class Play:
    """One router and its packets."""

    def __init__(self, bench: Bench, router: Router, machine: Machine, seed: int) -> None:
        self.bench, self.router = bench, router
        self.tracer = Tracer(router, machine, seed)
        self.numbers = number_router(router)
        self.wanted: dict[int, tuple[Packet, Seen | None]] = {}
        self.said: dict[int, Disposition] = {}

    def send(self, packet: Packet, connection: int | None = None, *, reply: bool = False) -> Connection:
        trace = self.tracer.trace(packet)
        number = self.bench.send(packet, connection, reply=reply)
        self.said[number] = trace.disposition
        self.wanted[number] = (packet, expected(packet, trace, self.numbers))
        return Connection(packet, trace, number)

    def first_and_second(self, packet: Packet) -> Connection:
        """A connection's first packet and, where it is kept and nobody here answers it, the same once more."""
        first = self.send(packet)
        trace = first.trace
        if not confirmed(trace) or trace.disposition is Disposition.DELIVERED:
            return first
        masqueraded_by = trace.out_interface if trace.snat else None
        again = replace(
            packet,
            connection_mark=trace.connection_mark,
            known=True,
            translated_source=trace.snat,
            masqueraded_by=masqueraded_by,
        )
        second = self.send(again, first.number)
        mark, lost = second.trace.connection_mark, second.trace.disposition is Disposition.DROPPED
        return Connection(packet, replace(trace, connection_mark=mark), first.number, lost)

    def reply(self, connection: Connection) -> None:
        """What comes back for a connection: from outside, or by the router itself."""
        packet, trace = connection.packet, connection.trace
        if packet.protocol not in (TCP, UDP) or not confirmed(trace) or connection.lost:
            return
        own = trace.disposition is Disposition.DELIVERED
        if own and packet.protocol == TCP:
            return  # the router refuses it with a reset of its own
        answer = Packet(
            packet.destination,
            trace.snat or packet.source,
            packet.protocol,
            packet.destination_port,
            packet.source_port,
            None if own else trace.out_interface,
            ConnectionState.ESTABLISHED,
            trace.connection_mark,
            source_mac=None if own else FAR_MAC,
            known=True,
            translated_destination=packet.source if trace.snat else None,
        )
        self.send(answer, connection.number, reply=True)

    def mismatches(self) -> list[str]:
        sentinel = self.bench.send(self.router_probe())
        seen = wait_for(self.bench, sentinel)
        found = []
        for number, (packet, wanted) in self.wanted.items():
            if not agrees(wanted, seen.get(number), self.said[number]):
                steps = "\n    ".join(
                    f"{s.stage}: {s.what} {s.matched} {s.detail}" for s in self.tracer.trace(packet).steps
                )
                found.append(f"{packet}\n  said {wanted}\n  seen {seen.get(number)}\n    {steps}")
        return found

    def router_probe(self) -> Packet:
        """Anything that comes in: it is seen on arrival whatever the rules say."""
        return Draw(Random(0)).packet(0) if (p := Draw(Random(0)).packet(0)).in_interface else p


def play(bench: Bench, router: Router, draw: Draw, seed: int, connections: int) -> tuple[int, list[str]]:
    """Packets sent, and what the kernel did otherwise than said."""
    with bench.inside() as kernel:
        machine = kernel.read_machine()
        carry_out(kernel, look_ahead(kernel, router, machine, seed))
    bench.forget()
    game = Play(bench, router, machine, seed)
    opened = [game.first_and_second(draw.packet(number)) for number in range(connections)]
    found = game.mismatches()
    for connection in opened:
        game.reply(connection)
    return len(game.wanted), found or game.mismatches()


def compare(bench: Bench, numbers: range) -> int:
    """Play the routers of these numbers; how many packets were compared."""
    sent = 0
    for number in numbers:
        draw = Draw(Random(number))
        router = draw.router()
        packets, mismatches = play(bench, router, draw, seed=draw.random.getrandbits(32), connections=CONNECTIONS)
        sent += packets
        rules = "\n".join(map(str, router.mangle))
        assert not mismatches, f"router {number}:\n{rules}\n\n" + "\n".join(mismatches[:3])
    return sent


@pytest.mark.kernel
def test_the_kernel_does_what_the_interpreter_says(bench: Bench) -> None:
    assert compare(bench, range(ROUTERS)) >= 10_000


@pytest.mark.kernel
@pytest.mark.soak
def test_the_kernel_does_what_the_interpreter_says_for_long(bench: Bench) -> None:
    assert compare(bench, range(START, START + 4000)) >= 150_000


@pytest.mark.kernel
def test_nothing_is_left_after_any_sequence_of_configurations(bench: Bench) -> None:
    with bench.inside() as kernel:
        before = kernel.read_machine()
        compare(bench, range(5))
        carry_out(kernel, look_at_down(kernel))
        assert kernel.read_dataplane() == Dataplane()
        assert kernel.read_machine() == before
