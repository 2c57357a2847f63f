"""Mangle, NAT, address lists: what each property means."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from evenflow.formats.routeros import Parsed, parse
from evenflow.model.finding import Origin, Severity
from evenflow.model.flow import ConnectionState, Family
from evenflow.model.matcher import (
    AddressListMatch,
    AddressMatch,
    AddressRange,
    AddressType,
    AddressTypeMatch,
    Classifier,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    OutInterface,
    OutInterfaceList,
    PccMatch,
    PortMatch,
    ProtocolMatch,
    SourceMacMatch,
    StateMatch,
    UnsupportedMatch,
)
from evenflow.model.router import (
    AcceptAction,
    AddressList,
    DestinationNat,
    InterfaceList,
    JumpAction,
    MangleRule,
    MarkAction,
    Masquerade,
    NatRule,
    PassthroughAction,
    Redirect,
    ReturnAction,
    SourceNat,
)


def span(first: str, last: str) -> AddressRange:
    return AddressRange(ip_address(first), ip_address(last))


def rule(properties: str, menu: str = "/ip firewall mangle") -> MangleRule:
    parsed = parse(f"{menu} add chain=prerouting {properties}", "r.rsc")
    assert parsed.findings == ()
    (found,) = parsed.router.mangle
    return found


def nat(properties: str, menu: str = "/ip firewall nat") -> NatRule:
    parsed = parse(f"{menu} add {properties}", "r.rsc")
    assert parsed.findings == ()
    (found,) = parsed.router.nat
    return found


def codes(parsed: Parsed) -> list[tuple[str, str]]:
    return [(finding.severity.value, finding.code) for finding in parsed.findings]


@pytest.mark.parametrize(
    ("given", "matcher"),
    [
        ("connection-mark=a", MarkMatch(MarkKind.CONNECTION, "a")),
        ("connection-mark=!a", MarkMatch(MarkKind.CONNECTION, "a", negated=True)),
        ("connection-mark=no-mark", MarkMatch(MarkKind.CONNECTION, None)),
        ("connection-mark=!no-mark", MarkMatch(MarkKind.CONNECTION, None, negated=True)),
        ('connection-mark="a b"', MarkMatch(MarkKind.CONNECTION, "a b")),
        ("routing-mark=a", MarkMatch(MarkKind.ROUTING, "a")),
        ("packet-mark=no-mark", MarkMatch(MarkKind.PACKET, None)),
        ("in-interface=ether1", InInterface("ether1")),
        ("in-interface=!ether1", InInterface("ether1", negated=True)),
        ("out-interface=ether1", OutInterface("ether1")),
        ("in-interface-list=LAN", InInterfaceList("LAN")),
        ("out-interface-list=!WAN", OutInterfaceList("WAN", negated=True)),
        ("src-address=10.0.0.1", AddressMatch(Direction.SOURCE, span("10.0.0.1", "10.0.0.1"))),
        ("src-address=10.0.0.7/24", AddressMatch(Direction.SOURCE, span("10.0.0.0", "10.0.0.255"))),
        ("dst-address=!10.0.0.5-10.0.1.4",
         AddressMatch(Direction.DESTINATION, span("10.0.0.5", "10.0.1.4"), negated=True)),
        ("src-address-list=a", AddressListMatch(Direction.SOURCE, "a")),
        ("dst-address-list=!a", AddressListMatch(Direction.DESTINATION, "a", negated=True)),
        ("dst-address-type=!local",
         AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.LOCAL}), negated=True)),
        ("src-address-type=local,broadcast",
         AddressTypeMatch(Direction.SOURCE, frozenset({AddressType.LOCAL, AddressType.BROADCAST}))),
        ("protocol=tcp", ProtocolMatch(6)),
        ("protocol=!udp", ProtocolMatch(17, negated=True)),
        ("protocol=89", ProtocolMatch(89)),
        ("protocol=ipsec-esp", ProtocolMatch(50)),
        ("dst-port=80,443,8000-8080", PortMatch(Direction.DESTINATION, ((80, 80), (443, 443), (8000, 8080)))),
        ("src-port=!53", PortMatch(Direction.SOURCE, ((53, 53),), negated=True)),
        ("port=53", PortMatch(Direction.EITHER, ((53, 53),))),
        ("connection-state=new", StateMatch(frozenset({ConnectionState.NEW}))),
        ("connection-state=!established,related",
         StateMatch(frozenset({ConnectionState.ESTABLISHED, ConnectionState.RELATED}), negated=True)),
        ("src-mac-address=02:00:00:00:00:FF", SourceMacMatch(b"\x02\0\0\0\0\xff")),
        ("per-connection-classifier=src-address:4/3", PccMatch(Classifier.SRC_ADDRESS, 4, 3)),
        ("per-connection-classifier=!both-ports:2/0", PccMatch(Classifier.BOTH_PORTS, 2, 0, negated=True)),
    ],
)  # fmt: skip
def test_matchers(given: str, matcher: object) -> None:
    assert rule(given).matchers == (matcher,)


@pytest.mark.parametrize("classifier", list(Classifier))
def test_the_nine_classifiers(classifier: Classifier) -> None:
    assert rule(f"per-connection-classifier={classifier.value}:2/1").matchers == (PccMatch(classifier, 2, 1),)


def test_matchers_keep_the_order_of_the_file_and_empty_ones_are_not_given() -> None:
    found = rule('protocol=tcp src-address="" connection-mark=a')
    assert found.matchers == (ProtocolMatch(6), MarkMatch(MarkKind.CONNECTION, "a"))


@pytest.mark.parametrize(
    ("given", "action"),
    [
        ("", AcceptAction()),
        ("action=accept", AcceptAction()),
        ("action=mark-connection new-connection-mark=a", MarkAction(MarkKind.CONNECTION, "a")),
        ("action=mark-connection new-connection-mark=no-mark", MarkAction(MarkKind.CONNECTION, None)),
        ("action=mark-routing new-routing-mark=a passthrough=no", MarkAction(MarkKind.ROUTING, "a", passthrough=False)),
        ("action=mark-packet new-packet-mark=a passthrough=yes", MarkAction(MarkKind.PACKET, "a")),
        ("action=jump jump-target=a", JumpAction("a")),
        ("action=return", ReturnAction()),
        ("action=passthrough", PassthroughAction()),
        ("action=log log-prefix=a", PassthroughAction("a")),
        ("action=log", PassthroughAction("")),
    ],
)
def test_actions(given: str, action: object) -> None:
    assert rule(given).action == action


def test_a_rule_knows_its_chain_family_comment_and_place() -> None:
    found = rule("comment=a")
    assert (found.chain, found.families, found.comment) == ("prerouting", (Family.IPV4,), "a")
    assert found.origin == Origin("r.rsc", 1, "/ip firewall mangle add")
    assert rule("src-address=2001:db8::/126", "/ipv6 firewall mangle") == MangleRule(
        "prerouting",
        (AddressMatch(Direction.SOURCE, span("2001:db8::", "2001:db8::3")),),
        AcceptAction(),
        (Family.IPV6,),
        "",
        Origin("r.rsc", 1, "/ipv6 firewall mangle add"),
    )


@pytest.mark.parametrize(
    "action", ["change-mss new-mss=1440", "add-src-to-address-list address-list=a", "set-priority"]
)
def test_actions_without_bearing_go_on_and_are_told_of(action: str) -> None:
    parsed = parse(f"/ip firewall mangle add chain=forward action={action} protocol=tcp tcp-flags=syn")
    assert codes(parsed)[-1] == ("warning", "unsupported-action")
    assert [each.action for each in parsed.router.mangle] == [PassthroughAction()]


def test_change_mss_without_passthrough_ends_the_chain() -> None:
    parsed = parse("/ip firewall mangle add chain=forward action=change-mss passthrough=no protocol=tcp")
    assert parsed.router.mangle[0].action == AcceptAction()
    assert parsed.router.mangle[0].matchers == (ProtocolMatch(6),)


@pytest.mark.parametrize(
    "matcher", ["limit=10,5:packet", "dscp=46", "hotspot=auth", "layer7-protocol=a", "content=x", "tcp-flags=syn"]
)
@pytest.mark.parametrize("menu", ["mangle", "nat"])
def test_a_matcher_that_cannot_be_expressed_leaves_the_rule_out(matcher: str, menu: str) -> None:
    parsed = parse(f"/ip firewall {menu}\nadd chain=srcnat {matcher} action=accept")
    (finding,) = parsed.findings
    assert (finding.severity, finding.code, finding.where.line) == (Severity.ERROR, "unsupported-matcher", 2)
    assert finding.message.startswith(f"{matcher}: it can't be asked for here; ")
    assert finding.message.endswith("The rule is left out, and its packets go on to the next rule")
    assert (parsed.router.mangle, parsed.router.nat) == ((), ())
    name, _, value = matcher.partition("=")
    stated = [rule.matchers for rule in parsed.stated.mangle] + [rule.matchers for rule in parsed.stated.nat]
    assert stated == [(UnsupportedMatch(name, value),)]


@pytest.mark.parametrize("matcher", ["limit=10,5:packet", "tcp-flags=syn"])
def test_change_mss_that_ends_the_chain_for_unknown_packets_is_an_error(matcher: str) -> None:
    ends = f"/ip firewall mangle\nadd chain=forward action=change-mss passthrough=no {matcher}\n"
    parsed = parse(ends + "add chain=forward action=mark-packet new-packet-mark=a")
    assert ("error", "unsupported-matcher") in codes(parsed)
    assert [each.action for each in parsed.router.mangle] == [MarkAction(MarkKind.PACKET, "a")]
    parsed = parse(ends + "add chain=forward action=log\nadd chain=input action=mark-packet new-packet-mark=a")
    assert ("error", "unsupported-matcher") not in codes(parsed)
    assert parsed.router.mangle[0].matchers == ()


def test_a_remainder_that_is_too_great_is_kept_and_told_of() -> None:
    parsed = parse("/ip firewall mangle add chain=prerouting per-connection-classifier=both-addresses:3/3")
    (finding,) = parsed.findings
    assert (finding.severity, finding.code) == (Severity.ERROR, "pcc-remainder")
    assert finding.message == ("remainder 3 of denominator 3 never matches; remainders count from 0, so use 0 to 2")
    assert parsed.router.mangle[0].matchers == (PccMatch(Classifier.BOTH_ADDRESSES, 3, 3),)


def test_its_negation_always_matches() -> None:
    parsed = parse("/ip firewall nat add chain=srcnat per-connection-classifier=!src-port:2/5")
    assert "remainder 5 of denominator 2 always matches" in parsed.findings[0].message
    assert parsed.router.nat[0].matchers == (PccMatch(Classifier.SRC_PORT, 2, 5, negated=True),)


@pytest.mark.parametrize(
    ("properties", "code", "said"),
    [
        ("chain=a action=mark-connection", "missing-property", "new-connection-mark= is missing for action=mark-conn"),
        ("chain=a action=mark-routing new-connection-mark=a", "missing-property", "new-connection-mark= is of another"),
        ("chain=a action=mark-packet", "missing-property", "new-packet-mark= is missing"),
        ("chain=a action=jump", "missing-property", "jump-target= is missing"),
        ("action=accept", "missing-property", "chain= is missing"),
        ("chain=a action=route route-dst=192.0.2.1", "unsupported-action", "action=route can't be done"),
        ("chain=a action=acept", "bad-value", "action=acept: RouterOS has no such action"),
        ("chain=a src-adress=10.0.0.1", "unknown-property", "src-adress= is not a property of /ip firewall mangle"),
        ("chain=a src-addr=10.0.0.1", "unknown-property", "may stand for src-address or src-address-list"),
        ("chain=a src-address=10.0.0.256", "bad-value", '"10.0.0.256" is no network'),
        ("chain=a src-address=2001:db8::1", "bad-value", "is no IPv4 address, and this menu is for IPv4"),
        ("chain=a src-address=10.0.0.2-10.0.0.1", "bad-value", "10.0.0.2 is greater than 10.0.0.1"),
        ("chain=a dst-port=0-70000", "bad-value", "dst-port=0-70000: it is no number from 0 to 65535"),
        ("chain=a dst-port=9-8", "bad-value", "9 is greater than 8"),
        ("chain=a protocol=tpc", "bad-value", "protocol=tpc: it is no known protocol"),
        ("chain=a protocol=256", "bad-value", "from 0 to 255"),
        ("chain=a connection-state=new,old", "bad-value", '"old" can\'t be matched'),
        ("chain=a in-interface=ether1,ether2", "bad-value", "more than one interface"),
        ("chain=a dst-address-type=blackhole", "unsupported-value", '"blackhole" can\'t be matched'),
        ("chain=a src-mac-address=1", "bad-value", "hardware address"),
        ("chain=a connection-mark=!", "bad-value", "nothing stands after the !"),
        ("chain=a passthrough=maybe action=mark-packet new-packet-mark=a", "bad-value", "neither yes nor no"),
        ("chain=a per-connection-classifier=both-addresses:0/0", "bad-value", "the denominator is 0"),
        ("chain=a per-connection-classifier=both-adresses:2/0", "bad-value", "it is no classifier"),
        ("chain=a per-connection-classifier=2/0", "bad-value", "FIELDS:DENOMINATOR/REMAINDER"),
        ("chain=a src-address=$lan", "computed-value", "src-address=$lan: $lan is known only when the script runs"),
        ("chain=a in-interface=[:pick a]", "computed-value", "[:pick a] is known only"),
    ],
)
def test_mistakes_in_a_rule(properties: str, code: str, said: str) -> None:
    parsed = parse(f"/ip firewall mangle\n\nadd {properties}", "r.rsc")
    (finding,) = parsed.findings
    assert (finding.severity, finding.code) == (Severity.ERROR, code)
    assert finding.where == Origin("r.rsc", 3, "/ip firewall mangle add")
    assert said in finding.message
    assert parsed.router.mangle == ()


def test_each_mistake_of_a_rule_is_told() -> None:
    parsed = parse("/ip firewall mangle add chain=a protocol=x dst-port=y limit=10,5:packet")
    assert [finding.code for finding in parsed.findings] == ["bad-value", "bad-value", "unsupported-matcher"]


def test_a_disabled_rule_is_left_out_with_its_mistakes() -> None:
    parsed = parse("/ip firewall mangle add chain=a dscp=46 disabled=yes")
    assert (parsed.router.mangle, parsed.findings) == ((), ())


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("chain=srcnat action=masquerade", Masquerade()),
        ("chain=srcnat action=src-nat to-addresses=192.0.2.1", SourceNat(span("192.0.2.1", "192.0.2.1"))),
        ("chain=srcnat action=src-nat to-addresses=192.0.2.1-192.0.2.3", SourceNat(span("192.0.2.1", "192.0.2.3"))),
        ("chain=dstnat action=dst-nat to-addresses=10.0.0.2 to-ports=80",
         DestinationNat(span("10.0.0.2", "10.0.0.2"), (80, 80))),
        ("chain=dstnat action=dst-nat to-ports=80-90", DestinationNat(None, (80, 90))),
        ("chain=dstnat action=redirect to-ports=53", Redirect((53, 53))),
        ("chain=dstnat action=redirect", Redirect()),
        ("chain=srcnat action=accept", AcceptAction()),
        ("chain=srcnat", AcceptAction()),
    ],
)  # fmt: skip
def test_nat_actions(given: str, found: object) -> None:
    assert nat(given).action == found


def test_nat_matchers_and_place() -> None:
    found = nat("chain=srcnat action=masquerade out-interface-list=WAN src-address=10.0.0.0/8 comment=a")
    assert found == NatRule(
        "srcnat",
        (OutInterfaceList("WAN"), AddressMatch(Direction.SOURCE, span("10.0.0.0", "10.255.255.255"))),
        Masquerade(),
        (Family.IPV4,),
        "a",
        Origin("r.rsc", 1, "/ip firewall nat add"),
    )
    other = nat("chain=srcnat action=src-nat to-address=2001:db8::1", "/ipv6 firewall nat")
    assert (other.families, other.action) == ((Family.IPV6,), SourceNat(span("2001:db8::1", "2001:db8::1")))


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ("chain=srcnat action=src-nat", "missing-property"),
        ("chain=srcnat action=netmap to-addresses=10.0.0.0/8", "unsupported-action"),
        ("chain=output action=dst-nat to-addresses=10.0.0.1", "unsupported-chain"),
        ("chain=dstnat action=return src-mac-address=02:00:00:00:00:01", "unsupported-action"),
        ("chain=dstnat action=return dst-port=80", "unsupported-action"),
        ("chain=mine action=netmap to-addresses=10.0.0.1", "unsupported-action"),
        ("action=masquerade", "missing-property"),
        ("chain=dstnat action=redirect to-ports=1,2", "bad-value"),
        ("chain=dstnat action=dst-nat to-addresses=a", "bad-value"),
    ],
)
def test_mistakes_in_nat(properties: str, code: str) -> None:
    parsed = parse(f"/ip firewall nat add {properties}")
    assert codes(parsed) == [("error", code)]
    assert parsed.router.nat == ()


def test_nat_that_only_logs_is_told_of() -> None:
    parsed = parse("/ip firewall nat add chain=srcnat action=log")
    assert (codes(parsed), parsed.router.nat) == ([("warning", "unsupported-action")], ())


def test_address_lists() -> None:
    text = (
        "/ip firewall address-list\nadd list=a address=10.0.0.0/24\nadd address=10.1.0.1 list=b\n"
        "add list=a address=10.2.0.1-10.2.0.9\nadd list=a address=1.1.1.1 disabled=yes\n"
        "/ipv6 firewall address-list\nadd list=a address=2001:db8::/32\n"
    )
    parsed = parse(text, "r.rsc")
    assert parsed.findings == ()
    everything = span("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")
    assert parsed.router.address_lists == (
        AddressList(
            "a",
            (span("10.0.0.0", "10.0.0.255"), span("10.2.0.1", "10.2.0.9"), everything),
            Origin("r.rsc", 2, "/ip firewall address-list add"),
        ),
        AddressList("b", (span("10.1.0.1", "10.1.0.1"),), Origin("r.rsc", 3, "/ip firewall address-list add")),
    )


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("list=a address=www.example.com", ("error", "unsupported-value")),
        ("list=a address=10.0.0.300", ("error", "bad-value")),
        ("list=a", ("error", "missing-property")),
        ("address=10.0.0.1", ("error", "missing-property")),
        ("list=a address=10.0.0.1 timeout=1d", ("warning", "timeout")),
    ],
)
def test_mistakes_in_address_lists(entry: str, found: tuple[str, str]) -> None:
    assert codes(parse(f"/ip firewall address-list add {entry}")) == [found]


def test_built_in_interface_lists_have_members_when_a_rule_speaks_of_them() -> None:
    text = "/interface bridge add name=b\n/ip firewall mangle add chain=forward in-interface-list={}"
    assert parse(text.format("static")).router.interface_lists == (InterfaceList("static", frozenset({"b"})),)
    assert parse(text.format("dynamic")).router.interface_lists == (InterfaceList("dynamic"),)
    assert parse(text.format("all")).router.interface_lists == ()


FASTTRACK = "/ip firewall filter add action=fasttrack-connection chain=forward"
ROUTED = "/ip firewall mangle add chain=prerouting connection-mark=c1 action=mark-routing new-routing-mark=isp1"


@pytest.mark.parametrize("mark", ["", "connection-mark=!no-mark", "connection-mark=!c2", "connection-mark=c1"])
def test_fasttrack_of_connections_that_are_routed_by_a_mark_is_told_of(mark: str) -> None:
    found = parse(f"{FASTTRACK} {mark}\n{ROUTED}")
    assert codes(found) == [("info", "not-routing"), ("warning", "fasttrack")]


@pytest.mark.parametrize(
    "text",
    [
        f"{FASTTRACK} connection-mark=no-mark\n{ROUTED}",
        f"{FASTTRACK} connection-mark=of-a-queue\n{ROUTED}",
        f"{FASTTRACK} disabled=yes\n{ROUTED}",
        f"{FASTTRACK}\n{ROUTED} disabled=yes",
        f"{FASTTRACK}\n/ip firewall mangle add chain=prerouting action=mark-connection new-connection-mark=c1",
        f"{FASTTRACK}\n{ROUTED}\n/ip firewall filter disable [find action=fasttrack-connection]",
        f"{FASTTRACK}\n{ROUTED}\n/ip firewall filter set [find action=fasttrack-connection] connection-mark=no-mark",
        FASTTRACK,
    ],
)
def test_fasttrack_of_others_is_none_of_our_business(text: str) -> None:
    assert codes(parse(text)) == [("info", "not-routing")]


LISTS = """\
/interface list
add name=INSIDE
add name=OUTSIDE
/interface list member
add list=INSIDE interface=office
add list=INSIDE interface=guests
add list=OUTSIDE interface=ppp-1
add list=OUTSIDE interface=ppp-2
/ip route
add gateway=ppp-1 routing-mark=isp1
add gateway=ppp-2 distance=2 routing-mark=isp1
"""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("in-interface-list=INSIDE out-interface-list=INSIDE", False),
        ("in-interface=office out-interface-list=INSIDE", False),
        ("in-interface=office out-interface=guests", False),
        ("in-interface-list=!OUTSIDE out-interface-list=!OUTSIDE", False),
        ("in-interface=office", True),
        ("in-interface=office out-interface=ppp-1", True),
        ("in-interface=office out-interface=!ppp-1", True),
        ("in-interface-list=OUTSIDE out-interface-list=INSIDE", True),
        ("in-interface-list=INSIDE out-interface-list=!INSIDE", True),
        ("in-interface=office out-interface-list=UNKNOWN", True),
        ("in-interface=office out-interface=all-ethernet", True),
    ],
)
def test_fasttrack_between_local_networks_passes_no_mark_by(asked: str, *, told: bool) -> None:
    found = codes(parse(f"{LISTS}{FASTTRACK} {asked}\n{ROUTED}"))
    assert (("warning", "fasttrack") in found) is told


def test_fasttrack_that_is_kept_to_local_networks_later() -> None:
    kept = "/ip firewall filter set [find action=fasttrack-connection] in-interface=office out-interface=guests"
    assert codes(parse(f"{LISTS}{FASTTRACK}\n{ROUTED}\n{kept}")) == [("info", "not-routing")]
    unknown = LISTS[: LISTS.index("/ip route")]
    assert ("warning", "fasttrack") in codes(parse(f"{unknown}{FASTTRACK}\n{ROUTED}\n{kept}"))


@pytest.mark.parametrize("action", ["masquerade", "src-nat to-addresses=192.0.2.1"])
def test_source_ports_that_are_not_kept_are_told_of(action: str) -> None:
    parsed = parse(f"/ip firewall nat add chain=srcnat action={action} protocol=tcp to-ports=1000-2000")
    assert [finding.code for finding in parsed.findings] == ["unsupported-property"]
    assert len(parsed.router.nat) == 1
