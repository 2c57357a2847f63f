"""Odd packets' ways, one by one; that the kernel agrees is for tests/differential."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

import pytest

from evenflow.core.following import next_packet
from evenflow.core.trace import Tracer
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, FibHop, FibRoute
from evenflow.model.flow import TCP, UDP, ConnectionState, Family, Packet
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.matcher import AddressRange, Direction, InInterface, MarkKind, MarkMatch, OutInterface, PortMatch
from evenflow.model.router import (
    AddressGateway,
    DestinationNat,
    InterfaceGateway,
    MangleRule,
    MarkAction,
    Masquerade,
    NatRule,
    Redirect,
    Route,
    RouteKind,
    Router,
    RoutingTable,
    SourceNat,
)
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import NatAction
    from evenflow.model.trace import Trace

CONNECTION, ROUTING, PACKET = MarkKind.CONNECTION, MarkKind.ROUTING, MarkKind.PACKET


def foreign(to: str, interface: str, via: str | None = None) -> FibRoute:
    hop = FibHop(interface, ip_address(via) if via else None)
    return FibRoute(Family.IPV4, MAIN_TABLE_NUMBER, ip_network(to), 0, (hop,), protocol=2)


MACHINE = Machine(
    (Link("lo", 1), Link("lan", 2), Link("wan0", 3), Link("wan1", 4)),
    (
        LinkAddress("lan", ip_interface("10.1.0.1/16")),
        LinkAddress("wan0", ip_interface("192.0.2.2/24")),
        LinkAddress("wan1", ip_interface("198.51.100.2/24")),
    ),
    (
        foreign("10.1.0.0/16", "lan"),
        foreign("192.0.2.0/24", "wan0"),
        foreign("198.51.100.0/24", "wan1"),
        foreign("0.0.0.0/0", "wan0", "192.0.2.1"),
    ),
)
IN = Packet(ip_address("10.1.3.9"), ip_address("9.9.9.9"), UDP, 5555, 53, "lan")
OWN = Packet(ip_address("192.0.2.2"), ip_address("9.9.9.9"), UDP, 5555, 53)


def rule(mark: str, kind: MarkKind, *matchers: Matcher, chain: str = "prerouting", goes_on: bool = True) -> MangleRule:
    return MangleRule(chain, matchers, MarkAction(kind, mark, goes_on))


def trace(packet: Packet, *rules: MangleRule, choice: int = 0, more: dict[str, object] | None = None) -> Trace:
    router = Router(rules, **(more or {}))  # type: ignore[arg-type]
    return Tracer(router, MACHINE, 1).trace(packet, choice)


def routes(*gateways: AddressGateway | InterfaceGateway) -> dict[str, object]:
    any_network = Family.IPV4.any_network
    return {"routes": (Route("isp1", any_network, gateways),), "tables": (RoutingTable("isp1"),)}


# --- packets of no connection


@pytest.mark.parametrize("state", [ConnectionState.INVALID, ConnectionState.UNTRACKED])
def test_without_a_connection_there_is_no_connection_mark(state: ConnectionState) -> None:
    packet = replace(IN, protocol=TCP, state=state)
    no_mark, some = MarkMatch(CONNECTION, None), MarkMatch(CONNECTION, "x", negated=True)
    found = trace(packet, rule("x", CONNECTION), rule("gold", PACKET, no_mark), rule("gold", PACKET, some))
    assert (found.connection_mark, found.packet_mark) == (None, None)
    assert trace(replace(packet, state=ConnectionState.NEW), rule("gold", PACKET, some)).packet_mark == "gold"


def test_a_mark_that_can_not_be_set_ends_the_hook_all_the_same() -> None:
    packet = replace(IN, state=ConnectionState.INVALID)
    rules = (rule("x", CONNECTION, goes_on=False), rule("gold", PACKET))
    assert trace(packet, *rules).packet_mark is None


# --- own packets


def test_the_routers_packets_to_itself_leave_by_lo_and_come_in_by_it() -> None:
    packet = replace(OWN, destination=ip_address("10.1.0.1"))
    rules = (
        rule("out", CONNECTION, OutInterface("lo"), chain="output"),
        rule("isp1", ROUTING, chain="output"),
        rule("gold", PACKET, InInterface("lo")),
        rule("x", CONNECTION, MarkMatch(CONNECTION, "out"), chain="input"),
    )
    found = trace(packet, *rules, more=routes(InterfaceGateway("wan1")))
    assert found.disposition is Disposition.DELIVERED
    assert (found.connection_mark, found.routing_mark, found.packet_mark) == ("x", "isp1", "gold")
    assert found.out_interface is None


# --- several next hops


def test_own_packets_are_routed_by_their_new_mark_before_nat_changes_where_they_go() -> None:
    """The answer to a connection from the router to itself that source NAT gave another address."""
    answer = replace(OWN, source=ip_address("10.1.0.1"), destination=ip_address("192.0.2.60"), known=True)
    answer = replace(answer, translated_destination=ip_address("192.0.2.2"))
    nowhere = {"routes": (Route("isp1", ip_network("192.0.2.0/24"), (), kind=RouteKind.UNREACHABLE),)}
    marking = rule("isp1", ROUTING, chain="output")
    assert trace(answer).disposition is Disposition.DELIVERED
    found = trace(answer, marking, more={**nowhere, "tables": (RoutingTable("isp1"),)})
    assert (found.disposition, found.dnat) == (Disposition.UNREACHABLE, None)


def test_a_choice_of_the_kernels_is_told() -> None:
    ways = routes(AddressGateway(ip_address("192.0.2.1")), AddressGateway(ip_address("198.51.100.1")))
    found = [trace(IN, rule("isp1", ROUTING), choice=choice, more=ways) for choice in range(2)]
    assert [t.out_interface for t in found] == ["wan0", "wan1"]
    assert {t.ways for t in found} == {2}
    (step,) = [step for step in found[0].steps if "hash of its own" in step.detail]
    assert step.matched
    assert trace(IN).ways == 1


# --- translations


def nat(chain: str, action: NatAction) -> dict[str, object]:
    return {"nat": (NatRule(chain, (), action, (Family.IPV4,)),)}


def addresses(first: str, last: str) -> AddressRange:
    return AddressRange(ip_address(first), ip_address(last))


def test_only_the_kernel_knows_which_address_of_a_range() -> None:
    assert trace(IN, more=nat("srcnat", SourceNat(addresses("192.0.2.50", "192.0.2.50")))).snat == ip_address(
        "192.0.2.50"
    )
    found = trace(IN, more=nat("srcnat", SourceNat(addresses("192.0.2.50", "192.0.2.60"))))
    assert found.snat is None
    assert any("192.0.2.50 to 192.0.2.60" in step.detail for step in found.steps)


def test_where_a_destination_was_changed_to_is_told() -> None:
    packet = replace(IN, source=ip_address("9.9.9.9"), destination=ip_address("192.0.2.2"), in_interface="wan0")
    action = DestinationNat(addresses("10.1.3.7", "10.1.3.7"))
    found = trace(packet, more=nat("dstnat", action))
    assert (found.disposition, found.dnat, found.out_interface) == (
        Disposition.FORWARDED,
        ip_address("10.1.3.7"),
        "lan",
    )
    related = trace(replace(packet, state=ConnectionState.RELATED), more=nat("dstnat", action))
    assert related.dnat == found.dnat
    invalid = trace(replace(packet, state=ConnectionState.INVALID), more=nat("dstnat", action))
    assert (invalid.dnat, invalid.disposition) == (None, Disposition.DELIVERED)


# --- what is dropped


def test_what_follows_goes_to_the_port_that_the_first_packet_went_to() -> None:
    action = DestinationNat(addresses("10.1.3.7", "10.1.3.7"), (8080, 8080))
    to_8080 = PortMatch(Direction.DESTINATION, ((8080, 8080),))
    forwarded = MangleRule("forward", (to_8080,), MarkAction(PACKET, "gold"))
    packet = replace(IN, source=ip_address("9.9.9.9"), destination=ip_address("192.0.2.2"), in_interface="wan0")
    first = trace(packet, forwarded, more=nat("dstnat", action))
    later = trace(next_packet(packet, first), forwarded, more=nat("dstnat", action))
    assert (first.dnat_port, first.packet_mark) == (later.dnat_port, later.packet_mark) == (8080, "gold")


def test_only_masquerade_holds_a_connection_to_its_line() -> None:
    for action, by in ((Masquerade(), "wan0"), (SourceNat(addresses("192.0.2.9", "192.0.2.9")), None)):
        first = trace(IN, more=nat("srcnat", action))
        assert next_packet(IN, first).masqueraded_by == by


def test_what_can_not_be_redirected_is_dropped() -> None:
    packet = replace(IN, source=ip_address("fd00::1"), destination=ip_address("2a00::1"))
    redirect = NatRule("dstnat", (), Redirect(None), (Family.IPV6,))
    assert trace(packet, more={"nat": (redirect,)}).disposition is Disposition.DROPPED


@pytest.mark.parametrize(
    ("of_wan1", "of_all", "disposition"),
    [
        ("0", "0", Disposition.DELIVERED),
        ("1", "0", Disposition.DROPPED),
        ("0", "1", Disposition.DROPPED),
        ("2", "1", Disposition.DELIVERED),
    ],
)
def test_the_reverse_path_filter_is_the_one_that_holds(of_wan1: str, of_all: str, disposition: Disposition) -> None:
    by_wan1 = Packet(ip_address("9.9.9.9"), ip_address("198.51.100.2"), UDP, 53, 5555, "wan1")
    sysctls = {"net/ipv4/conf/all/rp_filter": of_all, "net/ipv4/conf/wan1/rp_filter": of_wan1}
    assert Tracer(Router(), MACHINE, 1, sysctls).trace(by_wan1).disposition is disposition
    by_wan0 = replace(by_wan1, in_interface="wan0", destination=ip_address("192.0.2.2"))
    assert Tracer(Router(), MACHINE, 1, sysctls).trace(by_wan0).disposition is Disposition.DELIVERED


def test_a_loose_filter_asks_for_any_route() -> None:
    away = replace(MACHINE, routes=MACHINE.routes[:-1])
    packet = Packet(ip_address("9.9.9.9"), ip_address("192.0.2.2"), UDP, 53, 5555, "wan0")
    loose = {"net/ipv4/conf/wan0/rp_filter": "2"}
    assert Tracer(Router(), away, 1, loose).trace(packet).disposition is Disposition.DROPPED
    assert Tracer(Router(), away, 1).trace(packet).disposition is Disposition.DELIVERED


def test_nobody_else_can_have_an_address_of_the_routers() -> None:
    assert trace(replace(IN, source=ip_address("192.0.2.2"))).disposition is Disposition.DROPPED


@pytest.mark.parametrize(
    ("group", "disposition"), [("224.0.0.1", Disposition.DELIVERED), ("224.0.0.251", Disposition.DROPPED)]
)
def test_a_group_is_heard_by_who_is_in_it(group: str, disposition: Disposition) -> None:
    assert trace(replace(IN, destination=ip_address(group))).disposition is disposition


GUARDED: dict[str, object] = {"guarded": frozenset({"wan0"})}


def test_the_leak_guard_lets_out_what_has_an_address_of_the_line() -> None:
    masquerade = nat("srcnat", Masquerade())
    assert trace(IN, more=masquerade | GUARDED).snat == ip_address("192.0.2.2")
    assert trace(OWN, more=GUARDED).disposition is Disposition.SENT
    other = replace(OWN, source=ip_address("198.51.100.2"))
    assert trace(other, more=GUARDED).disposition is Disposition.DROPPED
    assert trace(IN, more=GUARDED).disposition is Disposition.DROPPED
    assert (
        trace(replace(IN, state=ConnectionState.INVALID), more=masquerade | GUARDED).disposition is Disposition.DROPPED
    )
    assert trace(replace(IN, state=ConnectionState.UNTRACKED), more=GUARDED).disposition is Disposition.FORWARDED
