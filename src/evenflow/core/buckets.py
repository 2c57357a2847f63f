"""Buckets: which uplink owns which part of the hash, and who takes over when uplinks die.

A spread has B buckets; bucket `hash * B >> 32` of a connection names its uplink. `home` gives the owners while all
uplinks are up, `owners` those for any set of uplinks that are up. Both are pure functions, so a table says nothing
about the past: any order of deaths and returns that ends in the same set ends in the same table.

**The rule.** Each bucket has a list of uplinks in order of preference, and belongs to the first that is up. So a
death moves the dead uplink's buckets only, a return exactly those back. The lists are never written down whole: the
next preference of all buckets whose preferences so far are a set D of uplinks is decided together, for exactly the
case that D is dead, and so that then every share is right: the next bucket goes to the uplink that is furthest
below its quota. What is asked for one dead uplink thus decides all second preferences, for two dead the third, and
so on: every case is a sum of cases that were already right.

**What holds**, with B buckets, weights w, W the sum of the weights of those up, and quota q = B * w / W:

- All up: each uplink has q rounded down or up.
- A bucket whose home is up is at home. So one death moves the least that is possible, and its return too.
- Any set up: each uplink has less than one bucket more or less than q, if that is possible with those at home; it is
  whenever B is a multiple of the sum of all weights, as by default up to `MOST_BUCKETS`. Else less than 1 + (dead).
- A further death or return while others are dead: for up to six uplinks, and for up to three dead of sixteen, the
  moves stay within 1.1 times the least (measured: 1.03, mostly exactly the least). With more dead of many the sets
  outnumber the buckets, and the preferences can't come out even for all; shares come first then, and the rest is
  corrected at the cost of more moves (measured: up to twice the least for 16 uplinks, four times for 32).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

#: A bucket is at most a thousandth of the traffic: fine enough that the failing uplink's share is divided among
#: several others with an error far below what hashing itself has.
LEAST_BUCKETS = 1000

#: A map of so many elements is replaced in some 10 ms; more buckets than that only where the weights need it.
MOST_BUCKETS = 4096

#: The most that is ever chosen without being told. Weights so uneven that this is too coarse (1 to several
#: thousand) differ from 0 by less than anybody can measure.
MOST_BUCKETS_FOR_WEIGHTS = 16384

#: A share may be off by this part of its weight before more buckets are taken.
TOLERANCE = Fraction(1, 100)

#: How many preferences of a bucket are decided ahead. Behind that many dead uplinks a bucket goes wherever it is
#: needed: still the same answer for the same set, but then more may move than must. Each level costs about as many
#: steps as there are buckets, for each set of dead uplinks.
PREFERENCES = 5


@dataclass(frozen=True, slots=True)
class NoUplinkLeft:
    """No uplink can own a bucket: what happens is for the policy to say, not an empty table."""


NO_UPLINK_LEFT = NoUplinkLeft()


def bucket_count(weights: Collection[int]) -> int:
    """How many buckets serve these weights.

    The least multiple of their sum (in lowest terms) from `LEAST_BUCKETS` on, so that every share is exact. If the
    sum exceeds `MOST_BUCKETS`, as many as it takes for each share to be within `TOLERANCE` of its weight, in steps
    of doubling up to `MOST_BUCKETS_FOR_WEIGHTS`.

    Raises:
        ValueError: a weight is negative, or none is positive.
    """
    _check(weights)
    divisor = gcd(*weights)
    total = sum(weights) // divisor
    if total <= MOST_BUCKETS:
        return total * -(-LEAST_BUCKETS // total)
    count = MOST_BUCKETS
    while count < MOST_BUCKETS_FOR_WEIGHTS and not _fine_enough(tuple(weights), count):
        count *= 2
    return count


def home(weights: Mapping[str, int], buckets: int | None = None) -> tuple[str, ...]:
    """The owner of each bucket while all uplinks are up.

    Contiguous runs in the order of `weights`: with 2 to 1 the first two thirds of the hash are the first uplink's,
    the same thirds that two streams and one stream of three have.

    Args:
        weights: uplink and weight, in the order of the uplinks. 0: no bucket while another uplink is up.
        buckets: how many; None chooses by `bucket_count`.

    Raises:
        ValueError: a weight is negative, none is positive, or `buckets` is less than 1.
    """
    _check(weights.values())
    count = bucket_count(weights.values()) if buckets is None else buckets
    if count < 1:
        raise ValueError(f"{count} buckets")
    counts = _largest_remainder(tuple(weights.values()), count)
    return tuple(name for name, owned in zip(weights, counts, strict=True) for _ in range(owned))


def owners(
    home_owners: Sequence[str], weights: Mapping[str, int], up: AbstractSet[str]
) -> tuple[str, ...] | NoUplinkLeft:
    """The owner of each bucket while the uplinks of `up` are up and the others are not.

    Args:
        home_owners: what `home` gave, or any other table; each owner has a weight.
        weights: uplink and weight, in the order of the uplinks; breaks ties. Where only uplinks of weight 0 are
            left, they share equally.
        up: names of uplinks; others than those in `weights` mean nothing.

    Raises:
        ValueError: an owner without weight, or a negative weight.
    """
    if any(weight < 0 for weight in weights.values()):
        raise ValueError(f"negative weight: {dict(weights)}")
    missing = set(home_owners) - weights.keys()
    if missing:
        raise ValueError(f"owners without weight: {sorted(missing)}")
    names = tuple(weights)
    dead = frozenset(index for index, name in enumerate(names) if name not in up)
    if len(dead) == len(names):
        return NO_UPLINK_LEFT
    place = {name: index for index, name in enumerate(names)}
    pool = _Pool(tuple(place[name] for name in home_owners), tuple(weights.values()))
    return tuple(names[owner] for owner in pool.owners(dead))


def _check(weights: Collection[int]) -> None:
    if any(weight < 0 for weight in weights) or not any(weights):
        raise ValueError(f"weights must not be negative, and not all 0: {list(weights)}")


def _largest_remainder(weights: Sequence[int], count: int) -> list[int]:
    """`count` in proportion to the weights: rounded down, the rest to the largest remainders, first come."""
    total = sum(weights)
    shares = [count * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(count * weights[i] % total), i))
    for index in by_remainder[: count - sum(shares)]:
        shares[index] += 1
    return shares


def _fine_enough(weights: Sequence[int], count: int) -> bool:
    total = sum(weights)
    shares = _largest_remainder(weights, count)
    return all(
        abs(Fraction(share, count) - Fraction(weight, total)) <= TOLERANCE * Fraction(weight, total)
        for share, weight in zip(shares, weights, strict=True)
    )


class _Pool:
    """One table of homes, with the preferences that follow from it, found as far as they are asked for."""

    def __init__(self, homes: Sequence[int], weights: Sequence[int]) -> None:
        self._homes = homes
        self._weights = weights
        #: For each set of uplinks: buckets whose first preferences are that set, and their next preference.
        self._next: dict[frozenset[int], dict[int, int]] = {frozenset(): dict(enumerate(homes))}

    def owners(self, dead: frozenset[int]) -> list[int]:
        """The owner of each bucket, by index, when exactly `dead` are dead."""
        table = list(self._homes)
        orphans = [bucket for bucket, owner in enumerate(table) if owner in dead]
        waiting = []
        for bucket in orphans:
            owner = self._preferred(bucket, dead)
            if owner is None:
                waiting.append(bucket)
            else:
                table[bucket] = owner
        quotas = _Quotas(self._weights, dead, table, waiting)
        for bucket in waiting:
            table[bucket] = quotas.take_next()
        quotas.correct(table, orphans)
        return table

    def _preferred(self, bucket: int, dead: frozenset[int]) -> int | None:
        """The first uplink of a bucket's preferences that is not dead; None if none of those decided ahead is."""
        before: frozenset[int] = frozenset()
        owner = self._homes[bucket]
        while owner in dead:
            before |= {owner}
            if before == dead or len(before) == PREFERENCES:
                return None
            owner = self._next_preferences(before)[bucket]
        return owner

    def _next_preferences(self, before: frozenset[int]) -> dict[int, int]:
        """For the buckets whose first preferences are `before`: the next, so that the shares are right without them."""
        known = self._next.get(before)
        if known is not None:
            return known
        table = list(self._homes)
        deciding = []
        for bucket, home_owner in enumerate(self._homes):
            if home_owner in before:
                owner = self._preferred(bucket, before)
                if owner is None:
                    deciding.append(bucket)
                else:
                    table[bucket] = owner
        quotas = _Quotas(self._weights, before, table, deciding)
        found = {bucket: quotas.take_next() for bucket in deciding}
        self._next[before] = found
        return found


class _Quotas:
    """How far each living uplink is below its quota, in parts of a bucket (W parts each, W the sum of weights)."""

    def __init__(
        self, weights: Sequence[int], dead: frozenset[int], table: Sequence[int], open_: Collection[int]
    ) -> None:
        living = [index for index in range(len(weights)) if index not in dead]
        alone = not any(weights[index] for index in living)
        share = {index: 1 if alone else weights[index] for index in living}
        self._bucket = sum(share.values())
        self._lacking = {index: len(table) * weight for index, weight in share.items()}
        left_open = set(open_)
        for bucket, owner in enumerate(table):
            if bucket not in left_open:
                self._lacking[owner] -= self._bucket

    def take_next(self) -> int:
        """The uplink furthest below its quota, the first of several; it takes a bucket."""
        index = max(self._lacking, key=self._lacking.__getitem__)
        self._lacking[index] -= self._bucket
        return index

    def correct(self, table: list[int], orphans: Sequence[int]) -> None:
        """Move orphans from who has too many to who has too few, until no share is off by a bucket or none can move."""
        held: dict[int, list[int]] = {}
        for bucket in orphans:
            held.setdefault(table[bucket], []).append(bucket)
        while True:
            givers = [index for index in self._lacking if held.get(index)]
            taker = max(self._lacking, key=self._lacking.__getitem__)
            giver = min(givers, key=self._lacking.__getitem__, default=taker)
            right = self._lacking[taker] < self._bucket and self._lacking[giver] > -self._bucket
            if right or self._lacking[taker] - self._lacking[giver] <= self._bucket:
                return
            bucket = held[giver].pop()
            table[bucket] = taker
            held.setdefault(taker, []).append(bucket)
            self._lacking[giver] += self._bucket
            self._lacking[taker] -= self._bucket
