"""Failback: which buckets an uplink that is back gets, and when."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from evenflow.core.compile import compile_router
from evenflow.core.compile.mangle import SPREAD_PREFIX
from evenflow.core.failover import RETURNING, Standing, owners_now
from evenflow.core.pcc import classify
from evenflow.model.flow import Packet
from evenflow.model.router import SpreadAction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from evenflow.model.dataplane import Dataplane
    from evenflow.model.flow import Address
    from evenflow.model.machine import Machine
    from evenflow.model.nft import NftTable
    from evenflow.model.router import Router


def spreads(router: Router) -> tuple[SpreadAction, ...]:
    """The spreads whose buckets change owners."""
    actions = (rule.action for rule in router.mangle)
    return tuple(action for action in actions if isinstance(action, SpreadAction) and action.pool)


def owned(router: Router, standing: Standing, watch: str) -> frozenset[int]:
    """The buckets that belong to a watch's mark while its router stands so, in any spread."""
    return frozenset(
        bucket
        for spread in spreads(router)
        for marks in [{member.mark for member in spread.pool if member.watch == watch}]
        for bucket, owner in enumerate(owners_now(spread, standing))
        if owner in marks
    )


def moved(before: Sequence[str | None], after: Sequence[str | None]) -> dict[str, int]:
    """How many buckets each new owner got. Tables of different size have nothing in common: {}."""
    if len(before) != len(after):
        return {}
    found: dict[str, int] = {}
    for old, new in zip(before, after, strict=True):
        if old != new and new is not None:
            found[new] = found.get(new, 0) + 1
    return found


def away_in(table: NftTable | None, full: NftTable | None) -> frozenset[int]:
    """The buckets whose owner in one table is not that of the other, which has everything back."""
    if table is None or full is None:
        return frozenset()
    return frozenset(
        int.from_bytes(element.key, sys.byteorder)
        for name, wanted in full.sets.items()
        if name.startswith(SPREAD_PREFIX) and name in table.sets
        for element in wanted.elements - table.sets[name].elements
    )


def standing_in(present: Dataplane, router: Router, machine: Machine, seed: int) -> Standing:
    """How the watches stand in a kernel, with the buckets of those returning that others still keep."""
    plain = Standing.from_kernel(present.standing)
    names = {watch.name for watch in router.watches}
    returning = {name for name, words in present.standing.items() if RETURNING in words.split()} & names
    if not returning:
        return plain
    full = compile_router(router, machine, seed, plain)
    buckets = away_in(present.table, full.dataplane.table if full.dataplane else None)
    return replace(plain, away=dict.fromkeys(sorted(returning), buckets))


def still_away(buckets: Collection[int], elapsed_s: float, whole_s: float) -> frozenset[int]:
    """The buckets that are not back after `elapsed_s` of a gradual return that takes `whole_s`.

    They come back in even steps over the whole hash, so that no group of clients is moved before the others.
    """
    if elapsed_s >= whole_s or whole_s <= 0:
        return frozenset()
    ordered = sorted(buckets, key=_scattered)
    back = int(len(ordered) * max(elapsed_s, 0) / whole_s)
    return frozenset(ordered[back:])


def _scattered(bucket: int) -> int:
    """An order without pattern that is always the same (Knuth's multiplicative hash)."""
    return bucket * 2_654_435_761 & 0xFFFF_FFFF


class Listed(NamedTuple):
    """A connection as its first packet came."""

    source: Address
    destination: Address
    protocol: int
    source_port: int
    destination_port: int


def busy_buckets(spread: SpreadAction, connections: Iterable[Listed], seed: int) -> frozenset[int]:
    """The buckets of a spread that some of the connections fall into."""
    buckets = len(spread.owners)
    return frozenset(
        classify(
            Packet(one.source, one.destination, one.protocol, one.source_port, one.destination_port),
            spread.classifier,
            buckets,
            seed,
        )
        for one in connections
    )
