"""A policy against a machine that can't be its router: what is missing, in the words of the policy."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

import pytest

from evenflow.core.lint import lint_machine
from evenflow.core.lint.machine import for_a_checker
from evenflow.core.lower import lower
from evenflow.core.numbering import number_router
from evenflow.formats.policy import parse
from evenflow.formats.routeros import parse as parse_script
from evenflow.model.dataplane import (
    MAIN_TABLE_NUMBER,
    ROUTING_MARK_MASK,
    TABLE_BASE,
    FibHop,
    FibRoute,
    FibRule,
)
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.router import AddressGateway, Interface, InterfaceGateway, Route, Router

POLICY = """\
lan = ["br0", "br1"]

[uplink.isp1]
interface = "eth1"
gateway = "192.0.2.1"

[uplink.isp2]
interface = "ppp0"
"""


def router(text: str = POLICY) -> Router:
    policy = parse(text, "p.toml").policy
    assert policy is not None
    return lower(policy)


def machine(**changed: Link | None) -> Machine:
    """A machine on which POLICY works; `changed` links by name, None takes one away."""
    links = {name: Link(name, index) for index, name in enumerate(("lo", "br0", "br1", "eth1", "ppp0", "eth9"), 1)}
    links["ppp0"] = replace(links["ppp0"], point_to_point=True)
    links |= {name: link for name, link in changed.items() if link is not None}
    left = tuple(link for name, link in links.items() if changed.get(name, link) is not None)
    addresses = (
        LinkAddress("eth1", ip_interface("192.0.2.9/24")),
        LinkAddress("eth9", ip_interface("198.51.100.1/24")),
        LinkAddress("lo", ip_interface("127.0.0.1/8")),
    )
    return Machine(left, addresses)


def told(router_: Router, machine_: Machine) -> list[tuple[str, int, str]]:
    findings = lint_machine(router_, machine_)
    assert all(finding.severity is Severity.ERROR for finding in findings)
    return [(finding.code, finding.where.line, finding.message) for finding in findings]


def test_a_machine_that_fits_has_no_findings() -> None:
    assert told(router(), machine()) == []


def test_an_interface_that_is_not_there() -> None:
    ((code, line, message),) = told(router(), machine(ppp0=None))
    assert (code, line) == ("interface-missing", 7)
    assert message.startswith("uplink isp2: interface ppp0 is not on this machine")
    assert "there are: br0, br1, eth1, eth9" in message


def test_an_interface_that_is_not_there_but_nearly() -> None:
    ((code, line, message),) = told(router(POLICY.replace('"br1"', '"br11"')), machine())
    assert (code, line) == ("interface-missing", 1)
    assert message.startswith("lan: interface br11")
    assert message.endswith("did you mean br1?")


def test_one_finding_for_an_interface_however_often_it_is_used() -> None:
    assert [code for code, _, _ in told(router(), machine(eth1=None))] == ["interface-missing"]


def test_a_machine_without_any_interface() -> None:
    (_, _, message), *rest = told(router(), Machine())
    assert "there is none but lo" in message
    assert {code for code, _, _ in rest} == {"interface-missing"}


def test_an_interface_that_is_down() -> None:
    ((code, line, message),) = told(router(), machine(eth1=Link("eth1", 4, up=False)))
    assert (code, line) == ("interface-down", 3)
    assert "`ip link set eth1 up`" in message


def test_a_port_of_a_bridge() -> None:
    ((code, line, message),) = told(router(), machine(br1=Link("br1", 3, master="br7")))
    assert (code, line) == ("bridge-port", 1)
    assert "use br7" in message


@pytest.mark.parametrize("stated", ['"192.0.3.1"', '["192.0.3.1", "fe80::1"]'])
def test_a_gateway_on_no_network(stated: str) -> None:
    ((code, line, message),) = told(router(POLICY.replace('"192.0.2.1"', stated)), machine())
    assert (code, line) == ("gateway-unreachable", 3)
    assert message.startswith("uplink isp1: gateway 192.0.3.1 is on no network of eth1 (eth1 has 192.0.2.9/24)")


def test_a_gateway_on_the_network_of_another_interface_is_unreachable_too() -> None:
    ((code, _, message),) = told(router(POLICY.replace("192.0.2.1", "198.51.100.7")), machine())
    assert code == "gateway-unreachable"
    assert "198.51.100.1" not in message


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("192.0.2.9", "the address of this machine on eth1"),
        ("192.0.2.255", "the broadcast address of 192.0.2.0/24 on eth1"),
    ],
)
def test_a_gateway_that_nobody_else_can_be(address: str, what: str) -> None:
    ((code, line, message),) = told(router(POLICY.replace("192.0.2.1", address)), machine())
    assert (code, line) == ("gateway-unreachable", 3)
    assert message == f"uplink isp1: gateway {address} is {what}; give the address of the router at the other end"
    alone = Router(routes=(route(at(address)),))
    assert [code for code, _, _ in told(alone, machine())] == ["gateway-unreachable"]


def test_both_addresses_of_the_smallest_network_are_hosts() -> None:
    pair = LinkAddress("eth1", ip_interface("203.0.113.0/31"))
    assert told(router(POLICY.replace("192.0.2.1", "203.0.113.1")), replace(machine(), addresses=(pair,))) == []


def test_a_gateway_of_a_family_that_the_interface_lacks() -> None:
    ((code, _, message),) = told(router(POLICY.replace("192.0.2.1", "2001:db8::1")), machine())
    assert code == "gateway-unreachable"
    assert "eth1 has no IPv6 address" in message


def test_a_gateway_is_not_told_of_where_its_interface_is() -> None:
    elsewhere = POLICY.replace("192.0.2.1", "192.0.3.1")
    assert [code for code, _, _ in told(router(elsewhere), machine(eth1=None))] == ["interface-missing"]


def test_gateways_that_are_reached_in_other_ways() -> None:
    here = machine()
    elsewhere = router(POLICY.replace("192.0.2.1", "192.0.3.1"))
    peer = LinkAddress("eth1", ip_interface("10.0.0.1/32"), peer=IPv4Address("192.0.3.1"))
    assert told(elsewhere, replace(here, addresses=(peer,))) == []
    network = ip_network("192.0.3.0/24")
    by_route = FibRoute(Family.IPV4, MAIN_TABLE_NUMBER, network, 0, (FibHop("eth1"),), protocol=4)
    assert told(elsewhere, replace(here, routes=(by_route,))) == []
    assert told(elsewhere, machine(eth1=Link("eth1", 4, point_to_point=True))) == []


def route(gateway: AddressGateway | InterfaceGateway, destination: str = "0.0.0.0/0") -> Route:
    return Route("main", ip_network(destination), (gateway,))


def at(address: str) -> AddressGateway:
    return AddressGateway(ip_address(address))


def test_an_address_alone_is_looked_for_everywhere() -> None:
    assert told(Router(routes=(route(at("198.51.100.7")),)), machine()) == []
    ((code, _, message),) = told(
        Router(routes=(route(at("203.0.113.7")), route(at("203.0.113.7"), "10.0.0.0/8"))), machine()
    )
    assert code == "gateway-unreachable"
    assert "this machine has 192.0.2.9/24, 198.51.100.1/24)" in message


def test_an_address_behind_another_gateway_is_reachable() -> None:
    inner = replace(route(at("192.0.2.1"), "8.8.8.8/32"), scope=10)
    assert told(Router(routes=(inner, route(at("8.8.8.8")))), machine()) == []


@pytest.mark.parametrize(
    ("gateway", "scope", "said"),
    [
        (at("8.8.8.8"), 30, "table main with scope=10 or less (this route's target-scope)"),
        (replace(at("8.8.8.8"), table="isp1"), 10, "8.8.8.8@isp1 is found by no usable route of table isp1"),
        (replace(at("192.0.2.1"), table="isp1"), 10, "connected networks are part of main only"),
    ],
)
def test_a_route_that_routeros_would_not_use_is_told(gateway: AddressGateway, scope: int, said: str) -> None:
    inner = replace(route(at("192.0.2.1"), "8.8.8.8/32"), scope=scope)
    (finding,) = lint_machine(Router(routes=(inner, route(gateway))), machine())
    assert (finding.code, finding.severity) == ("gateway-unresolved", Severity.WARNING)
    assert said in finding.message


def checked(names: str, machine_: Machine) -> list[tuple[str, str, int]]:
    """What `check` tells of a script that has these interfaces, about a machine."""
    lines = (f"/interface bridge\nadd name={name}\n" for name in names.split())
    text = "".join(lines) + "/ip route\nadd gateway=203.0.113.1\nadd gateway=ether1 distance=2\n"
    script = parse_script(text, "r.rsc").router
    findings = for_a_checker(lint_machine(script, machine_), script, machine_)
    return [(finding.severity.value, finding.code, finding.where.line) for finding in findings]


def test_a_script_of_another_machine_is_told_of_once() -> None:
    assert checked("bridge1", machine()) == [("info", "other-machine", 0)]
    empty = Machine((Link("lo", 1),))
    assert checked("bridge1", empty) == [("info", "other-machine", 0)]


def test_what_a_script_lacks_here_is_told_where_it_has_an_interface_here() -> None:
    lacks = [("warning", "gateway-unreachable", 4), ("warning", "interface-missing", 5)]
    assert sorted(checked("br0", machine()), key=lambda each: each[2]) == lacks


def test_interfaces_that_nothing_uses_do_not_matter() -> None:
    unused = Interface("sfp-sfpplus1", addresses=(ip_interface("10.0.0.1/24"),))
    assert told(Router(interfaces=(unused,), routes=(route(InterfaceGateway("eth9")),)), machine()) == []


def foreign(*routes: FibRoute, rules: tuple[FibRule, ...] = ()) -> list[tuple[str, str]]:
    """What is told of routes and rules of others."""
    found = lint_machine(router(), replace(machine(), routes=routes, rules=rules))
    assert all(finding.severity is Severity.WARNING and finding.where.file == "p.toml" for finding in found)
    return [(finding.code, finding.message) for finding in found]


MARK = number_router(router()).routing_marks["isp1"]
DEFAULT = FibRoute(Family.IPV4, TABLE_BASE + MARK, Family.IPV4.any_network, 0, (FibHop("eth9"),), protocol=4)


def test_a_route_of_somebody_else_before_ours() -> None:
    ((code, message),) = foreign(DEFAULT)
    assert code == "foreign-route"
    assert f"0.0.0.0/0 with metric 0 in table {DEFAULT.table} (isp1)" in message
    assert f"`ip route del 0.0.0.0/0 metric 0 table {DEFAULT.table}`" in message
    more_specific = replace(DEFAULT, destination=ip_network("10.0.0.0/8"), metric=9)
    assert [code for code, _ in foreign(more_specific)] == ["foreign-route"]


def test_routes_of_somebody_else_that_take_nothing_from_us() -> None:
    assert foreign(replace(DEFAULT, metric=200), replace(DEFAULT, table=77), replace(DEFAULT, table=254)) == []


RULE = FibRule(Family.IPV4, 100, 77, mark=MARK, mask=ROUTING_MARK_MASK, protocol=4)


@pytest.mark.parametrize(
    "rule",
    [RULE, replace(RULE, mask=0xFFFF_FFFF), replace(RULE, mark=MARK & 1, mask=1), replace(RULE, family=Family.IPV6)],
    ids=str,
)
def test_a_rule_of_somebody_else_for_our_marks(rule: FibRule) -> None:
    ((code, message),) = foreign(rules=(rule,))
    assert code == "foreign-rule"
    assert f"priority 100, fwmark {rule.mark:#x}/{rule.mask:#x}, lookup 77" in message


@pytest.mark.parametrize(
    "rule",
    [
        replace(RULE, priority=32765),
        replace(RULE, mark=0x80000, mask=0xFF0000),
        replace(RULE, mark=0, mask=0),
        replace(RULE, mark=0),
    ],
    ids=str,
)
def test_rules_of_somebody_else_that_take_nothing_from_us(rule: FibRule) -> None:
    assert foreign(rules=(rule,)) == []
