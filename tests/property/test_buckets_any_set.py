"""Buckets: shares are right for every set of uplinks, and no bucket moves without need."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.core.buckets import (
    MOST_BUCKETS,
    MOST_BUCKETS_FOR_WEIGHTS,
    NO_UPLINK_LEFT,
    NoUplinkLeft,
    bucket_count,
    home,
    owners,
)
from evenflow.core.pcc import scale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

Table = tuple[str, ...]


def weights_of(least: int, most: int, heaviest: int) -> st.SearchStrategy[dict[str, int]]:
    numbers = st.lists(st.integers(0, heaviest), min_size=least, max_size=most).filter(any)
    return numbers.map(lambda weights: {f"isp{place}": weight for place, weight in enumerate(weights, 1)})


def table_of(homes: Table, weights: Mapping[str, int], up: AbstractSet[str]) -> Table:
    found = owners(homes, weights, up)
    assert not isinstance(found, NoUplinkLeft)
    return found


def moved(one: Table, other: Table) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def furthest_off(table: Table, weights: Mapping[str, int], up: AbstractSet[str]) -> Fraction:
    """The most buckets that any living uplink has above or below its quota."""
    parts = {name: weights[name] for name in up}
    if not any(parts.values()):
        parts = dict.fromkeys(up, 1)
    held, total = Counter(table), sum(parts.values())
    return max(abs(held[name] - Fraction(len(table) * part, total)) for name, part in parts.items())


@settings(deadline=None)
@given(weights_of(1, 12, 10**6), st.none() | st.integers(1, 3000))
def test_all_up_each_share_is_within_a_bucket_and_runs_are_in_order(weights: dict[str, int], count: int | None) -> None:
    homes = home(weights, count)
    assert furthest_off(homes, weights, weights.keys()) < 1
    order = list(weights)
    places = [order.index(owner) for owner in homes]
    assert places == sorted(places)
    assert set(homes) <= {name for name, weight in weights.items() if weight}


@settings(deadline=None)
@given(weights_of(1, 12, 100))
def test_small_weights_have_exact_shares(weights: dict[str, int]) -> None:
    homes = home(weights)
    held, total = Counter(homes), sum(weights.values())
    assert 1000 <= len(homes) <= MOST_BUCKETS
    assert all(held[name] * total == len(homes) * weight for name, weight in weights.items())


@settings(deadline=None)
@given(weights_of(2, 8, 10**5))
def test_shares_are_within_a_hundredth_of_the_weights_or_the_buckets_are_at_their_most(weights: dict[str, int]) -> None:
    homes = home(weights)
    held, total = Counter(homes), sum(weights.values())
    off = [abs(Fraction(held[name], len(homes)) - Fraction(w, total)) * 100 * total <= w for name, w in weights.items()]
    assert all(off) or len(homes) == MOST_BUCKETS_FOR_WEIGHTS


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_a_multiple_of_the_streams_gives_each_hash_the_same_uplink(weights: list[int], value: int, factor: int) -> None:
    named = {f"isp{place}": weight for place, weight in enumerate(weights)}
    streams = home(named, sum(weights))
    for buckets in (home(named), home(named, sum(weights) * factor)):
        assert buckets[scale(value, len(buckets))] == streams[scale(value, len(streams))]


@settings(deadline=None)
@given(weights_of(2, 6, 60), st.data())
def test_only_the_dead_ones_buckets_move_and_the_shares_are_right(weights: dict[str, int], data: st.DataObject) -> None:
    homes = home(weights)
    up = data.draw(st.sets(st.sampled_from(list(weights)), min_size=1))
    table = table_of(homes, weights, up)
    assert set(table) <= up
    assert all(now == before for now, before in zip(table, homes, strict=True) if before in up)
    assert furthest_off(table, weights, up) < 1


@settings(deadline=None)
@given(weights_of(2, 6, 10**6), st.integers(10, 500), st.data())
def test_with_any_number_of_buckets_shares_are_off_by_one_more_at_most_for_each_dead(
    weights: dict[str, int], count: int, data: st.DataObject
) -> None:
    homes = home(weights, count)
    up = data.draw(st.sets(st.sampled_from(list(weights)), min_size=1))
    table = table_of(homes, weights, up)
    assert all(now == before for now, before in zip(table, homes, strict=True) if before in up)
    assert furthest_off(table, weights, up) < 1 + len(weights.keys() - up)


@settings(deadline=None)
@given(weights_of(2, 16, 20), st.data())
def test_the_first_death_and_its_return_move_the_least(weights: dict[str, int], data: st.DataObject) -> None:
    homes = home(weights)
    dead = data.draw(st.sampled_from(list(weights)))
    table = table_of(homes, weights, weights.keys() - {dead})
    assert moved(homes, table) == homes.count(dead)
    assert table_of(homes, weights, weights.keys()) == homes


@settings(max_examples=40, deadline=None)
@given(weights_of(2, 5, 30), st.data())
def test_any_way_through_deaths_and_returns_moves_little_more_than_it_must(
    weights: dict[str, int], data: st.DataObject
) -> None:
    """The least: the buckets of who dies, or the part of who returns, less the rounding of each survivor."""
    homes = home(weights)
    up, table = set(weights), homes
    for name in data.draw(st.lists(st.sampled_from(list(weights)), max_size=8)):
        after = up ^ {name}
        if not after:
            continue
        following = table_of(homes, weights, after)
        least = (table if name in up else following).count(name)
        if any(weights[other] for other in up) and any(weights[other] for other in after):
            assert moved(table, following) <= 1.1 * least
        up, table = after, following
        assert table == table_of(homes, weights, frozenset(up))


@settings(max_examples=5, deadline=None)
@given(weights_of(3, 6, 12))
def test_every_further_death_moves_at_most_a_tenth_more_than_the_least(weights: dict[str, int]) -> None:
    weights = {name: weight for name, weight in weights.items() if weight}
    homes = home(weights)
    sets = [frozenset(up) for size in range(1, len(weights) + 1) for up in combinations(weights, size)]
    tables = {up: table_of(homes, weights, up) for up in sets}
    for up, before in tables.items():
        for dying in up if len(up) > 1 else ():
            assert moved(before, tables[up - {dying}]) <= 1.1 * before.count(dying)


def test_sixteen_uplinks_lose_four_one_after_another() -> None:
    weights = {f"isp{place}": 1 + place % 3 for place in range(16)}
    homes = home(weights)
    ups = [set(list(weights)[dead:]) for dead in range(5)]
    tables = [table_of(homes, weights, up) for up in ups]
    for number, (before, after) in enumerate(pairwise(tables)):
        assert furthest_off(after, weights, ups[number + 1]) < 1
        assert moved(before, after) <= 1.1 * before.count(f"isp{number}")


@settings(deadline=None)
@given(weights_of(1, 6, 10))
def test_no_uplink_left_is_an_answer_of_its_own(weights: dict[str, int]) -> None:
    assert owners(home(weights), weights, frozenset()) is NO_UPLINK_LEFT
    assert owners(home(weights), weights, {"another"}) is NO_UPLINK_LEFT


@settings(deadline=None)
@given(weights_of(1, 20, 10**9))
def test_the_number_of_buckets_stays_within_its_bounds(weights: dict[str, int]) -> None:
    assert 1000 <= bucket_count(weights.values()) <= MOST_BUCKETS_FOR_WEIGHTS
