"""Counters and chance: what a packet draws, what that does, and what it comes to in the long run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from differential.worlds import MACHINE
from evenflow.core.chance_groups import chance_groups
from evenflow.core.draws import Draws, TooManyDrawsError, ends_by_chance, has_chance, most_draws, parts_of
from evenflow.core.fold import fold
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import uplinks
from evenflow.formats.routeros import parse
from evenflow.model.flow import TCP, Family, Packet
from evenflow.model.matcher import Classifier, InInterface, MarkKind, MarkMatch, NthMatch, PccMatch, RandomMatch
from evenflow.model.router import AcceptAction, JumpAction, MangleRule, MarkAction, NatRule, ReturnAction, Router
from evenflow.model.trace import Drawn

if TYPE_CHECKING:
    from evenflow.model.matcher import Matcher
    from evenflow.model.trace import Trace

PACKET = Packet(ip_address("10.1.3.77"), ip_address("198.51.100.7"), TCP, 1024, 443, "lan0")
UNMARKED = MarkMatch(MarkKind.CONNECTION, None)


def rule(mark: str, *matchers: Matcher, passthrough: bool = False, chain: str = "prerouting") -> MangleRule:
    return MangleRule(chain, matchers, MarkAction(MarkKind.CONNECTION, mark, passthrough), (Family.IPV4,))


def marks(router: Router, packets: int, packet: Packet = PACKET) -> list[str | None]:
    """The connection marks of so many packets, one after another."""
    tracer, draws, found = Tracer(router, MACHINE, 0), Draws(), []
    for _ in range(packets):
        trace = tracer.trace(packet, draws=draws)
        found.append(trace.connection_mark)
        draws = draws.after(trace.drawn)
    return found


# --- counters ---------------------------------------------------------------------------------------------------------


def test_a_counter_matches_one_packet_of_so_many() -> None:
    assert marks(Router((rule("a", NthMatch(3, 2)),)), 7) == [None, "a", None, None, "a", None, None]


def test_each_rule_has_a_counter_of_its_own() -> None:
    """The second sees only what the first leaves: of every four packets it takes one."""
    stops = Router((rule("a", NthMatch(2, 1)), rule("b", NthMatch(2, 1)), rule("c")))
    assert marks(stops, 8) == ["a", "b", "a", "c"] * 2
    goes_on = Router((rule("a", NthMatch(2, 1), passthrough=True), rule("b", NthMatch(2, 2))))
    assert marks(goes_on, 4) == ["a", "b"] * 2


@pytest.mark.parametrize("order", [1, -1])
def test_a_counter_counts_what_all_else_lets_through(order: int) -> None:
    asked = (NthMatch(2, 1), InInterface("lan1"))[::order]
    router = Router((rule("a", *asked),))
    tracer, draws = Tracer(router, MACHINE, 0), Draws()
    assert tracer.trace(PACKET, draws=draws).drawn == ()
    assert marks(router, 3, replace(PACKET, in_interface="lan1")) == ["a", None, "a"]


def test_a_packet_that_gets_to_a_rule_twice_is_counted_twice() -> None:
    jumps = [MangleRule(chain, (), JumpAction("counted")) for chain in ("prerouting", "prerouting")]
    counted = rule("a", NthMatch(3, 1), chain="counted", passthrough=True)
    tracer = Tracer(Router((*jumps, counted)), MACHINE, 0)
    first = tracer.trace(PACKET)
    assert [one.number for one in first.drawn] == [1, 2]
    second = tracer.trace(PACKET, draws=Draws().after(first.drawn))
    assert [one.number for one in second.drawn] == [3, 1]


def test_nat_counts_only_first_packets() -> None:
    nat = NatRule("dstnat", (NthMatch(2, 2),), AcceptAction(), (Family.IPV4,))
    tracer = Tracer(Router(nat=(nat,)), MACHINE, 0)
    assert [one.rule for one in tracer.trace(PACKET).drawn] == [nat]
    assert tracer.trace(replace(PACKET, known=True)).drawn == ()


def test_one_of_one_is_no_chance() -> None:
    always = rule("a", NthMatch(1, 1))
    assert not has_chance(always)
    assert marks(Router((always,)), 2) == ["a", "a"]


def test_why_a_rule_did_not_match() -> None:
    trace = Tracer(Router((rule("a", NthMatch(2, 2)), rule("b", RandomMatch(40)))), MACHINE, 0).trace(PACKET)
    first, second = (step for step in trace.steps if step.stage == "prerouting")
    assert (first.failed, first.found) == (NthMatch(2, 2), "packet 1 of 2")
    assert (second.failed, second.found) == (RandomMatch(40), "a draw of 50 (0 to 99)")
    assert [step.drawn for step in (first, second)] == [(one,) for one in trace.drawn]


def test_the_stream_of_a_rule_that_chance_speaks_against_is_told() -> None:
    asked = (NthMatch(2, 2), PccMatch(Classifier.SRC_ADDRESS, 1, 0))
    (step, *_) = Tracer(Router((rule("a", *asked),)), MACHINE, 0).trace(PACKET).steps
    assert step.failed == NthMatch(2, 2)
    assert step.hashed is not None


# --- chance -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("percent", "chance", "matches"), [(30, 29, True), (30, 30, False), (99, 98, True)])
def test_chance_matches_below_its_percentage(percent: int, chance: int, matches: bool) -> None:  # noqa: FBT001 - a case
    assert Drawn(rule("a"), RandomMatch(percent), chance).matches is matches


@pytest.mark.parametrize(("percent", "mark"), [(1, None), (50, None), (51, "a"), (99, "a")])
def test_where_nothing_is_said_the_likelier_is_taken(percent: int, mark: str | None) -> None:
    assert marks(Router((rule("a", RandomMatch(percent)),)), 1) == [mark]


def test_a_rule_can_draw_otherwise_than_the_others() -> None:
    one, other = rule("a", RandomMatch(50)), rule("b", RandomMatch(50))
    tracer = Tracer(Router((one, other)), MACHINE, 0)
    assert tracer.trace(PACKET, draws=Draws(chances={id(other): (0,)})).connection_mark == "b"
    assert tracer.trace(PACKET, draws=Draws(chance=0)).connection_mark == "a"


def test_each_end_has_its_probability() -> None:
    router = Router((rule("a", RandomMatch(20), passthrough=True), rule("b", UNMARKED, RandomMatch(50))))
    tracer = Tracer(router, MACHINE, 0)

    def go(draws: Draws) -> Trace:
        return tracer.trace(PACKET, draws=draws)

    ends = {one.end.connection_mark: one.part for one in ends_by_chance(go, Draws())}
    assert ends == {"a": Fraction(1, 5), "b": Fraction(2, 5), None: Fraction(2, 5)}
    assert most_draws(router) == 4


def test_a_rule_that_is_asked_twice_draws_twice() -> None:
    jumps = [MangleRule(chain, (), JumpAction("counted")) for chain in ("prerouting", "prerouting")]
    tracer = Tracer(Router((*jumps, rule("a", RandomMatch(50), chain="counted", passthrough=True))), MACHINE, 0)

    def go(draws: Draws) -> Trace:
        return tracer.trace(PACKET, draws=draws)

    ends = list(ends_by_chance(go, Draws()))
    assert [one.part for one in ends] == [Fraction(1, 4)] * 4
    assert {tuple(drawn.matches for drawn in one.end.drawn) for one in ends} == {
        (True, True), (True, False), (False, True), (False, False),
    }  # fmt: skip


# --- in the long run --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    drawn: tuple[Drawn, ...]


def test_too_many_states_are_not_looked_at() -> None:
    counts = rule("a", NthMatch(100, 1))

    def go(draws: Draws) -> Counted:
        return Counted((Drawn(counts, NthMatch(100, 1), draws.passed.get(id(counts), 0) + 1),))

    assert len(parts_of(go, 100)) == 100
    with pytest.raises(TooManyDrawsError):
        parts_of(go, 99)


NTH_3 = "nth=3,1 passthrough=no", "nth=2,1 passthrough=no", "nth=1,1 passthrough=no"


@pytest.mark.parametrize(
    ("rules", "shares"),
    [
        (("nth=2,1", "nth=2,2"), "1/2 1/2"),
        (("nth=2,1 passthrough=no", "nth=2,1 passthrough=no", ""), "1/2 1/4 1/4"),
        (NTH_3, "1/3 1/3 1/3"),
        (("nth=3,1", "nth=3,2", "nth=3,3"), "1/3 1/3 1/3"),
        (("random=33 passthrough=no", "random=50 passthrough=no", "passthrough=no"), "33/100 67/200 67/200"),
        (("random=75", "connection-mark=no-mark"), "3/4 1/4"),
        (("random=50 passthrough=no", "nth=2,1", "nth=2,2"), "1/2 1/4 1/4"),
        (("nth=4,1", "connection-mark=no-mark nth=3,1"), "1/4 1/4"),
        (("protocol=tcp nth=4,1", "connection-mark=no-mark"), "1/4 3/4"),
    ],
)
def test_shares_of_rules_as_people_write_them(rules: tuple[str, ...], shares: str) -> None:
    place = "add action=mark-connection chain=prerouting connection-state=new"
    lines = [f"{place} new-connection-mark={name} {text}" for name, text in zip("abc", rules, strict=False)]
    (group,) = chance_groups(parse("\n".join(["/ip firewall mangle", *lines])).router)
    found = group.shares()
    assert " ".join(str(found[name]) for name, _ in zip("abc", rules, strict=False)) == shares
    assert len(group.rules) == len(rules)


def test_shares_are_what_packets_come_to() -> None:
    """The mean over the states of counters is what one packet after another gets."""
    rules = (
        rule("a", NthMatch(3, 2)),
        rule("b", NthMatch(2, 1), passthrough=True),
        rule("c", UNMARKED, NthMatch(4, 3), passthrough=True),
    )
    (group,) = chance_groups(Router(rules))
    period = 3 * 2 * 4
    found = marks(Router(rules), 4 * period)
    assert group.shares() == {mark: Fraction(found.count(mark), 4 * period) for mark in "abc"}


def test_uplinks_have_the_shares_of_counters() -> None:
    text = """\
/ip firewall mangle
add action=mark-connection chain=prerouting connection-state=new in-interface=lan new-connection-mark=a nth=3,1
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new in-interface=lan \\
    new-connection-mark=b
add action=mark-routing chain=prerouting connection-mark=a in-interface=lan new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=b in-interface=lan new-routing-mark=isp2
/routing table
add fib name=isp1
add fib name=isp2
/ip route
add gateway=192.0.2.1 routing-table=isp1
add gateway=198.51.100.1 routing-table=isp2
"""
    assert {uplink.name: uplink.target for uplink in uplinks(parse(text).router)} == {
        "isp1": Fraction(1, 3),
        "isp2": Fraction(2, 3),
    }


def test_rules_of_a_classifier_are_no_group_of_chance() -> None:
    rules = (rule("a", PccMatch(Classifier.SRC_ADDRESS, 2, 0)), rule("b", PccMatch(Classifier.SRC_ADDRESS, 2, 1)))
    assert chance_groups(Router(rules)) == ()


def test_rules_that_count_are_not_folded() -> None:
    rules = tuple(rule(name, PccMatch(Classifier.SRC_ADDRESS, 2, n), NthMatch(2, 1)) for n, name in enumerate("ab"))
    assert fold(Router(rules)).mangle == rules


def test_return_by_counter_returns() -> None:
    leaves = MangleRule("prerouting", (NthMatch(2, 2),), ReturnAction())
    assert marks(Router((leaves, rule("a"))), 4) == ["a", None, "a", None]
