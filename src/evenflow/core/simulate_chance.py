"""What chance makes of shares: a hash spreads keys, not flows or bytes, and a few heavy keys make shares uneven.

Let w be the weights of the keys that a classifier tells apart (flows, or bytes). Under a hash that is drawn anew, each
key falls to an uplink with that uplink's probability p, so the uplink's part of all has the variance p (1 - p) S with
S = sum(w^2) / sum(w)^2. Nineteen of twenty seeds lie within 1.96 standard deviations. The sum of squares over millions
of keys is estimated in bounded memory: each key adds its weight, with a sign of its own, to one of many cells, and the
squares of the cells sum to it on average (Alon, Matias, Szegedy: "The space complexity of approximating the frequency
moments", 1996; Charikar, Chen, Farach-Colton: "Finding frequent items in data streams", 2002).
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.simulate_amounts import amounts_of, sizes_of
from evenflow.model.simulation import Interval

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from evenflow.core.columns import Engine
    from evenflow.model.flows import FlowBlock
    from evenflow.model.matcher import Classifier

#: Of the normal distribution: 95 of 100 lie within so many standard deviations.
_NINETY_FIVE = 1.96

#: Cells; the sum of squares is known to sqrt(2 / cells), 1.1 %, and its root, which is what is told, to half of that.
#: More cells would leave the processor's cache.
_CELLS = 1 << 14

#: A seed of its own: which cell a key falls into must not go with the uplink that it falls to.
_SEED = 0x5EED_CE11


class KeyWeights:
    """The weights of a classifier's keys: how much `concentration` there is in flows and in amounts."""

    def __init__(self, classifier: Classifier, loops: ModuleType | None = None) -> None:
        """`loops`: those of `core.simulate_numba`, if they are to count."""
        self._classifier, self._loops = classifier, loops
        # Cells 2n and 2n + 1 are those of the n-th cell with the two signs: what is left is their difference.
        self._counts = np.zeros((2 * _CELLS, 2))  # flows and amounts

    def add(self, block: FlowBlock, columns: NDArray[np.int32], none: int, engine: Engine) -> None:
        """Add the flows of a block that are balanced: those whose column, shape (n,), is below `none`."""
        cells = engine.buckets(block, self._classifier, 2 * _CELLS, _SEED)
        if self._loops is not None:
            self._loops.count_cells(cells, columns, none, sizes_of(block), self._counts)
            return
        amounts, balanced = amounts_of(block), columns < none
        if not balanced.all():
            cells, amounts = cells[balanced], amounts[balanced]
        self._counts[:, 0] += np.bincount(cells, minlength=2 * _CELLS)
        self._counts[:, 1] += np.bincount(cells, amounts, 2 * _CELLS)

    @property
    def of_flows(self) -> float:
        """sum(w^2) / sum(w)^2 of flows; 0 when there are none."""
        return _concentration(self._counts[:, 0])

    @property
    def of_amounts(self) -> float:
        """The same of amounts."""
        return _concentration(self._counts[:, 1])


class FlowWeights:
    """The same where counters and chance decide (`nth`, `random`): each flow is a key of its own."""

    def __init__(self) -> None:
        self._flows = 0
        self._sum = self._squares = 0.0

    def add(self, block: FlowBlock, columns: NDArray[np.int32], none: int, _engine: Engine) -> None:
        """See `KeyWeights.add`."""
        amounts = amounts_of(block)[columns < none]
        self._flows += len(amounts)
        self._sum += float(amounts.sum())
        self._squares += float(amounts @ amounts)

    @property
    def of_flows(self) -> float:
        """See `KeyWeights.of_flows`."""
        return 1 / self._flows if self._flows else 0.0

    @property
    def of_amounts(self) -> float:
        """See `KeyWeights.of_amounts`."""
        return self._squares / self._sum**2 if self._sum else 0.0


def _concentration(cells: NDArray[np.float64]) -> float:
    total, signed = float(cells.sum()), cells[::2] - cells[1::2]
    return min(1.0, float(signed @ signed) / total**2) if total else 0.0


def interval(target: float, concentration: float) -> Interval:
    """Where 95 of 100 seeds lie for an uplink with that target."""
    spread = _NINETY_FIVE * sqrt(max(0.0, target * (1 - target) * concentration))
    return Interval(max(0.0, target - spread), min(1.0, target + spread))
