"""What is told of watches: how soon a loss is noticed, and settings that can't do what they are for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from evenflow.core.lint import lint
from evenflow.core.lower import lower
from evenflow.formats.policy import parse as parse_policy
from evenflow.formats.routeros import parse as parse_script
from evenflow.model.finding import Origin, Severity
from evenflow.model.health import FAST, ROUTEROS, HealthSettings, ProbeMethod, ProbeTarget, Watch
from evenflow.model.router import AddressGateway, LearnedGateway, Router

TARGETS = (ProbeTarget(ProbeMethod.ICMP, ip_address("9.9.9.9")),)
HERE = Origin("p.toml", 4)
V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")

#: What there is to tell of any watch.
ALWAYS = {"detection-time", "share-against-bandwidth"}


def told(router: Router) -> list[tuple[str, str, int]]:
    return [(f.severity.value, f.code, f.where.line) for f in lint(router) if f.code not in ALWAYS]


def messages(router: Router, code: str) -> list[str]:
    return [finding.message for finding in lint(router) if finding.code == code]


def watching(watch: Watch) -> Router:
    return Router(watches=(watch,))


USUAL = HealthSettings()


def uplink(settings: HealthSettings = USUAL, targets: tuple[ProbeTarget, ...] = TARGETS) -> Watch:
    return Watch("isp1", "eth1", (LearnedGateway("eth1"),), targets, settings, "isp1", origin=HERE)


# --- how soon --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (HealthSettings(), "isp1: a silent line is noticed within 0.9 s, and used again 10.5 s after it answers"),
        (
            HealthSettings(interval_ms=15, timeout_ms=20, rise=20, hold_s=5.0),
            "within 0.065 s, and used again 5.04 s after",
        ),
        (ROUTEROS, "noticed within 30 s, and used again 20 s after"),
        (HealthSettings(interval_ms=60_000, hold_s=600.0), "noticed within 3.01 min, and used again 11 min after"),
    ],
)
def test_how_soon_a_loss_is_noticed(settings: HealthSettings, words: str) -> None:
    (finding,) = [each for each in lint(watching(uplink(settings))) if each.code == "detection-time"]
    assert (finding.severity, finding.where) == (Severity.INFO, HERE)
    assert words in finding.message


def test_without_targets_only_the_link_is_watched() -> None:
    router = watching(uplink(targets=()))
    (message,) = messages(router, "detection-time")
    assert message.startswith("isp1: only the link is watched, so a silent line is never noticed;")
    assert message.endswith("after a loss of carrier it is used again 10 s after it returns")
    assert told(router) == []


# --- settings without sense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [HealthSettings(), FAST, ROUTEROS, HealthSettings(interval_ms=10, timeout_ms=200)])
def test_settings_that_make_sense(settings: HealthSettings) -> None:
    assert told(watching(uplink(settings))) == []


def test_probes_that_pile_up() -> None:
    router = watching(uplink(HealthSettings(interval_ms=10, timeout_ms=300)))
    assert told(router) == [("warning", "probe-storm", 4)]
    assert "30 are out at once" in messages(router, "probe-storm")[0]


def test_a_latency_that_no_answer_can_have() -> None:
    settings = HealthSettings(latency_ms=300)
    assert told(watching(uplink(settings))) == [("warning", "limit-without-effect", 4)]
    assert told(watching(uplink(replace(settings, latency_ms=299)))) == []


def test_a_window_that_is_never_full_enough() -> None:
    settings = HealthSettings(interval_ms=2000, window_s=10.0)
    router = watching(uplink(settings))
    assert told(router) == [("warning", "limit-without-effect", 4)]
    assert "a window of 10 s holds 5" in messages(router, "limit-without-effect")[0]
    assert told(watching(uplink(replace(settings, loss_percent=None)))) == []
    others = tuple(ProbeTarget(ProbeMethod.TCP, V4, port) for port in (80, 443))
    assert told(watching(uplink(settings, (*TARGETS, *others)))) == []


# --- targets ---------------------------------------------------------------------------------------------------------


def test_targets_of_a_family_that_the_uplink_lacks() -> None:
    only_v6 = replace(uplink(), gateways=(AddressGateway(V6, "eth1"),))
    assert told(watching(only_v6)) == [("error", "targets-unreachable", 4)]
    assert "there is no IPv4 gateway, so 9.9.9.9 never answers" in messages(watching(only_v6), "targets-unreachable")[0]
    mixed = replace(only_v6, targets=(*TARGETS, ProbeTarget(ProbeMethod.ICMP, ip_address("2620:fe::fe"))))
    assert told(watching(mixed)) == [("warning", "targets-unreachable", 4)]
    two = replace(mixed, settings=HealthSettings(quorum=2))
    assert told(watching(two)) == [("error", "targets-unreachable", 4)]
    assert told(watching(replace(two, gateways=(LearnedGateway("eth1"),)))) == []


@pytest.mark.parametrize(
    ("targets", "next_hop"),
    [
        ((ProbeTarget(ProbeMethod.NEIGHBOUR, None),), True),
        ((ProbeTarget(ProbeMethod.ICMP, None), ProbeTarget(ProbeMethod.ICMP, V4)), True),
        ((ProbeTarget(ProbeMethod.ICMP, None), *TARGETS), False),
    ],
)
def test_nobody_beyond_the_next_hop(targets: tuple[ProbeTarget, ...], *, next_hop: bool) -> None:
    watch = replace(uplink(targets=targets), gateways=(AddressGateway(V4, "eth1"),))
    assert told(watching(watch)) == ([("info", "next-hop-only", 4)] if next_hop else [])


SCRIPT = """\
/ip address add address=192.0.2.2/24 interface=ether1
/ip route
add comment=a gateway=192.0.2.1 {check}
add comment=b gateway=198.51.100.1 distance=2
{more}
"""
NETWATCH = (
    "/tool netwatch add host=9.9.9.9 "
    'up-script="/ip route enable [find comment=a]" down-script="/ip route disable [find comment=a]"'
)


def test_check_gateway_looks_no_further_than_the_gateway() -> None:
    direct = parse_script(SCRIPT.format(check="check-gateway=ping", more=""), "r.rsc").router
    assert told(direct) == [("info", "next-hop-only", 3)]
    more = (
        "add dst-address=9.9.9.9 gateway=192.0.2.1\nadd gateway=9.9.9.9 distance=3 target-scope=31 check-gateway=ping"
    )
    assert told(parse_script(SCRIPT.format(check="", more=more), "r.rsc").router) == []


def test_an_interface_can_not_be_checked() -> None:
    more = "add gateway=pppoe-out1 distance=3 check-gateway=ping\nadd gateway=pppoe-out1 distance=4 check-gateway=arp"
    router = parse_script(SCRIPT.format(check="", more=more), "r.rsc").router
    assert told(router) == [("info", "check-without-effect", 5)]


def test_a_host_that_is_asked_by_the_routes_that_it_decides_on() -> None:
    router = parse_script(SCRIPT.format(check="", more=NETWATCH), "r.rsc").router
    assert told(router) == [("warning", "probe-follows-failover", 5)]
    assert "add a route to 9.9.9.9" in messages(router, "probe-follows-failover")[0]
    with_route = f"add dst-address=9.9.9.0/24 gateway=192.0.2.1\n{NETWATCH}"
    assert told(parse_script(SCRIPT.format(check="", more=with_route), "r.rsc").router) == []
    bound = NETWATCH.replace("host=9.9.9.9", "host=9.9.9.9 src-address=192.0.2.2")
    assert told(parse_script(SCRIPT.format(check="", more=bound), "r.rsc").router) == []


# --- tiers -----------------------------------------------------------------------------------------------------------

TIERS = """\
lan = ["br0"]
uplink.a = {{ interface = "e1" }}
uplink.b = {{ interface = "e2", tier = 2 }}
[balance]
weights = {{ a = {first}, b = {second} }}
"""


@pytest.mark.parametrize(("first", "second", "tier"), [(1, 0, 2), (0, 1, 1), (1, 1, 0)])
def test_a_tier_without_weight(first: int, second: int, tier: int) -> None:
    policy = parse_policy(TIERS.format(first=first, second=second), "p.toml").policy
    assert policy is not None
    found = messages(lower(policy), "tier-without-weight")
    assert [message.startswith(f"tier {tier}: ") for message in found] == ([True] if tier else [])
