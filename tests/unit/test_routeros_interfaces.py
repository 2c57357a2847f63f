"""Interfaces, bridges, addresses, interface lists."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from evenflow.formats.routeros import Parsed, parse
from evenflow.model.finding import Origin
from evenflow.model.router import Interface, InterfaceList


def codes(parsed: Parsed) -> list[tuple[str, str]]:
    return [(finding.severity.value, finding.code) for finding in parsed.findings if finding.code != "not-routing"]


def interfaces(text: str) -> dict[str, Interface]:
    parsed = parse(text, "r.rsc")
    assert codes(parsed) == []
    return {each.name: each for each in parsed.router.interfaces}


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("/interface bridge add name=br0", "br0", "bridge"),
        ("/interface bridge add", "bridge1", "bridge"),
        ("/interface vlan add name=v interface=ether1 vlan-id=7", "v", "vlan"),
        ("/interface pppoe-client add interface=ether1 name=p", "p", "pppoe"),
        ("/interface pppoe-client add interface=ether1", "pppoe-out1", "pppoe"),
        ("/interface l2tp-client add connect-to=192.0.2.1 name=l", "l", "l2tp"),
        ("/interface wireguard add name=w", "w", "wireguard"),
        ("/interface bonding add name=b slaves=ether1,ether2", "b", "bonding"),
        ("/interface ethernet set [ find default-name=ether1 ] name=WAN1", "WAN1", "ethernet"),
        ("/interface ethernet set [ find default-name=ether1 ] comment=a", "ether1", "ethernet"),
        ("/interface ethernet set ether1 name=WAN1", "WAN1", "ethernet"),
        ("/interface ethernet set 0 name=WAN1", "WAN1", "ethernet"),
        ("/interface wireless set [ find default-name=wlan1 ] ssid=a", "wlan1", "wireless"),
        ("/interface lte set [ find default-name=lte1 ] name=LTE", "LTE", "lte"),
        ("/interface set ether1 name=WAN1", "WAN1", "ethernet"),
        ("/interface set [ find name=ether5 ] name=WAN1", "WAN1", "ethernet"),
        ("/interface set [ find default-name=sfp-sfpplus1 ] comment=a", "sfp-sfpplus1", "ethernet"),
        ("/interface set ether1-gateway,ether2 comment=a", "ether1-gateway", "ethernet"),
        ("/interface enable wlan1", "wlan1", "wireless"),
        ("/interface set lte1 name=LTE", "LTE", "lte"),
    ],
)
def test_kinds_and_names(text: str, name: str, kind: str) -> None:
    found = interfaces(text)
    assert found[name].kind == kind
    assert found[name].origin.line == 1


def test_a_renamed_port_can_be_spoken_of_again() -> None:
    text = (
        "/interface ethernet\nset [ find default-name=ether1 ] name=WAN1\nset WAN1 bandwidth=30M/10M\n"
        "set [find default-name=ether1] comment=x\nset [find name=WAN1] mtu=1500\n"
    )
    assert [(each.name, each.bandwidth_bps) for each in interfaces(text).values()] == [("WAN1", 30_000_000)]


def test_a_port_is_the_same_whichever_menu_speaks_of_it() -> None:
    text = (
        "/interface set ether1 name=WAN1\n/interface ethernet\nset [find default-name=ether1] bandwidth=30M/10M\n"
        "/interface set WAN1 comment=x\n/ip address add address=192.0.2.2/24 interface=WAN1\n"
    )
    assert [(each.name, each.bandwidth_bps) for each in interfaces(text).values()] == [("WAN1", 30_000_000)]
    assert list(interfaces("/interface ethernet set ether1 name=a\n/interface set [find name=a] name=b")) == ["b"]


@pytest.mark.parametrize("which", ["bridge1", "pppoe-out1", "[find name=VPN]", "WAN1", "3"])
def test_what_is_no_port_has_to_be_made(which: str) -> None:
    assert codes(parse(f"/interface set {which} name=WAN1")) == [("warning", "no-such-item")]


def test_bridge_ports() -> None:
    text = (
        "/interface bridge\nadd name=br0\n/interface bridge port\nadd bridge=br0 interface=ether2\n"
        "add bridge=br0 interface=ether3 disabled=yes\nadd bridge=br0 interface=LAN\n"
        "/interface list\nadd name=LAN\n/interface list member\nadd interface=ether4 list=LAN\n"
    )
    found = interfaces(text)
    assert {name: each.bridge for name, each in found.items()} == {"br0": None, "ether2": "br0", "ether4": "br0"}
    assert found["ether2"].origin == Origin("r.rsc", 4, "/interface bridge port add")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/ip address add address=10.10.0.1/16 interface=a network=10.10.0.0", "10.10.0.1/16"),
        ("/ip address add address=10.10.0.1 netmask=255.255.0.0 interface=a", "10.10.0.1/16"),
        ("/ip address add address=10.10.0.1/255.255.0.0 interface=a", "10.10.0.1/16"),
        ("/ip address add address=192.0.2.1 network=192.0.2.9 interface=a", "192.0.2.1/32"),
        ("/ipv6 address add address=2001:db8::1/56 advertise=no interface=a", "2001:db8::1/56"),
        ("/ipv6 address add address=2001:db8::1 interface=a", "2001:db8::1/64"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert interfaces(text)["a"].addresses == (ip_interface(address),)


def test_several_addresses_in_their_order_and_none_of_the_disabled() -> None:
    text = (
        "/ip address\nadd address=10.0.0.2/8 interface=a\nadd address=10.0.0.1/8 interface=a\n"
        "add address=10.0.0.3/8 interface=a disabled=yes\n"
    )
    assert [str(each) for each in interfaces(text)["a"].addresses] == ["10.0.0.2/8", "10.0.0.1/8"]


def test_an_address_that_is_not_known_here() -> None:
    parsed = parse("/ipv6 address add address=::1 from-pool=p interface=a")
    assert codes(parsed) == [("info", "unknown-address")]
    assert parsed.router.interfaces[0].addresses == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/ip address add address=10.0.0.300/8 interface=a", ("error", "bad-value")),
        ("/ip address add address=2001:db8::1/64 interface=a", ("error", "bad-value")),
        ("/ip address add address=10.0.0.1/8", ("error", "missing-property")),
        ("/ip address add interface=a", ("error", "missing-property")),
        ("/interface bridge port add bridge=a", ("error", "missing-property")),
        ("/interface list member add interface=a list=x", ("warning", "undefined-list")),
        ("/interface list member add interface=a list=WAN", ("info", "undefined-list")),
        ("/interface list member add interface=a list=LAN", ("info", "undefined-list")),
        ("/interface list member add interface=a", ("error", "missing-property")),
        ("/interface list add", ("error", "missing-property")),
    ],
)
def test_mistakes(text: str, found: tuple[str, str]) -> None:
    assert codes(parse(text)) == [found]


def test_disabled_interfaces_are_left_out() -> None:
    text = "/interface pppoe-client add name=p disabled=yes interface=ether1\n/interface bridge add name=b disabled=yes"
    assert parse(text).router.interfaces == ()


def lists(text: str) -> dict[str, set[str]]:
    parsed = parse(text, "r.rsc")
    assert codes(parsed) == []
    return {each.name: set(each.members) for each in parsed.router.interface_lists}


def test_interface_lists() -> None:
    text = (
        "/interface list\nadd name=WAN comment=defconf\nadd name=LAN\nadd name=EMPTY\n/interface list member\n"
        "add interface=ether1 list=WAN\nadd interface=ether2 list=WAN disabled=yes\nadd list=LAN interface=br0\n"
    )
    parsed = parse(text, "r.rsc")
    assert parsed.router.interface_lists == (
        InterfaceList("WAN", frozenset({"ether1"}), Origin("r.rsc", 2, "/interface list add")),
        InterfaceList("LAN", frozenset({"br0"}), Origin("r.rsc", 3, "/interface list add")),
        InterfaceList("EMPTY", frozenset(), Origin("r.rsc", 4, "/interface list add")),
    )


def test_included_and_excluded_lists() -> None:
    text = (
        "/interface bridge add name=br0\n/interface list\n"
        "add name=ALL include=A,B\nadd name=SOME include=A,B exclude=B\nadd name=A\nadd name=B\n"
        "add name=EVERY include=all exclude=A\nadd name=NO include=none,dynamic\nadd name=OWN exclude=A\n"
        "/interface list member\nadd interface=a list=A\nadd interface=b list=B\nadd interface=a list=B\n"
        "add interface=a list=OWN\n"
    )
    assert lists(text) == {
        "ALL": {"a", "b"},
        "SOME": set(),
        "A": {"a"},
        "B": {"a", "b"},
        "EVERY": {"br0"},
        "NO": set(),
        "OWN": {"a"},
    }


def test_lists_that_include_each_other() -> None:
    text = (
        "/interface list\nadd name=A include=B\nadd name=B include=A\nadd name=C include=C\n"
        "/interface list member\nadd interface=a list=A\nadd interface=b list=B\n"
    )
    found = lists(text)
    assert "a" in found["A"]
    assert "b" in found["A"]
    assert found["C"] == set()


def test_forwarding_can_be_off() -> None:
    assert parse("/ip settings set ip-forward=no").router.forwards is False
    assert parse("/ip settings set ip-forward=yes rp-filter=loose").router.forwards is True
