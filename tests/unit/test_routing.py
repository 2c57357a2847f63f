from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_interface, ip_network

import pytest

from evenflow.core.lookup import Fib, Question, Refusal
from evenflow.core.numbering import number_router
from evenflow.core.routing import Routing, resolve
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, FibHop, FibRoute, FibRule, Jump
from evenflow.model.flow import Family
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.router import (
    LAST_RESORT_DISTANCE,
    AddressGateway,
    Gateway,
    InterfaceGateway,
    LearnedGateway,
    Route,
    RouteKind,
    Router,
    RouteRule,
    RoutingTable,
    RuleAction,
    RuleStage,
)

ANY4, ANY6 = Family.IPV4.any_network, Family.IPV6.any_network

MACHINE = Machine(
    (Link("lan", 2), Link("eth1", 3), Link("ppp0", 4, point_to_point=True), Link("off", 5, up=False)),
    (
        LinkAddress("lan", ip_interface("10.0.0.1/24")),
        LinkAddress("eth1", ip_interface("192.0.2.2/24")),
        LinkAddress("eth1", ip_interface("fe80::2/64")),
        LinkAddress("ppp0", ip_interface("198.51.100.7/32"), IPv4Address("198.51.100.1")),
        LinkAddress("off", ip_interface("203.0.113.2/24")),
    ),
)


def route(*gateways: Gateway, table: str = "isp1", distance: int = 1, to: str = "0.0.0.0/0") -> Route:
    return Route(table, ip_network(to), gateways, distance)


def routing(*routes: Route, machine: Machine = MACHINE, rules: tuple[RouteRule, ...] = ()) -> Routing:
    router = Router(tables=(RoutingTable("isp1"), RoutingTable("isp2")), routes=routes, rules=rules)
    return resolve(router, machine, number_router(router))


def hops(*gateways: Gateway, machine: Machine = MACHINE, to: str = "0.0.0.0/0") -> tuple[FibHop, ...]:
    found = routing(route(*gateways, to=to), machine=machine).routes
    return found[0].hops if found else ()


def foreign(gateway: str | None, interface: str, metric: int = 100, to: str = "0.0.0.0/0") -> FibRoute:
    network = ip_network(to)
    hop = FibHop(interface, ip_address(gateway) if gateway else None)
    family = Family.IPV4 if network.version == 4 else Family.IPV6
    return FibRoute(family, MAIN_TABLE_NUMBER, network, metric, (hop,), protocol=16)


def test_an_address_is_on_the_link_whose_network_has_it() -> None:
    assert hops(AddressGateway(IPv4Address("192.0.2.1"))) == (FibHop("eth1", IPv4Address("192.0.2.1")),)
    assert hops(AddressGateway(IPv4Address("198.51.100.1"))) == (FibHop("ppp0", IPv4Address("198.51.100.1")),)


def test_an_address_on_no_network_gives_no_route() -> None:
    assert hops(AddressGateway(IPv4Address("172.16.0.1"))) == ()
    assert hops(AddressGateway(IPv6Address("fe80::1"))) == ()  # every link has that network
    assert hops(AddressGateway(IPv6Address("fe80::1"), "eth1"), to="::/0") == (FibHop("eth1", IPv6Address("fe80::1")),)


@pytest.mark.parametrize("gateway", [InterfaceGateway("off"), InterfaceGateway("gone"), LearnedGateway("off")])
def test_a_link_that_is_down_or_missing_gives_no_route(gateway: Gateway) -> None:
    assert hops(gateway) == ()


def test_a_gateway_is_learnt_from_the_smallest_metric_of_somebody_elses() -> None:
    there = replace(MACHINE, routes=(foreign("192.0.2.9", "eth1", 300), foreign("192.0.2.8", "eth1", 200)))
    learned = LearnedGateway("eth1", IPv4Address("192.0.2.1"))
    assert hops(learned, machine=there) == (FibHop("eth1", IPv4Address("192.0.2.8")),)


def test_until_one_is_learnt_the_stated_one_stands() -> None:
    assert hops(LearnedGateway("eth1", IPv4Address("192.0.2.1"))) == (FibHop("eth1", IPv4Address("192.0.2.1")),)
    assert hops(LearnedGateway("eth1")) == ()


def test_a_point_to_point_link_needs_no_next_hop_in_a_family_that_it_has() -> None:
    assert hops(LearnedGateway("ppp0")) == (FibHop("ppp0"),)
    assert hops(LearnedGateway("ppp0"), to="::/0") == ()


def test_a_router_advertisement_is_learnt() -> None:
    there = replace(MACHINE, routes=(foreign("fe80::1", "eth1", 1024, "::/0"),))
    assert hops(LearnedGateway("eth1"), machine=there, to="::/0") == (FibHop("eth1", IPv6Address("fe80::1")),)


NEAR, FAR = IPv4Address("192.0.2.1"), IPv4Address("8.8.8.8")


def outer(target_scope: int = 10, table: str | None = None) -> Route:
    return replace(route(AddressGateway(FAR, table=table)), target_scope=target_scope)


def to_far(scope: int = 10, table: str = "main", *, in_force: bool = True) -> Route:
    return replace(route(AddressGateway(NEAR), table=table, to="8.8.8.8/32"), scope=scope, in_force=in_force)


def reached(*routes: Route) -> bool:
    """Whether the last of the routes can be used."""
    return any(r.destination == ANY4 and r.hops == (FibHop("eth1", NEAR),) for r in routing(*routes).routes)


def test_a_recursive_gateway_is_reached_by_a_route_of_main_within_its_scope() -> None:
    assert reached(to_far(10), outer(10))
    assert reached(to_far(10), outer(11))
    assert not reached(to_far(30), outer(10))
    assert reached(to_far(30), outer(30))
    assert not reached(outer(30))


def test_what_is_connected_has_scope_ten() -> None:
    near = route(AddressGateway(NEAR))
    assert reached(replace(near, target_scope=10))
    assert not reached(replace(near, target_scope=9))
    assert reached(replace(route(AddressGateway(NEAR, "eth1")), target_scope=0))  # nothing is looked up


def test_a_gateway_is_looked_up_in_the_table_that_it_names() -> None:
    assert reached(to_far(table="isp2"), outer(table="isp2"))
    assert not reached(to_far(), outer(table="isp2"))
    assert reached(to_far(), outer(table="main"))
    assert not reached(route(AddressGateway(NEAR, table="isp2")))  # connected networks are in main


def test_a_route_that_is_lost_leads_to_no_gateway() -> None:
    assert not reached(to_far(in_force=False), outer())
    assert routing(to_far(in_force=False), outer()).uplink_interfaces == {"eth1"}


def test_gateways_that_need_each_other_end() -> None:
    one = route(AddressGateway(IPv4Address("2.2.2.2")), table="main", to="1.1.1.1/32")
    other = route(AddressGateway(IPv4Address("1.1.1.1")), table="main", to="2.2.2.2/32")
    assert routing(one, other).routes == ()


def test_equal_distances_share() -> None:
    (found,) = routing(route(InterfaceGateway("ppp0")), route(AddressGateway(IPv4Address("192.0.2.1")))).routes
    assert {hop.interface for hop in found.hops} == {"ppp0", "eth1"}


def test_ipv6_shares_only_among_gateways_with_an_address() -> None:
    by_address = AddressGateway(IPv6Address("fe80::1"), "eth1")
    other = AddressGateway(IPv6Address("fe80::1"), "lan")
    by_interface, bare = InterfaceGateway("lan"), InterfaceGateway("eth1")
    ipv6 = "::/0"
    assert {hop.interface for hop in hops(by_address, other, to=ipv6)} == {"eth1", "lan"}
    assert hops(by_interface, by_address, to=ipv6) == (FibHop("eth1", IPv6Address("fe80::1")),)
    assert hops(by_interface, bare, to=ipv6) == (FibHop("lan"),)
    (joined,) = routing(route(by_interface, to=ipv6), route(by_address, to=ipv6)).routes
    assert joined.hops == (FibHop("eth1", IPv6Address("fe80::1")),)


def test_no_uplink_in_a_family_means_no_last_resort_in_it() -> None:
    last = [replace(route(), destination=network, kind=RouteKind.UNREACHABLE, distance=250) for network in (ANY4, ANY6)]
    found = routing(route(InterfaceGateway("ppp0")), *last).routes
    assert {(r.family, r.kind) for r in found} == {
        (Family.IPV4, RouteKind.UNICAST),
        (Family.IPV4, RouteKind.UNREACHABLE),
    }


def test_a_foreign_route_in_the_way_is_a_finding() -> None:
    there = replace(MACHINE, routes=(foreign("192.0.2.9", "eth1", 3),))
    (finding,) = routing(route(InterfaceGateway("ppp0"), table="main", distance=3), machine=there).findings
    assert finding.code == "route-conflict"


# --- lookups


def decide(question: Question, *routes: Route, machine: Machine = MACHINE, rules: tuple[RouteRule, ...] = ()) -> object:
    found = routing(*routes, machine=machine, rules=rules)
    decision = Fib.of(machine, found.routes, found.rules, found.uplink_interfaces).decide(question)
    return decision.hop.interface if decision.hop else decision.refusal


OUT = IPv4Address("8.8.8.8")
MARK = number_router(Router(tables=(RoutingTable("isp1"), RoutingTable("isp2")))).routing_marks["isp1"]
WAY = route(InterfaceGateway("ppp0"))
BACKUP = route(InterfaceGateway("eth1"), distance=2)


def test_a_marked_packet_takes_its_table_by_distance() -> None:
    assert decide(Question(OUT, mark=MARK), WAY, BACKUP) == "ppp0"
    assert decide(Question(OUT), WAY, BACKUP) is Refusal.NO_ROUTE


def test_a_lost_carrier_leaves_the_backup() -> None:
    links = tuple(replace(link, carrier=link.name != "ppp0") for link in MACHINE.links)
    assert decide(Question(OUT, mark=MARK), WAY, BACKUP, machine=replace(MACHINE, links=links)) == "eth1"


def test_a_table_without_a_route_falls_through_to_main() -> None:
    there = replace(MACHINE, routes=(foreign("192.0.2.9", "eth1"),))
    assert decide(Question(OUT, mark=MARK), machine=there) == "eth1"


def test_lookup_only_does_not_fall_through() -> None:
    there = replace(MACHINE, routes=(foreign("192.0.2.9", "eth1"),))
    only = RouteRule(RuleAction.LOOKUP_ONLY, "isp2")
    assert decide(Question(OUT), machine=there, rules=(only,)) is Refusal.UNREACHABLE


def test_specific_routes_of_main_win_where_a_policy_says_so() -> None:
    there = replace(MACHINE, routes=(foreign(None, "lan", 0, "10.0.0.0/24"), foreign("192.0.2.9", "eth1")))
    first = RouteRule(RuleAction.LOOKUP, "main", min_prefix=0, stage=RuleStage.BEFORE_MARKS)
    assert decide(Question(IPv4Address("10.0.0.5"), mark=MARK), WAY, machine=there, rules=(first,)) == "lan"
    assert decide(Question(OUT, mark=MARK), WAY, machine=there, rules=(first,)) == "ppp0"
    assert decide(Question(IPv4Address("10.0.0.5"), mark=MARK), WAY, machine=there) == "ppp0"


def test_priorities_follow_the_stages() -> None:
    rules = (
        RouteRule(RuleAction.LOOKUP, "isp2", stage=RuleStage.AFTER_MAIN, families=(Family.IPV4,)),
        RouteRule(RuleAction.DROP, source=ip_network("10.0.0.9/32"), families=(Family.IPV4,)),
        RouteRule(RuleAction.LOOKUP, "main", stage=RuleStage.BEFORE_MARKS, min_prefix=0, families=(Family.IPV4,)),
    )
    found = sorted(routing(WAY, rules=rules).rules, key=lambda rule: rule.priority)
    assert [rule.priority for rule in found] == [20000, 21000, 22000, 40000]
    assert all(isinstance(rule, FibRule) and rule.is_ours for rule in found)


def test_packets_without_a_routing_mark_jump_over_the_rules_of_many() -> None:
    tables = [route(InterfaceGateway("ppp0"), table=f"isp{n}") for n in range(1, 40)]
    few, many = routing(*tables[:9]).rules, routing(*tables).rules
    assert {rule.kind for rule in few} == {RouteKind.UNICAST}
    found = sorted(many, key=lambda rule: rule.priority)
    assert [rule.priority for rule in found] == [20999, *([21000] * 39), 21999]
    assert (found[0].answer, found[0].mark, found[0].mask, found[-1].answer) == ("goto 21999", 0, 0x3FF, "nop")
    fib = Fib.of(MACHINE, (), many, frozenset())
    assert [rule.priority for rule, _ in fib.asked(Question(OUT))] == [20999, 21999, 32766]
    marked = list(fib.asked(Question(OUT, mark=MARK)))
    assert [rule.priority for rule, _ in marked] == [20999, *([21000] * 39), 21999, 32766]
    assert [missing for _, missing in marked].count("fwmark") == 39


@pytest.mark.parametrize("kind", [RouteKind.BLACKHOLE, RouteKind.UNREACHABLE, RouteKind.PROHIBIT])
def test_a_refusal_alone_in_its_table_refuses(kind: RouteKind) -> None:
    there = replace(MACHINE, routes=(foreign("192.0.2.9", "eth1"),))
    refusing = Route("isp1", ANY4, (), 254, kind)
    assert isinstance(decide(Question(OUT, mark=MARK), refusing, machine=there), Refusal)


def test_a_policys_last_resort_alone_in_its_table_is_left_out() -> None:
    there = replace(MACHINE, routes=(foreign("192.0.2.9", "eth1"),))
    last = Route("isp1", ANY4, (), LAST_RESORT_DISTANCE, RouteKind.UNREACHABLE)
    assert decide(Question(OUT, mark=MARK), last, machine=there) == "eth1"


def test_a_jump_to_where_no_rule_is_leads_nowhere() -> None:
    rules = (FibRule(Family.IPV4, 1, kind=Jump.GOTO, goto=9), FibRule(Family.IPV4, 5, 77))
    fib = Fib.of(MACHINE, (), rules, frozenset())
    assert [rule.priority for rule, _ in fib.asked(Question(OUT))] == [1, 5, 32766]
    there = Fib.of(MACHINE, (), (*rules, FibRule(Family.IPV4, 9, kind=Jump.NOP)), frozenset())
    assert [rule.priority for rule, _ in there.asked(Question(OUT))] == [1, 9, 32766]


def test_of_several_next_hops_one_is_chosen_and_that_there_is_a_choice_is_told() -> None:
    both = route(InterfaceGateway("ppp0"), InterfaceGateway("eth1"))
    found = routing(both)
    fib = Fib.of(MACHINE, found.routes, found.rules, found.uplink_interfaces)
    decisions = [fib.decide(Question(OUT, mark=MARK, choice=choice)) for choice in range(3)]
    assert [decision.hop.interface for decision in decisions if decision.hop] == ["ppp0", "eth1", "ppp0"]
    assert {decision.tried[-1].ways for decision in decisions} == {2}


@pytest.mark.parametrize("everything", [ANY4, None])
def test_a_selector_of_everything_is_none(everything: IPv4Network | None) -> None:
    rule = RouteRule(RuleAction.LOOKUP, "isp1", everything, everything, families=(Family.IPV4,))
    (found,) = [made for made in routing(rules=(rule,)).rules if made.priority == 22000]
    assert (found.source, found.destination) == (None, None)
