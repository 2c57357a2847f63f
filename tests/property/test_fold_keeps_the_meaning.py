"""Folding, unfolding and compiling never change what happens to a packet."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from differential.bench import FIVE
from differential.chance import drawn_by_counters
from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.draws import Draws
from evenflow.core.fold import fold, unfold
from evenflow.core.trace import Tracer
from evenflow.model.matcher import Classifier, MarkKind, PccMatch
from evenflow.model.router import MangleRule, MarkAction, Router, SpreadAction

if TYPE_CHECKING:
    from evenflow.model.trace import Trace


def outcome(trace: Trace) -> tuple[object, ...]:
    return (
        trace.disposition,
        trace.connection_mark,
        trace.routing_mark,
        trace.packet_mark,
        trace.table,
        trace.out_interface,
        trace.snat,
    )


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_folding_changes_nothing_for_any_packet(number: int, seed: int) -> None:
    draw = Draw(Random(number))
    router = draw.router()
    tracers = [Tracer(each, MACHINE, seed) for each in (router, fold(router), unfold(router), fold(unfold(router)))]
    for connection in range(12):
        packet = draw.packet(connection)
        assert len({outcome(tracer.trace(packet)) for tracer in tracers}) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_folding_changes_nothing_that_is_counted(number: int) -> None:
    drawn = drawn_by_counters(number, FIVE)
    tracers = [Tracer(each, MACHINE, drawn.seed) for each in (drawn.router, fold(drawn.router), unfold(drawn.router))]
    draws = [Draws()] * len(tracers)
    for packet in drawn.packets:
        traces = [tracer.trace(packet, draws=each) for tracer, each in zip(tracers, draws, strict=True)]
        assert len({outcome(trace) for trace in traces}) == 1
        draws = [each.after(trace.drawn) for each, trace in zip(draws, traces, strict=True)]


def stream(denominator: int, remainder: int, mark: str = "m") -> MangleRule:
    pcc = PccMatch(Classifier.SRC_ADDRESS, denominator, remainder)
    return MangleRule("prerouting", (pcc,), MarkAction(MarkKind.CONNECTION, mark))


def folded(*rules: MangleRule) -> list[object]:
    return [rule.action for rule in fold(Router(rules)).mangle]


def test_the_streams_of_the_article_fold_into_one_spread() -> None:
    rules = (stream(3, 0, "isp1"), stream(3, 2, "isp2"), stream(3, 1, "isp1"))
    assert folded(*rules) == [SpreadAction(Classifier.SRC_ADDRESS, ("isp1", "isp1", "isp2"))]


def test_mixed_denominators_fold_over_their_least_common_multiple() -> None:
    owners = ("a", "b", "a", None)
    assert folded(stream(2, 0, "a"), stream(4, 1, "b")) == [SpreadAction(Classifier.SRC_ADDRESS, owners)]


def test_streams_that_overlap_do_not_fold() -> None:
    assert len(folded(stream(2, 0, "a"), stream(3, 0, "b"))) == 2
    assert len(folded(stream(3, 1, "a"), stream(3, 1, "b"))) == 2


def test_a_remainder_beyond_its_denominator_does_not_fold() -> None:
    assert len(folded(stream(2, 0, "a"), stream(2, 2, "b"))) == 2
