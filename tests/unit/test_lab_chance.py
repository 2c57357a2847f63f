from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.lab.chance import CHANCE_OUTSIDE, ChanceRange, chance_range


def probability(count: int, trials: int, chance: Fraction) -> Fraction:
    return comb(trials, count) * chance**count * (1 - chance) ** (trials - count)


@given(
    trials=st.integers(0, 60),
    weights=st.tuples(st.integers(0, 9), st.integers(1, 9)),
    outside=st.fractions(Fraction(1, 1_000_000), Fraction(1, 2)),
)
def test_the_range_is_the_tightest_that_the_definition_allows(
    trials: int, weights: tuple[int, int], outside: Fraction
) -> None:
    weight, rest = weights
    total = weight + rest
    found = chance_range(trials, weight, total, outside)
    terms = [probability(count, trials, Fraction(weight, total)) for count in range(trials + 1)]
    assert sum(terms[: found.low]) <= outside / 2 < sum(terms[: found.low + 1])
    assert sum(terms[found.high + 1 :]) <= outside / 2 < sum(terms[found.high :])


@given(trials=st.integers(0, 2000), weight=st.integers(0, 5), rest=st.integers(0, 5))
def test_two_uplinks_see_the_same_range_from_both_sides(trials: int, weight: int, rest: int) -> None:
    if weight + rest == 0:
        return
    one, other = chance_range(trials, weight, weight + rest), chance_range(trials, rest, weight + rest)
    assert (one.low, one.high) == (trials - other.high, trials - other.low)
    assert one.low <= Fraction(weight * trials, weight + rest) <= one.high


def test_the_articles_six_hundred_connections() -> None:
    # The normal distribution would say 400 - 45 to 400 + 45.
    assert chance_range(600, 2, 3) == ChanceRange(354, 444)
    assert 400 in chance_range(600, 2, 3)
    assert 300 not in chance_range(600, 2, 3)
    assert 450 not in chance_range(600, 2, 3)


def test_certainty_leaves_no_room() -> None:
    assert chance_range(50, 3, 3) == ChanceRange(50, 50)
    assert chance_range(50, 0, 3) == ChanceRange(0, 0)
    assert chance_range(0, 1, 3) == ChanceRange(0, 0)


@pytest.mark.parametrize(
    ("trials", "weight", "total", "outside"),
    [(-1, 1, 2, CHANCE_OUTSIDE), (5, 3, 2, CHANCE_OUTSIDE), (5, -1, 2, CHANCE_OUTSIDE), (5, 0, 0, CHANCE_OUTSIDE),
     (5, 1, 2, Fraction(0)), (5, 1, 2, Fraction(1))],
)  # fmt: skip
def test_nonsense_is_refused(trials: int, weight: int, total: int, outside: Fraction) -> None:
    with pytest.raises(ValueError, match="no distribution"):
        chance_range(trials, weight, total, outside)
