"""A line on the schedule of its probes, in simulated time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from random import Random

from evenflow.core.health import HealthMachine, Transition
from evenflow.model.health import HealthSettings, HealthState

DEFAULTS = HealthSettings()

#: What becomes of a probe: (target, when it is sent) -> round trip in ms; None: no answer.
Fate = Callable[[int, float], float | None]


class Simulation:
    """Probes of a machine at their times; results as they become known, and the ticks that it asks for."""

    def __init__(self, machine: HealthMachine, asked: HealthSettings, phases_s: list[float]) -> None:
        self.machine = machine
        self.told: list[Transition] = []
        self._asked = asked
        self._sending = [(phase_s, target) for target, phase_s in enumerate(phases_s)]
        heapq.heapify(self._sending)
        self._known: list[tuple[float, int, int, float | None]] = []
        self._sent = 0

    def run(self, until_s: float, fate: Fate) -> None:
        """Everything up to that time."""
        timeout_ms = self._asked.timeout_ms
        while True:
            sent_s, target = self._sending[0]
            if self._known and self._known[0][0] <= sent_s:
                if self._known[0][0] > until_s:
                    break
                known_s, _, target, rtt_ms = heapq.heappop(self._known)
                self._result(known_s, target, rtt_ms)
                continue
            if sent_s > until_s:
                break
            heapq.heapreplace(self._sending, (sent_s + self._asked.interval_ms / 1000, target))
            rtt_ms = fate(target, sent_s)
            answered = rtt_ms is not None and rtt_ms <= timeout_ms
            known_s = sent_s + (rtt_ms if rtt_ms is not None and answered else timeout_ms) / 1000
            self._sent += 1
            heapq.heappush(self._known, (known_s, self._sent, target, rtt_ms if answered else None))
        self._ticks(until_s)

    def _result(self, now_s: float, target: int, rtt_ms: float | None) -> None:
        self._ticks(now_s)
        machine = self.machine
        self._note(machine.lost(target, now_s) if rtt_ms is None else machine.answered(target, rtt_ms, now_s))

    def _ticks(self, until_s: float) -> None:
        last_s = -math.inf
        while (due_s := self.machine.next_tick_s()) is not None and due_s <= until_s:
            assert due_s > last_s, "a tick that leads to itself would never end"
            last_s = due_s
            self._note(self.machine.tick(due_s))

    def _note(self, transition: Transition | None) -> None:
        if transition is not None:
            self.told.append(transition)

    @property
    def way(self) -> list[HealthState]:
        return [transition.after for transition in self.told]


def simulation(asked: HealthSettings = DEFAULTS, targets: int = 3, *, was_down: bool = False) -> Simulation:
    machine = HealthMachine(asked, targets, now_s=0.0, was_down=was_down)
    return Simulation(machine, asked, [asked.interval_ms / 1000 * target / targets for target in range(targets)])


def lossy(part: float, seed: int, rtt_ms: float = 20.0) -> Fate:
    chance = Random(seed).random
    return lambda _target, _sent_s: None if chance() < part else rtt_ms


def good(_target: int, _sent_s: float) -> float | None:
    return 20.0


def silent(_target: int, _sent_s: float) -> float | None:
    return None
