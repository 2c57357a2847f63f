"""Rounds: every layout in turn, in an order drawn anew each time. So what else the machine does meets all alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from bench.dataplane.frames import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from bench.dataplane.cpu_time import CpuClock, Spent
    from bench.dataplane.figures import Round
    from bench.dataplane.frames import Ends
    from bench.dataplane.rig import Answer, Rig, Way
    from bench.dataplane.sender import Batch
    from bench.dataplane.serving import Hosts
    from evenflow.model.flow import Family

#: Packets come in batches, no two of which have a flow in common: of 1,024 known flows, or of as many new ones.
_BATCH: Final = 256
_KNOWN: Final = 1024
_WARMING: Final = 2

#: A turn is about as long, and has so many batches at most: many short turns rather than few long ones.
_TURN_S: Final = 0.02
_MOST_BATCHES: Final = 16

#: For the kernel to free what a thousand deleted connections held, which it does a little later.
_SETTLE_S: Final = 0.003

_CONNECTIONS: Final = 100
_KILOBYTES: Final = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bench:
    """What takes turns.

    Attributes:
        rigs: one for each layout, by its name, with the layout in it.
        clock: of the CPU that all of it runs on.
        rng: draws flows and orders.
        rounds: how many.
    """

    rigs: Mapping[str, Rig]
    clock: CpuClock
    rng: Random
    rounds: int

    def known(self, family: Family) -> list[Round]:
        """Packets of flows that are established, from the LAN: what one takes."""
        flows = draw(_KNOWN, family, self.rng)
        self._establish(flows)
        batches = {name: _turns([rig.batch_of(some) for some in _cut(flows)]) for name, rig in self.rigs.items()}
        return self._packets(batches, _out)

    def answers(self, family: Family) -> list[Round]:
        """Packets of the same kind, from the Internet: what one takes."""
        given = self._establish(draw(_KNOWN, family, self.rng))
        batches = {
            name: _turns([rig.batch_back(some) for some in _cut(given[name])]) for name, rig in self.rigs.items()
        }
        return self._packets(batches, _back)

    def _establish(self, flows: list[Ends]) -> dict[str, list[Answer]]:
        for rig in self.rigs.values():
            rig.forget()
        return {name: rig.establish(flows) for name, rig in self.rigs.items()}

    def new(self, family: Family) -> list[Round]:
        """First packets of flows: what one takes."""
        flows = draw((_WARMING + _MOST_BATCHES) * _BATCH, family, self.rng)
        batches = {name: [rig.batch_of(some) for some in _cut(flows)] for name, rig in self.rigs.items()}

        def forget(rig: Rig) -> None:
            rig.forget()
            time.sleep(_SETTLE_S)

        return self._packets(batches, _out, forget)

    def _packets(
        self,
        batches: Mapping[str, list[Batch]],
        way: Callable[[Rig], Way],
        prepare: Callable[[Rig], None] = lambda _: None,
    ) -> list[Round]:
        """The first batches warm the caches, the others are timed; as many as fit into a turn."""
        counts: dict[str, int] = {}

        def turn(name: str) -> Spent:
            rig = self.rigs[name]
            prepare(rig)
            way(rig).send(batches[name][:_WARMING], self.clock)
            timed = batches[name][_WARMING:][: counts.get(name, _WARMING)]
            return way(rig).send(timed, self.clock).divided(len(timed) * _BATCH)

        for name in self.rigs:
            pilot_s = turn(name).seconds * _BATCH
            counts[name] = min(max(round(_TURN_S / pilot_s), 1), _MOST_BATCHES)
        return self._alternate(turn)

    def connect(self, hosts: Mapping[str, Hosts]) -> list[Round]:
        """TCP connections, opened and closed: what one takes, clients and server included."""

        def turn(name: str) -> Spent:
            self.rigs[name].forget()
            time.sleep(_SETTLE_S)
            hosts[name].connect(_CONNECTIONS // 10)
            before = self.clock.now()
            hosts[name].connect(_CONNECTIONS)
            return self.clock.now().since(before).divided(_CONNECTIONS)

        return self._alternate(turn)

    def download(self, hosts: Mapping[str, Hosts]) -> list[Round]:
        """A download over one TCP connection: what a kilobyte takes, client and server included."""

        def turn(name: str) -> Spent:
            with hosts[name].download() as fetch:
                fetch(_KILOBYTES // 10)
                before = self.clock.now()
                fetch(_KILOBYTES)
                return self.clock.now().since(before).divided(_KILOBYTES)

        return self._alternate(turn)

    def _alternate(self, turn: Callable[[str], Spent]) -> list[Round]:
        names = list(self.rigs)
        found: list[Round] = []
        for _ in range(self.rounds):
            taken = {name: turn(name) for name in self.rng.sample(names, len(names))}
            found.append({name: taken[name] for name in names})
        return found


def _out(rig: Rig) -> Way:
    return rig.out


def _back(rig: Rig) -> Way:
    return rig.back


def _cut(whole: list[T]) -> list[list[T]]:
    return [whole[at : at + _BATCH] for at in range(0, len(whole), _BATCH)]


def _turns(batches: list[Batch]) -> list[Batch]:
    """The same over and over, for as long as a turn can be."""
    return [batches[n % len(batches)] for n in range(_WARMING + _MOST_BATCHES)]
