"""How few streams say a policy's weights: the denominator of the PCC rules that are written for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING

from evenflow.core.buckets import home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.policy import Policy

#: Each stream is a rule that new connections pass one by one. So many are within a thousandth of any weights.
MOST_STREAMS = 1000


@dataclass(frozen=True, slots=True)
class Unfolding:
    """Streams that stand for weights.

    Attributes:
        owners: who owns each remainder; their number is the denominator.
        error: the greatest distance of a share from what its weight asks for, as a part of all connections.
    """

    owners: tuple[str, ...]
    error: Fraction

    @property
    def shares(self) -> dict[str, Fraction]:
        """The part of all connections that each owner gets, in their order."""
        counts = Counter(self.owners)
        return {owner: Fraction(counts[owner], len(self.owners)) for owner in dict.fromkeys(self.owners)}


def first_weights(policy: Policy) -> dict[str, int]:
    """The weights that count while every uplink is up: those of the lowest tier that has one, without zeros."""
    weights = dict(policy.balance.weights)
    weighted = [uplink for uplink in policy.uplinks if weights.get(uplink.name, 0) > 0]
    first = min(uplink.tier for uplink in weighted)
    return {uplink.name: weights[uplink.name] for uplink in weighted if uplink.tier == first}


def smallest_unfolding(weights: Mapping[str, int], most_error: Fraction) -> Unfolding:
    """The fewest streams that meet the weights; the nearest of at most `MOST_STREAMS` where none does.

    Every owner gets at least one stream. The streams of an owner are neighbours, in the order of `weights`, as those
    of a spread's buckets are: with the same hash both give the same answer where the weights are met exactly.

    Args:
        weights: uplink and weight, all positive.
        most_error: how far a share may be from its weight, as a part of all connections.
    """
    exact = sum(weights.values()) // gcd(*weights.values())
    most = max(min(exact, MOST_STREAMS), len(weights))
    best: Unfolding | None = None
    for denominator in range(len(weights), most + 1):
        found = _with_denominator(weights, denominator)
        if found.error <= most_error:
            return found
        if best is None or found.error < best.error:
            best = found
    assert best is not None
    return best


def _with_denominator(weights: Mapping[str, int], denominator: int) -> Unfolding:
    counts = Counter(home(weights, denominator))
    for name in weights:
        if counts[name] == 0:
            counts[name] = 1
            counts[max(weights, key=counts.__getitem__)] -= 1
    total = sum(weights.values())
    owners = tuple(name for name in weights for _ in range(counts[name]))
    error = max(abs(Fraction(counts[name], denominator) - Fraction(weight, total)) for name, weight in weights.items())
    return Unfolding(owners, error)
