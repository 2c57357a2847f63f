"""Any policy lowered: its uplinks come back out of the router with their weights, and nothing in it is wrong."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.core.fold import fold, unfold
from evenflow.core.lint import lint
from evenflow.core.lower import lower
from evenflow.core.numbering import number_router
from evenflow.core.uplinks import uplinks
from evenflow.model.finding import Severity
from evenflow.model.matcher import Classifier
from evenflow.model.policy import Balance, LastResort, Policy, Uplink
from evenflow.model.router import MAIN_TABLE, MangleRule, SpreadAction

GATEWAYS = st.sampled_from([(), (IPv4Address("192.0.2.1"),), (IPv4Address("192.0.2.1"), IPv6Address("fe80::1"))])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    made = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        gateways = draw(GATEWAYS)
        learn = not gateways or draw(st.booleans())
        bandwidth = draw(st.none() | st.integers(1, 9))
        made.append(Uplink(f"isp{number}", f"eth{number}", gateways, learn, bandwidth, draw(st.booleans())))
    size = st.lists(st.integers(0, 9), min_size=len(made), max_size=len(made)).filter(any)
    weights = tuple((uplink.name, weight) for uplink, weight in zip(made, draw(size), strict=True))
    balance = Balance(draw(st.sampled_from(Classifier)), weights, None, draw(st.sampled_from(LastResort)))
    lan = tuple(f"br{number}" for number in range(draw(st.integers(1, 3))))
    return Policy(lan, tuple(made), balance)


@settings(deadline=None)
@given(policies())
def test_the_uplinks_of_the_router_are_those_of_the_policy(policy: Policy) -> None:
    total = sum(weight for _, weight in policy.balance.weights)
    wanted = {name: Fraction(weight, total) for name, weight in policy.balance.weights}
    found = {uplink.name: uplink for uplink in uplinks(lower(policy))}
    assert {name: uplink.target for name, uplink in found.items()} == wanted
    for uplink in policy.uplinks:
        assert found[uplink.name].interface == uplink.interface
        assert found[uplink.name].table == uplink.name
        assert found[uplink.name].connection_marks == (uplink.name,)
        assert found[uplink.name].bandwidth_bps == uplink.bandwidth_bps


@settings(deadline=None)
@given(policies())
def test_nothing_is_wrong_with_the_router_of_a_policy(policy: Policy) -> None:
    assert [finding for finding in lint(lower(policy)) if finding.severity is not Severity.INFO] == []


def _without_pool(rule: MangleRule) -> MangleRule:
    """A script can't say who else may own a stream."""
    return replace(rule, action=replace(rule.action, pool=())) if isinstance(rule.action, SpreadAction) else rule


@settings(deadline=None, max_examples=25)
@given(policies())
def test_its_spread_is_the_same_as_rules_of_a_script(policy: Policy) -> None:
    router = lower(replace(policy, balance=replace(policy.balance, buckets=60)))
    streams = [rule for rule in unfold(router).mangle if not isinstance(rule.action, SpreadAction)]
    assert len(streams) == len(unfold(router).mangle)
    assert fold(unfold(router)).mangle == tuple(map(_without_pool, fold(router).mangle))
    assert {u.name: u.target for u in uplinks(unfold(router))} == {u.name: u.target for u in uplinks(router)}


@settings(deadline=None)
@given(policies())
def test_every_table_is_declared_and_numbered_and_routes_follow_the_tables_order(policy: Policy) -> None:
    router = lower(policy)
    numbers = number_router(router)
    declared = {table.name for table in router.tables}
    assert {route.table for route in router.routes} <= declared
    assert {rule.table for rule in router.rules} <= declared | {MAIN_TABLE}
    assert len({numbers.table(name) for name in declared}) == len(declared)
    for table in declared:
        for version in (4, 6):
            found = [r.distance for r in router.routes if r.table == table and r.destination.version == version]
            assert found == sorted(set(found))
