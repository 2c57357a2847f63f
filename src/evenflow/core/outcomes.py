"""What becomes of each row of a block: every combination of classes that occurs is traced, once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.draws import NOTHING_DRAWN, Draws, most_draws
from evenflow.core.following import uplink_of
from evenflow.core.outcomes_by_chance import ByChance, End
from evenflow.model.flow import Family, Packet
from evenflow.model.matcher import PccMatch
from evenflow.model.router import DestinationNat, Redirect, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from evenflow.core.arrivals import Arrivals
    from evenflow.core.classes import PacketClasses
    from evenflow.core.columns import Engine
    from evenflow.core.trace import Tracer
    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.flows import FlowBlock
    from evenflow.model.matcher import Classifier
    from evenflow.model.router import Router
    from evenflow.model.trace import Disposition

#: Combinations of classes that a plain table has room for (4 bytes each); with more, those that occur are looked for.
_MOST_DENSE = 1 << 22

_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How flows end.

    Attributes:
        ways: for each way that they may go the number of its uplink, None where it is none's; several where the kernel
            chooses with a secret of its own.
        interface: that they leave by; None: by none, or by one of several.
    """

    disposition: Disposition
    ways: tuple[int | None, ...]
    interface: str | None

    @property
    def uplinks(self) -> tuple[int, ...]:
        """The uplinks among the ways."""
        return tuple(way for way in self.ways if way is not None)


class Outcomes:
    """The outcomes of one router. `known` grows as new ones turn up; a row's outcome is its number in there."""

    def __init__(
        self, tracer: Tracer, uplinks: Sequence[RouterUplink], arrivals: Arrivals, seed: int, *, by_classes: bool = True
    ) -> None:
        """`by_classes` False traces each row by itself: exact where classes are not, and a thousand times slower."""
        self.known: list[Outcome] = []
        self._tracer, self._uplinks, self._arrivals, self._seed = tracer, uplinks, arrivals, seed
        self._by_classes = by_classes
        self._numbers: dict[Outcome, int] = {}
        self._tables: dict[Family, _Table] = {}
        self._by_chance = ByChance(tracer.router, seed) if most_draws(tracer.router) > 1 else None

    def of(self, block: FlowBlock, engine: Engine) -> NDArray[np.int32]:
        """The outcome of each row, shape (n,)."""
        if not self._by_classes:
            return self._one_by_one(block)
        table = self._tables.get(block.family)
        if table is None:
            table = self._tables[block.family] = _Table(self._tracer.classes(block.family), self._seed)
        if self._by_chance is None:
            return table.look_up(block, engine, self)
        places = table.places(block, engine)
        go = partial(table.trace, places, block, self)
        return self._by_chance.of(block.family, places, len(block), go)

    def trace(self, packet: Packet, buckets: Mapping[Classifier, int], draws: Draws) -> End:
        """The outcome of one packet whose fields hash to these buckets (the others to what they are)."""
        packet = replace(packet, in_interface=self._arrivals.interface(packet.source, packet.destination))
        first = self._tracer.outcome(packet, buckets, 0, draws)
        others = (self._tracer.outcome(packet, buckets, choice, draws) for choice in range(1, first.ways))
        names = [uplink.name for uplink in self._uplinks]
        ways = [uplink_of(trace, self._uplinks) for trace in (first, *others)]
        numbers = tuple(names.index(way) if way is not None else None for way in ways)
        outcome = Outcome(first.disposition, numbers, first.out_interface if first.ways == 1 else None)
        number = self._numbers.setdefault(outcome, len(self.known))
        if number == len(self.known):
            self.known.append(outcome)
        return End(number, first.drawn)

    def _one_by_one(self, block: FlowBlock) -> NDArray[np.int32]:
        def go(row: int, draws: Draws) -> End:
            return self.trace(packet_of(block, row), {}, draws)

        if self._by_chance is not None:
            return self._by_chance.of(block.family, None, len(block), go)
        return np.array([go(row, NOTHING_DRAWN).number for row in range(len(block))], np.int32)


def hashes_what_is_translated(router: Router) -> bool:
    """Whether a classifier sees packets after destination NAT: then the fields of a flow do not tell its bucket."""
    if not any(isinstance(rule.action, DestinationNat | Redirect) for rule in router.nat):
        return False
    return any(
        rule.chain not in ("prerouting", "output")
        and (isinstance(rule.action, SpreadAction) or any(isinstance(m, PccMatch) for m in rule.matchers))
        for rule in router.mangle
    )


class _Table:
    """The outcome of each combination of classes of one family, as far as they have turned up."""

    def __init__(self, classes: PacketClasses, seed: int) -> None:
        self._classes, self._seed = classes, seed
        parts = (classes.source, classes.destination, classes.protocol, classes.source_port, classes.destination_port)
        combinations = prod(part.count for part in parts) * prod(max(each) + 1 for each in classes.buckets.values())
        self._dense = np.full(combinations, _UNKNOWN, np.int32) if combinations <= _MOST_DENSE else None
        self._sparse: dict[int, int] = {}

    def places(self, block: FlowBlock, engine: Engine) -> NDArray[np.int64]:
        """The combination of each row as a number, shape (n,)."""
        return engine.combinations(block, self._classes, self._seed)

    def look_up(self, block: FlowBlock, engine: Engine, outcomes: Outcomes) -> NDArray[np.int32]:
        """The outcome of each row, shape (n,), where nothing is left to chance."""
        places = self.places(block, engine)
        if self._dense is None:
            distinct, rows, inverse = np.unique(places, return_index=True, return_inverse=True)
            numbers = [
                self._known(int(place), places, block, int(row), outcomes)
                for place, row in zip(distinct, rows, strict=True)
            ]
            return np.array(numbers, np.int32)[inverse]
        found = self._dense.take(places)
        if len(found) and found.min() == _UNKNOWN:
            unknown = found == _UNKNOWN
            distinct, first = np.unique(places[unknown], return_index=True)
            rows = np.flatnonzero(unknown)[first]
            for place, row in zip(distinct, rows, strict=True):
                self._dense[place] = self.trace(places, block, outcomes, int(row)).number
            found = self._dense.take(places)
        return found

    def _known(self, place: int, places: NDArray[np.int64], block: FlowBlock, row: int, outcomes: Outcomes) -> int:
        known = self._sparse.get(place)
        if known is None:
            known = self._sparse[place] = self.trace(places, block, outcomes, row).number
        return known

    def trace(
        self, places: NDArray[np.int64], block: FlowBlock, outcomes: Outcomes, row: int, draws: Draws = NOTHING_DRAWN
    ) -> End:
        """Trace a row; its classes are in its place, so its buckets need no hash."""
        buckets: dict[Classifier, int] = {}
        place = int(places[row])
        for classifier, each in reversed(list(self._classes.buckets.items())):
            place, number = divmod(place, max(each) + 1)
            buckets[classifier] = each.index(number)
        return outcomes.trace(packet_of(block, row), buckets, draws)


def packet_of(block: FlowBlock, row: int) -> Packet:
    """The first packet of a row's flow; where it came in is left out."""
    return Packet(
        _address(block.family, block.source, row),
        _address(block.family, block.destination, row),
        int(block.protocol[row]),
        int(block.source_port[row]),
        int(block.destination_port[row]),
    )


def _address(family: Family, column: NDArray[np.uint32], row: int) -> IPv4Address | IPv6Address:
    if family is Family.IPV4:
        return IPv4Address(int(column[row]))
    number = 0
    for word in column[:, row]:
        number = number << 32 | int(word)
    return IPv6Address(number)
