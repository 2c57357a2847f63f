"""What is written as TOML reads back as the same policy; nothing that is read makes the parser fall over."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.formats.policy import parse, render
from evenflow.formats.policy.targets import default_targets
from evenflow.formats.policy.values import bandwidth, bandwidth_text
from evenflow.model.finding import NOWHERE, Severity
from evenflow.model.health import FAST, Failback, HealthSettings, OnDown, ProbeMethod, ProbeTarget
from evenflow.model.matcher import Classifier
from evenflow.model.policy import Balance, FlowtableUse, Hooks, LastResort, Policy, Uplink

if TYPE_CHECKING:
    from evenflow.model.flow import Address

NAMES = st.from_regex(r"[a-z0-9ä][a-z0-9_.ßA-Z-]{0,8}", fullmatch=True).filter(
    lambda name: name not in {"main", "local", "default", "unspec", "no-mark"}
)
INTERFACES = st.from_regex(r"[a-z][a-zA-Z0-9_.\-+@#]{0,13}[0-9]", fullmatch=True)
# Unicast addresses that are nothing special.
V4 = st.integers(int(IPv4Address("1.0.0.0")), int(IPv4Address("100.0.0.0"))).map(IPv4Address)
V6 = st.integers(0, 2**64 - 1).map(lambda low: IPv6Address((0x2001_0DB8 << 96) + low))
RATES = st.integers(1, 10**13) | st.integers(1, 10**4).map(lambda n: n * 10**6)


MS = st.integers(0, 3_600_000) | st.integers(0, 3600).map(lambda seconds: seconds * 1000)
HOSTS = st.none() | V4 | V6
PORTS = st.sampled_from([53, 80, 443]) | st.integers(1, 65535)
DNS_NAMES = st.from_regex(r"[a-z0-9_][a-z0-9-]{0,5}(\.[a-z][a-z0-9-]{0,5}){0,2}", fullmatch=True)
PATHS = st.from_regex(r"/[!-\"$-~]{0,9}", fullmatch=True)
ICMP, NEIGHBOUR, TCP, DNS, HTTP, HTTPS = ProbeMethod
TARGETS = st.one_of(
    st.builds(ProbeTarget, st.sampled_from([ICMP, NEIGHBOUR]), HOSTS),
    st.builds(ProbeTarget, st.just(TCP), HOSTS, PORTS),
    st.builds(ProbeTarget, st.just(DNS), HOSTS, PORTS, st.just("") | DNS_NAMES),
    st.builds(ProbeTarget, st.sampled_from([HTTP, HTTPS]), HOSTS, PORTS, st.just("") | DNS_NAMES, PATHS),
)


@st.composite
def settings_for(draw: st.DrawFn, targets: int) -> HealthSettings:
    hold = draw(MS)
    stated = HealthSettings(
        draw(st.integers(10, 10_000)),
        draw(st.integers(1, 60_000)),
        draw(st.integers(1, 100)),
        draw(st.integers(1, 100)),
        draw(st.integers(1, max(1, targets))),
        draw(st.none() | st.integers(1, 99)),
        draw(st.none() | st.integers(1, 60_000)),
        draw(MS.filter(lambda ms: ms >= 100)) / 1000,
        hold / 1000,
        (hold + draw(MS)) / 1000,
    )
    return draw(st.sampled_from([stated, HealthSettings(), FAST, replace(FAST, fall=stated.fall)]))


@st.composite
def with_health(draw: st.DrawFn, uplinks: list[Uplink]) -> tuple[Uplink, ...]:
    """The uplinks, each with a health of its own, or all with the same."""
    if draw(st.booleans()):
        targets = draw(st.lists(TARGETS, max_size=4, unique=True).map(tuple))
        health = draw(settings_for(len(targets)))
        return tuple(replace(uplink, targets=targets, health=health) for uplink in uplinks)
    own = []
    for uplink in uplinks:
        usual = default_targets(uplink.gateways, learns=uplink.learn_gateway)
        targets = draw(st.just(usual) | st.lists(TARGETS, max_size=4, unique=True).map(tuple))
        tier = draw(st.integers(1, 9))
        own.append(replace(uplink, tier=tier, targets=targets, health=draw(settings_for(len(targets)))))
    return tuple(own)


HOOKS = st.builds(
    Hooks,
    st.just("") | st.from_regex(r"/[a-zä \"\\/-]{0,9}[a-z]", fullmatch=True),
    st.just("") | st.from_regex(r"https?://[a-z0-9.:-]{1,9}(/[!-\"$-~]{0,9})?", fullmatch=True),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    devices = draw(st.lists(INTERFACES, min_size=len(names) + 1, max_size=len(names) + 3, unique=True))
    uplinks = []
    for name, device in zip(names, devices, strict=False):
        stated: list[Address] = [*draw(st.lists(V4, max_size=1)), *draw(st.lists(V6, max_size=1))]
        gateways = tuple(draw(st.permutations(stated)))
        learn = draw(st.booleans()) or not gateways
        rate = draw(st.none() | RATES)
        uplinks.append(Uplink(name, device, gateways, learn, rate, draw(st.booleans())))
    weights = draw(st.lists(st.integers(0, 10**6), min_size=len(names), max_size=len(names)).filter(any))
    balance = Balance(
        draw(st.sampled_from(Classifier)),
        tuple(zip(names, weights, strict=True)),
        draw(st.none() | st.integers(len(names), 65536)),
        draw(st.sampled_from(LastResort)),
        draw(st.sampled_from(OnDown)),
        failback := draw(st.sampled_from(Failback)),
        draw(MS.filter(lambda ms: ms >= 1000)) / 1000 if failback is Failback.GRADUAL else 60.0,
        draw(st.sampled_from(FlowtableUse)),
    )
    return Policy(tuple(devices[len(names) :]), draw(with_health(uplinks)), balance, draw(HOOKS))


def without_places(policy: Policy) -> Policy:
    """The same policy, written nowhere."""
    return replace(
        policy,
        uplinks=tuple(replace(uplink, origin=NOWHERE) for uplink in policy.uplinks),
        balance=replace(policy.balance, origin=NOWHERE),
        lan_origin=NOWHERE,
    )


@settings(deadline=None)
@given(policies())
def test_a_policy_survives_being_written(policy: Policy) -> None:
    parsed = parse(render(policy), "x.toml")
    assert parsed.findings == ()
    assert parsed.policy is not None
    assert without_places(parsed.policy) == policy


@settings(deadline=None)
@given(policies())
def test_writing_what_was_read_changes_nothing(policy: Policy) -> None:
    text = render(policy)
    parsed = parse(text)
    assert parsed.policy is not None
    assert render(parsed.policy) == text


@settings(deadline=None)
@given(RATES)
def test_a_bandwidth_survives_being_written(bits_per_second: int) -> None:
    assert bandwidth(bandwidth_text(bits_per_second)) == bits_per_second


KEYS = ["lan", "uplink", "balance", "interface", "gateway", "weights", "buckets", "classifier", "bandwidth", "a", "b",
        "tier", "health", "hooks", "targets", "quorum", "interval", "hold", "hold_most", "loss", "latency", "profile",
        "failback", "failback_over", "program", "webhook"]  # fmt: skip
VALUES = [
    '["gateway", "https://192.0.2.1/#a"]',
    '"fast"',
    '"10s"',
    '"gradual"',
    '"off"',
    "3",
    '"auto"',
    '"eth0"',
    '["a", 1]',
    "{ a = 1, b = -1 }",
    "{}",
    "[]",
    "-1",
    "true",
    "1.5",
    "1979-05-27",
    '"30M"',
    '""',
]
HEADERS = ["[uplink.a]", "[uplink.b]", "[balance]", "[[uplink]]", "[uplink]", "[balance.weights]", "[lan]", "[health]",
           "[uplink.a.health]", "[hooks]"]  # fmt: skip
LINES = st.sampled_from(HEADERS) | st.builds("{} = {}".format, st.sampled_from(KEYS), st.sampled_from(VALUES))


@settings(deadline=None)
@given(st.lists(LINES, max_size=12).map("\n".join) | st.text())
def test_any_text_gives_a_policy_or_errors_in_order_of_lines(text: str) -> None:
    parsed = parse(text, "any.toml")
    lines = [finding.where.line for finding in parsed.findings]
    assert (parsed.policy is None) == any(finding.severity is Severity.ERROR for finding in parsed.findings)
    assert lines == sorted(lines)
    assert all(0 <= line <= text.count("\n") + 1 for line in lines)
    assert all(finding.where.file == "any.toml" for finding in parsed.findings)
