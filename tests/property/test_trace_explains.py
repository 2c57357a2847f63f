"""The steps of a trace and its outcome tell the same story, for any router and packet."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from differential.bench import FIVE
from differential.chance import drawn_by_chance, drawn_by_counters
from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.pcc import classify, moduli
from evenflow.core.trace import Tracer
from evenflow.formats.drawing import broken, plain
from evenflow.formats.trace import Told, to_json
from evenflow.formats.trace_picture import picture
from evenflow.model.flow import ConnectionState, Packet
from evenflow.model.matcher import MarkKind
from evenflow.model.router import MarkAction, Router, SpreadAction
from schema import faults

if TYPE_CHECKING:
    from evenflow.model.trace import Trace


def traced(number: int, seed: int) -> list[tuple[Router, Packet, Trace]]:
    draw = Draw(Random(number))
    left_to_chance = {1: drawn_by_counters, 2: drawn_by_chance}.get(number % 4)
    router = left_to_chance(number, FIVE).router if left_to_chance is not None else draw.router()
    tracer = Tracer(router, MACHINE, seed)
    packets = [draw.packet(connection) for connection in range(12)]
    return [(router, packet, tracer.trace(packet)) for packet in packets]


def letters(text: str) -> str:
    return "".join(text.replace("│", "").split())


numbers = st.integers(0, 1 << 32)
seeds = st.integers(0, (1 << 32) - 1)


@settings(max_examples=60, deadline=None)
@given(numbers, seeds)
def test_the_changes_of_marks_lead_from_the_first_to_the_last(number: int, seed: int) -> None:
    for _, packet, trace in traced(number, seed):
        marks = {
            MarkKind.CONNECTION: packet.connection_mark,
            MarkKind.ROUTING: packet.routing_mark,
            MarkKind.PACKET: packet.packet_mark,
        }
        for step in trace.steps:
            if step.change is not None:
                assert step.matched
                assert step.change.before == marks[step.change.kind]
                marks[step.change.kind] = step.change.after
        assert tuple(marks.values()) == (trace.connection_mark, trace.routing_mark, trace.packet_mark)


@settings(max_examples=60, deadline=None)
@given(numbers, seeds)
def test_a_rule_matches_or_says_which_condition_failed(number: int, seed: int) -> None:
    for router, packet, trace in traced(number, seed):
        for step in trace.steps:
            if step.rule is None:
                continue
            assert (step.failed is None) == step.matched
            assert step.failed is None or (step.failed in step.rule.matchers and step.found)
            if step.matched and isinstance(step.rule.action, MarkAction | SpreadAction):
                without_owner = step.hashed is not None and step.hashed.owners and step.change is None
                assert without_owner or step.change is not None or packet.state in (
                    ConnectionState.INVALID, ConnectionState.UNTRACKED
                )  # fmt: skip
            # What NAT has changed is hashed as it is then; what mangle saw first is what came in. (The router's own
            # packets to itself come in after source NAT.)
            untouched = trace.dnat is None and packet.in_interface is not None
            if step.hashed is not None and step.stage == "prerouting" and untouched:
                hashed = step.hashed
                modulus = moduli(router)[hashed.classifier]
                assert hashed.scaled == classify(packet, hashed.classifier, modulus, seed)
                assert (hashed.modulus, hashed.stream) == (modulus, hashed.scaled % hashed.denominator)


@settings(max_examples=60, deadline=None)
@given(numbers, seeds)
def test_the_route_that_was_taken_is_the_last_that_was_looked_at(number: int, seed: int) -> None:
    for _, _, trace in traced(number, seed):
        deciding = [step for step in trace.steps if step.stage == "routing" and any(r.taken for r in step.routes)]
        if trace.out_interface is not None:
            assert deciding
            taken = deciding[-1].routes[-1]
            assert taken.taken
            assert str(trace.gateway or trace.out_interface) in taken.what
        for step in deciding:
            assert [look.taken for look in step.routes] == [False] * (len(step.routes) - 1) + [True]
            assert all(look.why for look in step.routes[:-1])


@settings(max_examples=40, deadline=None)
@given(numbers, seeds, st.integers(80, 200))
def test_every_trace_can_be_drawn_and_written(number: int, seed: int, width: int) -> None:
    for router, packet, trace in traced(number, seed):
        told = Told(router, packet, trace, None, seed)
        assert faults(to_json(told)) == []
        every = list(picture(told, every=True))
        rules = sum(step.rule is not None and not step.matched for step in trace.steps)
        assert len(every) >= rules
        for line in (*every, *picture(told)):
            rows = [plain(row) for row in broken(line, width)]
            assert all("\n" not in row for row in rows)
            # One log prefix that is drawn is a word of 100 letters.
            assert all(len(row) <= width or "x" * 90 in row for row in rows)
            assert letters(plain(line.parts)) in letters("".join(rows))
