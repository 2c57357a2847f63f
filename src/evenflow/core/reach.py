"""Which rules some packet can match: the mangle and NAT lists run for all packets at once.

A set of packets is a list of boxes (`core.boxes`) in the space of what the router can tell apart (`core.packet_space`).
Each rule takes the part that it matches; what it ends is not seen by the next. Where something is not known (the way
that routing takes, a connection's earlier marks, counters and chance), every possibility is assumed: a rule that is
reached here may in truth be dead, but one that is dead here is dead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.core.addresses import LOOPBACK
from evenflow.core.boxes import bits, joined, meet, meet_all, without_all
from evenflow.core.draws import has_chance
from evenflow.core.mangle import JUMP_DEPTH, chains_of
from evenflow.core.packet_space import MARK_AXES, NO_INTERFACE, Axis
from evenflow.model.flow import ConnectionState
from evenflow.model.matcher import MarkKind, UnsupportedMatch
from evenflow.model.router import (
    AcceptAction,
    DestinationNat,
    JumpAction,
    MarkAction,
    PassthroughAction,
    Redirect,
    ReturnAction,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from evenflow.core.boxes import Box
    from evenflow.core.packet_space import PacketSpace
    from evenflow.model.router import MangleRule, NatRule, Router

#: Boxes at one rule; beyond it nothing is said. Real scripts of some hundred rules need some dozens.
MOST_BOXES = 4000

#: From so many on it is worth to look which of them are one.
_MANY_BOXES = 32

#: Boxes of packets that are kept for each rule, as examples.
_EXAMPLES = 16

_BEGINNING = frozenset((ConnectionState.NEW, ConnectionState.RELATED))
_LATER = frozenset((ConnectionState.ESTABLISHED, ConnectionState.RELATED))
_WITHOUT_ENTRY = frozenset((ConnectionState.INVALID, ConnectionState.UNTRACKED))


class TooManyBoxesError(Exception):
    """The router divides packets into more sets than are looked at."""


@dataclass
class Reached:
    """What was found.

    Attributes:
        matched: for each rule, by its identity, some boxes of packets that it matches, as they are then.
        entered: for each built-in chain the packets that come to it.
    """

    matched: dict[int, list[Box]] = field(default_factory=dict)
    entered: dict[str, list[Box]] = field(default_factory=dict)

    def by(self, rule: MangleRule | NatRule) -> list[Box]:
        """Packets that the rule may match; none: no packet can."""
        return self.matched.get(id(rule), [])


@dataclass(frozen=True)
class _Run:
    """What came out of a chain: packets that go on after it, and those that are done with the hook."""

    on: list[Box]
    done: list[Box] = field(default_factory=list)

    @property
    def all(self) -> list[Box]:
        return [*self.on, *self.done]


def reach(router: Router, space: PacketSpace) -> Reached:
    """Run every packet of a family through every chain.

    Raises:
        TooManyBoxesError: it would take too long.
    """
    return _Reach(router, space).go()


class _Reach:
    def __init__(self, router: Router, space: PacketSpace) -> None:
        self._router, self._space = router, space
        self._chains = chains_of(router.mangle, space.family)
        self._found = Reached()
        self._asked: dict[int, list[Box]] = {}
        self._marks = space.box(CONNECTION_MARK={None, *_marks_set(router)})[Axis.CONNECTION_MARK]

    def go(self) -> Reached:
        self._arriving()
        self._own()
        return self._found

    # --- the ways through the router -----------------------------------------------------------------------------

    def _arriving(self) -> None:
        start = self._beginning(lambda name: name != NO_INTERFACE, any_mark=False)
        seen = self._hook("prerouting", start).all
        to = self._nat("dstnat", seen)
        self._hook("input", to)
        forwarded = self._hook("forward", self._routed(to)).all
        left = self._hook("postrouting", forwarded).all
        self._nat("srcnat", left)

    def _own(self) -> None:
        """The router's own packets, which sockets may have marked; some come back in by the loopback device."""
        start = self._beginning(lambda name: name == NO_INTERFACE, any_mark=True)
        sent = self._hook("output", self._routed(start)).all
        left = self._hook("postrouting", self._routed(sent)).all
        self._nat("srcnat", left)
        again = self._space.box(IN=[LOOPBACK], OUT=[NO_INTERFACE])
        seen = self._hook("prerouting", joined(self._loose(left, again))).all
        self._hook("input", seen)

    def _loose(self, boxes: Iterable[Box], place: Box) -> list[Box]:
        """The same marks and states, at another place and with other fields: NAT may have changed them."""
        kept = (Axis.STATE, Axis.CONNECTION_MARK, Axis.ROUTING_MARK, Axis.PACKET_MARK)
        return [tuple(box[axis] if axis in kept else values for axis, values in enumerate(place)) for box in boxes]

    def _beginning(self, wanted: Callable[[str], bool], *, any_mark: bool) -> list[Box]:
        space = self._space
        base: dict[int, int] = {Axis.IN: space.mask(Axis.IN, wanted), Axis.OUT: space.box(OUT=[NO_INTERFACE])[Axis.OUT]}
        if not any_mark:
            base[Axis.ROUTING_MARK] = base[Axis.PACKET_MARK] = 1  # no-mark stands first
        no_mark = space.box(CONNECTION_MARK=[None])[Axis.CONNECTION_MARK]
        boxes = []
        for states, marks in ((_BEGINNING, no_mark), (_LATER, self._marks), (_WITHOUT_ENTRY, no_mark)):
            state = space.box(STATE=states)[Axis.STATE]
            boxes.append(space.narrowed({**base, Axis.STATE: state, Axis.CONNECTION_MARK: marks}))
        return boxes

    def _routed(self, boxes: Iterable[Box]) -> list[Box]:
        """With any interface to leave by: the routing decision is not looked at."""
        out = self._space.mask(Axis.OUT, lambda name: name != NO_INTERFACE)
        return [(*box[: Axis.OUT], out, *box[Axis.OUT + 1 :]) for box in boxes]

    # --- chains ----------------------------------------------------------------------------------------------------

    def _hook(self, chain: str, boxes: list[Box]) -> _Run:
        self._found.entered.setdefault(chain, []).extend(boxes)
        run = self._chain(self._chains.get(chain, ()), boxes, 0)
        return _Run(joined(run.on), joined(run.done))

    def _chain(self, rules: Sequence[MangleRule], boxes: list[Box], depth: int) -> _Run:
        on = boxes
        done: list[Box] = []
        returned: list[Box] = []
        for rule in rules:
            matched, on = self._split(rule, on)
            if not matched:
                continue
            match rule.action:
                case MarkAction(kind, mark, passthrough):
                    marked = self._marked(matched, kind, {mark})
                    (on if passthrough else done).extend(marked)
                case SpreadAction():
                    taken, left = self._spread(rule.action, matched)
                    (on if rule.action.passthrough else done).extend(taken)
                    on.extend(left)
                case AcceptAction():
                    done.extend(matched)
                case ReturnAction():
                    returned.extend(matched)
                case JumpAction(chain) if depth < JUMP_DEPTH:
                    run = self._chain(self._chains.get(chain, ()), matched, depth + 1)
                    on.extend(run.on)
                    done.extend(run.done)
                case JumpAction() | PassthroughAction():
                    on.extend(matched)
            on = self._bounded(on)
        return _Run([*on, *returned], done)

    def _split(self, rule: MangleRule | NatRule, boxes: list[Box]) -> tuple[list[Box], list[Box]]:
        """What a rule may match of the packets, and what it may leave."""
        asked = self._asked_by(rule)
        matched = meet_all(boxes, asked)
        if not matched:
            return [], boxes
        examples = self._found.matched.setdefault(id(rule), [])
        examples += matched[: _EXAMPLES - len(examples)]
        if has_chance(rule) or any(isinstance(matcher, UnsupportedMatch) for matcher in rule.matchers):
            return matched, boxes  # nobody knows which of them it takes
        return matched, without_all(boxes, asked)

    def _asked_by(self, rule: MangleRule | NatRule) -> list[Box]:
        """The packets that a rule asks for."""
        known = self._asked.get(id(rule))
        if known is None:
            known = [self._space.everything]
            for matcher in rule.matchers:
                known = meet_all(known, self._space.allowed(matcher))
            self._asked[id(rule)] = known
        return known

    def _marked(self, boxes: Iterable[Box], kind: MarkKind, marks: Iterable[str | None]) -> list[Box]:
        """With a mark set; where connection tracking has no entry, none can be (`core.matching.Sight`)."""
        axis = MARK_AXES[kind]
        value = self._space.mask(axis, set(marks).__contains__)
        entry = self._space.narrowed({Axis.STATE: self._space.with_entry})
        made = []
        for box in boxes:
            if kind is not MarkKind.CONNECTION:
                made.append((*box[:axis], value, *box[axis + 1 :]))
                continue
            if (with_entry := meet(box, entry)) is not None:
                made.append((*with_entry[:axis], value, *with_entry[axis + 1 :]))
            made += without_all([box], [entry])
        return joined(made)

    def _spread(self, action: SpreadAction, boxes: list[Box]) -> tuple[list[Box], list[Box]]:
        """What gets a mark by a spread, and what is in a stream that no mark owns."""
        axis = self._space.classifiers[action.classifier]
        values = self._space.axes[axis]
        by_owner: dict[str | None, int] = {}
        for number in bits(self._space.everything[axis]):
            owner = action.owners[values[number] % len(action.owners)]
            by_owner[owner] = by_owner.get(owner, 0) | 1 << number
        taken: list[Box] = []
        left: list[Box] = []
        for owner, mask in by_owner.items():
            part = meet_all(boxes, [self._space.narrowed({axis: mask})])
            if owner is None:
                left += part
            else:
                taken += self._marked(part, MarkKind.CONNECTION, {owner})
        return taken, left

    def _nat(self, chain: str, boxes: list[Box]) -> list[Box]:
        """Ask the NAT rules about what begins a connection; the packets after it.

        Those of connections that have begun may be answers to what was translated: any destination can come out.
        """
        left = meet_all(boxes, [self._space.box(STATE=_BEGINNING)])
        self._found.entered.setdefault(chain, []).extend(left)
        changes = False
        for rule in self._router.nat:
            if rule.chain == chain and self._space.family in rule.families:
                matched, left = self._split(rule, self._bounded(left))
                changes = changes or (bool(matched) and isinstance(rule.action, DestinationNat | Redirect))
        as_they_are = [] if changes else meet_all(boxes, [self._space.box(STATE=[ConnectionState.NEW])])
        everything = self._space.everything
        free = (Axis.DESTINATION, Axis.DESTINATION_PORT, *self._space.classifiers.values())
        changed = [
            tuple(everything[axis] if axis in free else values for axis, values in enumerate(box))
            for box in without_all(boxes, as_they_are)
        ]
        return joined([*as_they_are, *changed])

    def _bounded(self, boxes: list[Box]) -> list[Box]:
        if len(boxes) > _MANY_BOXES:
            boxes = joined(boxes)
        if len(boxes) > MOST_BOXES:
            raise TooManyBoxesError
        return boxes


def _marks_set(router: Router) -> Iterator[str | None]:
    """Connection marks that some rule sets: known connections come with one of them, or none."""
    for rule in router.mangle:
        if isinstance(rule.action, SpreadAction):
            yield from rule.action.owners
        elif isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.CONNECTION:
            yield rule.action.mark
