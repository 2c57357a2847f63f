"""Gateways whose networks a file does not give: where they are supposed to be, and what is not told of them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from evenflow.core.unstated import likely_interfaces, with_likely_interfaces
from evenflow.core.uplinks import uplinks
from evenflow.formats import configuration
from evenflow.formats.configuration import all_findings

LAN = "/ip address\nadd address=192.168.88.1/24 interface=bridge1\n"
CLIENTS = "/ip dhcp-client\nadd interface=ether1\nadd interface=ether2\n"
INBOUND = """\
/ip firewall mangle
add chain=prerouting in-interface=ether1 connection-state=new action=mark-connection new-connection-mark=c1
add chain=prerouting in-interface=ether2 connection-state=new action=mark-connection new-connection-mark=c2
"""
DIVIDED = """\
/ip firewall mangle
add chain=prerouting in-interface=bridge1 connection-state=new dst-address-type=!local \
    per-connection-classifier=both-addresses:2/0 action=mark-connection new-connection-mark=c1
add chain=prerouting in-interface=bridge1 connection-state=new dst-address-type=!local \
    per-connection-classifier=both-addresses:2/1 action=mark-connection new-connection-mark=c2
add chain=prerouting in-interface=bridge1 connection-mark=c1 action=mark-routing new-routing-mark=r1
add chain=prerouting in-interface=bridge1 connection-mark=c2 action=mark-routing new-routing-mark=r2
add chain=output connection-mark=c1 action=mark-routing new-routing-mark=r1
add chain=output connection-mark=c2 action=mark-routing new-routing-mark=r2
"""
MASQUERADED = """\
/ip firewall nat
add chain=srcnat action=masquerade out-interface=ether1
add chain=srcnat action=masquerade out-interface=ether2
"""
ROUTES = """\
/ip route
add gateway=10.1.0.1 routing-mark=r1 check-gateway=ping
add gateway=10.2.0.1 routing-mark=r2 check-gateway=ping
add gateway=10.1.0.1 distance=1 check-gateway=ping
add gateway=10.2.0.1 distance=2 check-gateway=ping
"""
ONE_PPP = ROUTES.replace("10.1.0.1", "pppoe-out1")
RECURSIVE = """\
/ip route
add dst-address=192.0.2.8 gateway=10.1.0.1 scope=10
add dst-address=198.51.100.8 gateway=10.2.0.1 scope=10
add gateway=192.0.2.8 target-scope=11 check-gateway=ping
add gateway=198.51.100.8 target-scope=11 distance=2 check-gateway=ping
"""

#: What follows from taking an uplink for dead.
FALSE = {
    "output-not-routed", "forward-not-routed", "inbound-not-marked", "router-not-answering", "no-way-left",
    "answers-marked-anew", "gateway-unresolved",
}  # fmt: skip


def likely(text: str) -> dict[str, str]:
    router = configuration.read(text.encode(), "a.rsc").router
    assert router is not None
    return {str(address): name for address, name in likely_interfaces(router).items()}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (CLIENTS + INBOUND + DIVIDED + ROUTES, {"10.1.0.1": "ether1", "10.2.0.1": "ether2"}),
        (INBOUND + DIVIDED + ONE_PPP, {"10.2.0.1": "ether2"}),
        (DIVIDED + MASQUERADED.replace("ether1", "pppoe-out1") + ONE_PPP, {"10.2.0.1": "ether2"}),
        (DIVIDED + MASQUERADED + ROUTES, {"10.1.0.1": "10.1.0.1", "10.2.0.1": "10.2.0.1"}),
        (RECURSIVE, {"10.1.0.1": "10.1.0.1", "10.2.0.1": "10.2.0.1"}),
    ],
    ids=["by marks", "by marks, one", "by source NAT", "by nothing", "behind routes"],
)
def test_it_is_where_the_rest_of_the_file_points(text: str, places: dict[str, str]) -> None:
    assert likely(LAN + text) == places


def test_what_the_file_tells_stays_as_it_is() -> None:
    addresses = "add address=10.1.0.2/24 interface=ether1\nadd address=10.2.0.2/24 interface=ether2\n"
    stated = configuration.read((LAN + addresses + INBOUND + DIVIDED + ROUTES).encode(), "a.rsc").router
    assert stated is not None
    assert with_likely_interfaces(stated) is stated


def test_a_slip_beside_gateways_that_are_known_stays_one() -> None:
    addresses = "add address=10.1.0.2/24 interface=ether1\nadd address=10.3.0.2/24 interface=ether2\n"
    assert likely(LAN + addresses + INBOUND + DIVIDED + ROUTES) == {}


def test_an_uplink_has_its_interface_by_it() -> None:
    router = configuration.read((LAN + INBOUND + DIVIDED + ROUTES).encode(), "a.rsc").router
    assert router is not None
    assert [uplink.interface for uplink in uplinks(with_likely_interfaces(router))] == ["ether1", "ether2"]
    assert ip_address("10.1.0.1") in likely_interfaces(router)


@pytest.mark.parametrize(
    "text",
    [
        CLIENTS + INBOUND + DIVIDED + ROUTES,
        INBOUND + DIVIDED + ONE_PPP,
        DIVIDED + MASQUERADED + ROUTES,
        INBOUND + MASQUERADED + ROUTES,
        RECURSIVE,
    ],
)
def test_nothing_is_told_that_follows_only_from_what_is_not_in_the_file(text: str) -> None:
    loaded = configuration.parse((LAN + text).encode(), "a.rsc")
    assert {finding.code for finding in all_findings(loaded)} & FALSE == set()
