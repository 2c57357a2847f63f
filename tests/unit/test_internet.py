"""Somebody on the Internet, of whom a script says nothing."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from evenflow.core.internet import SERVERS, first_server
from evenflow.core.supposed import supposed_machine
from evenflow.formats import configuration
from evenflow.model.router import Router

BOGONS = "".join(
    f"/ip firewall address-list add list=bogons address={network}\n"
    for network in ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")
)


def server(script: str) -> str:
    router = configuration.parse(script.encode(), "x.rsc").router
    assert router is not None
    return str(first_server(router, supposed_machine(router).machine))


def test_nobody_spoken_of_is_an_address_for_examples() -> None:
    assert str(first_server(Router(), supposed_machine(Router()).machine)) == "198.51.100.7"


@pytest.mark.parametrize(
    "line",
    [
        "/ip address add address=198.51.100.2/24 interface=ether1",
        "/ip route add dst-address=198.51.100.0/24 type=blackhole",
        "/ip firewall address-list add list=x address=198.51.101.0/24",
        "/ip firewall mangle add chain=prerouting dst-address=198.51.100.9 action=accept",
        "/ip firewall nat add chain=srcnat src-address=198.51.100.250-198.51.100.255 action=accept",
        "/routing rule add src-address=198.51.100.0/25 action=lookup table=main",
    ],
)
def test_what_is_spoken_of_is_not_on_the_internet(line: str) -> None:
    assert server(line) == "203.0.113.7"


def test_a_script_that_drops_examples_gets_others() -> None:
    assert ip_address(server(BOGONS)).is_global


def test_everything_is_nothing_in_particular() -> None:
    assert server("/ip route add gateway=192.0.2.1") == "198.51.100.7"
    assert SERVERS == 256
