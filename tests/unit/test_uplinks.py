"""What a router's uplinks are, what they are called, and what part of the connections they were meant to get."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, ip_interface
from typing import TYPE_CHECKING

from evenflow.core.uplinks import interface_of, uplinks
from evenflow.model.finding import Origin
from evenflow.model.flow import Family
from evenflow.model.matcher import Classifier, InInterface, MarkKind, MarkMatch, PccMatch, ProtocolMatch
from evenflow.model.router import (
    AddressGateway,
    Interface,
    InterfaceGateway,
    JumpAction,
    LearnedGateway,
    MangleRule,
    MarkAction,
    Route,
    RouteKind,
    Router,
    RouteRule,
    RoutingTable,
    RuleAction,
    RuleStage,
    SpreadAction,
)

if TYPE_CHECKING:
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Gateway

V4 = Family.IPV4.any_network
CONNECTION, ROUTING, PACKET = MarkKind.CONNECTION, MarkKind.ROUTING, MarkKind.PACKET
UNMARKED = MarkMatch(CONNECTION, None)


def route(table: str, gateway: Gateway, distance: int = 1, line: int = 0) -> Route:
    return Route(table, V4, (gateway,), distance, origin=Origin("r.rsc", line))


def by(interface: str) -> InterfaceGateway:
    return InterfaceGateway(interface)


def at(address: str) -> AddressGateway:
    return AddressGateway(IPv4Address(address))


def pcc(denominator: int, remainder: int, mark: str, *others: Matcher, kind: MarkKind = CONNECTION) -> MangleRule:
    match = PccMatch(Classifier.BOTH_ADDRESSES, denominator, remainder)
    return MangleRule("prerouting", (*others, match), MarkAction(kind, mark))


def routing(mark: str, table: str, chain: str = "prerouting") -> MangleRule:
    return MangleRule(chain, (MarkMatch(CONNECTION, mark),), MarkAction(ROUTING, table))


def targets(router: Router) -> dict[str, Fraction]:
    return {uplink.name: uplink.target for uplink in uplinks(router)}


TWO_ROUTES = (route("isp1", by("e1")), route("isp1", by("e2"), 2), route("isp2", by("e2")), route("isp2", by("e1"), 2))
TO_TABLES = (routing("c1", "isp1"), routing("c2", "isp2"))


# --- which there are, and their names ------------------------------------------------------------------------------


def test_an_uplink_is_named_by_the_table_in_which_it_is_nearest() -> None:
    found = uplinks(Router(routes=(route("main", by("e1"), line=7), *TWO_ROUTES, route("main", by("e2"), 2))))
    assert [(uplink.name, uplink.interface, uplink.table) for uplink in found] == [
        ("isp1", "e1", "isp1"),
        ("isp2", "e2", "isp2"),
    ]
    assert found[0].origin.line == 7


def test_an_uplink_that_is_nearest_nowhere_is_named_by_its_interface() -> None:
    routes = (*TWO_ROUTES, route("isp1", by("lte"), 3), route("main", by("lte"), 1))
    assert [(uplink.name, uplink.table) for uplink in uplinks(Router(routes=routes))][2] == ("lte", None)


def test_a_table_shared_by_two_names_neither() -> None:
    both = Route("wan", V4, (by("e1"), by("e2")))
    assert [uplink.name for uplink in uplinks(Router(routes=(both,)))] == ["e1", "e2"]


def test_of_two_tables_the_one_where_it_is_nearer_then_the_one_declared_first() -> None:
    tables = (RoutingTable("first"), RoutingTable("second"))
    routes = (route("second", by("e1"), 1), route("first", by("e1"), 2))
    assert uplinks(Router(routes=routes, tables=tables))[0].name == "second"
    routes = (route("second", by("e1"), 1), route("first", by("e1"), 1))
    assert uplinks(Router(routes=routes, tables=tables))[0].name == "first"


def test_a_table_behind_main_names_nobody() -> None:
    rule = RouteRule(RuleAction.LOOKUP, "last", stage=RuleStage.AFTER_MAIN)
    assert uplinks(Router(routes=(route("last", by("e1")),), rules=(rule,)))[0].name == "e1"


def test_no_two_uplinks_have_one_name() -> None:
    routes = (route("e2", by("e1")), route("main", by("e2")))
    assert [uplink.name for uplink in uplinks(Router(routes=routes))] == ["e2", "e2-2"]


def test_only_default_routes_that_lead_somewhere_count() -> None:
    inner = Route("main", IPv4Network("10.0.0.0/8"), (by("vpn"),))
    nowhere = Route("isp1", V4, (), 250, RouteKind.BLACKHOLE)
    assert uplinks(Router(routes=(inner, nowhere))) == ()


# --- interfaces of gateways ----------------------------------------------------------------------------------------


def test_the_interface_of_an_address_is_that_of_the_smallest_network_with_it() -> None:
    interfaces = (
        Interface("wide", addresses=(ip_interface("192.0.2.9/24"),)),
        Interface("narrow", addresses=(ip_interface("192.0.2.2/30"),)),
    )
    router = Router(interfaces=interfaces, routes=(route("isp1", at("192.0.2.1")),))
    assert uplinks(router)[0].interface == "narrow"


def test_a_gateway_behind_a_probe_host_is_found_through_main() -> None:
    probe = Route("main", IPv4Network("8.8.8.8/32"), (at("192.0.2.1"),), scope=10)
    interfaces = (Interface("e1", addresses=(ip_interface("192.0.2.2/30"),)),)
    router = Router(interfaces=interfaces, routes=(probe, route("isp1", at("8.8.8.8"))))
    assert [(uplink.name, uplink.interface) for uplink in uplinks(router)] == [("isp1", "e1")]


def test_routes_that_lead_in_a_circle_end() -> None:
    one = Route("main", IPv4Network("192.0.2.1/32"), (at("192.0.2.2"),))
    other = Route("main", IPv4Network("192.0.2.2/32"), (at("192.0.2.1"),))
    assert interface_of(at("192.0.2.1"), Router(routes=(one, other))) is None


def test_a_gateway_that_only_the_machine_can_place_is_its_own_uplink() -> None:
    found = uplinks(Router(routes=(route("main", at("192.0.2.1")), route("isp2", at("192.0.2.5")))))
    assert [(uplink.name, uplink.interface) for uplink in found] == [("192.0.2.1", None), ("isp2", None)]


def test_a_learnt_gateway_and_an_address_with_its_interface_are_one_uplink() -> None:
    stated = AddressGateway(IPv4Address("192.0.2.1"), "e1")
    found = uplinks(Router(routes=(route("isp1", LearnedGateway("e1")), route("main", stated))))
    assert [uplink.gateways for uplink in found] == [(LearnedGateway("e1"), stated)]


def test_the_bandwidth_is_that_of_the_interface() -> None:
    router = Router(routes=(route("isp1", by("e1")),), interfaces=(Interface("e1", bandwidth_bps=30_000_000),))
    assert uplinks(router)[0].bandwidth_bps == 30_000_000


# --- target shares -------------------------------------------------------------------------------------------------


def test_streams_over_the_denominator() -> None:
    rules = (pcc(3, 0, "c1", UNMARKED), pcc(3, 2, "c2", UNMARKED), pcc(3, 1, "c1", UNMARKED), *TO_TABLES)
    router = Router(mangle=rules, routes=TWO_ROUTES)
    assert targets(router) == {"isp1": Fraction(2, 3), "isp2": Fraction(1, 3)}
    assert [uplink.connection_marks for uplink in uplinks(router)] == [("c1",), ("c2",)]


def test_a_spread_counts_as_its_rules() -> None:
    spread = MangleRule("prerouting", (UNMARKED,), SpreadAction(Classifier.SRC_ADDRESS, ("c1", "c2", "c2", None)))
    router = Router(mangle=(spread, *TO_TABLES), routes=TWO_ROUTES)
    assert targets(router) == {"isp1": Fraction(1, 4), "isp2": Fraction(1, 2)}


def test_what_the_streams_leave_goes_to_the_rule_behind_them() -> None:
    rest = MangleRule("prerouting", (UNMARKED,), MarkAction(CONNECTION, "c2"))
    router = Router(mangle=(pcc(4, 0, "c1", UNMARKED), rest, *TO_TABLES), routes=TWO_ROUTES)
    assert targets(router) == {"isp1": Fraction(1, 4), "isp2": Fraction(3, 4)}


def test_mixed_denominators_share_one_hash() -> None:
    first = (pcc(2, 0, "c1", UNMARKED), pcc(4, 0, "c2", UNMARKED), pcc(4, 1, "c2", UNMARKED))
    router = Router(mangle=(*first, *TO_TABLES), routes=TWO_ROUTES)
    assert targets(router) == {"isp1": Fraction(1, 2), "isp2": Fraction(1, 4)}


def test_without_no_mark_the_last_rule_decides() -> None:
    router = Router(mangle=(pcc(2, 0, "c1"), pcc(4, 0, "c2"), *TO_TABLES), routes=TWO_ROUTES)
    assert targets(router) == {"isp1": Fraction(1, 4), "isp2": Fraction(1, 4)}


def test_several_groups_count_alike() -> None:
    lans = [(InInterface("lan1"),), (InInterface("lan2"),)]
    rules = [pcc(2, 0, "c1", *lans[0]), pcc(2, 1, "c2", *lans[0]), pcc(4, 0, "c1", *lans[1])]
    rules += [pcc(4, remainder, "c2", *lans[1]) for remainder in (1, 2, 3)]
    assert targets(Router(mangle=(*rules, *TO_TABLES), routes=TWO_ROUTES)) == {
        "isp1": Fraction(3, 8),
        "isp2": Fraction(5, 8),
    }


def test_a_classifier_right_on_mark_routing() -> None:
    rules = (pcc(2, 0, "isp1", kind=ROUTING), pcc(2, 1, "isp2", kind=ROUTING))
    assert targets(Router(mangle=rules, routes=TWO_ROUTES)) == {"isp1": Fraction(1, 2), "isp2": Fraction(1, 2)}


def test_streams_for_queues_are_no_part_of_the_balance() -> None:
    queues = (pcc(2, 0, "q", ProtocolMatch(6)),)
    rules = (*queues, pcc(2, 0, "c1"), pcc(2, 1, "c2"), *TO_TABLES)
    assert targets(Router(mangle=rules, routes=TWO_ROUTES)) == {"isp1": Fraction(1, 2), "isp2": Fraction(1, 2)}


def test_a_mark_is_followed_through_chains_and_packet_marks() -> None:
    jump = MangleRule("prerouting", (MarkMatch(CONNECTION, "c1"),), JumpAction("to-isp1"))
    inner = MangleRule("to-isp1", (), MarkAction(ROUTING, "isp1"))
    marked = MangleRule("prerouting", (MarkMatch(CONNECTION, "c2"),), MarkAction(PACKET, "p2"))
    by_packet = MangleRule("prerouting", (MarkMatch(PACKET, "p2"),), MarkAction(ROUTING, "isp2"))
    rules = (pcc(2, 0, "c1"), pcc(2, 1, "c2"), jump, inner, marked, by_packet)
    assert targets(Router(mangle=rules, routes=TWO_ROUTES)) == {"isp1": Fraction(1, 2), "isp2": Fraction(1, 2)}


def test_the_forwarding_rule_counts_before_the_one_in_output() -> None:
    rules = (pcc(2, 0, "c1"), pcc(2, 1, "c2"), routing("c1", "isp2", "output"), *TO_TABLES)
    assert targets(Router(mangle=rules, routes=TWO_ROUTES)) == {"isp1": Fraction(1, 2), "isp2": Fraction(1, 2)}


def test_a_routing_mark_without_a_table_of_its_own_is_looked_up_by_a_rule() -> None:
    rule = RouteRule(RuleAction.LOOKUP, "isp1", routing_mark="via1")
    rules = (pcc(2, 0, "c1"), routing("c1", "via1"))
    assert targets(Router(mangle=rules, routes=TWO_ROUTES, rules=(rule,)))["isp1"] == Fraction(1, 2)


def test_uplinks_of_one_table_divide_its_share() -> None:
    both = Route("wan", V4, (by("e1"), by("e2")))
    rules = (pcc(2, 0, "c1"), routing("c1", "wan"))
    assert targets(Router(mangle=rules, routes=(both,))) == {"e1": Fraction(1, 4), "e2": Fraction(1, 4)}
