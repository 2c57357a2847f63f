"""Which of several classifiers and weights to take: evenness against stickiness.

The more fields a classifier hashes, the more evenly it divides; the fewer, the more clients keep to one public address.
Nothing of it hangs on the luck of one seed, for a router draws another at its next boot. What counts is how full the
lines get at the peak on average over seeds, how far shares may lie from what was asked for under nearly every seed, and
how many pairs of client and server are torn apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.model.simulation import Load

#: A line that is filled further over a whole minute has nothing left for bursts within that minute.
FULL: Final = 0.8

#: Shares that lie this near to what was asked for under 95 of 100 seeds are even enough: a line that was meant to get
#: 75 % of the traffic and gets 80 % is hardly noticed, and to come nearer costs stickiness.
EVEN_ENOUGH: Final = 0.05

#: Where every way may fill a line too far, those within a tenth of the best are alike: the peak of one day is no exact
#: measure of the next.
ABOUT: Final = 1.1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to divide connections, and what it makes of the flows.

    Attributes:
        name: the classifier, and weights where they are not those of the configuration.
        weights: what each uplink was asked to get, by name; empty for a script's own streams.
    """

    name: str
    classifier: str
    weights: dict[str, int]
    load: Load

    @property
    def reach(self) -> float:
        """How far a share may lie from its target under 95 of 100 seeds, 0 to 1; the largest of all uplinks."""
        return max(
            (max(one.chance.high - one.target, one.target - one.chance.low) for one in self.load.uplinks), default=0.0
        )

    @property
    def fullest(self) -> float | None:
        """How full the fullest line is at the peak of all traffic, on average over seeds; 1 for full.

        None where the flows tell no times or bytes, or an uplink has no stated bandwidth.
        """
        load = self.load
        bandwidths = [one.bandwidth_bps for one in load.uplinks if one.bandwidth_bps]
        if load.steps is None or load.size_bytes is None or len(bandwidths) < len(load.uplinks) or not bandwidths:
            return None
        peak = max(map(sum, zip(*(one.series_bytes for one in load.uplinks), strict=True)), default=0)
        peak_bps = 8 * peak / load.steps.length_s
        return max(peak_bps * one.target / bps for one, bps in zip(load.uplinks, bandwidths, strict=True))

    @property
    def fullest_here(self) -> float | None:
        """How full the fullest line is in its own busiest minute, with the seed at hand; None as for `fullest`."""
        if self.fullest is None:
            return None
        return max(
            one.busiest.rate_bps / one.bandwidth_bps
            for one in self.load.uplinks
            if one.busiest is not None and one.bandwidth_bps
        )

    @property
    def clients_split(self) -> float:
        """The part of clients that show more than one public address."""
        counted = self.load.stickiness
        return counted.clients_split / counted.clients if counted.clients else 0.0

    @property
    def pairs_split(self) -> float | None:
        """The part of pairs of client and server that do; None where they were not counted."""
        counted = self.load.stickiness
        if counted.pairs is None or counted.pairs_split is None:
            return None
        return counted.pairs_split / counted.pairs if counted.pairs else 0.0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The candidate to take, by its place in the list, and the reasons in words."""

    place: int
    reasons: tuple[str, ...]


def recommend(candidates: Sequence[Candidate]) -> Recommendation:
    """The stickiest of those that fill no line too far and are even enough; else the one that comes nearest.

    Raises:
        ValueError: there are no candidates.
    """
    if not candidates:
        raise ValueError("nothing to choose from")
    roomy = _roomy(candidates)
    even = [one for one in roomy if one.reach <= EVEN_ENOUGH]
    best = min(even, key=_stickiest_first) if even else min(roomy, key=lambda one: one.reach)
    return Recommendation(candidates.index(best), tuple(_reasons(best, candidates)))


def _roomy(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that keep every line below 80 % at the peak; if none does, those that come about nearest."""
    least = min(one.fullest or 0.0 for one in candidates)
    limit = max(FULL, least * ABOUT)
    return [one for one in candidates if (one.fullest or 0.0) <= limit]


def _stickiest_first(candidate: Candidate) -> tuple[float, ...]:
    """To whole hundredths: less than that is the luck of a seed, and the next criterion shall count."""
    split = candidate.pairs_split
    return (
        round(split if split is not None else 0.0, 2),
        round(candidate.clients_split, 2),
        round(candidate.fullest or 0.0, 2),
        candidate.reach,
    )


def _reasons(best: Candidate, candidates: Sequence[Candidate]) -> Iterator[str]:
    if best.fullest is not None:
        room = f"at the peak of all traffic its fullest line is at {_percent(best.fullest)}, on average over seeds"
        yield room if best.fullest <= FULL else f"none keeps every line below {_percent(FULL)}; {room}"
    within = f"95 of 100 seeds bring each share within {_points(best.reach)} of its target"
    yield within if best.reach <= EVEN_ENOUGH else f"{within}, and of those that fill no line further none does better"
    if best.pairs_split is not None:
        yield f"{_percent(best.pairs_split)} of the pairs of client and server show more than one public address"
    yield f"{_percent(best.clients_split)} of the clients do, at one server or several"
    roomy = _roomy(candidates)
    for one in candidates:
        if _stickiest_first(one)[:2] < _stickiest_first(best)[:2]:
            against = f"a share may be {_points(one.reach)} off"
            if one not in roomy:
                against = f"it fills a line to {_percent(one.fullest or 0.0)}"
            yield f"{one.name} is stickier, but {against}"


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %"


def _points(part: float) -> str:
    return f"{100 * part:.1f} points"
