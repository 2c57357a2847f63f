"""Netwatch entries whose scripts make the failover: what they ask, and which routes hang on it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from evenflow.formats.routeros import Parsed, parse
from evenflow.model.finding import Origin
from evenflow.model.health import HealthSettings, ProbeMethod, ProbeTarget, Watch
from evenflow.model.router import AddressGateway, InterfaceGateway, LearnedGateway, Route

ICMP = ProbeMethod.ICMP

ADDRESSES = "/ip address\nadd address=192.0.2.2/24 interface=ether1\nadd address=198.51.100.2/24 interface=ether2\n"
HEADER = "# 2026-03-04 10:00:00 by RouterOS {}\n"


def codes(parsed: Parsed) -> list[tuple[str, str, int]]:
    return [(f.severity.value, f.code, f.where.line) for f in parsed.findings if f.code != "not-routing"]


def target(address: str, method: ProbeMethod = ICMP, port: int = 0, name: str = "") -> ProbeTarget:
    return ProbeTarget(method, ip_address(address), port, name)


# --- netwatch: what is asked -----------------------------------------------------------------------------------------

ROUTES = (
    "/ip route\nadd comment=a gateway=192.0.2.1\nadd comment=b gateway=198.51.100.1 distance=2\n"
    "add comment=c gateway=198.51.100.9 disabled=yes\n"
)


def quoted(script: str) -> str:
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\r\\n")):
        script = script.replace(sign, escaped)
    return f'"{script}"'


def netwatch(up: str, down: str, properties: str = "host=9.9.9.9", before: str = ROUTES) -> Parsed:
    text = f"{before}/tool netwatch\nadd {properties} up-script={quoted(up)} down-script={quoted(down)}\n"
    return parse(text, "r.rsc")


def watched(properties: str, before: str = ROUTES) -> Parsed:
    return netwatch("/ip route enable [find comment=a]", "/ip route disable [find comment=a]", properties, before)


ONCE = HealthSettings(10_000, 3000, fall=1, rise=1, loss_percent=None, window_s=60.0, hold_s=0.0)
PINGS = replace(ONCE, interval_ms=1000, fall=9, rise=2, loss_percent=85, latency_ms=100, window_s=20.0)


@pytest.mark.parametrize(
    ("properties", "asked", "settings"),
    [
        ("host=9.9.9.9", target("9.9.9.9"), ONCE),
        ("host=9.9.9.9 type=simple interval=5s timeout=500ms", target("9.9.9.9"),
         replace(ONCE, interval_ms=5000, timeout_ms=500)),
        ("host=2620:fe::fe interval=00:02:00", target("2620:fe::fe"),
         replace(ONCE, interval_ms=120_000, window_s=120.0)),
        ("host=9.9.9.9 type=icmp", target("9.9.9.9"), PINGS),
        ("host=9.9.9.9 type=icmp packet-count=20 thr-loss-percent=50 thr-avg=400ms", target("9.9.9.9"),
         replace(PINGS, interval_ms=500, fall=11, rise=10, loss_percent=50, latency_ms=400)),
        ("host=9.9.9.9 type=icmp thr-loss-percent=100.0%", target("9.9.9.9"),
         replace(PINGS, fall=10, rise=1, loss_percent=None)),
        ("host=9.9.9.9 type=tcp-conn", target("9.9.9.9", ProbeMethod.TCP, 80), replace(ONCE, timeout_ms=1000)),
        ("host=9.9.9.9 type=tcp-conn port=443 thr-tcp-conn-time=250000 timeout=2s",
         target("9.9.9.9", ProbeMethod.TCP, 443), replace(ONCE, timeout_ms=250)),
        ("host=9.9.9.9 type=http-get", target("9.9.9.9", ProbeMethod.HTTP, 80), ONCE),
        ("host=9.9.9.9 type=https-get check-certificate=yes thr-http-time=2s",
         target("9.9.9.9", ProbeMethod.HTTPS, 443), replace(ONCE, timeout_ms=2000)),
        ("host=a.example type=dns dns-server=9.9.9.9", target("9.9.9.9", ProbeMethod.DNS, 53, "a.example"), ONCE),
    ],
)  # fmt: skip
def test_what_an_entry_asks(properties: str, asked: ProbeTarget, settings: HealthSettings) -> None:
    parsed = watched(properties)
    assert codes(parsed) == []
    host = properties.split(maxsplit=1)[0].removeprefix("host=")
    origin = Origin("r.rsc", 6, "/tool netwatch add")
    assert parsed.router.watches == (Watch(f"netwatch {host}", None, (), (asked,), settings, origin=origin),)


@pytest.mark.parametrize(("version", "interval_ms", "timeout_ms"), [("7.3.1", 60_000, 1000), ("7.4", 10_000, 3000)])
def test_the_defaults_are_those_of_the_release(version: str, interval_ms: int, timeout_ms: int) -> None:
    (watch,) = watched("host=9.9.9.9", HEADER.format(version) + ROUTES).router.watches
    assert (watch.settings.interval_ms, watch.settings.timeout_ms) == (interval_ms, timeout_ms)


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ("interval=1s", "missing-property"),
        ("host=example.com", "bad-value"),
        ("host=9.9.9.9@vrf1", "bad-value"),
        ("host=9.9.9.9 type=smoke", "bad-value"),
        ("host=9.9.9.9 interval=soon", "bad-value"),
        ("host=9.9.9.9 timeout=10m", "bad-value"),
        ("host=9.9.9.9 type=icmp packet-count=0", "bad-value"),
        ("host=9.9.9.9 type=tcp-conn port=0", "bad-value"),
        ("host=a.example type=dns", "missing-property"),
        ("host=a.example type=dns dns-server=b.example", "bad-value"),
    ],
)
def test_mistakes_in_an_entry(properties: str, code: str) -> None:
    parsed = watched(properties)
    assert codes(parsed) == [("error", code, 6)]
    assert parsed.findings[-1].message.endswith("left out")
    assert parsed.router.watches == ()
    assert [route.watches for route in parsed.router.routes] == [(), ()]


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ("host=9.9.9.9 type=icmp thr-max=1s thr-jitter=2s", "thr-jitter=, thr-max=: no such condition"),
        ("host=9.9.9.9 type=http-get http-codes=200-299", "http-codes="),
        ("host=a.example type=dns dns-server=9.9.9.9 record-type=MX", "record-type="),
        ("host=9.9.9.9 type=https-get", "only the TCP connection is tried"),
        ("host=9.9.9.9 src-address=10.9.9.9", "no address in this file"),
    ],
)
def test_conditions_that_are_not_known_here_are_told_of(properties: str, words: str) -> None:
    parsed = watched(properties)
    assert codes(parsed) == [("warning", "netwatch-condition", 6)]
    assert words in parsed.findings[-1].message
    assert len(parsed.router.watches) == 1


def test_the_usual_values_of_such_conditions_are_not() -> None:
    assert codes(watched("host=9.9.9.9 record-type=A accept-icmp-time-exceeded=no thr-loss-count=4294967295")) == []


def test_a_source_address_says_by_which_line_to_ask() -> None:
    (watch,) = watched("host=9.9.9.9 src-address=198.51.100.2", ADDRESSES + ROUTES).router.watches
    assert (watch.interface, watch.gateways) == ("ether2", (AddressGateway(ip_address("198.51.100.1")),))


def test_a_link_local_host_is_on_its_link() -> None:
    (watch,) = watched("host=fe80::1%ether1").router.watches
    assert (watch.name, watch.interface, watch.gateways) == ("netwatch fe80::1%ether1", "ether1", ())
    assert watch.targets == (target("fe80::1"),)


# --- netwatch: what follows ------------------------------------------------------------------------------------------


def in_short(parsed: Parsed) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(route.comment, route.distance, route.watches) for route in parsed.router.routes]


HOST = ("netwatch 9.9.9.9",)
USUAL = [("a", 1, HOST), ("b", 2, ())]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("/ip route enable [find comment=a]", "/ip route disable [find comment=a]"),
        ('/ip/route/set [find comment="a"] disabled=no', '/ip/route/set [find comment="a"] disabled=yes'),
        ("/ip route enable [/ip route find gateway=192.0.2.1]", "/ip route disable [find gateway=192.0.2.1]"),
        (":log info \"up\"\n/ip route\nenable [find comment=a]",
         ":delay 5s; /ip route set [find comment=a] disabled=yes"),
        (':local c "a"; /ip route enable [find comment=$c]',
         ":foreach r in=[/ip route find comment=a] do={/ip route disable $r}"),
        (":do { /ip route enable numbers=[find comment=a] } on-error={ :log error x }",
         "/log warning down; /ip route disable 0"),
    ],
)  # fmt: skip
def test_a_route_that_is_disabled_while_a_host_is_lost(up: str, down: str) -> None:
    parsed = netwatch(up, down)
    assert codes(parsed) == []
    assert in_short(parsed) == USUAL


def test_a_route_that_happens_to_be_disabled_in_the_export() -> None:
    parsed = netwatch("/ip route enable [find comment=c]", "/ip route disable [find comment=c]")
    assert codes(parsed) == []
    assert in_short(parsed) == [("a", 1, ()), ("b", 2, ()), ("c", 1, HOST)]


def test_scripts_by_their_names() -> None:
    scripts = (
        '/system script\nadd name=up source="/ip route enable [find comment=a]"\n'
        'add name=down source="/ip route disable [find comment=a]"\n'
    )
    expected = ["up", "/system script run up"]
    for up, down in zip(expected, ["down", "/system script run down"], strict=True):
        parsed = netwatch(up, down, before=ROUTES + scripts)
        assert codes(parsed) == []
        assert in_short(parsed) == USUAL


def test_scripts_that_run_each_other_end() -> None:
    scripts = '/system script\nadd name=x source="/system script run y"\nadd name=y source="/system script run x"\n'
    parsed = netwatch("x", "y", before=ROUTES + scripts)
    assert (codes(parsed), parsed.router.watches) == ([], ())


def test_a_script_that_nobody_runs_is_told_of_still() -> None:
    scripts = '/system script\nadd name=x source="/ip route disable [find comment=a]"\n'
    parsed = watched("host=9.9.9.9", ROUTES + scripts)
    assert codes(parsed) == [("warning", "script-not-run", 6)]


def test_a_distance_that_a_loss_makes_greater() -> None:
    parsed = netwatch("/ip route set [find comment=a] distance=1", "/ip route set [find comment=a] distance=5")
    assert codes(parsed) == []
    assert in_short(parsed) == [("a", 1, HOST), ("a", 5, ()), ("b", 2, ())]


def test_two_hosts_of_one_route() -> None:
    scripts = f"up-script={quoted('/ip route enable [find comment=a]')} down-script={quoted('/ip route disable 0')}"
    parsed = parse(f"{ROUTES}/tool netwatch\nadd host=9.9.9.9 {scripts}\nadd host=9.9.9.9 {scripts}\n")
    assert codes(parsed) == []
    assert in_short(parsed)[0] == ("a", 1, ("netwatch 9.9.9.9", "netwatch 9.9.9.9 2"))


def test_a_route_for_the_time_of_the_loss_stays_behind() -> None:
    before = ROUTES.replace("distance=2", "distance=2 disabled=yes").replace("comment=c", "comment=d routing-table=x")
    up = "/ip route enable [find comment=a]; /ip route disable [find comment=b]"
    down = "/ip route disable [find comment=a]; /ip route enable [find comment=b]"
    parsed = netwatch(up, down, before=before)
    assert (codes(parsed), in_short(parsed)) == ([], USUAL)
    equal = netwatch(up, down, before=before.replace("distance=2", "distance=1"))
    assert (codes(equal), in_short(equal)) == ([], USUAL)


@pytest.mark.parametrize(
    ("up", "down", "before"),
    [
        # Nothing is taken away that it could stand behind.
        ("/ip route disable [find comment=c]", "/ip route enable [find comment=c]", ROUTES),
        ("/ip route set [find comment=b] distance=9", "/ip route set [find comment=b] distance=1", ROUTES),
        # Behind a it would no longer be before b.
        (
            "/ip route enable [find comment=a]; /ip route disable [find comment=c]",
            "/ip route disable [find comment=a]; /ip route enable [find comment=c]",
            ROUTES,
        ),
    ],
)
def test_a_route_that_a_loss_brings_forward_can_not_be_said(up: str, down: str, before: str) -> None:
    parsed = netwatch(up, down, before=before)
    assert codes(parsed) == [("warning", "script-not-run", 6)]
    assert "brings the route in line" in parsed.findings[-1].message


def test_a_script_without_its_counterpart() -> None:
    parsed = netwatch(":log info up", "/ip route disable [find comment=a]")
    assert codes(parsed) == [("warning", "netwatch-one-way", 6)]
    assert "only the down-script= of /tool netwatch add switches the route in line 2" in parsed.findings[-1].message
    assert in_short(parsed) == USUAL


@pytest.mark.parametrize(
    ("beyond", "words"),
    [
        ("/ip firewall connection remove [find]", "/ip firewall connection remove"),
        ("/tool e-mail send to=a@b subject=x", "/tool e-mail send"),
        ("/ip firewall nat disable 0; /interface disable ether1", "/ip firewall nat disable, /interface disable"),
        ("/ip route set [find comment=b] gateway=10.0.0.1 distance=3", "/ip route set gateway=, distance="),
        ("/ip route remove [find comment=b]", "/ip route remove"),
        ("$notify down", "$notify down"),
        ("/system script run nobody", "runs script nobody, which is not in this file"),
        ("nonsense in between", '"nonsense in between"'),
        ("/ip route set [find comment=b] distance=$x", "/ip route set distance="),
    ],
)
def test_what_a_script_does_beyond_is_told(beyond: str, words: str) -> None:
    parsed = netwatch("/ip route enable [find comment=a]", f"/ip route disable [find comment=a]\n{beyond}")
    assert codes(parsed) == [("warning", "script-not-run", 6)]
    assert f"down-script= of /tool netwatch add: {words}: not done" in parsed.findings[-1].message
    assert in_short(parsed) == USUAL


def test_a_condition_is_not_asked() -> None:
    down = ":if ([/ip route get [find comment=a] disabled]=no) do={ /ip route disable [find comment=a] }"
    parsed = netwatch("/ip route enable [find comment=a]", down)
    assert codes(parsed) == [("warning", "script-condition", 6)]
    assert in_short(parsed) == USUAL


@pytest.mark.parametrize(
    ("down", "code"),
    [("/ip route disable [find comment=z]", "no-such-item"), ("/ip route disable [find active]", "unsupported-find")],
)
def test_routes_that_can_not_be_found(down: str, code: str) -> None:
    parsed = netwatch("", down)
    assert codes(parsed) == [("warning", code, 6)]
    assert parsed.router.watches == ()


def test_an_entry_that_only_tells_somebody_is_not_watched() -> None:
    parsed = netwatch(':log info "up"', ':log info "down"')
    assert [finding.code for finding in parsed.findings] == ["not-routing"]
    assert "switches no route" in parsed.findings[0].message
    assert parsed.router.watches == ()


def test_an_entry_that_is_disabled_does_nothing() -> None:
    parsed = watched("host=9.9.9.9 disabled=yes")
    assert (parsed.findings, parsed.router.watches) == ((), ())


def test_a_test_script_is_told_of() -> None:
    parsed = watched(f"host=9.9.9.9 test-script={quoted('/ip route disable [find comment=a]')}")
    assert codes(parsed) == [("warning", "script-not-run", 6)]
    assert "test-script= of /tool netwatch add: switches routes" in parsed.findings[-1].message


def test_a_route_whose_gateway_is_learnt_keeps_that() -> None:
    script = quoted('/ip route set [find comment=a] gateway=$"gateway-address"')
    client = f"/ip dhcp-client add interface=ether1 add-default-route=no script={script}\n"
    parsed = netwatch("/ip route set 0 distance=1", "/ip route set 0 distance=7", before=ROUTES + client)
    first, second, *_ = parsed.router.routes
    learnt = (LearnedGateway("ether1", ip_address("192.0.2.1")),)
    assert [(route.gateways, route.distance) for route in (first, second)] == [(learnt, 1), (learnt, 7)]


def test_ipv6_routes_are_switched_too() -> None:
    before = "/ipv6 route add gateway=ether1 comment=a\n"
    parsed = netwatch("/ipv6 route enable [find comment=a]", "/ipv6 route disable [find comment=a]", before=before)
    (found,) = parsed.router.routes
    assert isinstance(found, Route)
    assert (found.gateways, found.watches) == ((InterfaceGateway("ether1"),), HOST)
