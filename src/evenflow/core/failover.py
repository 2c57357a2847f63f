"""Failover: the router that is left when some of what it watches is lost.

A function of a router and of how its watches stand. What is lost gives up its buckets and its routes, what is drained
its buckets only; everything else stays as it is. `Standing` is all that the daemon decides, and it can be read back
from the kernel: so a restart moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evenflow.core.buckets import NoUplinkLeft, bucket_count, home, owners
from evenflow.model.router import SpreadAction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from evenflow.model.router import PoolMember, Route, Router

#: What `Dataplane.standing` says of a watch, in any combination: "down drained".
DOWN, DRAINED, RETURNING = "down", "drained", "returning"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the watches of a router stand. Names that the router does not have mean nothing.

    All of it is read back from the kernel: `from_kernel` gives who is lost or drained, `away_in` which buckets of those
    that are returning others still keep.

    Attributes:
        down: lost: no packet is sent there.
        drained: gets no new connections; the old ones go on.
        away: for a watch that is back: its buckets that others still keep.
    """

    down: frozenset[str] = frozenset()
    drained: frozenset[str] = frozenset()
    away: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def from_kernel(cls, kept: Mapping[str, str]) -> Standing:
        """From what `to_kernel` gave."""
        words = {name: said.split() for name, said in kept.items()}
        return cls(
            frozenset(name for name, said in words.items() if DOWN in said),
            frozenset(name for name, said in words.items() if DRAINED in said),
        )

    def to_kernel(self, names: AbstractSet[str]) -> dict[str, str]:
        """For each watch of `names` that is not as usual, what to remember of it."""
        groups: tuple[tuple[str, AbstractSet[str]], ...] = (
            (DOWN, self.down),
            (DRAINED, self.drained),
            (RETURNING, {name for name, buckets in self.away.items() if buckets}),
        )
        said = {name: " ".join(word for word, group in groups if name in group) for name in names}
        return {name: words for name, words in said.items() if words}


AS_USUAL = Standing()


def stand(router: Router, standing: Standing) -> Router:
    """The router as it is while its watches stand so. Rules stay; owners of buckets and routes change."""
    if standing == AS_USUAL:
        return router
    mangle = tuple(
        replace(rule, action=replace(rule.action, owners=owners_now(rule.action, standing)))
        if isinstance(rule.action, SpreadAction) and rule.action.pool
        else rule
        for rule in router.mangle
    )
    return replace(router, mangle=mangle, routes=tuple(_route(route, standing.down) for route in router.routes))


def _route(route: Route, down: AbstractSet[str]) -> Route:
    if any(name in down for name in route.watches):
        return replace(route, in_force=False)
    if not any(name in down for name in route.gateway_watches):
        return route
    pairs = zip(route.gateways, route.gateway_watches, strict=True)
    left = tuple((gateway, name) for gateway, name in pairs if name not in down)
    if not left:
        return replace(route, in_force=False)
    gateways, names = zip(*left, strict=True)
    return replace(route, gateways=tuple(gateways), gateway_watches=tuple(names))


# --- buckets -------------------------------------------------------------------------------------------------------


def bucket_count_of(pool: Sequence[PoolMember]) -> int:
    """How many buckets serve every tier of a pool."""
    return max(bucket_count(weights.values()) for weights in _tiers(pool).values())


def home_of(pool: Sequence[PoolMember], buckets: int) -> tuple[str, ...]:
    """The owner of each bucket (by mark) while all are up: members of the first tier only."""
    tiers = _tiers(pool)
    return home(tiers[min(tiers)], buckets)


def owners_now(spread: SpreadAction, standing: Standing) -> tuple[str | None, ...]:
    """The owner of each bucket of a spread with a pool.

    Those that are neither lost nor drained share; of several tiers the lowest that has one. When all are drained or
    lost, the drained ones go on; when all are lost, the owners stay: their tables then say what happens.
    """
    pool = spread.pool
    lost = {member.mark for member in pool if member.watch in standing.down}
    drained = {member.mark for member in pool if member.watch in standing.drained}
    marks = {member.mark for member in pool}
    usable = (marks - lost - drained) or (marks - lost)
    if not usable:
        return spread.owners
    full = _shared(pool, len(spread.owners), usable)
    away = [member for member in pool if standing.away.get(member.watch) and member.mark in usable]
    if not away or len(away) == len(usable):
        return full
    # Those that are not all back yet give up, for now, the buckets that others keep.
    without = _shared(pool, len(spread.owners), usable - {member.mark for member in away})
    kept_from = {member.mark: standing.away[member.watch] for member in away}
    return tuple(
        without[bucket] if owner in kept_from and bucket in kept_from[owner] else owner
        for bucket, owner in enumerate(full)
    )


def _shared(pool: Sequence[PoolMember], buckets: int, usable: AbstractSet[str]) -> tuple[str, ...]:
    for _, weights in sorted(_tiers(pool).items()):
        if usable & weights.keys():
            shared = owners(home(weights, buckets), weights, usable)
            assert not isinstance(shared, NoUplinkLeft)
            return shared
    # Only members of a tier without any weight are left: they share equally.
    weights = {member.mark: 1 for member in pool if member.mark in usable}
    return home(weights, buckets)


def _tiers(pool: Sequence[PoolMember]) -> dict[int, dict[str, int]]:
    """Weights by mark of each tier in which somebody has a weight; one tier of equals if nobody has."""
    found: dict[int, dict[str, int]] = {}
    for member in pool:
        found.setdefault(member.tier, {})[member.mark] = member.weight
    weighted = {tier: weights for tier, weights in found.items() if any(weights.values())}
    return weighted or {1: {member.mark: 1 for member in pool}}
