"""What chance allows: the range that a count lies in when every connection draws its uplink anew.

Pure arithmetic, in whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

#: How often chance alone may leave the range, both sides together. One run in ten thousand is rare enough to look
#: into, and the range is still narrow enough to tell 2:1 from 1:1 with a hundred connections.
CHANCE_OUTSIDE: Final = Fraction(1, 10_000)


@dataclass(frozen=True, slots=True)
class ChanceRange:
    """The least and the largest count that chance allows, both included."""

    low: int
    high: int

    def __contains__(self, count: int) -> bool:
        return self.low <= count <= self.high


def chance_range(trials: int, weight: int, total_weight: int, outside: Fraction = CHANCE_OUTSIDE) -> ChanceRange:
    """The central range of the binomial distribution, exactly.

    With X successes in `trials` of probability weight / total_weight each: `low` is the largest number with
    P(X < low) <= outside / 2, `high` the smallest with P(X > high) <= outside / 2.

    Raises:
        ValueError: a weight that is negative or above the total, fewer than 0 trials, `outside` not in 0 to 1.
    """
    if trials < 0 or not 0 <= weight <= total_weight or total_weight == 0 or not 0 < outside < 1:
        raise ValueError(f"no distribution: {trials} trials, {weight} of {total_weight}, {outside} outside")
    terms = _binomial_terms(trials, weight, total_weight)
    allowed = Fraction(total_weight**trials) * outside / 2
    return ChanceRange(_tail(terms, allowed), trials - _tail(terms[::-1], allowed))


def _binomial_terms(trials: int, weight: int, total_weight: int) -> list[int]:
    """P(X = k) * total_weight ** trials for k from 0 to trials; whole numbers."""
    rest = total_weight - weight
    if rest == 0:
        return [0] * trials + [weight**trials]
    terms = [rest**trials]
    for k in range(trials):
        terms.append(terms[-1] * (trials - k) * weight // ((k + 1) * rest))
    return terms


def _tail(terms: list[int], allowed: Fraction) -> int:
    """How many terms from the front add up to no more than what is allowed."""
    below = 0
    for count, term in enumerate(terms):
        below += term
        if below > allowed:
            return count
    return len(terms)
