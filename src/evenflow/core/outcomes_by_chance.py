"""Flows of a router that leaves it to counters and chance which packets its rules take: each row moves the counters on.

It is as if the router had just been started, and the flows came to it in the order of their rows, each with its first
packet; what else would be counted no flow file tells. Chance is drawn from the seed, for each rule and row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from evenflow.core.draws import ALWAYS, NEVER, Draws
from evenflow.model.matcher import RandomMatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evenflow.model.flow import Family
    from evenflow.model.router import MangleRule, NatRule, Router
    from evenflow.model.trace import Drawn


@dataclass(frozen=True, slots=True)
class End:
    """The number of an outcome, and what the packet drew on its way to it."""

    number: int
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """What a row comes to: the number of its outcome, and that of the counters' state behind it."""

    outcome: int
    state: int


class Go(Protocol):
    """Traces the packet of a row."""

    def __call__(self, row: int, draws: Draws) -> End:
        """What becomes of it with these draws."""


class ByChance:
    """The outcomes of rows one after another; it knows how far the counters are."""

    def __init__(self, router: Router, seed: int) -> None:
        rules: tuple[MangleRule | NatRule, ...] = (*router.mangle, *router.nat)
        self._random = [(id(rule), m.percent) for rule in rules for m in rule.matchers if isinstance(m, RandomMatch)]
        # Each has its own: which rows one rule takes must not go with what another takes.
        self._generators = [np.random.default_rng((seed, number)) for number in range(len(self._random))]
        self._states = [Draws()]
        self._numbers = {self._states[0].state: 0}
        self._state = 0
        self._known: dict[tuple[Family, int, int, int], _Step] = {}

    def of(self, family: Family, places: NDArray[np.int64] | None, rows: int, go: Go) -> NDArray[np.int32]:
        """The outcome of each row, shape (n,).

        Args:
            family: of the rows.
            places: shape (n,); rows with the same number have the same outcome with the same draws. None: no two have.
            rows: how many there are.
            go: what becomes of a row.
        """
        found = np.empty(rows, np.int32)
        falls = self._falls(rows).tolist()
        if places is None:
            for row, fall in enumerate(falls):
                step = self._step(row, fall, go)
                found[row], self._state = step.outcome, step.state
            return found
        for row, (place, fall) in enumerate(zip(places.tolist(), falls, strict=True)):
            key = family, place, fall, self._state
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._step(row, fall, go)
            found[row], self._state = known.outcome, known.state
        return found

    def _falls(self, rows: int) -> NDArray[np.int64]:
        """For each row which of the `random` conditions would hold: bit n is that of the n-th."""
        falls = np.zeros(rows, np.int64)
        for number, ((_, percent), generator) in enumerate(zip(self._random, self._generators, strict=True)):
            # Numbers of full width are drawn, so that it does not matter in which parts the rows come.
            falls |= (generator.random(rows) * 100 < percent).astype(np.int64) << number
        return falls

    def _step(self, row: int, fall: int, go: Go) -> _Step:
        chances = {rule: (ALWAYS if fall >> n & 1 else NEVER,) for n, (rule, _) in enumerate(self._random)}
        before = self._states[self._state]
        end = go(row, Draws(before.passed, chances))
        after = Draws(before.after(end.drawn).passed)
        number = self._numbers.setdefault(after.state, len(self._states))
        if number == len(self._states):
            self._states.append(after)
        return _Step(end.number, number)
