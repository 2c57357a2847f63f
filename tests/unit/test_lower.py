"""A policy lowered: the seed's router rule by rule, and the same uplink for each connection as the article's."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.core.lower import FALLBACK_TABLE_NAME, LAN_LIST_NAME, UPLINK_LIST_NAME, lower
from evenflow.core.trace import Tracer
from evenflow.formats.policy import parse
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, FibHop, FibRoute
from evenflow.model.flow import TCP, UDP, ConnectionState, Family, Packet
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.matcher import (
    AddressType,
    AddressTypeMatch,
    Classifier,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    OutInterface,
    PccMatch,
    StateMatch,
)
from evenflow.model.policy import LastResort, Policy
from evenflow.model.router import (
    AddressGateway,
    CheckGateway,
    InterfaceGateway,
    LearnedGateway,
    MangleRule,
    MarkAction,
    Masquerade,
    NatRule,
    Route,
    RouteKind,
    Router,
    RoutingTable,
    RuleAction,
    RuleStage,
    SpreadAction,
)
from evenflow.model.trace import Disposition, Trace

if TYPE_CHECKING:
    from evenflow.model.router import Gateway

SEED = Path(__file__).parents[2] / "examples" / "seed.toml"
V4, V6 = Family.IPV4.any_network, Family.IPV6.any_network
NEW = StateMatch(frozenset({ConnectionState.NEW}))
ELSEWHERE = AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.LOCAL}), negated=True)


def policy_of(text: str) -> Policy:
    parsed = parse(text, "p.toml")
    assert parsed.policy is not None, parsed.findings
    return parsed.policy


def seed() -> Router:
    return lower(policy_of(SEED.read_text()))


def asks(kind: MarkKind, mark: str | None) -> MarkMatch:
    return MarkMatch(kind, mark)


def defaults(router: Router, table: str, family: Family = Family.IPV4) -> list[tuple[int, object]]:
    """Distance and gateway, or kind, of the default routes of a table."""
    return [
        (route.distance, route.gateways[0] if route.gateways else route.kind)
        for route in router.routes
        if route.table == table and route.destination == family.any_network
    ]


def families_of(router: Router) -> set[tuple[Family, ...]]:
    found = {rule.families for rule in router.mangle} | {rule.families for rule in router.nat}
    return found | {rule.families for rule in router.rules}


# --- the seed, part by part ----------------------------------------------------------------------------------------


def test_the_rules_stand_in_the_order_of_a_packets_way() -> None:
    kinds = [
        (rule.chain, type(rule.action).__name__, getattr(rule.action, "kind", None), getattr(rule.action, "mark", None))
        for rule in seed().mangle
    ]
    assert kinds == [
        ("prerouting", "MarkAction", MarkKind.CONNECTION, "isp1"),
        ("prerouting", "MarkAction", MarkKind.CONNECTION, "isp2"),
        ("prerouting", "SpreadAction", None, None),
        ("prerouting", "MarkAction", MarkKind.ROUTING, "isp1"),
        ("prerouting", "MarkAction", MarkKind.ROUTING, "isp2"),
        ("output", "MarkAction", MarkKind.ROUTING, "isp1"),
        ("output", "MarkAction", MarkKind.ROUTING, "isp2"),
    ]


def test_what_the_rules_ask_for() -> None:
    incoming, _, spread, from_lan, _, own, _ = seed().mangle
    connection = MarkKind.CONNECTION
    assert set(incoming.matchers) == {InInterface("ether1"), asks(connection, None), NEW}
    assert set(spread.matchers) == {InInterface("USER_01"), asks(connection, None), NEW, ELSEWHERE}
    from_elsewhere = InInterfaceList(UPLINK_LIST_NAME, negated=True)
    assert set(from_lan.matchers) == {from_elsewhere, asks(connection, "isp1")}
    assert set(own.matchers) == {asks(connection, "isp1")}


def test_the_spread_has_the_weights_of_the_policy() -> None:
    (spread,) = (rule.action for rule in seed().mangle if isinstance(rule.action, SpreadAction))
    assert spread.classifier is Classifier.BOTH_ADDRESSES_AND_PORTS
    assert spread.owners.count("isp1") == 2 * spread.owners.count("isp2")
    assert None not in spread.owners
    assert spread.passthrough


def test_each_table_leads_by_its_own_uplink_then_by_the_other() -> None:
    router = seed()
    stated, learned = AddressGateway(IPv4Address("100.64.1.1"), "ether1"), LearnedGateway("pppoe-out1")
    nothing = (250, RouteKind.UNREACHABLE)
    assert [table.name for table in router.tables] == ["isp1", "isp2", FALLBACK_TABLE_NAME]
    assert defaults(router, "isp1") == [(1, stated), (2, learned), nothing]
    assert defaults(router, "isp2") == [(1, learned), (2, stated), nothing]
    when_all_are_lost = [(1001, stated), (1002, learned)]
    assert defaults(router, FALLBACK_TABLE_NAME) == [(1, stated), (2, learned), *when_all_are_lost]


def test_a_stated_gateway_serves_its_own_family_only() -> None:
    router = seed()
    learned, nothing = LearnedGateway("pppoe-out1"), (250, RouteKind.UNREACHABLE)
    assert defaults(router, "isp1", Family.IPV6) == [(2, learned), nothing]
    assert defaults(router, "isp2", Family.IPV6) == [(1, learned), nothing]


def test_routes_of_main_come_first_and_the_uplinks_last() -> None:
    before, after = seed().rules
    assert (before.action, before.table, before.min_prefix) == (RuleAction.LOOKUP, "main", 0)
    assert before.stage is RuleStage.BEFORE_MARKS
    assert (after.action, after.table, after.stage) == (RuleAction.LOOKUP, FALLBACK_TABLE_NAME, RuleStage.AFTER_MAIN)


def test_every_uplink_has_its_own_masquerade() -> None:
    assert [(rule.matchers, rule.action) for rule in seed().nat] == [
        ((OutInterface("ether1"),), Masquerade()),
        ((OutInterface("pppoe-out1"),), Masquerade()),
    ]


def test_interfaces_carry_their_bandwidths_and_everything_its_line() -> None:
    router = seed()
    assert [(interface.name, interface.bandwidth_bps) for interface in router.interfaces] == [
        ("USER_01", None),
        ("ether1", 30_000_000),
        ("pppoe-out1", 10_000_000),
    ]
    lines = {rule.origin.line for rule in router.mangle} | {rule.origin.line for rule in router.nat}
    lines |= {table.origin.line for table in router.tables} | {route.origin.line for route in router.routes}
    lines |= {rule.origin.line for rule in router.rules} | {interface.origin.line for interface in router.interfaces}
    assert lines == {2, 4, 9, 14}
    assert router.file == "p.toml"


# --- what else a policy can say ------------------------------------------------------------------------------------

THREE = """
lan = ["br0", "br1"]
[uplink.dsl]
interface = "eth1"
gateway = "192.0.2.1"
masquerade = false
[uplink.fibre]
interface = "eth2"
gateway = "198.51.100.1"
[uplink.cable]
interface = "eth3"
gateway = "203.0.113.1"
[balance]
weights = { dsl = 1, fibre = 5, cable = 1 }
"""


def test_backups_come_by_weight_then_in_the_order_of_the_file() -> None:
    router = lower(policy_of(THREE))
    by_table = {
        table: [gateway.interface for _, gateway in defaults(router, table) if isinstance(gateway, AddressGateway)]
        for table in ("dsl", "fibre", "cable", FALLBACK_TABLE_NAME)
    }
    assert by_table == {
        "dsl": ["eth1", "eth2", "eth3"],
        "fibre": ["eth2", "eth1", "eth3"],
        "cable": ["eth3", "eth2", "eth1"],
        FALLBACK_TABLE_NAME: ["eth1", "eth2", "eth3"] * 2,  # once more for when all are lost
    }


def test_several_lan_interfaces_are_a_list() -> None:
    router = lower(policy_of(THREE))
    assert [(known.name, known.members) for known in router.interface_lists] == [
        (UPLINK_LIST_NAME, frozenset({"eth1", "eth2", "eth3"})),
        (LAN_LIST_NAME, frozenset({"br0", "br1"})),
    ]
    (spread,) = (rule for rule in router.mangle if isinstance(rule.action, SpreadAction))
    assert InInterfaceList(LAN_LIST_NAME) in spread.matchers


def test_no_masquerade_where_none_is_wanted() -> None:
    assert [rule.matchers for rule in lower(policy_of(THREE)).nat] == [(OutInterface("eth2"),), (OutInterface("eth3"),)]


def test_a_family_without_any_gateway_is_left_alone() -> None:
    router = lower(policy_of(THREE))
    assert families_of(router) == {(Family.IPV4,)}
    assert {route.destination for route in router.routes} == {V4}


def test_a_policy_of_ipv6_alone() -> None:
    router = lower(policy_of('lan = ["a"]\n[uplink.x]\ninterface = "b"\ngateway = "fe80::1"'))
    assert families_of(router) == {(Family.IPV6,)}
    assert defaults(router, "x", Family.IPV6)[0] == (1, AddressGateway(IPv6Address("fe80::1"), "b"))
    assert {route.destination for route in router.routes} == {V6}


def test_an_address_and_auto_are_an_address_and_what_is_learnt_of_the_other_family() -> None:
    router = lower(policy_of('lan = ["a"]\n[uplink.x]\ninterface = "b"\ngateway = ["192.0.2.1", "auto"]'))
    assert defaults(router, "x")[0] == (1, AddressGateway(IPv4Address("192.0.2.1"), "b"))
    assert defaults(router, "x", Family.IPV6)[0] == (1, LearnedGateway("b"))


def test_with_main_as_last_resort_nothing_is_unreachable() -> None:
    policy = policy_of(THREE)
    to_main = replace(policy, balance=replace(policy.balance, last_resort=LastResort.MAIN))
    assert all(route.kind is RouteKind.UNICAST for route in lower(to_main).routes)


# --- the same uplink for each connection as the article's rules ----------------------------------------------------


def article() -> Router:
    """The article's router, as its rules stand there."""
    rules = [
        MangleRule(
            "prerouting",
            (InInterface(interface), asks(MarkKind.CONNECTION, None), NEW),
            MarkAction(MarkKind.CONNECTION, f"{name}_conn"),
        )
        for name, interface in (("isp1", "ether1"), ("isp2", "pppoe-out1"))
    ]
    for name, chain in (("isp2", "output"), ("isp1", "output")):
        matchers = (asks(MarkKind.CONNECTION, f"{name}_conn"),)
        rules.append(MangleRule(chain, matchers, MarkAction(MarkKind.ROUTING, name)))
    for name, remainder in (("isp1", 0), ("isp2", 2), ("isp1", 1)):
        pcc = PccMatch(Classifier.BOTH_ADDRESSES_AND_PORTS, 3, remainder)
        conditions = (InInterface("USER_01"), asks(MarkKind.CONNECTION, None), NEW, ELSEWHERE, pcc)
        rules.append(MangleRule("prerouting", conditions, MarkAction(MarkKind.CONNECTION, f"{name}_conn")))
    for name in ("isp1", "isp2"):
        of_lan = (InInterface("USER_01"), asks(MarkKind.CONNECTION, f"{name}_conn"))
        rules.append(MangleRule("prerouting", of_lan, MarkAction(MarkKind.ROUTING, name)))
    first, second = LearnedGateway("ether1", IPv4Address("100.64.1.1")), InterfaceGateway("pppoe-out1")
    ways: dict[str, tuple[Gateway, Gateway]]
    ways = {"isp1": (first, second), "isp2": (second, first), "main": (first, second)}
    return Router(
        mangle=tuple(rules),
        nat=tuple(
            NatRule("srcnat", (OutInterface(interface),), Masquerade()) for interface in ("ether1", "pppoe-out1")
        ),
        tables=(RoutingTable("isp1"), RoutingTable("isp2")),
        routes=tuple(
            Route(table, V4, (gateway,), distance, check_gateway=CheckGateway.PING)
            for table, gateways in ways.items()
            for distance, gateway in enumerate(gateways, 1)
        ),
    )


def machine(*, without: str = "") -> Machine:
    """The machine that the article's router is; `without` one of its links."""
    names = [name for name in ("USER_01", "ether1", "pppoe-out1") if name != without]
    links = [Link(name, index, point_to_point=name.startswith("ppp")) for index, name in enumerate(names, 2)]
    addresses = {"USER_01": "10.10.0.1/16", "ether1": "100.64.1.2/24", "pppoe-out1": "100.65.0.2/32"}
    own = [LinkAddress(name, ip_interface(addresses[name])) for name in names]
    connected = [
        FibRoute(Family.IPV4, MAIN_TABLE_NUMBER, one.address.network, 0, (FibHop(one.interface),), protocol=2)
        for one in own
    ]
    return Machine(tuple(links), tuple(own), tuple(connected))


def uplink_of(trace: Trace) -> tuple[str | None, str | None, object]:
    """Where it leaves, by which table, from which address."""
    return (trace.out_interface, trace.table, trace.snat)


@pytest.mark.parametrize("without", ["", "ether1", "pppoe-out1"])
@pytest.mark.parametrize("seed_number", [0, 1, 0xDEADBEEF])
def test_each_connection_takes_the_uplink_that_the_articles_rules_give_it(seed_number: int, without: str) -> None:
    here = machine(without=without)
    ours, theirs = Tracer(seed(), here, seed_number), Tracer(article(), here, seed_number)
    left_by = set()
    for number in range(150):
        packet = Packet(
            IPv4Address(0x0A0A0100 + number),
            IPv4Address(0x08080808 + number * 7919),
            UDP if number % 2 else TCP,
            10_000 + number,
            443,
            "USER_01",
        )
        one, other = ours.trace(packet), theirs.trace(packet)
        assert uplink_of(one) == uplink_of(other)
        assert one.disposition is other.disposition is Disposition.FORWARDED
        left_by.add(one.out_interface)
    assert left_by == {"ether1", "pppoe-out1"} - {without}


@pytest.mark.parametrize(("name", "interface"), [("isp1", "ether1"), ("isp2", "pppoe-out1")])
def test_replies_leave_by_the_uplink_that_the_connection_came_in_by(name: str, interface: str) -> None:
    here = machine()
    tracer = Tracer(seed(), here, 7)
    own = next(one.address.ip for one in here.addresses if one.interface == interface)
    client, outside = IPv4Address("10.10.0.9"), IPv4Address("198.51.100.7")
    incoming = tracer.trace(Packet(outside, own, TCP, 5000, 22, interface))
    assert (incoming.disposition, incoming.connection_mark) == (Disposition.DELIVERED, name)
    established = ConnectionState.ESTABLISHED
    reply = tracer.trace(Packet(own, outside, TCP, 22, 5000, None, established, name))
    assert (reply.out_interface, reply.table) == (interface, name)
    reply_of_forward = Packet(
        client, outside, TCP, 80, 5000, "USER_01", established, name, known=True, translated_source=own
    )
    forwarded = tracer.trace(reply_of_forward)
    assert (forwarded.out_interface, forwarded.table) == (interface, name)


def test_own_traffic_has_a_way_out_where_main_has_none() -> None:
    packet = Packet(IPv4Address("100.64.1.2"), IPv4Address("198.51.100.7"), UDP, 40000, 53)
    trace = Tracer(seed(), machine(), 0).trace(packet)
    assert (trace.out_interface, trace.connection_mark) == ("ether1", None)


def test_what_main_knows_better_wins_over_the_balance() -> None:
    here = machine()
    vpn = FibRoute(
        Family.IPV4,
        MAIN_TABLE_NUMBER,
        ip_interface("172.16.0.0/12").network,
        0,
        (FibHop("USER_01", IPv4Address("10.10.0.2")),),
        protocol=3,
    )
    tracer = Tracer(seed(), replace(here, routes=(*here.routes, vpn)), 0)
    trace = tracer.trace(Packet(IPv4Address("10.10.0.9"), IPv4Address("172.16.5.5"), TCP, 1, 2, "USER_01"))
    assert (trace.out_interface, trace.table) == ("USER_01", "main")
