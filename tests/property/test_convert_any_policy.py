"""A policy as a script of RouterOS: the same way for every packet, and the same policy when it is lifted again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network
from math import gcd
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from differential.policies import draw_policy
from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.addresses import contains, range_of
from evenflow.core.lift import lift
from evenflow.core.lower import lower
from evenflow.core.routeros import LOCAL_NETWORKS, for_routeros
from evenflow.core.script_form import script_form, with_handles
from evenflow.core.trace import Tracer
from evenflow.core.unfold import first_weights, smallest_unfolding
from evenflow.formats import routeros
from evenflow.formats.configuration import read
from evenflow.formats.routeros.version import Version
from evenflow.formats.routeros.writing import render
from evenflow.formats.routeros.writing.conversion import POLICY, SCRIPT, Wishes, convert
from evenflow.model.dataplane import MAIN_TABLE_NUMBER as MAIN
from evenflow.model.dataplane import FibHop, FibRoute
from evenflow.model.finding import Severity
from evenflow.model.flow import TCP, UDP, Family, Packet, family_of
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from evenflow.model.policy import Policy
    from evenflow.model.router import Router
    from evenflow.model.trace import Trace

EXAMPLES = Path(__file__).parents[2] / "examples"
VERSIONS = st.sampled_from([Version(6, 49), Version(7, 4), Version(7, 21)])
LOCAL = tuple(map(range_of, LOCAL_NETWORKS))

#: The bench's machine with the routes of its networks; then with defaults of DHCP clients, nearer than a script's.
CONNECTED = replace(
    MACHINE,
    routes=tuple(
        FibRoute(family_of(own.address), MAIN, own.address.network, 0, (FibHop(own.interface),))
        for own in MACHINE.addresses
    ),
)
LEASED = replace(
    CONNECTED,
    routes=CONNECTED.routes
    + tuple(
        FibRoute(Family.IPV4, MAIN, Family.IPV4.any_network, 50 + n, (FibHop(f"wan{n}", ip_address(f"100.64.{n}.1")),))
        for n in range(3)
    ),
)


def with_even_buckets(policy: Policy) -> Policy:
    """As many buckets as the streams divide: then both divide the hash at the same places."""
    weights = first_weights(policy).values()
    streams = sum(weights) // gcd(*weights)
    return replace(policy, balance=replace(policy.balance, buckets=12 * streams))


def through_a_script(policy: Policy, version: Version) -> Router:
    unfolded = for_routeros(policy, version.major, Fraction(0))
    form = script_form(unfolded.router, version.major)
    assert [finding for finding in form.findings if finding.severity is not Severity.INFO] == []
    parsed = routeros.parse(render(with_handles(form.router), version))
    assert [finding for finding in parsed.findings if finding.severity is not Severity.INFO] == []
    return parsed.router


def way(trace: Trace) -> tuple[object, ...]:
    # A script refuses also while no gateway has been learnt; a policy has no route then. The sender is told either way.
    refused = trace.disposition in (Disposition.NO_ROUTE, Disposition.UNREACHABLE)
    return (refused or trace.disposition, trace.out_interface, trace.gateway, trace.snat)


def marks(trace: Trace) -> tuple[object, ...]:
    return (trace.connection_mark, trace.routing_mark)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1), VERSIONS, st.sampled_from([CONNECTED, LEASED]))
def test_a_packet_goes_the_same_way_by_the_script(number: int, seed: int, version: Version, machine: Machine) -> None:
    draw = Draw(Random(number))
    policy = with_even_buckets(draw_policy(draw))
    script = through_a_script(policy, version)
    families = {family for rule in script.mangle for family in rule.families}
    # The leak guard is what a script has not: there is a finding for it.
    tracers = [Tracer(router, machine, seed) for router in (replace(lower(policy), guarded=frozenset()), script)]
    for connection in range(16):
        packet = draw.packet(connection)
        if packet.family not in families:
            continue
        by_policy, by_script = (tracer.trace(packet) for tracer in tracers)
        local = contains(LOCAL, packet.destination)
        # A network that main does not know goes by main in a script, and is balanced by a policy: a finding, too.
        known = any(packet.destination in own.address.network for own in MACHINE.addresses)
        if not local or known:
            assert way(by_policy) == way(by_script)
        if not local:
            assert marks(by_policy) == marks(by_script)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), VERSIONS)
def test_the_script_of_a_policy_lifts_to_the_policy(number: int, version: Version) -> None:
    policy = draw_policy(Draw(Random(number)))
    # An uplink without a way in IPv4 gets a share of it all the same, and its backups carry it: lifted, it is theirs.
    assume(all(u.learn_gateway or any(g.version == 4 for g in u.gateways) for u in policy.uplinks))
    script = through_a_script(policy, version)
    lifted = lift(script)
    assert [finding for finding in lifted.findings if finding.severity is not Severity.INFO] == []
    assert lifted.policy is not None
    assert set(lifted.policy.lan) == set(policy.lan)
    assert lifted.policy.balance.classifier is policy.balance.classifier
    names = {uplink.interface: uplink.name for uplink in lifted.policy.uplinks}
    found, wanted = dict(lifted.policy.balance.weights), first_weights(policy)
    assert names.keys() == {uplink.interface for uplink in policy.uplinks}
    for uplink in policy.uplinks:
        share = Fraction(found[names[uplink.interface]], sum(found.values()))
        assert share == Fraction(wanted.get(uplink.name, 0), sum(wanted.values()))
    masqueraded = {uplink.interface: uplink.masquerade for uplink in policy.uplinks}
    assert {uplink.interface: uplink.masquerade for uplink in lifted.policy.uplinks} == masqueraded
    if version.major > 6:
        stated = {uplink.interface: set(uplink.gateways) for uplink in policy.uplinks}
        assert {uplink.interface: set(uplink.gateways) for uplink in lifted.policy.uplinks} == stated


ARTICLE = Machine(
    (Link("USER_01", 2), Link("ether1", 3), Link("pppoe-out1", 4, point_to_point=True)),
    (
        LinkAddress("USER_01", ip_interface("10.10.0.1/16")),
        LinkAddress("ether1", ip_interface("100.64.1.2/24")),
        LinkAddress("pppoe-out1", ip_interface("100.64.2.2/32"), ip_address("100.64.2.1")),
    ),
    (
        FibRoute(Family.IPV4, MAIN, ip_network("10.10.0.0/16"), 0, (FibHop("USER_01"),)),
        FibRoute(Family.IPV4, MAIN, ip_network("100.64.1.0/24"), 0, (FibHop("ether1"),)),
        FibRoute(Family.IPV4, MAIN, Family.IPV4.any_network, 50, (FibHop("ether1", ip_address("100.64.1.1")),)),
    ),
)


def article(source: str, *forms: str) -> Router:
    """An example after it has been converted to each of `forms`, one after the other."""
    loaded, content = read((EXAMPLES / source).read_bytes(), source), b""
    for form in forms:
        made = convert(loaded, content, form, Wishes(most_error=Fraction(0)))
        assert made.text is not None
        content = made.text.encode()
        loaded = read(content, f"{source}.{form}")
    assert loaded.router is not None
    return replace(loaded.router, guarded=frozenset())


ARTICLES = (
    article("seed.rsc"),
    article("seed.rsc", SCRIPT),
    article("seed.rsc", POLICY),
    article("seed.toml"),
    article("seed.toml", SCRIPT),
    article("seed.toml", SCRIPT, POLICY),
    article("seed.rsc", POLICY, SCRIPT, SCRIPT),
)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(0, (1 << 32) - 1))
def test_the_article_is_one_router_in_every_form(data: st.DataObject, seed: int) -> None:
    source = ip_address("10.10.0.0") + data.draw(st.integers(2, 65000))
    destination = data.draw(st.sampled_from(["198.51.100.7", "203.0.113.200", "10.10.77.1"]).map(ip_address))
    ports = data.draw(st.tuples(st.integers(1024, 65535), st.sampled_from([53, 80, 443])))
    packet = Packet(source, destination, data.draw(st.sampled_from([TCP, UDP])), *ports, "USER_01")
    ways = {way(Tracer(router, ARTICLE, seed).trace(packet)) for router in ARTICLES}
    # The script as printed sends what is for another host of the LAN by an uplink, where it comes to that: no bypass.
    if destination in ip_network("10.10.0.0/16"):
        ways = {way(Tracer(router, ARTICLE, seed).trace(packet)) for router in ARTICLES[2:]}
    assert len(ways) == 1


@given(
    st.dictionaries(st.text("abcdefgh", min_size=1), st.integers(1, 10**9), min_size=1, max_size=8),
    st.sampled_from([Fraction(0), Fraction(1, 1000), Fraction(1, 100), Fraction(1, 10)]),
)
def test_no_fewer_streams_meet_the_weights(weights: dict[str, int], most_error: Fraction) -> None:
    found = smallest_unfolding(weights, most_error)
    total, streams = sum(weights.values()), len(found.owners)
    errors = [abs(found.shares[name] - Fraction(weight, total)) for name, weight in weights.items()]
    assert max(errors) == found.error
    assert set(found.owners) == set(weights)
    assert found.error <= most_error or streams <= 1000
    exact = total // gcd(*weights.values())
    if exact <= 1000 and exact >= len(weights):
        assert found.error <= most_error
        assert streams <= exact
