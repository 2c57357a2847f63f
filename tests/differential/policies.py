"""Random policies for a bench, and how their uplinks stand."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from differential.bench import LANS, WANS
from differential.ways import gateway_of
from evenflow.core.failover import Standing
from evenflow.model.flow import BOTH_FAMILIES
from evenflow.model.matcher import Classifier
from evenflow.model.policy import Balance, LastResort, Policy, Uplink

if TYPE_CHECKING:
    from differential.routers import Draw

NAMES = {"wan0": "fibre", "wan1": "кабель", "wan2": "lte 5G"}


def draw_policy(draw: Draw) -> Policy:
    """Some of the uplinks, with gateways of one family or both, or learnt ones; in tiers, with weights."""
    random = draw.random
    wans = random.sample(list(WANS), random.randint(1, 3))
    uplinks = tuple(_uplink(draw, wan) for wan in wans)
    weights = [random.choice([0, 1, 2, 5]) for _ in uplinks]
    if not any(weights):
        weights[0] = 1
    balance = Balance(
        random.choice(list(Classifier)),
        tuple((uplink.name, weight) for uplink, weight in zip(uplinks, weights, strict=True)),
        random.choice([16, 60]),
        random.choice(list(LastResort)),
    )
    return Policy(tuple(random.sample(list(LANS), random.randint(1, 2))), uplinks, balance)


def _uplink(draw: Draw, wan: str) -> Uplink:
    four, six = (ip_address(gateway_of(draw, wan, family)) for family in BOTH_FAMILIES)
    gateways = draw.random.choice([(four,), (four, six), (six,), ()])
    return Uplink(
        NAMES[wan],
        wan,
        gateways,
        learn_gateway=not gateways or draw.some(0.3),
        masquerade=draw.some(0.7),
        tier=draw.random.choice([1, 1, 2]),
    )


def draw_standing(draw: Draw, policy: Policy) -> Standing:
    """All up as often as not; else some lost, drained, or on their way back."""
    if draw.some(0.4):
        return Standing()
    names = [uplink.name for uplink in policy.uplinks]
    down, drained = (frozenset(name for name in names if draw.some(0.3)) for _ in range(2))
    buckets = policy.balance.buckets or 1
    away = {name: frozenset(draw.random.sample(range(buckets), buckets // 2)) for name in names if draw.some(0.2)}
    return Standing(down, drained, away)
