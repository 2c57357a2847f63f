"""What a router becomes while its watches stand in any way."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.core.compile import compile_router
from evenflow.core.failback import away_in, owned, spreads, still_away
from evenflow.core.failover import AS_USUAL, Standing, owners_now, stand
from evenflow.core.lower import lower
from evenflow.core.plan import make_plan
from evenflow.model.dataplane import AddRoute, DeleteRoute, NftTransaction
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.policy import Balance, Policy, Uplink
from evenflow.model.transaction import AddElements, AddSet, DeleteElements, DeleteSet

NAMES = ("fibre", "cable", "dsl", "lte")


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    names = NAMES[: draw(st.integers(1, 4))]
    uplinks = tuple(
        Uplink(name, f"eth{n}", (ip_address(f"192.0.2.{4 * n + 1}"),), tier=draw(st.integers(1, 2)))
        for n, name in enumerate(names)
    )
    weights = tuple((name, draw(st.integers(0, 5))) for name in names)
    if not any(weight for _, weight in weights):
        weights = tuple((name, 1) for name in names)
    return Policy(("br0",), uplinks, Balance(weights=weights, buckets=60))


def machine_of(policy: Policy) -> Machine:
    links = [Link("br0", 1), *(Link(uplink.interface, n) for n, uplink in enumerate(policy.uplinks, start=2))]
    addresses = [
        LinkAddress(uplink.interface, ip_interface(f"192.0.2.{4 * n + 2}/30"))
        for n, uplink in enumerate(policy.uplinks)
    ]
    return Machine(tuple(links), tuple(addresses))


names_of_some = st.frozensets(st.sampled_from(NAMES))
standings = st.builds(Standing, names_of_some, names_of_some)


@given(policies(), standings)
def test_new_connections_go_by_the_lowest_tier_that_has_somebody_left(policy: Policy, standing: Standing) -> None:
    (spread,) = spreads(lower(policy))
    owners = set(owners_now(spread, standing))
    weight = dict(policy.balance.weights)
    left = [u for u in policy.uplinks if u.name not in standing.down]
    usable = [u for u in left if u.name not in standing.drained] or left
    if not usable:
        assert owners_now(spread, standing) == spread.owners
        return
    assert owners <= {uplink.name for uplink in usable}
    weighted = [uplink for uplink in usable if weight[uplink.name]]
    if weighted:
        best = min(uplink.tier for uplink in weighted)
        alone = {u.name for u in usable if u.tier < best}  # of a tier in which nobody left has a weight
        assert owners <= {u.name for u in weighted if u.tier == best} or owners <= alone


@given(policies(), st.sampled_from(NAMES))
def test_a_loss_moves_the_lost_ones_buckets_only_and_a_return_just_those_back(policy: Policy, name: str) -> None:
    one_tier = replace(policy, uplinks=tuple(replace(uplink, tier=1) for uplink in policy.uplinks))
    (spread,) = spreads(lower(one_tier))
    usual, lost = owners_now(spread, AS_USUAL), owners_now(spread, Standing(frozenset({name})))
    moved = {bucket for bucket, owner in enumerate(usual) if lost[bucket] != owner}
    if len(policy.uplinks) > 1:
        assert moved == {bucket for bucket, owner in enumerate(usual) if owner == name}
    assert owners_now(spread, AS_USUAL) == usual


@settings(deadline=None)
@given(policies(), standings)
def test_a_failover_changes_elements_and_routes_and_no_rule(policy: Policy, standing: Standing) -> None:
    router, machine = lower(policy), machine_of(policy)
    usual = compile_router(router, machine, 7).dataplane
    now = compile_router(router, machine, 7, standing).dataplane
    assert usual is not None
    assert now is not None
    assert now.table is not None
    assert usual.table is not None
    assert now.table.chains == usual.table.chains
    assert now.rules == usual.rules
    assert now.sysctls == usual.sysctls
    for operation in make_plan(now, usual).operations:
        if isinstance(operation, NftTransaction):
            kinds = (AddElements, DeleteElements, AddSet, DeleteSet)
            assert all(isinstance(one, kinds) for one in operation.operations)
        else:
            assert isinstance(operation, AddRoute | DeleteRoute)


@settings(deadline=None)
@given(policies(), standings)
def test_nothing_is_sent_to_what_is_lost(policy: Policy, standing: Standing) -> None:
    router = lower(policy)
    left = [route for route in stand(router, standing).routes if route.in_force]
    assert not any(set(route.watches) & standing.down for route in left)
    assert stand(router, AS_USUAL) is router


@given(policies(), standings)
def test_the_standing_is_read_back_from_the_kernel(policy: Policy, standing: Standing) -> None:
    names = {uplink.name for uplink in policy.uplinks}
    read = Standing.from_kernel(standing.to_kernel(names))
    assert read == Standing(standing.down & names, standing.drained & names)


@settings(deadline=None)
@given(policies(), st.sampled_from(NAMES), st.floats(0, 60))
def test_what_is_still_away_is_read_back_from_the_kernel(policy: Policy, name: str, elapsed_s: float) -> None:
    router, machine = lower(policy), machine_of(policy)
    away = still_away(owned(router, AS_USUAL, name), elapsed_s, 60)
    full = compile_router(router, machine, 7).dataplane
    part = compile_router(router, machine, 7, Standing(away={name: away})).dataplane
    assert full is not None
    assert part is not None
    if len({owner for spread in spreads(router) for owner in spread.owners}) > 1:
        assert away_in(part.table, full.table) == away
    if elapsed_s >= 60:
        assert not away
