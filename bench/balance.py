"""How even shares come out, what evenness costs in public addresses per client, and what moves when an uplink dies.

An hour of made-up traffic: flows come by chance (Poisson), clients and servers are unequally busy (Zipf's law; Breslau
and others, "Web caching and Zipf-like distributions", 1999), sizes have a heavy tail (Pareto, shape 1.2; Crovella and
Bestavros, "Self-similarity in World Wide Web traffic", 1997) and go at a steady rate each. The uplinks weigh 3, 2, 2
and 1. Every way to divide gets the same flows, with several seeds; nothing here takes time, so nothing is timed.

The rivals are what they compute, written anew: a draw for each connection (iptables `statistic`, nft `numgen random`);
a counter over the weights (nft `numgen inc`); a hash against thresholds, of addresses or of addresses and ports (Linux,
net/ipv4/fib_semantics.c: `fib_select_multipath`); the same over buckets that only the dead uplink's leave (Linux,
net/ipv4/nexthop.c: resilient groups); and PCC's own remainder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.buckets import NoUplinkLeft, bucket_count, home, owners
from evenflow.core.columns_numpy import NumpyEngine
from evenflow.model.flow import TCP, Family
from evenflow.model.flows import FlowBlock
from evenflow.model.matcher import Classifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    Uplinks = NDArray[np.intp]
    Choose = Callable[[FlowBlock, Mapping[str, int], int], Uplinks]

WEIGHTS = {"isp1": 3, "isp2": 2, "isp3": 2, "isp4": 1}
DEAD = "isp1"
SEEDS = 9

_SECONDS = 3600
_FLOWS_PER_S = 100
_CLIENTS, _SERVERS = 400, 20_000
_RATE_BPS = 8e6
_LEAST_BYTES, _MOST_BYTES = 2_000, 2e9
_WINDOWS_S = (1, 60, 3600)

#: Linux gives a resilient group as many as it is told; manuals show 128.
_RESILIENT_BUCKETS = 128

_ENGINE = NumpyEngine()


@dataclass(frozen=True)
class Quality:
    """How one way to divide did; medians over the seeds, per cent.

    Attributes:
        errors: for each window how far the bytes of the uplink that is furthest off are from its target.
        clients: of those with several flows, those that show more than one public address.
        pairs: likewise of a client and a server: what breaks sessions that are bound to an address.
        moved: flows that change their uplink when another dies; None: it depends on chance or order alone.
        after: how far the flows of the uplink that is furthest off then are from its new target; None likewise.
    """

    name: str
    errors: tuple[float, ...]
    clients: float
    pairs: float
    moved: float | None
    after: float | None


@dataclass(frozen=True)
class Way:
    """A way to divide: flows, weights of those that are up, seed → the place of each flow's uplink among all."""

    name: str
    choose: Choose
    answers_death: bool = True


def traffic(seed: int) -> FlowBlock:
    """The hour."""
    random = np.random.default_rng(seed)
    count = _SECONDS * _FLOWS_PER_S
    starts = np.sort(random.uniform(0, _SECONDS, count))
    sizes = np.minimum(_LEAST_BYTES * (1 + random.pareto(1.2, count)), _MOST_BYTES)
    return FlowBlock(
        Family.IPV4,
        ((10 << 24) + _unequal(random, _CLIENTS, count)).astype(np.uint32),
        ((198 << 24) + 977 * _unequal(random, _SERVERS, count)).astype(np.uint32),
        np.full(count, TCP, np.uint8),
        random.integers(32768, 61000, count).astype(np.uint16),
        random.choice(np.array([443, 443, 443, 80, 993, 5222], np.uint16), count),
        sizes.astype(np.uint64),
        starts,
        np.minimum(starts + sizes * 8 / _RATE_BPS, _SECONDS),
    )


def _unequal(random: np.random.Generator, kinds: int, count: int) -> NDArray[np.intp]:
    busy = 1 / np.arange(1, kinds + 1) ** 0.8
    return random.choice(kinds, count, p=busy / busy.sum())


def ways() -> Iterator[Way]:
    """All that are compared."""
    for classifier in Classifier:
        yield Way(f"evenflow, {classifier.value}", _evenflow(classifier))
    both = Classifier.BOTH_ADDRESSES_AND_PORTS
    yield Way("RouterOS, remainder, rules written anew at a death", _remainder(both))
    yield Way("RouterOS, remainder, the dead one's streams by the main table", _remainder_to_main(both))
    yield Way("a draw for each connection", _drawn, answers_death=False)
    yield Way("a counter", _counted, answers_death=False)
    yield Way("Linux ECMP, addresses", _thresholds(Classifier.BOTH_ADDRESSES))
    yield Way("Linux ECMP, addresses and ports", _thresholds(both))
    yield Way("Linux ECMP, resilient, addresses and ports", _resilient(both))


def _places(up: Mapping[str, int]) -> NDArray[np.intp]:
    return np.array([list(WEIGHTS).index(name) for name in up], np.intp)


def _evenflow(classifier: Classifier) -> Choose:
    def choose(block: FlowBlock, up: Mapping[str, int], seed: int) -> Uplinks:
        return _owned(bucket_count(WEIGHTS.values()), up)[_ENGINE.buckets(block, classifier, _all_buckets(), seed)]

    return choose


def _all_buckets() -> int:
    return bucket_count(WEIGHTS.values())


def _owned(buckets: int, up: Mapping[str, int]) -> NDArray[np.intp]:
    """The owner of each bucket, as a place among all uplinks."""
    now = owners(home(WEIGHTS, buckets), WEIGHTS, frozenset(up))
    assert not isinstance(now, NoUplinkLeft)
    names = list(WEIGHTS)
    return np.array([names.index(owner) for owner in now], np.intp)


def _hashed(block: FlowBlock, classifier: Classifier, seed: int) -> NDArray[np.uint32]:
    """31 bits, as Linux takes of its hash."""
    return _ENGINE.buckets(block, classifier, 1 << 31, seed)


def _streams(up: Mapping[str, int]) -> NDArray[np.intp]:
    """One stream for each unit of weight."""
    return np.repeat(_places(up), list(up.values()))


def _remainder(classifier: Classifier) -> Choose:
    def choose(block: FlowBlock, up: Mapping[str, int], seed: int) -> Uplinks:
        streams = _streams(up)
        return streams[_hashed(block, classifier, seed) % len(streams)]

    return choose


def _remainder_to_main(classifier: Classifier) -> Choose:
    def choose(block: FlowBlock, up: Mapping[str, int], seed: int) -> Uplinks:
        found = _remainder(classifier)(block, WEIGHTS, seed)
        return np.where(np.isin(found, _places(up)), found, _places(up)[0])

    return choose


def _drawn(block: FlowBlock, up: Mapping[str, int], seed: int) -> Uplinks:
    streams = _streams(up)
    return streams[np.random.default_rng(seed).integers(0, len(streams), len(block))]


def _counted(block: FlowBlock, up: Mapping[str, int], seed: int) -> Uplinks:
    streams = _streams(up)
    return streams[(np.arange(len(block)) + seed) % len(streams)]


def _thresholds(classifier: Classifier) -> Choose:
    def choose(block: FlowBlock, up: Mapping[str, int], seed: int) -> Uplinks:
        weights = np.cumsum(list(up.values()))
        bounds = weights / weights[-1] * (1 << 31)
        return _places(up)[np.searchsorted(bounds, _hashed(block, classifier, seed), side="right")]

    return choose


def _resilient(classifier: Classifier) -> Choose:
    def choose(block: FlowBlock, up: Mapping[str, int], seed: int) -> Uplinks:
        return _owned(_RESILIENT_BUCKETS, up)[_hashed(block, classifier, seed) % _RESILIENT_BUCKETS]

    return choose


def qualities(seeds: int = SEEDS) -> list[Quality]:
    """How each way does; medians over some seeds."""
    compared = list(ways())
    found = np.array([_at_once(compared, seed) for seed in range(seeds)])
    return [_quality(way, row.tolist()) for way, row in zip(compared, np.median(found, axis=0), strict=True)]


def _quality(way: Way, row: list[float]) -> Quality:
    *errors, clients, pairs, moved, after = row
    if way.answers_death:
        return Quality(way.name, tuple(errors), clients, pairs, moved, after)
    return Quality(way.name, tuple(errors), clients, pairs, None, None)


def _at_once(compared: list[Way], seed: int) -> NDArray[np.float64]:
    """A row for each way, over the same flows."""
    block = traffic(seed)
    clients = block.source.astype(np.int64)
    pairs = clients << 32 | block.destination
    rows = []
    for way in compared:
        chosen = way.choose(block, WEIGHTS, seed)
        errors = [_error(block, chosen, window_s) for window_s in _WINDOWS_S]
        rows.append([*errors, _split(clients, chosen), _split(pairs, chosen), *_at_a_death(way, block, chosen, seed)])
    return np.array(rows)


def _at_a_death(way: Way, block: FlowBlock, chosen: Uplinks, seed: int) -> list[float]:
    """Flows that change their uplink though it lives, and how far off the shares are then, per cent."""
    up = {name: weight for name, weight in WEIGHTS.items() if name != DEAD}
    then = way.choose(block, up, seed)
    alive = chosen != list(WEIGHTS).index(DEAD)
    return [float(np.mean(alive & (then != chosen))) * 100, _off(np.bincount(then, minlength=len(WEIGHTS)), up)]


def _error(block: FlowBlock, chosen: Uplinks, window_s: int) -> float:
    """The mean over the windows of how far the uplink is off that is furthest off."""
    assert block.start_s is not None
    assert block.end_s is not None
    loads = np.stack(
        [_per_window(block.start_s[chosen == n], block.end_s[chosen == n], window_s) for n in range(len(WEIGHTS))]
    )
    return float(np.mean([_off(window, WEIGHTS) for window in loads.T if window.any()]))


def _per_window(starts_s: NDArray[np.float64], ends_s: NDArray[np.float64], window_s: int) -> NDArray[np.float64]:
    """Seconds of flows in each window: all go at the same rate, so that bytes are in proportion to them."""
    edges = np.arange(0, _SECONDS + 1, window_s, dtype=np.float64)
    passed = _seconds_before(edges, np.sort(starts_s)) - _seconds_before(edges, np.sort(ends_s))
    return np.diff(passed)


def _seconds_before(edges: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each edge the sum of what lies between it and each time before it."""
    counts = np.searchsorted(times_s, edges)
    found: NDArray[np.float64] = counts * edges - np.concatenate([[0.0], np.cumsum(times_s)])[counts]
    return found


def _off(amounts: NDArray[np.float64] | NDArray[np.intp], weights: Mapping[str, int]) -> float:
    """How far the share of the uplink that is furthest off is from its target, per cent of all."""
    targets = np.array([weights.get(name, 0) for name in WEIGHTS]) / sum(weights.values())
    return float(np.abs(amounts / amounts.sum() - targets).max()) * 100


def _split(keys: NDArray[np.int64], chosen: Uplinks) -> float:
    """Of the keys with several flows those whose flows go by more than one uplink, per cent."""
    distinct, inverse, flows = np.unique(keys, return_inverse=True, return_counts=True)
    used = np.zeros((len(distinct), len(WEIGHTS)), np.bool_)
    used[inverse, chosen] = True
    return float(np.mean(used.sum(axis=1)[flows > 1] > 1)) * 100


def table(found: list[Quality]) -> str:
    """As Markdown."""
    windows = " | ".join(f"{window_s} s" for window_s in _WINDOWS_S)
    lines = [
        f"| per cent | {windows} | clients with several addresses | pairs likewise | moved needlessly | then off by |",
        "|---|" + "---:|" * (len(_WINDOWS_S) + 4),
    ]
    for one in found:
        values = (*one.errors, one.clients, one.pairs, one.moved, one.after)
        lines.append(f"| {one.name} | {' | '.join('–' if value is None else f'{value:.1f}' for value in values)} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    print(table(qualities()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
