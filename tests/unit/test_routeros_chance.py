"""`nth=` and `random=` of mangle and NAT rules: what is read, and what can't be done."""

from __future__ import annotations

import pytest

from evenflow.formats.routeros import parse
from evenflow.model.finding import Severity
from evenflow.model.matcher import Direction, NthMatch, PortMatch, ProtocolMatch, RandomMatch, UnsupportedMatch
from evenflow.model.router import AcceptAction, Masquerade
from unit.test_routeros_firewall import codes

DST_PORT_1 = PortMatch(Direction.DESTINATION, ((1, 1),))


@pytest.mark.parametrize("menu", ["mangle", "nat"])
def test_counters_and_chance_are_read_in_their_place(menu: str) -> None:
    parsed = parse(f"/ip firewall {menu}\nadd chain=srcnat nth=3,2 protocol=tcp random=25 action=accept")
    asked = [rule.matchers for rule in parsed.router.mangle] + [rule.matchers for rule in parsed.router.nat]
    assert asked == [(NthMatch(3, 2), ProtocolMatch(6), RandomMatch(25))]
    assert parsed.findings == ()


@pytest.mark.parametrize("asked", ["nth=2,1", "random=50"])
@pytest.mark.parametrize("action", ["jump jump-target=web", "return"])
def test_a_whole_chain_of_nat_is_not_left_to_chance(asked: str, action: str) -> None:
    """Its rules are asked one by one, and each would draw for itself."""
    lines = f"add chain=srcnat action={action} {asked}\nadd chain=web action=masquerade"
    parsed = parse(f"/ip firewall nat\nadd chain=srcnat action=jump jump-target=web dst-port=1 protocol=tcp\n{lines}")
    errors = [each for each in parsed.findings if each.severity is Severity.ERROR]
    assert [(each.code, each.where.line) for each in errors] == [("unsupported-matcher", 3)]
    assert errors[0].message.startswith(f"{asked}: it can't be asked here for a whole chain of NAT")
    assert [each.matchers for each in parsed.router.nat] == [(DST_PORT_1, ProtocolMatch(6))]


def test_a_rule_that_stands_in_several_places_has_no_counter() -> None:
    jumps = "add chain=srcnat action=jump jump-target=web protocol=tcp\nadd chain=srcnat action=jump jump-target=web\n"
    rules = "add chain=web action=masquerade nth=2,1\nadd chain=web action=accept random=50"
    parsed = parse(f"/ip firewall nat\n{jumps}{rules}")
    assert codes(parsed) == [("error", "unsupported-matcher")]
    assert parsed.findings[0].where.line == 4
    assert [each.action for each in parsed.router.nat] == [AcceptAction(), AcceptAction()]
    assert [each.matchers[-1] for each in parsed.stated.nat if each.action == Masquerade()] == [
        UnsupportedMatch("nth", "2,1"),
        UnsupportedMatch("nth", "2,1"),
    ]
    alone = parse(f"/ip firewall nat\nadd chain=srcnat action=jump jump-target=web protocol=tcp\n{rules}")
    assert alone.findings == ()
    assert alone.router.nat[0].matchers == (ProtocolMatch(6), NthMatch(2, 1))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nth=2", "nth=2: it is no EVERY,PACKET; write which packet of how many, such as 2,1"),
        ("nth=2,0", "it is no EVERY,PACKET"),
        ("nth=2,3", "it is no EVERY,PACKET"),
        ("nth=1,3,0", "is a form of RouterOS 2, with counters that rules share; write nth=2,1"),
        ("nth=!2,1", "nth=!2,1: RouterOS has no ! here"),
        ("random=0", "random=0: it is no percentage from 1 to 99"),
        ("random=100", "random=100: it is no percentage from 1 to 99"),
        ("random=!50", "random=!50: RouterOS has no ! here"),
    ],
)
def test_what_cannot_be_is_no_rule(asked: str, said: str) -> None:
    parsed = parse(f"/ip firewall mangle add chain=a {asked}")
    assert codes(parsed) == [("error", "bad-value")]
    assert said in parsed.findings[0].message
    assert parsed.router.mangle == parsed.stated.mangle == ()
