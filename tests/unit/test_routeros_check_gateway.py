"""Gateways that a script watches by check-gateway: one watch for each gateway and way of checking it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from evenflow.formats.routeros import Parsed, parse
from evenflow.formats.routeros.values import BadValueError, duration_ms
from evenflow.model.finding import Origin
from evenflow.model.health import ROUTEROS, ProbeMethod, ProbeTarget, Watch
from evenflow.model.router import CheckGateway, LearnedGateway

if TYPE_CHECKING:
    from evenflow.model.health import HealthSettings

ICMP, NEIGHBOUR = ProbeMethod.ICMP, ProbeMethod.NEIGHBOUR


def codes(parsed: Parsed) -> list[tuple[str, str, int]]:
    return [(f.severity.value, f.code, f.where.line) for f in parsed.findings if f.code != "not-routing"]


def target(address: str, method: ProbeMethod = ICMP) -> ProbeTarget:
    return ProbeTarget(method, ip_address(address))


ADDRESSES = "/ip address\nadd address=192.0.2.2/24 interface=ether1\nadd address=198.51.100.2/24 interface=ether2\n"


def test_one_watch_for_each_gateway_and_way_of_checking() -> None:
    text = (
        ADDRESSES + "/ip route\n"
        "add gateway=192.0.2.1 check-gateway=ping\n"
        "add gateway=192.0.2.1 check-gateway=ping routing-table=a\n"
        "add gateway=192.0.2.1 check-gateway=arp distance=2\n"
        "add gateway=192.0.2.1 distance=3\n"
    )
    router = parse(text, "r.rsc").router
    ping = Watch(
        "192.0.2.1", "ether1", (), (target("192.0.2.1"),), ROUTEROS, origin=Origin("r.rsc", 5, "/ip route add")
    )
    arp = replace(
        ping,
        name="192.0.2.1 arp",
        targets=(target("192.0.2.1", NEIGHBOUR),),
        origin=Origin("r.rsc", 7, "/ip route add"),
    )
    assert router.watches == (ping, arp)
    assert [route.gateway_watches for route in router.routes] == [("192.0.2.1",)] * 2 + [("192.0.2.1 arp",), ()]
    assert all(route.watches == () for route in router.routes)


@pytest.mark.parametrize(
    ("gateway", "name", "interface"),
    [
        ("192.0.2.1", "192.0.2.1", "ether1"),
        ("192.0.2.1%ether9", "192.0.2.1%ether9", "ether9"),
        ("203.0.113.1", "203.0.113.1", None),
        ("192.0.2.1@main", "192.0.2.1@main", "ether1"),
    ],
)
def test_probes_leave_by_the_interface_of_the_gateway(gateway: str, name: str, interface: str | None) -> None:
    (watch,) = parse(f"{ADDRESSES}/ip route add gateway={gateway} check-gateway=ping").router.watches
    assert (watch.name, watch.interface) == (name, interface)
    assert (watch.connection_mark, watch.gateways) == (None, ())


def test_a_recursive_gateway_is_asked_by_the_line_that_leads_to_it() -> None:
    text = (
        ADDRESSES + "/ip route\nadd dst-address=9.9.9.9 gateway=198.51.100.1 scope=10 check-gateway=ping\n"
        "add gateway=9.9.9.9 target-scope=11 check-gateway=ping"
    )
    first, second = parse(text).router.watches
    assert (first.name, first.interface) == ("198.51.100.1", "ether2")
    assert (second.name, second.interface, second.targets) == ("9.9.9.9", "ether2", (target("9.9.9.9"),))


@pytest.mark.parametrize("given", ["bfd", "bfd-multi-hop"])
def test_a_check_that_is_not_done_here(given: str) -> None:
    parsed = parse(f"/ip route add gateway=192.0.2.1 check-gateway={given}")
    assert codes(parsed) == [("warning", "unsupported-check", 1)]
    assert parsed.router.routes[0].check_gateway is CheckGateway.BFD
    assert parsed.router.watches == ()


def test_several_gateways_of_one_route() -> None:
    text = "/ip route add gateway=192.0.2.1,ether5,192.0.2.9 check-gateway=ping"
    router = parse(text).router
    assert router.routes[0].gateway_watches == ("192.0.2.1", "", "192.0.2.9")
    assert [watch.name for watch in router.watches] == ["192.0.2.1", "192.0.2.9"]


def test_an_interface_can_not_be_asked() -> None:
    router = parse("/ip route add gateway=pppoe-out1 check-gateway=ping").router
    assert router.watches == ()
    assert router.routes[0].gateway_watches == ()


@pytest.mark.parametrize(("check", "method"), [("ping", ICMP), ("arp", NEIGHBOUR)])
def test_a_learnt_gateway_is_asked_whatever_it_is(check: str, method: ProbeMethod) -> None:
    router = parse(f"/ip dhcp-client add interface=ether1 check-gateway={check}").router
    (watch,) = router.watches
    assert (watch.name, watch.interface) == ("ether1", "ether1")
    assert (watch.gateways, watch.targets) == ((LearnedGateway("ether1"),), (ProbeTarget(method, None),))
    assert router.routes[0].gateway_watches == ("ether1",)


def test_a_name_that_is_taken_gets_a_number() -> None:
    script = 'add-default-route=no interface=e script="/ip route set [find comment=a] gateway=\\$\\"gateway-address\\""'
    text = (
        "/ip route\nadd gateway=192.0.2.1 comment=a check-gateway=ping\n"
        "/ip dhcp-client\nadd interface=e check-gateway=ping\n"
        f"add {script}\n/ip route add gateway=192.0.2.9 comment=a check-gateway=ping distance=2"
    )
    router = parse(text).router
    assert [watch.name for watch in router.watches] == ["e", "e ping", "e ping 2"]
    assert [watch.gateways[0] for watch in router.watches] == [
        LearnedGateway("e", ip_address("192.0.2.1")), LearnedGateway("e", ip_address("192.0.2.9")), LearnedGateway("e")
    ]  # fmt: skip


HEADER = "# 2026-03-04 10:00:00 by RouterOS {}\n"
CHECKED = "/ip route\nadd gateway=192.0.2.1 check-gateway=ping\nadd gateway=192.0.2.1 check-gateway=arp\n"
SHORT = replace(ROUTEROS, timeout_ms=1000)


@pytest.mark.parametrize(
    ("before", "ping", "arp"),
    [
        ("", ROUTEROS, ROUTEROS),
        (HEADER.format("6.49.10"), ROUTEROS, ROUTEROS),
        (HEADER.format("7.20.8"), ROUTEROS, ROUTEROS),
        (HEADER.format("7.21"), SHORT, SHORT),
        ("/routing settings set check-gateway-ping-interval=500ms\n", replace(SHORT, interval_ms=500), ROUTEROS),
        ("/routing settings set check-gateway-ping-timeout=200ms check-gateway-ping-count=4\n",
         replace(SHORT, timeout_ms=200, fall=4), ROUTEROS),
    ],
)  # fmt: skip
def test_the_timing_is_that_of_the_release(before: str, ping: HealthSettings, arp: HealthSettings) -> None:
    parsed = parse(before + CHECKED)
    assert codes(parsed) == []
    assert [watch.settings for watch in parsed.router.watches] == [ping, arp]


@pytest.mark.parametrize("given", ["interval=1ms", "timeout=2s", "count=0", "interval=soon"])
def test_mistakes_in_the_timing(given: str) -> None:
    parsed = parse(f"/routing settings set check-gateway-ping-{given}\n{CHECKED}")
    assert codes(parsed) == [("error", "bad-value", 1)]
    assert parsed.router.watches[0].settings == ROUTEROS


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("10s", 10_000), ("500ms", 500), ("1m30s", 90_000), ("10", 10_000), ("00:00:10", 10_000), ("1d", 86_400_000),
        ("1d00:00:01", 86_401_000), ("00:00:00.5", 500), ("1500us", 2), ("1w", 604_800_000), ("", None), ("1x", None),
        ("s", None), ("1:1", None), ("-1s", None), ("900000000w", None),
    ],
)  # fmt: skip
def test_spans_of_time(text: str, ms: int | None) -> None:
    if ms is None:
        with pytest.raises(BadValueError):
            duration_ms(0, 10**12, text)
    else:
        assert duration_ms(0, 10**12, text) == ms


def test_a_bare_number_may_be_in_another_unit() -> None:
    assert duration_ms(0, 1000, "2000", bare_unit="us") == 2
