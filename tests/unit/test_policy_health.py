"""What a policy says for the daemon: health, tiers, return, hooks; and each mistake in that has one finding."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from evenflow.formats.policy import parse, render
from evenflow.model.finding import Severity
from evenflow.model.health import FAST, Failback, HealthSettings, OnDown, ProbeMethod, ProbeTarget
from evenflow.model.policy import DEFAULT_TARGETS, Hooks, Policy

ONE = 'lan = ["br0"]\n[uplink.isp1]\ninterface = "eth1"\n'
TWO = ONE + '[uplink.isp2]\ninterface = "eth2"\n'


def policy_of(text: str) -> Policy:
    parsed = parse(text, "p.toml")
    assert parsed.findings == ()
    assert parsed.policy is not None
    return parsed.policy


# --- health ----------------------------------------------------------------------------------------------------------

V4_RESOLVER = IPv4Address("9.9.9.9")
V6_RESOLVER = IPv6Address("2620:fe::fe")


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("9.9.9.9", ProbeTarget(ProbeMethod.ICMP, V4_RESOLVER)),
        ("icmp://9.9.9.9", ProbeTarget(ProbeMethod.ICMP, V4_RESOLVER)),
        ("icmp://2620:fe::fe", ProbeTarget(ProbeMethod.ICMP, V6_RESOLVER)),
        ("icmp://[2620:fe::fe]", ProbeTarget(ProbeMethod.ICMP, V6_RESOLVER)),
        ("gateway", ProbeTarget(ProbeMethod.NEIGHBOUR, None)),
        ("icmp://gateway", ProbeTarget(ProbeMethod.ICMP, None)),
        ("neighbour://9.9.9.9", ProbeTarget(ProbeMethod.NEIGHBOUR, V4_RESOLVER)),
        ("tcp://9.9.9.9:853", ProbeTarget(ProbeMethod.TCP, V4_RESOLVER, 853)),
        ("tcp://gateway:80", ProbeTarget(ProbeMethod.TCP, None, 80)),
        ("tcp://[2620:fe::fe]:853", ProbeTarget(ProbeMethod.TCP, V6_RESOLVER, 853)),
        ("dns://9.9.9.9", ProbeTarget(ProbeMethod.DNS, V4_RESOLVER, 53)),
        ("dns://9.9.9.9/a.example", ProbeTarget(ProbeMethod.DNS, V4_RESOLVER, 53, "a.example")),
        ("dns://[2620:fe::fe]:5353/_x.example", ProbeTarget(ProbeMethod.DNS, V6_RESOLVER, 5353, "_x.example")),
        ("http://9.9.9.9", ProbeTarget(ProbeMethod.HTTP, V4_RESOLVER, 80)),
        ("https://9.9.9.9/a?b=1#a.example", ProbeTarget(ProbeMethod.HTTPS, V4_RESOLVER, 443, "a.example", "/a?b=1")),
        ("https://9.9.9.9:8443#a.example", ProbeTarget(ProbeMethod.HTTPS, V4_RESOLVER, 8443, "a.example")),
    ],
)
def test_targets(stated: str, meant: ProbeTarget) -> None:
    assert policy_of(f'{ONE}health.targets = ["{stated}"]').uplinks[0].targets == (meant,)


def test_targets_when_none_are_stated_are_of_a_family_that_the_uplink_has() -> None:
    assert policy_of(ONE).uplinks[0].targets == DEFAULT_TARGETS
    only_v6 = policy_of(ONE + 'gateway = "fe80::1"').uplinks[0]
    assert [target.address for target in only_v6.targets][-1] == V6_RESOLVER
    assert len(only_v6.targets) == len(DEFAULT_TARGETS)
    assert policy_of(ONE + 'gateway = ["fe80::1", "auto"]').uplinks[0].targets == DEFAULT_TARGETS


def test_only_the_link_is_watched() -> None:
    first, second = policy_of(TWO + "health.targets = []\n[health]\nquorum = 2").uplinks
    assert (first.targets, first.health.quorum) == (DEFAULT_TARGETS, 2)
    assert (second.targets, second.health.quorum) == ((), 1)


ALL_OF_HEALTH = """
[health]
targets = ["gateway", "9.9.9.9"]
quorum = 2
interval = "1s"
timeout = "1.5s"
fall = 4
rise = 6
loss = "7%"
latency = "80ms"
window = "1m"
hold = "2m"
hold_most = "1h"
"""


def test_everything_that_can_be_said_of_health() -> None:
    uplink = policy_of(ONE + ALL_OF_HEALTH).uplinks[0]
    assert uplink.targets == (
        ProbeTarget(ProbeMethod.NEIGHBOUR, None), ProbeTarget(ProbeMethod.ICMP, IPv4Address("9.9.9.9"))
    )  # fmt: skip
    assert uplink.health == HealthSettings(1000, 1500, 4, 6, 2, 7, 80, 60.0, 120.0, 3600.0)


def test_limits_can_be_off() -> None:
    health = policy_of(ONE + 'health = { loss = "off", latency = "off" }').uplinks[0].health
    assert (health.loss_percent, health.latency_ms) == (None, None)


def test_an_uplink_overrides_key_by_key() -> None:
    first, second = policy_of(f'{TWO}health = {{ fall = 9, targets = ["9.9.9.9"], quorum = 1 }}{ALL_OF_HEALTH}').uplinks
    assert second.health == replace(first.health, fall=9, quorum=1)
    assert len(second.targets) == 1


def test_a_profile_is_where_the_keys_start_from() -> None:
    fast = policy_of(ONE + '[health]\nprofile = "fast"\nfall = 9').uplinks[0].health
    assert fast == replace(FAST, fall=9)


def test_an_uplink_that_names_a_profile_starts_anew() -> None:
    _, second = policy_of(f'{TWO}health = {{ profile = "fast", rise = 7 }}{ALL_OF_HEALTH}').uplinks
    assert second.health == replace(FAST, rise=7, quorum=2)
    assert len(second.targets) == 2


def test_a_long_hold_takes_the_longest_along() -> None:
    health = policy_of(ONE + 'health.hold = "10m"').uplinks[0].health
    assert (health.hold_s, health.hold_most_s) == (600.0, 600.0)


# --- tiers, return, hooks --------------------------------------------------------------------------------------------


def test_tiers() -> None:
    assert [uplink.tier for uplink in policy_of(TWO + "tier = 2").uplinks] == [1, 2]


def test_what_follows_a_loss_and_a_return() -> None:
    text = '[balance]\non_down = "keep"\nfailback = "gradual"\nfailback_over = "2m"'
    balance = policy_of(ONE + text).balance
    assert (balance.on_down, balance.failback, balance.failback_s) == (OnDown.KEEP, Failback.GRADUAL, 120.0)
    usual = policy_of(ONE).balance
    assert (usual.on_down, usual.failback, usual.failback_s) == (OnDown.FLUSH, Failback.AT_ONCE, 60.0)


def test_hooks() -> None:
    assert policy_of(ONE).hooks == Hooks()
    text = '[hooks]\nprogram = "/usr/local/bin/tell"\nwebhook = "https://192.0.2.1:8443/a?b=c"'
    assert policy_of(ONE + text).hooks == Hooks("/usr/local/bin/tell", "https://192.0.2.1:8443/a?b=c")


def test_what_all_uplinks_say_of_health_is_written_once() -> None:
    same = render(policy_of(TWO + '[health]\nprofile = "fast"\nhold = "1m"'))
    assert same.count("health]") == 1
    assert '[health]\nprofile = "fast"\nhold = "1m"\n' in same
    apart = render(policy_of(TWO + 'health.targets = ["gateway"]'))
    assert '[uplink.isp2.health]\ntargets = ["gateway"]\n' in apart
    assert "isp1.health" not in apart


MISTAKES = {
    "health as a string": (ONE + 'health = "fast"', "wrong-type", 4, "[uplink.isp1.health]"),
    "an unknown key of health": (ONE + '[health]\ntarget = "x"', "unknown-key", 5, "did you mean targets?"),
    "an unknown profile": (ONE + '[health]\nprofile = "slow"', "bad-value", 5, "there are: default, fast"),
    "an interval without unit": (ONE + '[health]\ninterval = "200"', "bad-value", 5, 'like "200ms"'),
    "an interval that is a number": (ONE + "[health]\ninterval = 200", "wrong-type", 5, 'interval = "200ms"'),
    "too short an interval": (ONE + '[health]\ninterval = "5ms"', "bad-value", 5, 'from "10ms" to "1h"'),
    "part of a millisecond": (ONE + '[health]\ntimeout = "0.5ms"', "bad-value", 5, "whole number of milliseconds"),
    "too long a timeout": (ONE + '[health]\ntimeout = "2m"', "bad-value", 5, 'from "1ms" to "1m"'),
    "no probe at all": (ONE + "[health]\nfall = 0", "bad-value", 5, "from 1 to"),
    "a loss beyond everything": (ONE + '[health]\nloss = "100%"', "bad-value", 5, '"1%" to "99%", or "off"'),
    "a loss that is a number": (ONE + "[health]\nloss = 40", "wrong-type", 5, 'loss = "40%"'),
    "hold_most below hold": (
        ONE + '[health]\nhold = "10s"\nhold_most = "5s"',
        "bad-value",
        6,
        "hold_most is shorter than hold",
    ),
    "a quorum of more than there are": (ONE + "[health]\nquorum = 4", "bad-value", 5, "there are only 3"),
    "a quorum of more than an uplink has": (
        ONE + 'health.targets = ["gateway"]\n[health]\nquorum = 2',
        "bad-value",
        4,
        "there is only 1",
    ),
    "a quorum of none": (ONE + "health = { targets = [], quorum = 2 }", "bad-value", 4, "there is no target"),
    "a target twice": (ONE + '[health]\ntargets = ["9.9.9.9",\n"icmp://9.9.9.9"]', "bad-value", 6, "given twice"),
    "too many targets": (
        ONE + f"[health]\ntargets = {[f'192.0.2.{n}' for n in range(1, 18)]}",
        "bad-value",
        5,
        "at most 16",
    ),
    "a target that is a number": (ONE + "[health]\ntargets = [1]", "wrong-type", 5, "an element of targets"),
    "a target by name": (ONE + '[health]\ntargets = ["example.com"]', "bad-value", 5, "write its address"),
    "a page by name": (
        ONE + '[health]\ntargets = ["https://example.com/a"]',
        "bad-value",
        5,
        '"https://ADDRESS/a#example.com"',
    ),
    "a target that is everybody": (ONE + '[health]\ntargets = ["0.0.0.0"]', "bad-value", 5, "of a host"),
    "a target by an unknown way": (ONE + '[health]\ntargets = ["ftp://9.9.9.9"]', "bad-value", 5, "is not understood"),
    "a connection without port": (ONE + '[health]\ntargets = ["tcp://9.9.9.9"]', "bad-value", 5, "needs a port"),
    "port 0": (ONE + '[health]\ntargets = ["tcp://9.9.9.9:0"]', "bad-value", 5, "from 1 to 65535"),
    "a ping with a port": (ONE + '[health]\ntargets = ["icmp://9.9.9.9:7"]', "bad-value", 5, "icmp:// has no port"),
    "a ping with a path": (ONE + '[health]\ntargets = ["icmp://9.9.9.9/a"]', "bad-value", 5, "ends in something"),
    "a ping with a name": (ONE + '[health]\ntargets = ["icmp://9.9.9.9#a"]', "bad-value", 5, "ends in something"),
    "a query with two names": (ONE + '[health]\ntargets = ["dns://9.9.9.9/a#b"]', "bad-value", 5, "ends in something"),
    "a query for no name": (
        ONE + '[health]\ntargets = ["dns://9.9.9.9/a..b"]',
        "bad-value",
        5,
        "not the name of a host",
    ),
    "a path with a space": (ONE + '[health]\ntargets = ["http://9.9.9.9/a b"]', "bad-value", 5, "write it as %XX"),
    "an IPv6 address and a port without brackets": (
        ONE + '[health]\ntargets = ["tcp://2620:fe::fe:53"]',
        "bad-value",
        5,
        "in brackets",
    ),
    "tier 0": (ONE + "tier = 0", "bad-value", 4, "from 1 (used first) to 9"),
    "an unknown on_down": (ONE + '[balance]\non_down = "drop"', "bad-value", 5, "there are: flush, keep"),
    "an unknown failback": (ONE + '[balance]\nfailback = "idel"', "bad-value", 5, 'did you mean "idle"?'),
    "a span for what takes none": (
        ONE + '[balance]\nfailback_over = "10s"',
        "bad-value",
        5,
        'write failback = "gradual"',
    ),
    "a span of nothing": (
        ONE + '[balance]\nfailback = "gradual"\nfailback_over = "0s"',
        "bad-value",
        6,
        'from "1s" to "24h"',
    ),
    "an unknown hook": (ONE + '[hooks]\nprogramm = "/x"', "unknown-key", 5, "did you mean program?"),
    "a program somewhere": (ONE + '[hooks]\nprogram = "tell"', "bad-value", 5, "not an absolute path"),
    "a program that is a number": (ONE + "[hooks]\nprogram = 1", "wrong-type", 5, "it takes a string"),
    "a webhook that is none": (ONE + '[hooks]\nwebhook = "example.com"', "bad-value", 5, "is not a URL"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_one_finding_at_its_line(name: str) -> None:
    text, code, line, words = MISTAKES[name]
    parsed = parse(text, "p.toml")
    assert [(finding.code, finding.where.line) for finding in parsed.findings] == [(code, line)]
    (finding,) = parsed.findings
    assert words in finding.message
    assert finding.severity is Severity.ERROR
    assert finding.where.file == "p.toml"
    assert parsed.policy is None
