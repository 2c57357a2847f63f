"""One router, its packets, and what was said of each; then what the kernel did with them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from differential.bench import FAR_MAC, Bench, Seen
from evenflow.core.numbering import Numbers, number_router
from evenflow.core.trace import Tracer
from evenflow.model.dataplane import PACKET_MARK_SHIFT
from evenflow.model.flow import ICMP, ICMPV6, TCP, UDP, UDPLITE, ConnectionState, Packet
from evenflow.model.matcher import MarkKind
from evenflow.model.router import DestinationNat, Masquerade, NatRule, Redirect
from evenflow.model.trace import Disposition, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: How long the kernel may take to have dealt with what was sent, far beyond what it needs.
DEADLINE_S = 10.0

#: Where the kernel chooses among two or three next hops, these are all that it can have chosen.
CHOICES = range(6)

#: Routers on the way that tell of errors.
ON_THE_WAY = {4: "203.0.113.99", 6: "2001:db8:eeee::99"}


@dataclass
class Connection:
    """A connection as the test follows it: its first packet, what was said of it, its number."""

    packet: Packet
    trace: Trace
    number: int
    followed: bool = True


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
    mark, connection_mark = numbers_of(trace, numbers)
    if trace.disposition is Disposition.DELIVERED:
        return Seen(mark, connection_mark, delivered=True)
    if trace.out_interface is not None:
        next_hop = trace.gateway or trace.dnat or packet.destination
        return Seen(mark, connection_mark, trace.out_interface, trace.snat or packet.source, next_hop)
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


def _translated_by(trace: Trace, chain: str) -> object:
    """The action of the NAT rule that a packet met, None if it met none."""
    rules = (step.rule for step in trace.steps if step.matched)
    return next((rule.action for rule in rules if isinstance(rule, NatRule) and rule.chain == chain), None)


class Play:
    """One router and its packets."""

    def __init__(
        self, bench: Bench, router: Router, machine: Machine, seed: int, sysctls: Mapping[str, str] | None = None
    ) -> None:
        self.bench, self.router = bench, router
        self.tracer = Tracer(router, machine, seed, sysctls)
        self.numbers = number_router(router)
        self.said: dict[int, tuple[Packet, tuple[Said, ...]]] = {}
        # The tracer knows addresses that NAT has changed, no ports: connections whose ports change are not followed.
        actions = [rule.action for rule in router.nat]
        self.changes_ports = any(isinstance(a, DestinationNat | Redirect) and a.to_ports for a in actions)

    def send(self, packet: Packet, connection: int | None = None, *, fragmented: bool = False) -> Connection:
        number = self.bench.send(packet, connection, fragmented=fragmented)
        return Connection(packet, self.note(packet, number), number)

    def note(self, packet: Packet, number: int) -> Trace:
        """Say what becomes of a packet."""
        trace = self.tracer.trace(packet)
        traces = [self.tracer.trace(packet, choice) for choice in CHOICES] if trace.ways > 1 else [trace]
        ends = tuple(dict.fromkeys(Said(expected(packet, t, self.numbers), t.disposition) for t in traces))
        self.said[number] = (packet, ends)
        return trace

    def first_and_second(self, packet: Packet, *, fragmented: bool = False) -> Connection:
        """A connection's first packet and, where it is kept and nobody here answers it, the same once more."""
        first = self.send(packet, fragmented=fragmented)
        trace = first.trace
        first.followed = (
            confirmed(trace)
            and trace.ways == 1
            and packet.state is not ConnectionState.INVALID
            and not (self.changes_ports and _translated_by(trace, "dstnat") is not None)
        )
        if not first.followed or trace.disposition is Disposition.DELIVERED:
            return first
        masqueraded = isinstance(_translated_by(trace, "srcnat"), Masquerade)
        again = replace(
            packet,
            connection_mark=trace.connection_mark,
            known=True,
            translated_source=trace.snat,
            translated_destination=trace.dnat,
            masqueraded_by=trace.out_interface if masqueraded else None,
        )
        second = self.send(again, first.number)
        followed = second.trace.disposition is not Disposition.DROPPED and second.trace.ways == 1
        return Connection(packet, replace(trace, connection_mark=second.trace.connection_mark), first.number, followed)

    def reply(self, connection: Connection) -> None:
        """What comes back for a connection: from outside, or by the router itself."""
        packet, trace = connection.packet, connection.trace
        if packet.protocol not in (TCP, UDP, UDPLITE) or not self._can_answer(connection):
            return
        own = trace.disposition is Disposition.DELIVERED
        answers = packet.protocol == UDP and not packet.destination.is_multicast
        if own and not (answers and self.bench.owns(trace.dnat or packet.destination)):
            return  # it answers by itself, or nobody is there to
        answer = Packet(
            trace.dnat or packet.destination,
            trace.snat or packet.source,
            packet.protocol,
            packet.destination_port,
            packet.source_port,
            None if own else trace.out_interface,
            ConnectionState.ESTABLISHED,
            trace.connection_mark,
            source_mac=None if own else FAR_MAC,
            known=True,
            translated_source=packet.destination if trace.dnat else None,
            translated_destination=packet.source if trace.snat else None,
        )
        self.note(answer, self.bench.send(answer, connection.number, reply=True))

    def _can_answer(self, connection: Connection) -> bool:
        return connection.followed and connection.trace.out_interface not in self.bench.plan.no_carrier

    def error(self, connection: Connection) -> Connection:
        """What a router on the way tells of a connection's packet that has left; the connection after it."""
        packet, trace = connection.packet, connection.trace
        gone = trace.disposition in (Disposition.FORWARDED, Disposition.SENT)
        followed = self._can_answer(connection) and gone and trace.dnat is None
        if packet.protocol not in (TCP, UDP) or not followed:
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
        after = self.note(told, self.bench.send(told, about=left))
        trace = replace(trace, connection_mark=after.connection_mark)
        return Connection(packet, trace, connection.number, followed=after.ways == 1)

    def mismatches(self) -> list[str]:
        """What the kernel did otherwise than said."""
        sentinel = self.bench.send(SENTINEL)
        seen = wait_for(self.bench, sentinel)
        found = []
        for number, (packet, ends) in self.said.items():
            if not any(end.agrees(seen.get(number)) for end in ends):
                steps = "\n    ".join(
                    f"{s.stage}: {s.what} {s.matched} {s.detail}" for s in self.tracer.trace(packet).steps
                )
                wanted = " or ".join(f"{end.disposition.value} {end.seen}" for end in ends)
                found.append(f"{packet}\n  said {wanted}\n  seen {seen.get(number)}\n    {steps}")
        return found


#: Comes in last, and is seen on arrival whatever the rules say.
SENTINEL = Packet(ip_address("10.1.3.250"), ip_address("198.51.100.250"), UDP, 9, 9, "lan0", source_mac=FAR_MAC)
