"""One router, its packets, and what was said of each; then what the kernel did with them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from differential.bench import FAR_MAC, Bench, Seen
from differential.frames import Turn
from evenflow.core.draws import Draws, counting, ends_by_chance
from evenflow.core.following import is_kept, next_packet, reply_to
from evenflow.core.numbering import Numbers, number_router
from evenflow.core.trace import Tracer
from evenflow.model.dataplane import PACKET_MARK_SHIFT
from evenflow.model.flow import ICMP, ICMPV6, TCP, UDP, ConnectionState, Family, Packet
from evenflow.model.matcher import MarkKind, RandomMatch
from evenflow.model.trace import Disposition, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: How long the kernel may take to have dealt with what was sent, far beyond what it needs.
DEADLINE_S = 10.0

#: Where the kernel chooses among two or three next hops, these are all that it can have chosen.
CHOICES = range(6)

#: One answer in so many, of those that can, comes in by another uplink than its connection left by.
ASTRAY = 7

#: Whose turn it is, as `Compared` says it: besides those of the connection's two ends, a router on the way.
ERROR = "error"
TURNS = (ERROR, *(turn.name.lower() for turn in Turn))

#: Routers on the way that tell of errors.
ON_THE_WAY = {4: "203.0.113.99", 6: "2001:db8:eeee::99"}


@dataclass
class Connection:
    """A connection as the test follows it: its first packet, what was said of it, its number.

    The trace has the connection's mark as it is by now.
    """

    packet: Packet
    trace: Trace
    number: int
    followed: bool = True

    def after(self, later: Trace, *, lost: bool = True) -> Connection:
        """The same after a later packet; `lost`: with one that is dropped the connection may be gone, too."""
        trace = replace(self.trace, connection_mark=later.connection_mark)
        gone = lost and later.disposition is Disposition.DROPPED
        return replace(self, trace=trace, followed=is_certain(later) and not gone)


@dataclass(frozen=True)
class Compared:
    """What a packet was: whose turn it was, its family, how its way ended, whether with another source."""

    turn: str
    family: Family
    disposition: Disposition
    translated: bool


@dataclass(frozen=True)
class Said:
    """An end that a packet can have: what would be seen of it (None: nothing at all), and the disposition."""

    seen: Seen | None
    disposition: Disposition

    def agrees(self, seen: Seen | None) -> bool:
        """Whether what was seen is that. A packet dropped behind its last observer shows no last marks."""
        if self.disposition is Disposition.DROPPED:
            return seen is None or (seen.out_interface is None and not seen.delivered)
        return seen == self.seen


def numbers_of(trace: Trace, numbers: Numbers) -> tuple[int, int]:
    """A trace's marks as skb mark and ct mark."""
    mark = numbers.mark(MarkKind.ROUTING, trace.routing_mark)
    mark |= numbers.mark(MarkKind.PACKET, trace.packet_mark) << PACKET_MARK_SHIFT
    return mark, numbers.mark(MarkKind.CONNECTION, trace.connection_mark)


def expected(packet: Packet, trace: Trace, numbers: Numbers) -> Seen | None:
    """What is to be seen of a packet; None: nothing, since the kernel has no way to begin with."""
    marks = numbers_of(trace, numbers)
    source, destination = trace.snat or packet.source, trace.dnat or packet.destination
    port = trace.dnat_port or packet.destination_port
    if trace.disposition is Disposition.DELIVERED:
        return Seen(*marks, source, destination, port)
    if trace.out_interface is not None:
        return Seen(*marks, source, destination, port, trace.out_interface, trace.gateway or destination)
    return Seen(*marks) if packet.in_interface is not None else None


def wait_for(bench: Bench, number: int) -> dict[int, Seen]:
    """What was seen, once packet `number` was; a packet in gets there after all that were sent before it."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        seen = bench.seen()
        if number in seen:
            return seen
        assert time.monotonic() < deadline, f"packet {number} was not seen within {DEADLINE_S} s"


def is_certain(trace: Trace) -> bool:
    """Whether the kernel has no choice and no chance: only then it is known how the connection goes on."""
    return trace.ways == 1 and not any(isinstance(one.matcher, RandomMatch) for one in trace.drawn)


def _is_redirected(trace: Trace) -> bool:
    return (trace.dnat or trace.dnat_port) is not None


@dataclass(frozen=True)
class Answer:
    """What was said of a packet: its way, and all ends that it can have where the kernel has a choice or chance."""

    packet: Packet
    traces: tuple[Trace, ...]
    ends: tuple[Said, ...]

    @property
    def trace(self) -> Trace:
        """The first of them."""
        return self.traces[0]


class Play:
    """One router and its packets.

    Attributes:
        compared: how many packets there were of each turn, family and end.
    """

    def __init__(
        self, bench: Bench, router: Router, machine: Machine, seed: int, sysctls: Mapping[str, str] | None = None
    ) -> None:
        self.bench = bench
        self.tracer = Tracer(router, machine, seed, sysctls)
        self.numbers = number_router(router)
        self.said: dict[int, Answer] = {}
        self.compared: Counter[Compared] = Counter()
        self._sentinels = 0
        self._draws = Draws()
        self._counts = any(counting(rule) for rule in router.mangle)
        self._answers: set[tuple[object, ...]] = set()

    def send(
        self, packet: Packet, connection: int | None = None, turn: Turn = Turn.OPENING, *, fragmented: bool = False
    ) -> Connection:
        number = self.bench.send(packet, connection, turn, fragmented=fragmented)
        if self._counts and packet.in_interface is not None:
            wait_for(self.bench, number)  # what is counted first must have come first
        return Connection(packet, self.note(packet, number, turn.name.lower()), number)

    def note(self, packet: Packet, number: int, turn: str) -> Trace:
        """Say what becomes of a packet, the counters being where they are by now."""
        parts = list(ends_by_chance(partial(self.tracer.trace, packet, 0), self._draws))
        trace = parts[0].end
        choices = CHOICES if any(part.end.ways > 1 for part in parts) else range(1)
        traces = [self.tracer.trace(packet, choice, part.draws) for part in parts for choice in choices]
        self._draws = self._draws.after(trace.drawn)
        ends = tuple(dict.fromkeys(Said(expected(packet, t, self.numbers), t.disposition) for t in traces))
        assert number not in self.said
        self.said[number] = Answer(packet, tuple(traces), ends)
        self.compared[Compared(turn, packet.family, trace.disposition, trace.snat is not None)] += 1
        return trace

    def first_and_second(self, packet: Packet, *, fragmented: bool = False) -> Connection:
        """A connection's first packet and, where it is kept, the same once more."""
        first = self.send(packet, fragmented=fragmented)
        trace = first.trace
        if not is_certain(trace):
            first.followed = False
            for each in filter(is_kept, self.said[first.number].traces):
                self._is_told_apart(reply_to(packet, each))
            return first
        first.followed = (
            is_kept(trace)
            and packet.state is not ConnectionState.INVALID
            and self._is_told_apart(reply_to(packet, trace))
        )
        if not first.followed:
            return first
        second = self.send(replace(next_packet(packet, trace), state=packet.state), first.number)
        return first.after(second.trace)

    def _is_told_apart(self, answer: Packet) -> bool:
        """Whether no other connection has the same answers: of two that NAT makes alike the kernel drops the second."""
        ends = (answer.source, answer.destination, answer.protocol, answer.source_port, answer.destination_port)
        if answer.protocol in (ICMP, ICMPV6):
            return True  # their identifiers differ
        is_first = ends not in self._answers
        self._answers.add(ends)
        return is_first

    def error(self, connection: Connection) -> Connection:
        """What a router on the way tells of a connection's packet that has left; the connection after it."""
        packet, trace = connection.packet, connection.trace
        gone = trace.disposition in (Disposition.FORWARDED, Disposition.SENT)
        if packet.protocol not in (TCP, UDP) or not (self._can_answer(connection) and gone) or _is_redirected(trace):
            return connection
        version = packet.source.version
        left = replace(packet, source=trace.snat or packet.source)
        told = Packet(
            ip_address(ON_THE_WAY[version]),
            left.source,
            ICMP if version == 4 else ICMPV6,
            in_interface=trace.out_interface,
            state=ConnectionState.RELATED,
            connection_mark=trace.connection_mark,
            source_mac=FAR_MAC,
            known=True,
            translated_destination=packet.source if trace.snat else None,
        )
        return connection.after(self.note(told, self.bench.send(told, about=left), ERROR), lost=False)

    def reply(self, connection: Connection) -> Connection:
        """What comes back for a connection, from outside or by the router itself; the connection after it."""
        packet, trace = connection.packet, connection.trace
        answer = reply_to(packet, trace)
        is_ours = answer.in_interface is not None or self.bench.owns(answer.source)
        if not (self._can_answer(connection) and is_ours):
            return replace(connection, followed=False)
        if answer.in_interface is not None:
            answer = replace(answer, in_interface=self._way_back(connection), source_mac=FAR_MAC)
        replied = self.send(answer, connection.number, Turn.ANSWERING).trace
        return replace(connection.after(replied), followed=is_kept(replied) and is_certain(replied))

    def follow(self, connection: Connection) -> None:
        """A connection goes on, now that it is answered."""
        if connection.followed:
            self.send(next_packet(connection.packet, connection.trace), connection.number, Turn.FOLLOWING)

    def _can_answer(self, connection: Connection) -> bool:
        return connection.followed and connection.trace.out_interface not in self.bench.plan.no_carrier

    def _way_back(self, connection: Connection) -> str:
        """Where the answer comes in: where the packet went, but at times by another uplink."""
        out = connection.trace.out_interface
        assert out is not None
        plan = self.bench.plan
        others = [name for name in plan.uplinks if name not in (out, *plan.no_carrier)]
        if out not in plan.uplinks or connection.number % ASTRAY:
            return out
        return others[connection.number // ASTRAY % len(others)]

    def met_chance(self) -> int:
        """How many packets met a condition that is left to a counter or to chance."""
        return sum(bool(said.trace.drawn) for said in self.said.values())

    def mismatches(self) -> list[str]:
        """What the kernel did otherwise than said."""
        seen = wait_for(self.bench, self._sentinel())
        found = []
        for number, said in self.said.items():
            if not any(end.agrees(seen.get(number)) for end in said.ends):
                steps = "\n    ".join(f"{s.stage}: {s.what} {s.matched} {s.detail}" for s in said.trace.steps)
                wanted = " or ".join(f"{end.disposition.value} {end.seen}" for end in said.ends)
                found.append(f"{said.packet}\n  said {wanted}\n  seen {seen.get(number)}\n    {steps}")
        return found

    def _sentinel(self) -> int:
        """Send a packet that comes in last, of a connection of its own: it is counted as all others are."""
        self._sentinels += 1
        last = replace(SENTINEL, in_interface=next(iter(self.bench.plan.interfaces)), source_port=self._sentinels)
        self._draws = self._draws.after(self.tracer.trace(last, 0, self._draws).drawn)
        return self.bench.send(last)


#: Comes in by the first interface, and is seen on arrival whatever the rules say.
SENTINEL = Packet(ip_address("10.1.3.250"), ip_address("198.51.100.250"), UDP, 9, 9, source_mac=FAR_MAC)
