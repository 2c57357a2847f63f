"""Routes, route rules, sysctls: read back as written, others' left alone, refusals as the right type."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from typing import TYPE_CHECKING

import pytest

from contract.worlds import SYSCTLS
from evenflow.core import saved
from evenflow.core.plan import EMPTY, make_plan
from evenflow.errors import NotSupportedError, SystemRefusedError
from evenflow.model.dataplane import (
    AddRoute,
    AddRouteRule,
    Dataplane,
    DeleteRoute,
    DeleteRouteRule,
    FibHop,
    FibRoute,
    FibRule,
    Jump,
    NftTransaction,
    SetSysctl,
)
from evenflow.model.flow import Family, family_of
from evenflow.model.machine import LinkAddress
from evenflow.model.nft import NftTable, SetElement
from evenflow.model.router import RouteKind
from evenflow.model.transaction import AddElements, AddSet, AddTable

if TYPE_CHECKING:
    from contract.worlds import World

V4, V6 = Family.IPV4, Family.IPV6
ANY4, ANY6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")
ONE4, TWO4 = FibHop("wan1", IPv4Address("198.51.100.1")), FibHop("wan2", IPv4Address("203.0.113.1"))
ONE6, TWO6 = FibHop("wan1", IPv6Address("2001:db8:1::1")), FibHop("wan2", IPv6Address("fe80::1"))

ROUTES = (
    FibRoute(V4, 20001, ANY4, 1, (ONE4,)),
    FibRoute(V4, 20001, ANY4, 2, (TWO4,)),
    FibRoute(V4, 20001, ANY4, 0, (TWO4,)),
    FibRoute(V4, 20002, ANY4, 1, (ONE4, TWO4), preferred_source=IPv4Address("198.51.100.2")),
    FibRoute(V4, 20002, ANY4, 2, (FibHop("wan1"), FibHop("wan2"))),
    FibRoute(V4, 20002, ANY4, 3, (FibHop("wan1"),)),
    FibRoute(V4, 20002, ANY4, 4, (FibHop("wan1"), TWO4)),
    FibRoute(V4, 20002, IPv4Network("10.0.0.0/8"), 4, (FibHop("wan1", IPv6Address("2001:db8:1::1")),)),
    FibRoute(V4, 254, IPv4Network("10.1.2.3/32"), 4, (ONE4,)),
    *(FibRoute(V4, 21023, ANY4, n, (), kind) for n, kind in enumerate(RouteKind) if kind is not RouteKind.UNICAST),
    FibRoute(V6, 20001, ANY6, 1, (ONE6,)),
    FibRoute(V6, 20001, ANY6, 2, (TWO6,), preferred_source=IPv6Address("2001:db8:1::2")),
    FibRoute(V6, 20002, ANY6, 1, (ONE6, TWO6)),
    FibRoute(V6, 20002, IPv6Network("2001:db8:7::/48"), 1, (FibHop("wan2"),)),
    *(FibRoute(V6, 21023, ANY6, n, (), kind) for n, kind in enumerate(RouteKind) if kind is not RouteKind.UNICAST),
)

RULES = (
    FibRule(V4, 21000, 20001, mark=1, mask=0x3FF),
    FibRule(V4, 21000, 20002, mark=2, mask=0x3FF),
    FibRule(V4, 21000, 20003),
    FibRule(V4, 20001, 254, suppress_prefix_length=0),
    FibRule(V4, 20001, 254, suppress_prefix_length=16),
    FibRule(V4, 20001, 254),
    FibRule(V4, 20999, 0, Jump.GOTO, goto=21999, mask=0x3FF),
    FibRule(V4, 21999, 0, Jump.NOP),
    FibRule(V4, 22000, 0, RouteKind.UNREACHABLE, mark=3, mask=0x3FF),
    FibRule(V4, 40000, 0, RouteKind.BLACKHOLE),
    FibRule(
        V4, 20500, 20001, source=IPv4Network("10.0.0.0/8"), destination=IPv4Network("192.0.2.7/32"), in_interface="wan1"
    ),
    FibRule(V4, 20501, 20001, in_interface="not-there"),
    FibRule(V6, 21000, 20001, mark=1, mask=0x3FF),
    FibRule(V6, 20001, 254, suppress_prefix_length=0),
    FibRule(V6, 22000, 0, RouteKind.PROHIBIT, source=IPv6Network("fd00::/8"), destination=IPv6Network("2001:db8::/32")),
)


@pytest.fixture
def wans(world: World) -> World:
    """A machine with two uplinks."""
    for name, address4, address6 in (
        ("wan1", "198.51.100.2/24", "2001:db8:1::2/64"),
        ("wan2", "203.0.113.2/24", "2001:db8:2::2/64"),
    ):
        world.add_link(name)
        world.add_address(name, address4)
        world.add_address(name, address6)
    return world


def routes(world: World) -> frozenset[FibRoute]:
    return world.kernel.read_dataplane().routes


def rules(world: World) -> frozenset[FibRule]:
    return world.kernel.read_dataplane().rules


def add(world: World, *wanted: FibRoute) -> None:
    for route in wanted:
        world.kernel.execute(AddRoute(route))


def test_routes_of_every_kind_are_read_back_and_deleted_one_by_one(wans: World) -> None:
    add(wans, *ROUTES)
    left = set(ROUTES)
    assert routes(wans) == left
    for route in ROUTES:
        wans.kernel.execute(DeleteRoute(route))
        left.remove(route)
        assert routes(wans) == left


def test_rules_of_every_kind_are_read_back_and_deleted_one_by_one(wans: World) -> None:
    """In this order a deletion by the kernel's own way of finding rules would hit others with the same priority."""
    for rule in RULES:
        wans.kernel.execute(AddRouteRule(rule))
    left = set(RULES)
    assert rules(wans) == left
    for rule in reversed(RULES):
        wans.kernel.execute(DeleteRouteRule(rule))
        left.remove(rule)
        assert rules(wans) == left


def test_an_ipv6_route_without_a_metric_gets_the_kernels(wans: World) -> None:
    route = FibRoute(V6, 20001, ANY6, 0, (ONE6,))
    add(wans, route)
    assert routes(wans) == {replace(route, metric=1024)}
    wans.kernel.execute(DeleteRoute(route))
    assert routes(wans) == frozenset()


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_is_not_added_twice_but_replaced(wans: World, route: FibRoute) -> None:
    add(wans, *ROUTES)
    with pytest.raises(SystemRefusedError):
        wans.kernel.execute(AddRoute(route))
    assert routes(wans) == set(ROUTES)
    refusing = replace(route, kind=RouteKind.PROHIBIT, hops=(), preferred_source=None)
    wans.kernel.execute(AddRoute(refusing, replace=True))
    assert routes(wans) == {*ROUTES, refusing} - ({route} - {refusing})
    wans.kernel.execute(AddRoute(route, replace=True))
    assert routes(wans) == set(ROUTES)


def test_replacing_what_is_not_there_adds_it(wans: World) -> None:
    wans.kernel.execute(AddRoute(ROUTES[0], replace=True))
    assert routes(wans) == {ROUTES[0]}


@pytest.mark.parametrize("route", [ROUTES[0], FibRoute(V6, 20001, ANY6, 7, (ONE6,))], ids=str)
def test_a_foreign_route_is_neither_replaced_nor_deleted(wans: World, route: FibRoute) -> None:
    foreign = replace(route, protocol=4)
    wans.add_foreign_route(foreign)
    for operation in (AddRoute(route), AddRoute(route, replace=True)):
        with pytest.raises(SystemRefusedError, match="proto 4"):
            wans.kernel.execute(operation)
    wans.kernel.execute(DeleteRoute(route))
    wans.kernel.execute(DeleteRoute(replace(route, kind=RouteKind.BLACKHOLE, hops=())))
    assert foreign in wans.kernel.read_machine().routes
    assert routes(wans) == frozenset()


def test_a_foreign_rule_is_not_deleted(wans: World) -> None:
    foreign, ours = replace(RULES[0], protocol=4), RULES[0]
    wans.add_foreign_rule(foreign)
    wans.kernel.execute(DeleteRouteRule(ours))
    wans.kernel.execute(AddRouteRule(ours))
    assert rules(wans) == {ours}
    wans.kernel.execute(DeleteRouteRule(ours))
    with pytest.raises(SystemRefusedError):
        # It is there already: the foreign one was not deleted in its place.
        wans.kernel.execute(AddRouteRule(foreign))


def test_deleting_what_is_gone_is_no_error(wans: World) -> None:
    add(wans, ROUTES[1])
    for route in (ROUTES[0], ROUTES[2], replace(ROUTES[1], hops=(ONE4,)), replace(ROUTES[1], metric=0)):
        wans.kernel.execute(DeleteRoute(route))
    wans.kernel.execute(DeleteRoute(replace(ROUTES[0], hops=(FibHop("gone", ONE4.gateway),))))
    wans.kernel.execute(DeleteRouteRule(RULES[0]))
    assert routes(wans) == {ROUTES[1]}


def test_a_rule_twice_is_refused(wans: World) -> None:
    for rule in RULES:
        wans.kernel.execute(AddRouteRule(rule))
        with pytest.raises(SystemRefusedError):
            wans.kernel.execute(AddRouteRule(rule))


@pytest.mark.parametrize(
    "route",
    [
        FibRoute(V4, 20001, ANY4, 1, (FibHop("gone", ONE4.gateway),)),
        FibRoute(V4, 20001, ANY4, 1, (FibHop("wan1", IPv4Address("198.51.100.2")),)),
        FibRoute(V4, 20001, ANY4, 1, (ONE4, FibHop("gone", TWO4.gateway))),
        FibRoute(V4, 20001, ANY4, 1, (ONE4,), preferred_source=IPv4Address("192.0.2.9")),
        FibRoute(V4, 20001, ANY4, 1, ()),
        FibRoute(V6, 20001, ANY6, 1, (FibHop("wan1", IPv6Address("2001:db8:2::1")),)),
        FibRoute(V6, 20001, ANY6, 1, (FibHop("wan1", IPv6Address("2001:db8:2::2")),)),
        FibRoute(V6, 20001, ANY6, 1, (FibHop("wan1"), FibHop("wan2"))),
        FibRoute(V6, 20001, ANY6, 1, (ONE6,), preferred_source=IPv6Address("2001:db8:9::1")),
    ],
    ids=str,
)
def test_routes_that_lead_nowhere_are_refused(wans: World, route: FibRoute) -> None:
    with pytest.raises(SystemRefusedError):
        wans.kernel.execute(AddRoute(route))
    assert routes(wans) == frozenset()


@pytest.mark.parametrize("gateway", ["192.0.2.9", "203.0.113.1", "2001:db8:9::1", "fe80::9"])
def test_a_gateway_is_believed_to_be_on_its_link(wans: World, gateway: str) -> None:
    """Whatever routes and route rules of the user say about its network."""
    address = ip_address(gateway)
    family = family_of(address)
    route = FibRoute(family, 20001, family.any_network, 1, (FibHop("wan1", address),))
    add(wans, route)
    both = replace(route, metric=2, hops=(FibHop("wan2", (TWO4 if family is V4 else TWO6).gateway), *route.hops))
    add(wans, both)
    assert routes(wans) == {route, both}


def test_no_route_by_a_link_that_is_down(wans: World) -> None:
    wans.set_link("wan1", up=False)
    for route in (ROUTES[0], FibRoute(V6, 20001, ANY6, 1, (FibHop("wan1", IPv6Address("fe80::1")),))):
        with pytest.raises(SystemRefusedError):
            wans.kernel.execute(AddRoute(route))
    wans.set_link("wan1", up=True)
    wans.kernel.execute(AddRoute(ROUTES[0]))
    assert routes(wans) == {ROUTES[0]}


def test_routes_go_with_a_link_that_goes_down_or_vanishes(wans: World) -> None:
    by_one, by_two, by_both = ROUTES[0], ROUTES[1], ROUTES[3]
    add(wans, by_one, by_two, by_both, *ROUTES[-3:], FibRoute(V6, 20001, ANY6, 1, (ONE6,)))
    wans.set_link("wan1", up=False)
    assert routes(wans) == {by_two, by_both, *ROUTES[-3:]}
    wans.delete_link("wan2")
    assert routes(wans) == set(ROUTES[-3:])


def test_routes_go_with_the_last_address_and_with_their_source(wans: World) -> None:
    wans.add_address("wan1", "192.0.2.2/24")
    plain = ROUTES[0]
    sourced = FibRoute(V4, 20001, ANY4, 9, (ONE4,), preferred_source=IPv4Address("192.0.2.2"))
    add(wans, plain, sourced, replace(sourced, table=254))
    wans.delete_address("wan1", "192.0.2.2/24")
    # The kernel looks for the source in the main table only.
    assert routes(wans) == {plain, sourced}
    wans.delete_address("wan1", "198.51.100.2/24")
    assert routes(wans) == frozenset()


def test_the_machine_shows_links_addresses_and_foreign_routes_only(wans: World) -> None:
    foreign = FibRoute(V4, 20001, IPv4Network("10.9.0.0/16"), 5, (ONE4,), protocol=4)
    wans.add_foreign_route(foreign)
    add(wans, ROUTES[0])
    machine = wans.kernel.read_machine()
    wan1 = machine.link("wan1")
    assert wan1 is not None
    assert (wan1.up, wan1.carrier, wan1.point_to_point, wan1.master) == (True, True, False, None)
    assert LinkAddress("wan1", ip_interface("198.51.100.2/24")) in machine.addresses
    assert LinkAddress("wan2", ip_interface("2001:db8:2::2/64")) in machine.addresses
    connected = FibRoute(
        V4, 254, IPv4Network("198.51.100.0/24"), 0, (FibHop("wan1"),),
        preferred_source=IPv4Address("198.51.100.2"), protocol=2,
    )  # fmt: skip
    assert {foreign, connected} <= set(machine.routes)
    assert ROUTES[0] not in machine.routes
    rule = replace(RULES[0], protocol=4, priority=100)
    wans.add_foreign_rule(rule)
    wans.kernel.execute(AddRouteRule(RULES[1]))
    found = wans.kernel.read_machine().rules
    assert rule in found
    assert RULES[1] not in found
    assert machine.link("nothing") is None
    wans.set_link("wan1", up=False)
    down = wans.kernel.read_machine().link("wan1")
    assert down is not None
    assert not down.up


def test_sysctls(world: World) -> None:
    name = "net/ipv4/ip_forward"
    before = world.kernel.read_dataplane((name, "net/not/there"))
    assert before == Dataplane(sysctls={name: before.sysctls[name]})
    for value in ("1", "0", "1"):
        world.kernel.execute(SetSysctl(name, value))
        assert world.kernel.read_dataplane((name,)).sysctls == {name: value}
    with pytest.raises(NotSupportedError):
        world.kernel.execute(SetSysctl("net/not/there", "1"))
    assert world.kernel.read_dataplane().sysctls == {}


@pytest.mark.parametrize(
    "stray",
    [
        "net/ipv4/ip_forward=banana",
        "net/ipv4/ip_forward=0",
        "../../../../etc/x=1",
        "net/ipv4/../../kernel/panic=1",
        "net/ipv4/conf/../../../../kernel/panic=1",
        "/etc/x=1",
        "kernel/hostname=1",
        "no value",
        "",
    ],
)
def test_what_somebody_else_writes_among_the_saved_sysctls_is_not_believed(world: World, stray: str) -> None:
    """And shows as a difference, so that it is taken away."""
    held = saved.to_set(saved.SAVED_SET, dict.fromkeys(SYSCTLS, "1"))
    elements = (*held.elements, SetElement(struct.pack("=I", 0x99), comment=stray))
    world.kernel.execute(NftTransaction((AddTable(), AddSet(held), AddElements(held.name, elements))))
    read = world.kernel.read_dataplane()
    assert read.saved == dict.fromkeys(SYSCTLS, "1")
    assert read.table == NftTable(sets={held.name: replace(held, elements=frozenset(elements))})
    desired = replace(read, table=NftTable())
    for operation in make_plan(desired, read).operations:
        world.kernel.execute(operation)
    assert world.kernel.read_dataplane() == desired
    for operation in make_plan(EMPTY, desired).operations:
        world.kernel.execute(operation)
    assert world.kernel.read_dataplane(SYSCTLS) == Dataplane(sysctls=dict.fromkeys(SYSCTLS, "1"))


def test_saved_sysctls_are_no_part_of_the_table(world: World) -> None:
    kept = dict.fromkeys(SYSCTLS, "1")
    held = saved.to_set(saved.SAVED_SET, kept)
    world.kernel.execute(NftTransaction((AddTable(), AddSet(held), AddElements(held.name, tuple(held.elements)))))
    read = world.kernel.read_dataplane()
    assert read.table == NftTable()
    assert read.saved == kept
    assert read.sysctls.keys() == SYSCTLS.keys()
