"""How many flows would divide among the uplinks: every flow of a file gets the uplink that a trace would give it.

    simulation = Simulation(Simulated(router, machine, sysctls, seed), engine("auto", rows))
    for block in source.blocks():
        simulation.add(block)
    load = simulation.load()

Memory is bounded however many flows there are. `Shift` counts what moves between two simulations of the same blocks.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.arrivals import Arrivals
from evenflow.core.draws import most_draws
from evenflow.core.outcomes import Outcomes, hashes_what_is_translated
from evenflow.core.pcc import moduli
from evenflow.core.simulate_amounts import amounts_of, sizes_of
from evenflow.core.simulate_chance import FlowWeights, KeyWeights, interval
from evenflow.core.simulate_clients import Clients, Pairs
from evenflow.core.simulate_series import Series
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import uplinks
from evenflow.model.simulation import Elsewhere, Load, Minute, Moved, Steps, UplinkLoad

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from evenflow.core.columns import Engine
    from evenflow.core.outcomes import Outcome
    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.flows import FlowBlock
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router
    from evenflow.model.trace import Disposition

#: Rows that NumPy works on at once: what is in between stays in the processor's cache. Loops have nothing in between:
#: they take whole blocks, so that the tables that they count in stay there longer.
_ROWS = 1 << 17

#: Clients that are named, if nobody says how many.
_TOP = 10


@dataclass(frozen=True)
class Simulated:
    """What is simulated.

    Attributes:
        router: as its watches stand.
        sysctls: as they hold on the machine.
        in_interface: all but the router's own flows come in by it; None: as `core.arrivals` has it.
    """

    router: Router
    machine: Machine
    seed: int
    sysctls: Mapping[str, str] = field(default_factory=dict)
    in_interface: str | None = None


class Simulation:
    """One router and the flows that it was given so far."""

    def __init__(self, simulated: Simulated, engine: Engine) -> None:
        router, machine = simulated.router, simulated.machine
        self.uplinks: tuple[RouterUplink, ...] = uplinks(router)
        self._engine = engine
        tracer = Tracer(router, machine, simulated.seed, simulated.sysctls)
        arrivals = Arrivals(router, machine, self.uplinks, simulated.in_interface)
        by_classes = not hashes_what_is_translated(router)
        self._outcomes = Outcomes(tracer, self.uplinks, arrivals, simulated.seed, by_classes=by_classes)
        width = len(self.uplinks) + 1
        self._flows: defaultdict[int, int] = defaultdict(int)
        self._amounts: defaultdict[int, float] = defaultdict(float)
        loops = self._loops = import_module("evenflow.core.simulate_numba") if engine.name == "numba" else None
        self._series = Series(loops)
        self._clients, self._pairs = Clients(width, loops), Pairs(width, loops)
        self._weights: list[KeyWeights | FlowWeights] = [KeyWeights(each, loops) for each in moduli(router)]
        if most_draws(router) > 1:
            self._weights.append(FlowWeights())
        self._all_flows, self._has_bytes = 0, False

    def add(self, block: FlowBlock) -> NDArray[np.int32]:
        """Count the flows of a block; the number of the outcome of each, shape (n,)."""
        if self._loops is not None:
            return self._add(block)
        parts = [self._add(part) for part in _parts(block)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def _add(self, block: FlowBlock) -> NDArray[np.int32]:
        found = self._outcomes.of(block, self._engine)
        self._count(block, found)
        self._all_flows += len(block)
        self._has_bytes = self._has_bytes or block.size_bytes is not None
        columns, none = self._columns()[found], len(self.uplinks)
        self._clients.add(block, columns)
        self._pairs.add(block, columns)
        for weights in self._weights:
            weights.add(block, columns, none, self._engine)
        self._series.add(block, found, len(self._outcomes.known))
        return found

    def _count(self, block: FlowBlock, found: NDArray[np.int32]) -> None:
        """Add the rows to their outcomes."""
        width = len(self._outcomes.known)
        if self._loops is not None:
            counts = np.zeros((self._loops.LANES, width, 2))
            self._loops.count_outcomes(found, sizes_of(block), counts)
            flows, amounts = counts.sum(axis=0).T
        else:
            flows = np.bincount(found, minlength=width)
            amounts = np.bincount(found, amounts_of(block), width)
        for number in range(width):
            self._flows[number] += int(flows[number])
            self._amounts[number] += float(amounts[number])

    def _columns(self) -> NDArray[np.int32]:
        """For each outcome the uplink, or the number behind the last one."""
        none = len(self.uplinks)
        only = (outcome.ways[0] if len(outcome.ways) == 1 else None for outcome in self._outcomes.known)
        return np.array([none if way is None else way for way in only], np.int32)

    def outcome(self, number: int) -> Outcome:
        """An outcome by its number."""
        return self._outcomes.known[number]

    # --- the answer --------------------------------------------------------------------------------------------------

    def load(self, top: int = _TOP) -> Load:
        """What there is to say of the flows so far."""
        known = list(enumerate(self._outcomes.known))
        names = [uplink.name for uplink in self.uplinks]
        return Load(
            self._all_flows,
            int(sum(self._amounts.values())) if self._has_bytes else None,
            sum(self._flows[number] for number, outcome in known if outcome.uplinks),
            sum(self._flows[number] for number, outcome in known if outcome.uplinks and len(outcome.ways) > 1),
            tuple(self._loads()),
            tuple(self._elsewhere()),
            self._clients.top(top, names),
            self._clients.stickiness(self._pairs),
            self._steps(),
        )

    def _parts(self, by_outcome: Mapping[int, float]) -> list[float]:
        """What each uplink got; what the kernel divides by itself in equal parts."""
        parts = [0.0] * len(self.uplinks)
        for number, outcome in enumerate(self._outcomes.known):
            for uplink in outcome.uplinks:
                parts[uplink] += by_outcome[number] / len(outcome.ways)
        return parts

    def _loads(self) -> Iterator[UplinkLoad]:
        flows, amounts = self._parts(self._flows), self._parts(self._amounts)
        asked = [float(uplink.target) for uplink in self.uplinks]
        of_flows = max((weights.of_flows for weights in self._weights), default=0.0)
        of_amounts = max((weights.of_amounts for weights in self._weights), default=0.0)
        series = self._by_uplink()
        for number, uplink in enumerate(self.uplinks):
            target = _part(asked, number)
            yield UplinkLoad(
                uplink.name,
                uplink.interface,
                target,
                round(flows[number]),
                round(amounts[number]) if self._has_bytes else 0,
                _part(amounts, number),
                interval(target, of_amounts),
                _part(flows, number),
                interval(target, of_flows),
                self._busiest(series[number]) if series is not None and self._has_bytes else None,
                uplink.bandwidth_bps,
                tuple(round(amount) for amount in series[number].tolist()) if series is not None else (),
            )

    def _by_uplink(self) -> NDArray[np.float64] | None:
        """Amounts of each uplink in each step, shape (uplinks, steps)."""
        table = self._series.table(len(self._outcomes.known))
        if table is None:
            return None
        found = np.zeros((len(self.uplinks), len(table[1])))
        for number, outcome in enumerate(self._outcomes.known):
            for uplink in outcome.uplinks:
                found[uplink] += table[1][:, number] / len(outcome.ways)
        return found

    def _steps(self) -> Steps | None:
        table = self._series.table(len(self._outcomes.known))
        return Steps(table[0], float(self._series.step_s), len(table[1])) if table is not None else None

    def _busiest(self, amounts: NDArray[np.float64]) -> Minute:
        best, steps = int(amounts.argmax()), self._steps()
        assert steps is not None
        rate_bps = float(amounts[best]) * 8 / steps.length_s
        return Minute(steps.start_s + best * steps.length_s, steps.length_s, rate_bps)

    def _elsewhere(self) -> Iterator[Elsewhere]:
        found: dict[tuple[Disposition, str | None], list[float]] = {}
        for number, outcome in enumerate(self._outcomes.known):
            part = outcome.ways.count(None) / len(outcome.ways)
            if part and self._flows[number]:
                sums = found.setdefault((outcome.disposition, outcome.interface), [0, 0.0])
                sums[0] += self._flows[number] * part
                sums[1] += self._amounts[number] * part if self._has_bytes else 0
        for (disposition, interface), (flows, amount) in sorted(found.items(), key=lambda item: -item[1][0]):
            yield Elsewhere(disposition, interface, round(flows), round(amount))


class Shift:
    """What moves between two simulations that are given the same blocks, one before and one after a loss."""

    def __init__(self, before: Simulation, after: Simulation, lost: frozenset[str]) -> None:
        """`lost`: names of the uplinks whose flows have to move."""
        self._before, self._after, self._lost = before, after, lost
        self._flows: defaultdict[str, int] = defaultdict(int)
        self._amount = 0.0
        self._needless = 0

    def add(self, block: FlowBlock) -> None:
        """Count a block in both, and what moves."""
        found, then = self._before.add(block), self._after.add(block)
        amounts = amounts_of(block)
        pairs = found.astype(np.int64) << 32 | then
        distinct, inverse = np.unique(pairs, return_inverse=True)
        flows, sums = np.bincount(inverse), np.bincount(inverse, amounts)
        for pair, count, amount in zip(distinct.tolist(), flows.tolist(), sums.tolist(), strict=True):
            one, other = self._before.outcome(pair >> 32), self._after.outcome(pair & 0xFFFF_FFFF)
            names = {self._before.uplinks[number].name for number in one.uplinks}
            if not names or names == {self._after.uplinks[number].name for number in other.uplinks}:
                continue
            for name in names:
                self._flows[name] += count
            self._amount += amount
            self._needless += 0 if names & self._lost else count

    def moved(self) -> Moved:
        """What has moved so far."""
        return Moved(sum(self._flows.values()), int(self._amount), dict(self._flows), self._needless)


def _part(of_all: list[float], number: int) -> float:
    total = sum(of_all)
    return of_all[number] / total if total else 0.0


def _parts(block: FlowBlock) -> Iterator[FlowBlock]:
    for first in range(0, len(block), _ROWS):
        rows = slice(first, first + _ROWS)
        yield replace(
            block,
            source=block.source[..., rows],
            destination=block.destination[..., rows],
            protocol=block.protocol[rows],
            source_port=block.source_port[rows],
            destination_port=block.destination_port[rows],
            size_bytes=None if block.size_bytes is None else block.size_bytes[rows],
            start_s=None if block.start_s is None else block.start_s[rows],
            end_s=None if block.end_s is None else block.end_s[rows],
        )
