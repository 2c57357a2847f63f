"""Tables, routes, route rules, and the routes that clients and their scripts make."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from evenflow.formats.routeros import Parsed, parse
from evenflow.model.finding import Origin
from evenflow.model.flow import Family
from evenflow.model.router import (
    AddressGateway,
    CheckGateway,
    InterfaceGateway,
    LearnedGateway,
    Route,
    RouteKind,
    RouteRule,
    RoutingTable,
    RuleAction,
)

if TYPE_CHECKING:
    from collections.abc import Callable

V4_DEFAULT = ip_network("0.0.0.0/0")


def codes(parsed: Parsed) -> list[tuple[str, str]]:
    return [(finding.severity.value, finding.code) for finding in parsed.findings if finding.code != "not-routing"]


def routes(text: str) -> tuple[Route, ...]:
    parsed = parse(text, "r.rsc")
    assert codes(parsed) == []
    return parsed.router.routes


def route(properties: str, menu: str = "/ip route") -> Route:
    (found,) = routes(f"{menu} add {properties}")
    return found


@pytest.mark.parametrize(
    ("given", "gateways"),
    [
        ("192.0.2.1", (AddressGateway(ip_address("192.0.2.1")),)),
        ("pppoe-out1", (InterfaceGateway("pppoe-out1"),)),
        ('"pppoe out"', (InterfaceGateway("pppoe out"),)),
        ("192.0.2.1%ether1", (AddressGateway(ip_address("192.0.2.1"), "ether1"),)),
        ("192.0.2.1@main", (AddressGateway(ip_address("192.0.2.1"), None, "main"),)),
        ("192.0.2.1%ether1@isp1", (AddressGateway(ip_address("192.0.2.1"), "ether1", "isp1"),)),
        ("192.0.2.1,ether2,192.0.2.2",
         (AddressGateway(ip_address("192.0.2.1")), InterfaceGateway("ether2"),
          AddressGateway(ip_address("192.0.2.2")))),
    ],
)  # fmt: skip
def test_gateways(given: str, gateways: object) -> None:
    assert route(f"gateway={given}").gateways == gateways


def test_what_a_route_is_when_nothing_else_is_said() -> None:
    assert route("gateway=ether1") == Route(
        "main", V4_DEFAULT, (InterfaceGateway("ether1"),), origin=Origin("r.rsc", 1, "/ip route add")
    )


def test_everything_a_route_can_say() -> None:
    text = (
        "check-gateway=arp comment=a distance=3 dst-address=10.0.0.1/8 gateway=192.0.2.1 pref-src=192.0.2.2 "
        "routing-table=isp1 scope=10 target-scope=11 suppress-hw-offload=no"
    )
    assert route(text) == Route(
        "isp1",
        ip_network("10.0.0.0/8"),
        (AddressGateway(ip_address("192.0.2.1")),),
        3,
        RouteKind.UNICAST,
        CheckGateway.ARP,
        10,
        11,
        ip_address("192.0.2.2"),
        gateway_watches=("192.0.2.1",),
        comment="a",
        origin=Origin("r.rsc", 1, "/ip route add"),
    )


@pytest.mark.parametrize(("given", "check"), [("ping", CheckGateway.PING), ("arp", CheckGateway.ARP), ("none", None)])
def test_check_gateway(given: str, check: CheckGateway | None) -> None:
    assert route(f"gateway=192.0.2.1 check-gateway={given}").check_gateway is check


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("blackhole", RouteKind.BLACKHOLE),
        ("blackhole=yes", RouteKind.BLACKHOLE),
        ("type=blackhole", RouteKind.BLACKHOLE),
        ("type=unreachable", RouteKind.UNREACHABLE),
        ("type=prohibit gateway=192.0.2.1", RouteKind.PROHIBIT),
    ],
)
def test_kinds_without_a_gateway(given: str, kind: RouteKind) -> None:
    found = route(f"dst-address=10.0.0.0/8 {given}")
    assert (found.kind, found.gateways) == (kind, ())


@pytest.mark.parametrize("source", ['""', "0.0.0.0"])
def test_a_preferred_source_that_says_nothing(source: str) -> None:
    assert route(f"gateway=192.0.2.1 pref-src={source}").preferred_source is None


def test_ipv6_routes() -> None:
    found = route("gateway=fe80::1%ether1", "/ipv6 route")
    assert found.destination == ip_network("::/0")
    assert found.gateways == (AddressGateway(ip_address("fe80::1"), "ether1"),)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("dst-address=10.0.0.0/8", "missing-property"),
        ("gateway=192.0.2.300", "bad-value"),
        ("gateway=2001:db8::1", "bad-value"),
        ("gateway=192.0.2.1,,192.0.2.2", "bad-value"),
        ("gateway=ether1@isp1", "bad-value"),
        ("gateway=192.0.2.1%", "bad-value"),
        ("gateway=ether1 distance=256", "bad-value"),
        ("gateway=ether1 distance=-1", "bad-value"),
        ("gateway=ether1 dst-address=10.0.0.0/33", "bad-value"),
        ("gateway=ether1 check-gateway=icmp", "bad-value"),
        ("type=hole", "bad-value"),
        ("gateway=ether1 pref-src=a", "bad-value"),
        ("gateway=ether1 routing-tabel=a", "unknown-property"),
        ("gateway=ether1 vrf-interface=a", "unsupported-property"),
        ("gateway=$gw", "computed-value"),
    ],
)
def test_mistakes_in_a_route(given: str, code: str) -> None:
    parsed = parse(f"/ip route vrf add routing-mark=guests\n/ip route add {given}")
    assert codes(parsed) == [("warning", "not-followed"), ("error", code)]
    assert "left out" in parsed.findings[1].message
    assert parsed.router.routes == ()


def test_the_interface_of_a_vrf_says_nothing_where_there_is_none() -> None:
    parsed = parse("/ip vrf set [find name=main] interfaces=all\n/ip route add gateway=ether1 vrf-interface=ether1")
    assert [each.gateways for each in parsed.router.routes] == [(InterfaceGateway("ether1"),)]
    assert ("error", "unsupported-property") not in codes(parsed)


def test_tables() -> None:
    text = (
        "/routing table\nadd disabled=no fib name=a\nadd name=b fib=yes\nadd name=c fib disabled=yes\nadd name=main fib"
    )
    parsed = parse(text, "r.rsc")
    assert parsed.router.tables == (
        RoutingTable("a", Origin("r.rsc", 2, "/routing table add")),
        RoutingTable("b", Origin("r.rsc", 3, "/routing table add")),
    )
    assert parsed.findings == ()


def test_a_table_that_packets_never_use() -> None:
    parsed = parse("/routing table add name=a")
    assert (codes(parsed), parsed.router.tables) == ([("warning", "table-without-fib")], ())


def test_a_routing_mark_on_a_route_makes_the_table() -> None:
    text = "/ip route\nadd gateway=192.0.2.1 routing-mark=a\nadd gateway=192.0.2.2 routing-mark=a\n"
    parsed = parse(text + "add gateway=192.0.2.2 routing-mark=b disabled=yes\nadd gateway=192.0.2.3", "r.rsc")
    assert [each.table for each in parsed.router.routes] == ["a", "a", "main"]
    assert parsed.router.tables == (RoutingTable("a", Origin("r.rsc", 2, "/ip route add")),)


def test_a_table_is_not_made_twice() -> None:
    text = "/routing table add fib name=a\n/ip route add gateway=192.0.2.1 routing-mark=a\n"
    text += "/ipv6 route add gateway=2001:db8::1 routing-mark=a"
    assert [each.name for each in parse(text).router.tables] == ["a"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("/routing rule add action=lookup table=a src-address=10.0.0.0/24",
         RouteRule(RuleAction.LOOKUP, "a", source=ip_network("10.0.0.0/24"), families=(Family.IPV4,))),
        ("/routing rule add action=lookup-only-in-table table=a routing-mark=m interface=br0 comment=c",
         RouteRule(RuleAction.LOOKUP_ONLY, "a", interface="br0", routing_mark="m", comment="c")),
        ("/routing rule add action=drop dst-address=2001:db8::/32",
         RouteRule(RuleAction.DROP, None, destination=ip_network("2001:db8::/32"), families=(Family.IPV6,))),
        ("/routing/rule/add action=unreachable", RouteRule(RuleAction.UNREACHABLE)),
        ("/routing rule add min-prefix=0 table=main", RouteRule(RuleAction.LOOKUP, "main", min_prefix=0)),
        ("/ip route rule add dst-address=10.0.0.0/8 table=main",
         RouteRule(RuleAction.LOOKUP, "main", destination=ip_network("10.0.0.0/8"), families=(Family.IPV4,))),
        ("/ip route rule add routing-mark=a",
         RouteRule(RuleAction.LOOKUP, "main", routing_mark="a", families=(Family.IPV4,))),
    ],
)  # fmt: skip
def test_route_rules(text: str, rule: RouteRule) -> None:
    parsed = parse(text)
    assert parsed.findings == ()
    (found,) = parsed.router.rules
    assert found == type(rule)(
        rule.action, rule.table, rule.source, rule.destination, rule.interface, rule.routing_mark, rule.min_prefix,
        families=rule.families, comment=rule.comment, origin=found.origin,
    )  # fmt: skip
    assert found.origin.line == 1


@pytest.mark.parametrize(
    "given",
    ["action=lok table=a", "src-address=10.0.0.0/8 dst-address=2001:db8::/32 table=a", "min-prefix=129 table=a"],
)
def test_mistakes_in_a_route_rule(given: str) -> None:
    parsed = parse(f"/routing rule add {given}")
    assert (codes(parsed), parsed.router.rules) == ([("error", "bad-value")], ())


# --- clients ---------------------------------------------------------------------------------------------------------

LEARNT = LearnedGateway("ether1")


def learnt(table: str = "main", distance: int = 1) -> Route:
    return Route(table, V4_DEFAULT, (LEARNT,), distance, origin=Origin("r.rsc", 1, "/ip dhcp-client add"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", [learnt()]),
        ("add-default-route=yes default-route-distance=5", [learnt(distance=5)]),
        ("add-default-route=special-classless", [learnt()]),
        ("add-default-route=no", []),
        ("disabled=yes", []),
        ("default-route-tables=main", [learnt()]),
        ("default-route-tables=main:2,isp1 default-route-distance=7", [learnt("main", 2), learnt("isp1", 7)]),
    ],
)
def test_default_routes_of_a_dhcp_client(given: str, expected: list[Route]) -> None:
    assert list(routes(f"/ip dhcp-client add interface=ether1 {given}")) == expected


def test_check_gateway_of_a_dhcp_client() -> None:
    (found,) = routes("/ip dhcp-client add interface=ether1 check-gateway=ping comment=a")
    assert (found.check_gateway, found.comment) == (CheckGateway.PING, "a")


def test_a_dhcp_client_of_ipv6_adds_one_only_when_told() -> None:
    assert routes("/ipv6 dhcp-client add interface=ether1 request=prefix pool-name=a") == ()
    (found,) = routes("/ipv6 dhcp-client add interface=ether1 add-default-route=yes")
    assert (found.destination, found.gateways) == (ip_network("::/0"), (LEARNT,))


@pytest.mark.parametrize("kind", ["pppoe-client", "l2tp-client", "sstp-client"])
def test_default_routes_of_ppp_clients(kind: str) -> None:
    assert routes(f"/interface {kind} add name=p interface=ether1") == ()
    (found,) = routes(f"/interface {kind} add name=p add-default-route=yes default-route-distance=2")
    assert (found.table, found.gateways, found.distance) == ("main", (InterfaceGateway("p"),), 2)


@pytest.mark.parametrize("given", ["add-default-route=maybe", "default-route-distance=x", "default-route-tables=a:b"])
def test_mistakes_in_a_client(given: str) -> None:
    parsed = parse(f"/ip dhcp-client add interface=ether1 {given}")
    assert (codes(parsed), parsed.router.routes) == ([("error", "bad-value")], ())


# --- scripts of DHCP clients ------------------------------------------------------------------------------------------


def quoted(script: str) -> str:
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\r\\n")):
        script = script.replace(sign, escaped)
    return f'"{script}"'


STATED = "/ip route\nadd gateway=192.0.2.1 comment=isp1\nadd gateway=192.0.2.2 comment=isp2\n"
FOLLOWED = (LearnedGateway("ether1", ip_address("192.0.2.1")),)


def with_script(script: str, before: str = STATED) -> Parsed:
    return parse(f"{before}/ip dhcp-client add add-default-route=no interface=ether1 script={script}")


@pytest.mark.parametrize(
    "script",
    [
        'if (($"bound")=1) do={\n:local gwip ($"gateway-address")\nip route set gateway=$gwip [find comment="isp1"]\n}',
        ':if ($bound=1) do={ :local gw $"gateway-address"; /ip route set [find comment=isp1] gateway=$gw }',
        ':local gw $"gateway-address"\n/ip/route/set gateway=$gw [find where comment="isp1"]',
        '/ip route set [ find comment="isp1" ] gateway=$"gateway-address"',
        '/ip route set [/ip route find comment="isp1"] gateway=($"gateway-address")',
        '/ip route\nset [find comment=isp1] gateway=$"gateway-address"',
        '/ip route set numbers=[find comment=isp1] gateway=$"gateway-address"',
        '/ip route set [find comment=isp1] gateway=$"gateway-address"%ether1',
        '/ip route set [find comment=isp1] gateway=($"gateway-address" . "%" . $interface)',
        ':local r [/ip route find comment=isp1]\n/ip route set $r gateway=$"gateway-address"',
        ':foreach r in=[/ip route find comment=isp1] do={ /ip route set $r gateway=$"gateway-address" }',
        ':local name "isp1"\n:global gw\n:set gw $"gateway-address"\n/ip route set [find comment=$name] gateway=$gw',
        "/ip route set [find comment=isp1] gateway=$gateway-address",
        ":local gw [/ip dhcp-client get 0 gateway]\n/ip route set [find comment=isp1] gateway=$gw",
        '{:if (1) do={/ip route set [find comment=isp1] gateway=$"gateway-address"} else={/ip route disable 0}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("written", [quoted, "{{{}}}".format])
def test_a_script_that_follows_the_gateway(script: str, written: Callable[[str], str]) -> None:
    parsed = with_script(written(script))
    first, second = parsed.router.routes
    assert first.gateways == FOLLOWED
    assert second.gateways == (AddressGateway(ip_address("192.0.2.2")),)
    assert codes(parsed) == []


def test_the_interface_of_the_client_may_be_the_comment() -> None:
    script = quoted('/ip route set [find comment=$interface] gateway=$"gateway-address"')
    parsed = with_script(script, "/ip route add gateway=192.0.2.1 comment=ether1\n")
    assert parsed.router.routes[0].gateways == FOLLOWED


def test_a_stated_interface_or_zero_address_is_no_fallback() -> None:
    script = quoted('/ip route set [find comment=a] gateway=$"gateway-address"')
    parsed = with_script(script, "/ip route\nadd gateway=ether1 comment=a\nadd gateway=0.0.0.0 comment=a\n")
    assert [each.gateways for each in parsed.router.routes] == [(LEARNT,), (LEARNT,)]


MANUAL = """{
:local rmark "isp1"
:local count [/ip route print count-only where comment="isp1"]
:if ($bound=1) do={
  :if ($count = 0) do={
    /ip route add gateway=$"gateway-address" comment="isp1" routing-mark=$rmark distance=3
  } else={
    :if ($count = 1) do={
      :local test [/ip route find where comment="isp1"]
      :if ([/ip route get $test gateway] != $"gateway-address") do={
        /ip route set $test gateway=$"gateway-address"
      }
    } else={ :error "Multiple routes found" }
  }
} else={
  /ip route remove [find comment="isp1"]
}
}"""


def test_a_route_that_only_the_script_makes() -> None:
    parsed = with_script(quoted(MANUAL), "")
    (found,) = parsed.router.routes
    assert (found.table, found.gateways, found.distance, found.comment) == ("isp1", (LEARNT,), 3, "isp1")
    assert [each.name for each in parsed.router.tables] == ["isp1"]
    assert codes(parsed) == []


def test_a_route_that_the_script_would_make_and_the_file_has() -> None:
    parsed = with_script(quoted(MANUAL), "/ip route add gateway=192.0.2.1 comment=isp1 routing-mark=isp1\n")
    (found,) = parsed.router.routes
    assert found.gateways == FOLLOWED


def test_a_script_of_a_disabled_client_does_not_run() -> None:
    script = quoted('/ip route set [find comment=isp1] gateway=$"gateway-address"')
    parsed = parse(f"{STATED}/ip dhcp-client add disabled=yes interface=ether1 script={script}")
    assert parsed.router.routes[0].gateways == (AddressGateway(ip_address("192.0.2.1")),)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('/ip route set [find comment=isp9] gateway=$"gateway-address"', ("warning", "no-such-item")),
        ('/ip route set [find active] gateway=$"gateway-address"', ("error", "unsupported-find")),
        ("/ip route disable [find comment=isp1]", ("warning", "script-not-run")),
        ('/ip firewall nat set [find comment=a] to-addresses=$"lease-address"', ("warning", "script-not-run")),
        ("/ip route set [find comment=isp1] gateway=10.0.0.1", ("warning", "script-not-run")),
        ("/ip route ]", ("warning", "script-not-run")),
    ],
)
def test_scripts_that_are_not_followed_are_told_of(script: str, found: tuple[str, str]) -> None:
    parsed = with_script(quoted(script))
    assert codes(parsed) == [found]
    assert parsed.router.routes[0].gateways == (AddressGateway(ip_address("192.0.2.1")),)


@pytest.mark.parametrize(
    "text",
    [
        '/system scheduler add name=a on-event={/ip firewall mangle\nadd chain=a}',
        '/system script add name=a source=":if (1=1) do={ /routing rule add table=a }"',
        '/ppp profile set 0 on-up="/ip route add gateway=\\$\\"remote-address\\""',
        '/ipv6 dhcp-client add interface=a script="/ipv6 route add gateway=fe80::1%a"',
        '/tool netwatch add down-script="/interface disable ether1" host=192.0.2.1',
    ],
)  # fmt: skip
def test_other_scripts_that_change_routing_are_told_of(text: str) -> None:
    assert codes(parse(text)) == [("warning", "script-not-run")]


def test_scripts_without_bearing_are_not_told_of() -> None:
    assert codes(parse('/system script add name=a source="/ip route print; :log info \\"route\\""')) == []
    assert codes(parse('/system scheduler add name=a on-event="/system reboot"')) == []
