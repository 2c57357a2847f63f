"""Each fault of a router has its finding, at the rule that has it; what only looks like one has none."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.core.fold import fold
from evenflow.core.lint import lint
from evenflow.core.lower import lower
from evenflow.formats.policy import parse
from evenflow.model.finding import Origin, Severity
from evenflow.model.flow import TCP, UDP, Family
from evenflow.model.matcher import (
    AddressListMatch,
    Classifier,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    OutInterfaceList,
    PccMatch,
    ProtocolMatch,
)
from evenflow.model.router import (
    AddressGateway,
    AddressList,
    Interface,
    InterfaceGateway,
    InterfaceList,
    JumpAction,
    MangleRule,
    MarkAction,
    NatRule,
    Redirect,
    Route,
    Router,
    RouteRule,
    RoutingTable,
    RuleAction,
    SpreadAction,
)

if TYPE_CHECKING:
    from evenflow.model.finding import Finding
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Gateway, MangleAction

SEED = Path(__file__).parents[2] / "examples" / "seed.toml"
V4 = Family.IPV4.any_network
CONNECTION, ROUTING, PACKET = MarkKind.CONNECTION, MarkKind.ROUTING, MarkKind.PACKET
UNMARKED = MarkMatch(CONNECTION, None)
LAN = InInterface("lan")


def router(*mangle: MangleRule, **parts: object) -> Router:
    """A router of two uplinks around mangle rules; each rule stands in the line of its place, from 1."""
    lines = count(1)
    placed = tuple(replace(rule, origin=Origin("r.rsc", next(lines))) for rule in mangle)
    routes = tuple(
        Route(table, V4, (InterfaceGateway(interface),), distance)
        for table, order in (("isp1", ("e1", "e2")), ("isp2", ("e2", "e1")))
        for distance, interface in enumerate(order, 1)
    )
    whole = Router(placed, routes=routes, tables=(RoutingTable("isp1"), RoutingTable("isp2")))
    return replace(whole, **parts)  # type: ignore[arg-type]  # the parts are fields of a router


def rule(action: MangleAction, *matchers: Matcher, chain: str = "prerouting") -> MangleRule:
    return MangleRule(chain, matchers, action)


def pcc(denominator: int, remainder: int, mark: str, *others: Matcher, kind: MarkKind = CONNECTION) -> MangleRule:
    match = PccMatch(Classifier.BOTH_ADDRESSES, denominator, remainder)
    return rule(MarkAction(kind, mark), UNMARKED, *others, match)


def routing(mark: str, table: str) -> MangleRule:
    return rule(MarkAction(ROUTING, table), MarkMatch(CONNECTION, mark), LAN)


#: Halves for two uplinks, all of it right.
GOOD = (pcc(2, 0, "c1", LAN), pcc(2, 1, "c2", LAN), routing("c1", "isp1"), routing("c2", "isp2"))


def told(findings: tuple[Finding, ...]) -> list[tuple[str, int]]:
    return [(finding.code, finding.where.line) for finding in findings]


def only(findings: tuple[Finding, ...], code: str, line: int, severity: Severity, *words: str) -> None:
    """There is exactly this finding."""
    assert told(findings) == [(code, line)]
    (finding,) = findings
    assert finding.severity is severity
    for word in words:
        assert word in finding.message


# --- nothing to tell -----------------------------------------------------------------------------------------------


def test_a_right_router_has_no_findings() -> None:
    assert lint(router(*GOOD)) == ()
    assert lint(fold(router(*GOOD))) == ()
    assert lint(Router()) == ()


def test_the_seed_says_only_that_the_weights_are_not_the_bandwidths() -> None:
    policy = parse(SEED.read_text(), "seed.toml").policy
    assert policy is not None
    findings = tuple(finding for finding in lint(lower(policy)) if finding.code != "detection-time")
    only(findings, "share-against-bandwidth", 14, Severity.INFO, "2 to 1", "3 to 1", "isp1, isp2")


# --- marks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folded", [False, True])
def test_a_mark_that_nothing_routes(*, folded: bool) -> None:
    found = router(*GOOD[:3])
    findings = lint(fold(found) if folded else found)
    only(findings, "mark-not-routed", 1 if folded else 2, Severity.ERROR, "c2", "connection-mark=c2")


@pytest.mark.parametrize(
    "use",
    [
        rule(MarkAction(PACKET, "p"), MarkMatch(CONNECTION, "c2")),
        rule(MarkAction(ROUTING, "isp2"), MarkMatch(CONNECTION, "c1", negated=True)),
        rule(MarkAction(ROUTING, "isp2"), MarkMatch(CONNECTION, None, negated=True)),
    ],
)
def test_a_mark_that_is_used_in_another_way_is_no_fault(use: MangleRule) -> None:
    assert lint(router(*GOOD[:3], use)) == ()


def test_marks_for_servers_are_no_fault() -> None:
    to_server = NatRule("dstnat", (MarkMatch(CONNECTION, "c2"),), Redirect())
    assert lint(router(*GOOD[:3], nat=(to_server,))) == ()


def test_a_mark_routed_in_a_chain_is_no_fault() -> None:
    jump = rule(JumpAction("second"), MarkMatch(CONNECTION, "c2"))
    assert lint(router(*GOOD[:3], jump, rule(MarkAction(ROUTING, "isp2"), chain="second"))) == ()


def test_a_classifier_on_mark_routing_beside_that_on_mark_connection_is_no_fault() -> None:
    direct = (pcc(2, 0, "isp1", LAN, kind=ROUTING), pcc(2, 1, "isp2", LAN, kind=ROUTING))
    assert lint(router(*GOOD[:2], *direct)) == ()


def test_a_routing_mark_without_a_route() -> None:
    found = router(*GOOD)
    without = replace(found, routes=found.routes[:2])
    only(lint(without), "routing-mark-without-route", 4, Severity.ERROR, "isp2", "routing-table=isp2")


def test_a_routing_mark_that_a_rule_answers_is_no_fault() -> None:
    found = router(*GOOD)
    answers = (
        RouteRule(RuleAction.LOOKUP, "isp1", routing_mark="isp2"),
        RouteRule(RuleAction.DROP, routing_mark="isp2"),
        RouteRule(RuleAction.LOOKUP, "main", routing_mark="isp2"),
    )
    for answer in answers:
        assert lint(replace(found, routes=found.routes[:2], rules=(answer,))) == ()


def test_the_routing_mark_main_is_always_there() -> None:
    assert lint(router(*GOOD[:3], routing("c2", "main"))) == ()


def test_a_table_that_is_not_declared() -> None:
    only(lint(router(*GOOD, tables=(RoutingTable("isp1"),))), "table-undeclared", 4, Severity.ERROR, "name=isp2 fib")


def test_without_any_declared_table_it_may_be_routeros_6() -> None:
    findings = lint(router(*GOOD, tables=()))
    assert told(findings) == [("table-undeclared", 3), ("table-undeclared", 4)]
    assert {finding.severity for finding in findings} == {Severity.WARNING}


def test_a_mark_asked_for_and_never_set() -> None:
    lost = rule(MarkAction(ROUTING, "isp1"), MarkMatch(CONNECTION, "c3"))
    only(lint(router(*GOOD, lost, lost)), "mark-never-set", 5, Severity.WARNING, "connection mark c3", "never holds")
    negated = rule(MarkAction(ROUTING, "isp1"), MarkMatch(PACKET, "p", negated=True))
    only(lint(router(*GOOD, negated)), "mark-never-set", 5, Severity.WARNING, "packet mark p", "always holds")


# --- remainders ----------------------------------------------------------------------------------------------------


def test_a_remainder_that_no_rule_takes() -> None:
    rules = (pcc(3, 0, "c1"), pcc(3, 1, "c2"), *GOOD[2:])
    only(lint(router(*rules)), "pcc-remainder", 1, Severity.WARNING, "both-addresses:3", "remainder 2", "1/3 of")
    only(lint(fold(router(*rules))), "pcc-remainder", 1, Severity.WARNING, "remainder 2")


def test_many_remainders_are_not_all_named() -> None:
    spread = rule(SpreadAction(Classifier.SRC_ADDRESS, ("c1", "c2", *[None] * 6)))
    only(lint(router(spread, *GOOD[2:])), "pcc-remainder", 1, Severity.WARNING, "2, 3, 4, 5, 6, …", "3/4 of")


def test_a_rule_for_the_rest_takes_what_is_left() -> None:
    rest = rule(MarkAction(CONNECTION, "c2"), UNMARKED)
    assert lint(router(pcc(3, 0, "c1", LAN), rest, *GOOD[2:])) == ()


def test_rules_of_which_only_some_ask_for_what_first_packets_are_divide_together() -> None:
    rules = [pcc(2, 0, "c1"), pcc(2, 1, "c2"), *GOOD[2:]]
    rules[0] = replace(rules[0], matchers=rules[0].matchers[1:])
    assert lint(router(*rules)) == ()


def test_a_remainder_that_two_rules_take() -> None:
    rules = (pcc(2, 0, "c1"), pcc(2, 1, "c2"), pcc(2, 1, "c1"), *GOOD[2:])
    only(lint(router(*rules)), "pcc-remainder", 3, Severity.WARNING, "remainder 1", "line 2", "the earlier one decides")


def test_without_no_mark_the_later_rule_decides() -> None:
    rules = [pcc(2, 0, "c1"), pcc(2, 1, "c2"), pcc(2, 1, "c1"), *GOOD[2:]]
    rules[:3] = [replace(one, matchers=one.matchers[1:]) for one in rules[:3]]
    only(lint(router(*rules)), "pcc-remainder", 3, Severity.WARNING, "this one decides")


def test_denominators_that_overlap() -> None:
    rules = (pcc(2, 0, "c1"), pcc(2, 1, "c2"), pcc(4, 1, "c1"), *GOOD[2:])
    only(lint(router(*rules)), "pcc-remainder", 3, Severity.WARNING, "denominators 2", "and 4")


def test_denominators_that_fit_together_are_no_fault() -> None:
    assert lint(router(pcc(2, 0, "c1"), pcc(4, 1, "c2"), pcc(4, 3, "c2"), *GOOD[2:])) == ()


def test_a_remainder_too_large_is_told_by_the_reader_alone() -> None:
    assert lint(router(pcc(3, 0, "c1"), pcc(3, 1, "c2"), pcc(3, 3, "c2"), *GOOD[2:])) == ()


def test_groups_for_different_protocols_and_lists_are_no_fault() -> None:
    groups = [
        pcc(2, remainder, mark, condition)
        for condition in (ProtocolMatch(TCP), ProtocolMatch(UDP), AddressListMatch(Direction.SOURCE, "office"))
        for remainder, mark in ((0, "c1"), (1, "c2"))
    ]
    assert lint(router(*groups, *GOOD[2:], address_lists=(AddressList("office"),))) == ()


def test_pairs_of_all_interfaces_but_one_are_no_fault() -> None:
    pair = (
        pcc(2, 0, "c1", InInterface("e1", negated=True)),
        pcc(2, 1, "c2", InInterface("e2", negated=True)),
    )
    assert lint(router(*pair, *GOOD[2:])) == ()


# --- routes, chains, lists -----------------------------------------------------------------------------------------


def main_route(address: str, distance: int, line: int, network: str = "0.0.0.0/0") -> Route:
    gateway = AddressGateway(IPv4Address(address))
    return Route("main", ip_network(network), (gateway,), distance, origin=Origin("r.rsc", line))


def test_default_routes_of_equal_distance() -> None:
    found = router(*GOOD)
    routes = (*found.routes, main_route("192.0.2.1", 1, 8), main_route("192.0.2.5", 1, 9))
    only(lint(replace(found, routes=routes)), "equal-distance", 9, Severity.WARNING, "line 8", "distance 1")


def test_routes_that_do_not_compete_are_no_fault() -> None:
    found = router(*GOOD)
    routes = (
        main_route("192.0.2.1", 1, 8),
        main_route("192.0.2.5", 2, 9),
        main_route("192.0.2.1", 1, 10),
        main_route("192.0.2.9", 1, 11, "10.0.0.0/8"),
    )
    assert lint(replace(found, routes=(*found.routes, *routes))) == ()


def test_a_jump_to_a_chain_without_rules() -> None:
    jump = rule(JumpAction("balance"), LAN)
    only(lint(router(jump, jump, *GOOD)), "jump-to-nothing", 1, Severity.WARNING, "chain balance")


def test_a_chain_that_nothing_jumps_to() -> None:
    lost = rule(MarkAction(PACKET, "p"), chain="balance")
    only(lint(router(*GOOD, lost, lost)), "chain-unused", 5, Severity.WARNING, "chain balance")


def test_interface_lists_unknown_empty_and_from_the_factory() -> None:
    asking = rule(MarkAction(PACKET, "p"), InInterfaceList("wan"))
    only(
        lint(router(asking, *GOOD)), "unknown-interface-list", 1, Severity.WARNING, "in-interface-list=wan never holds"
    )
    empty = (InterfaceList("wan"),)
    only(lint(router(asking, *GOOD, interface_lists=empty)), "interface-list-empty", 1, Severity.WARNING, "is empty")
    filled = (InterfaceList("wan", frozenset({"e1"})),)
    assert lint(router(asking, *GOOD, interface_lists=filled)) == ()
    factory = rule(MarkAction(PACKET, "p"), OutInterfaceList("WAN", negated=True))
    words = ("out-interface-list=!WAN always holds", "factory")
    only(lint(router(factory, *GOOD)), "unknown-interface-list", 1, Severity.INFO, *words)
    assert lint(router(rule(MarkAction(PACKET, "p"), InInterfaceList("all")), *GOOD)) == ()


def test_an_address_list_that_is_nowhere() -> None:
    asking = rule(MarkAction(PACKET, "p"), AddressListMatch(Direction.DESTINATION, "local"))
    found = router(asking, asking, *GOOD)
    only(lint(found), "unknown-address-list", 1, Severity.WARNING, "dst-address-list=local never holds")
    assert lint(replace(found, address_lists=(AddressList("local"),))) == ()


# --- shares --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second", "told_of"), [(30, 10, True), (10, 10, False), (101, 100, False)])
def test_shares_against_bandwidths(first: int, second: int, *, told_of: bool) -> None:
    interfaces = (Interface("e1", bandwidth_bps=first), Interface("e2", bandwidth_bps=second))
    findings = lint(router(*GOOD, interfaces=interfaces))
    assert told(findings) == ([("share-against-bandwidth", 1)] if told_of else [])


def test_shares_say_nothing_where_a_bandwidth_is_unknown() -> None:
    assert lint(router(*GOOD, interfaces=(Interface("e1", bandwidth_bps=30), Interface("e2")))) == ()


def test_findings_come_in_the_order_of_lines() -> None:
    lost = rule(MarkAction(PACKET, "p"), MarkMatch(CONNECTION, "c9"), chain="lost")
    jump = rule(JumpAction("nothing"))
    assert [line for _, line in told(lint(router(lost, *GOOD, jump)))] == [1, 1, 6]


# --- IPv6 routes of one distance


def ipv6_routes(*gateways: Gateway, distances: tuple[int, ...] = (1, 1)) -> Router:
    pairs = zip(gateways, distances, strict=True)
    return Router(
        routes=tuple(
            Route("isp1", Family.IPV6.any_network, (gateway,), distance, origin=Origin("r.rsc", line))
            for line, (gateway, distance) in enumerate(pairs, 1)
        ),
        tables=(RoutingTable("isp1"),),
    )


def test_ipv6_can_not_spread_over_interfaces() -> None:
    address = AddressGateway(IPv6Address("2001:db8::1"))
    first, second = InterfaceGateway("pppoe-out1"), InterfaceGateway("pppoe-out2")
    code = "no-ipv6-multipath"
    (finding,) = [f for f in lint(ipv6_routes(first, second)) if f.code == code]
    assert (finding.severity, finding.where.line) == (Severity.WARNING, 2)
    assert "only pppoe-out1 will be used" in finding.message
    (finding,) = [f for f in lint(ipv6_routes(first, address)) if f.code == code]
    assert "only those with an address will be used" in finding.message
    for fine in (ipv6_routes(first, second, distances=(1, 2)), ipv6_routes(address, replace(address, interface="x"))):
        assert code not in [f.code for f in lint(fine)]
