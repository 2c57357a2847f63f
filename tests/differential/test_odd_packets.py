"""What the other tests' observers would change by looking: no rule here looks at connections."""

from __future__ import annotations

import re
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from differential.bench import FAR_MAC, FIVE, Bench
from differential.play import DEADLINE_S
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.model.flow import UDP, Family, Packet
from evenflow.model.matcher import (
    AddressType,
    AddressTypeMatch,
    Classifier,
    Direction,
    InInterface,
    MarkKind,
    PccMatch,
    PortMatch,
)
from evenflow.model.router import AddressGateway, MangleRule, MarkAction, Route, Router, RoutingTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.matcher import Matcher

COUNTERS = """
table inet observer { }
delete table inet observer
table ip counting {
    chain leaving {
        type filter hook postrouting priority 400
        oifname "wan1" ip saddr 10.1.3.50 counter comment "fragments"
        oifname "wan0" ip saddr 10.1.3.50 counter comment "astray"
        oifname "wan1" ip saddr 10.1.3.51 counter comment "end"
    }
}
table ip6 counting {
    chain leaving {
        type filter hook postrouting priority 400
        oifname "wan1" ip6 saddr fd00:1::50 counter comment "ipv6"
    }
}
"""


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(FIVE)
    made.router.run(["nft", "-f", "-"], stdin=COUNTERS)
    yield made
    made.close()


def counted(bench: Bench, what: str) -> int:
    listed = bench.router.run(["nft", "list", "ruleset"])
    found = re.search(rf'counter packets (\d+) bytes \d+ comment "{what}"', listed)
    assert found is not None
    return int(found[1])


def wait_for(bench: Bench, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not counted(bench, what):
        assert time.monotonic() < deadline, f"nothing was seen of {what}"


def to_isp1(*matchers: Matcher, families: tuple[Family, ...] = (Family.IPV4,)) -> MangleRule:
    return MangleRule("prerouting", matchers, MarkAction(MarkKind.ROUTING, "isp1"), families)


ISP1 = (
    Route("isp1", Family.IPV4.any_network, (AddressGateway(ip_address("100.64.1.1")),)),
    Route("isp1", Family.IPV6.any_network, (AddressGateway(ip_address("2001:db8:1::1")),)),
)


def put_in_force(bench: Bench, *rules: MangleRule) -> None:
    with bench.inside() as kernel:
        router = Router(rules, routes=ISP1, tables=(RoutingTable("isp1"),))
        carry_out(kernel, look_ahead(kernel, router, kernel.read_machine(), 1))


def packet(source: str, destination: str) -> Packet:
    return Packet(ip_address(source), ip_address(destination), UDP, 5555, 80, "lan0", source_mac=FAR_MAC)


@pytest.mark.kernel
@pytest.mark.parametrize(
    "by_port",
    [
        PortMatch(Direction.DESTINATION, ((80, 80),)),
        PccMatch(Classifier.BOTH_ADDRESSES_AND_PORTS, 1, 0),
    ],
)
def test_all_parts_of_a_packet_go_the_same_way(bench: Bench, by_port: Matcher) -> None:
    put_in_force(bench, to_isp1(InInterface("lan0"), by_port))
    bench.send(packet("10.1.3.50", "198.51.100.1"), fragmented=True)
    bench.send(packet("10.1.3.51", "198.51.100.1"))
    wait_for(bench, "end")
    # Put together, it is one packet there; it is parted again behind the counters.
    assert (counted(bench, "fragments"), counted(bench, "astray")) == (1, 0)


@pytest.mark.kernel
def test_unicast_needs_no_route(bench: Bench) -> None:
    bench.router.run(["ip", "-6", "route", "del", "default"])
    unicast = AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.UNICAST}))
    put_in_force(bench, to_isp1(unicast, families=(Family.IPV6,)))
    bench.send(packet("fd00:1::50", "2a00::1"))
    wait_for(bench, "ipv6")
