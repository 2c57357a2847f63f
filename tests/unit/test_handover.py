"""A default route that goes while nothing else does is taken to be there for a moment longer."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from evenflow.core.handover import GRACE_S, Bridged, bridge
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, FibHop, FibRoute
from evenflow.model.flow import Family
from evenflow.model.machine import Link, LinkAddress, Machine


def default(gateway: str, interface: str = "eth0") -> FibRoute:
    hop = FibHop(interface, ip_address(gateway))
    return FibRoute(Family.IPV4, MAIN_TABLE_NUMBER, ip_network("0.0.0.0/0"), 0, (hop,), protocol=16)


OLD, NEW = default("192.0.2.1"), default("192.0.2.254")
LEASED = Machine((Link("eth0", 2),), (LinkAddress("eth0", ip_interface("192.0.2.9/24")),), (OLD,))
WITHOUT = replace(LEASED, routes=())
BEFORE = Bridged(LEASED, {})


def test_a_route_that_goes_is_there_for_a_moment_longer() -> None:
    gone = bridge(WITHOUT, BEFORE, 10.0)
    assert gone.machine == LEASED
    assert gone.until_s == 10.0 + GRACE_S
    later = bridge(WITHOUT, gone, 10.0 + GRACE_S / 2)
    assert later.machine == LEASED
    assert later.until_s == 10.0 + GRACE_S
    assert bridge(WITHOUT, later, 10.01 + GRACE_S) == Bridged(WITHOUT, {})


def test_the_new_route_ends_it() -> None:
    gone = bridge(WITHOUT, BEFORE, 10.0)
    there = replace(LEASED, routes=(NEW,))
    assert bridge(there, gone, 10.01) == Bridged(there, {})


def test_a_route_that_stays_is_not_held() -> None:
    assert bridge(LEASED, BEFORE, 10.0) == BEFORE


OTHERWISE = {
    "the carrier": replace(WITHOUT, links=(Link("eth0", 2, carrier=False),)),
    "the link": replace(WITHOUT, links=(Link("eth0", 2, up=False),)),
    "the interface": replace(WITHOUT, links=(), addresses=()),
    "the interface, and another has come": replace(WITHOUT, links=(Link("eth0", 3),)),
    "the address": replace(WITHOUT, addresses=()),
}


@pytest.mark.parametrize("machine", OTHERWISE.values(), ids=OTHERWISE)
def test_when_more_has_gone_the_route_is_gone_at_once(machine: Machine) -> None:
    assert bridge(machine, BEFORE, 10.0) == Bridged(machine, {})
