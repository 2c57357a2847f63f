"""Buckets of small pools, worked out by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from evenflow.core.buckets import NoUplinkLeft, bucket_count, home, owners


def held(table: tuple[str, ...] | NoUplinkLeft) -> Counter[str]:
    assert not isinstance(table, NoUplinkLeft)
    return Counter(table)


def test_two_to_one_is_the_first_two_thirds() -> None:
    homes = home({"isp1": 2, "isp2": 1})
    assert homes == ("isp1",) * 668 + ("isp2",) * 334


def test_a_given_number_of_buckets_is_kept() -> None:
    assert home({"isp1": 2, "isp2": 1}, 4) == ("isp1", "isp1", "isp1", "isp2")
    assert home({"isp1": 2, "isp2": 1}, 3) == ("isp1", "isp1", "isp2")


@pytest.mark.parametrize(
    ("weights", "count"),
    [
        ([1], 1000),
        ([2, 1], 1002),
        ([300, 100], 1000),
        ([4095, 1], 4096),
        ([1500, 1], 1501),
        # 19,999 in all: not exact, but near enough.
        ([10_000, 9_999], 4096),
        ([1_000_000, 1], 16384),
    ],
)
def test_how_many_buckets_serve(weights: list[int], count: int) -> None:
    assert bucket_count(weights) == count


def test_the_dead_ones_buckets_go_to_the_others_by_weight() -> None:
    weights = {"a": 3, "b": 2, "c": 1}
    assert held(owners(home(weights, 60), weights, {"b", "c"})) == {"b": 40, "c": 20}


def test_an_uplink_of_weight_nothing_serves_only_when_no_other_is_left() -> None:
    weights = {"fibre": 3, "dsl": 1, "lte": 0}
    homes = home(weights, 100)
    assert "lte" not in homes
    assert owners(homes, weights, {"dsl", "lte"}) == ("dsl",) * 100
    assert owners(homes, weights, {"lte"}) == ("lte",) * 100


def test_several_of_weight_nothing_share_equally() -> None:
    weights = {"fibre": 1, "lte1": 0, "lte2": 0}
    assert held(owners(home(weights, 100), weights, {"lte1", "lte2"})) == {"lte1": 50, "lte2": 50}


def test_all_up_is_home() -> None:
    weights = {"a": 5, "b": 2}
    assert owners(home(weights), weights, {"a", "b", "unknown"}) == home(weights)


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="not all 0"):
        home({"a": 0})
    with pytest.raises(ValueError, match="negative"):
        home({"a": 2, "b": -1})
    with pytest.raises(ValueError, match="0 buckets"):
        home({"a": 1}, 0)
    with pytest.raises(ValueError, match="without weight"):
        owners(("a", "b"), {"a": 1}, {"a"})
    with pytest.raises(ValueError, match="negative"):
        owners(("a",), {"a": -1}, {"a"})
