"""What is told of rules that leave it to counters and chance which packets they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evenflow.core.lint import lint
from evenflow.model.finding import Origin, Severity
from evenflow.model.flow import ConnectionState
from evenflow.model.matcher import InInterface, MarkKind, MarkMatch, NthMatch, RandomMatch, StateMatch
from evenflow.model.router import AcceptAction, JumpAction, MangleRule, MarkAction, NatRule, Redirect
from unit.test_lint import GOOD, LAN, UNMARKED, only, router, rule, told

if TYPE_CHECKING:
    from evenflow.model.matcher import Matcher

CONNECTION, ROUTING, PACKET = MarkKind.CONNECTION, MarkKind.ROUTING, MarkKind.PACKET
NEW = StateMatch(frozenset({ConnectionState.NEW}))


def counting(packet: int, mark: str, *others: Matcher, chain: str = "prerouting") -> MangleRule:
    return rule(MarkAction(CONNECTION, mark), *others, NthMatch(2, packet), chain=chain)


def test_that_counters_decide_is_told_once() -> None:
    rules = (counting(1, "c1", LAN, NEW), counting(2, "c2", LAN, NEW), *GOOD[2:])
    only(lint(router(*rules)), "by-chance", 1, Severity.INFO, "2 rules, from this one on, leave it to counters")


def test_a_nat_rule_by_chance_is_told() -> None:
    nat = NatRule("dstnat", (RandomMatch(50),), Redirect(), origin=Origin("r.rsc", 9))
    only(lint(router(*GOOD, nat=(nat,))), "by-chance", 9, Severity.INFO, "1 rule leaves it to counters and chance")


def test_one_of_one_is_left_to_nobody() -> None:
    rules = (rule(MarkAction(CONNECTION, "c1"), LAN, NthMatch(1, 1)), *GOOD[2:])
    assert "by-chance" not in {code for code, _ in told(lint(router(*rules)))}


@pytest.mark.parametrize(
    "drawing",
    [
        (counting(1, "c1", LAN),),
        (rule(MarkAction(ROUTING, "isp1"), LAN, NEW, RandomMatch(50)),),
        (rule(JumpAction("x"), LAN), counting(1, "c1", chain="x")),
        (rule(AcceptAction(), InInterface("e1")), counting(1, "c1", LAN)),
    ],
)
def test_packets_of_a_connection_that_draw_one_by_one(drawing: tuple[MangleRule, ...]) -> None:
    found = [line for code, line in told(lint(router(*drawing, *GOOD))) if code == "chance-per-packet"]
    assert found == [len(drawing)]


@pytest.mark.parametrize(
    "drawing",
    [
        (counting(1, "c1", LAN, UNMARKED),),
        (rule(JumpAction("x"), LAN, NEW), counting(1, "c1", chain="x")),
        (rule(AcceptAction(), MarkMatch(CONNECTION, None, negated=True)), counting(1, "c1", LAN)),
        (rule(MarkAction(PACKET, "p"), LAN, RandomMatch(50)),),
    ],
)
def test_what_is_drawn_once_for_a_connection_is_no_fault(drawing: tuple[MangleRule, ...]) -> None:
    assert "chance-per-packet" not in {code for code, _ in told(lint(router(*drawing, *GOOD)))}


def test_a_mark_that_counters_set_and_nothing_routes() -> None:
    findings = lint(router(counting(1, "c3", LAN, NEW), counting(2, "c1", LAN, NEW), *GOOD))
    assert ("mark-not-routed", 1) in told(findings)
