"""The mangle list, run as RouterOS runs it: first to last, a mark set by one rule seen by the next.

Source of the order of evaluation: MikroTik's manual, "Packet Flow in RouterOS" and "Mangle".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.matching import holds
from evenflow.model.matcher import MarkKind, NthMatch, PccMatch, RandomMatch
from evenflow.model.router import (
    AcceptAction,
    JumpAction,
    MarkAction,
    PassthroughAction,
    ReturnAction,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.core.matching import Sight, Surroundings
    from evenflow.model.flow import Family, Packet
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleAction, MangleRule, NatRule
    from evenflow.model.trace import Drawn

#: Chains deep that nf_tables follows jumps (NFT_JUMP_STACK_SIZE).
JUMP_DEPTH = 16


class Ending(enum.Enum):
    """How a run of a chain ended. RETURNED is only seen inside: a `return` ends the chain that it stands in."""

    END = "end"
    ACCEPTED = "accepted"
    UNDECIDED = "undecided"
    DROPPED = "dropped"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the conditions of a rule say of a packet.

    Attributes:
        failed: the first that does not hold, or that nobody knows of; None when all hold.
        decided: whether what is known decides it.
        drawn: what the packet got at those that are left to counters and chance.
    """

    failed: Matcher | None = None
    decided: bool = True
    drawn: tuple[Drawn, ...] = ()


def ask(rule: MangleRule | NatRule, sight: Sight, around: Surroundings) -> Asked:
    """Ask a rule's conditions: those that are left to chance behind the others, and `nth` last.

    So a counter counts the packets that everything else lets through. RouterOS does not tell its order.
    """
    unknown: Matcher | None = None
    left: list[NthMatch | RandomMatch] = []
    for matcher in rule.matchers:
        answer = holds(matcher, sight, around)
        if answer is False:
            return Asked(matcher)
        if answer is None and isinstance(matcher, NthMatch | RandomMatch):
            left.append(matcher)
        elif answer is None:
            unknown = matcher
    if unknown is None and left and sight.packet is None:
        unknown = left[0]
    if unknown is not None:
        return Asked(unknown, decided=False)
    drawn: list[Drawn] = []
    for by_chance in sorted(left, key=lambda one: isinstance(one, NthMatch)):
        drawn.append(around.draw(rule, by_chance))
        if not drawn[-1].matches:
            return Asked(by_chance, drawn=tuple(drawn))
    return Asked(drawn=tuple(drawn))


@dataclass(frozen=True, slots=True)
class MangleStep:
    """One rule that was looked at.

    Attributes:
        failed: the first matcher that did not match, None when the rule did.
        sight: what is known after it.
        unreadable: it matched, but its classifier asks for ports that the packet does not carry.
        drawn: what the packet got at its conditions that are left to counters and chance.
    """

    rule: MangleRule
    failed: Matcher | None
    sight: Sight
    unreadable: bool = False
    drawn: tuple[Drawn, ...] = ()


@dataclass(frozen=True, slots=True)
class MangleRun:
    """What a run of a chain did. With UNDECIDED, `sight` is as it was before the undecided rule."""

    ending: Ending
    sight: Sight
    steps: tuple[MangleStep, ...] = ()


def chains_of(rules: Iterable[MangleRule], family: Family) -> dict[str, tuple[MangleRule, ...]]:
    """The rules of one family by chain, in order."""
    found: dict[str, list[MangleRule]] = {}
    for rule in rules:
        if family in rule.families:
            found.setdefault(rule.chain, []).append(rule)
    return {chain: tuple(members) for chain, members in found.items()}


def run_chain(
    chains: Mapping[str, tuple[MangleRule, ...]], chain: str, sight: Sight, around: Surroundings
) -> MangleRun:
    """Run a chain and what it jumps to, as far as `sight` decides every rule."""
    return continue_chain(chains.get(chain, ()), chains, sight, around)


def continue_chain(
    rules: Iterable[MangleRule], chains: Mapping[str, tuple[MangleRule, ...]], sight: Sight, around: Surroundings
) -> MangleRun:
    """As `run_chain`, for these rules of a chain only."""
    return _Runner(chains, around).run(rules, sight, depth=0)


def without_misses(
    chains: Mapping[str, tuple[MangleRule, ...]], sight: Sight, around: Surroundings
) -> dict[str, tuple[MangleRule, ...]]:
    """The chains without the rules that can't match whatever else `sight` turns out to be.

    Only sound for what no rule of the chains changes.
    """
    return {
        chain: tuple(rule for rule in rules if not any(holds(m, sight, around) is False for m in rule.matchers))
        for chain, rules in chains.items()
    }


class _Runner:
    """One run: the chains, what matchers refer to, and the steps so far."""

    def __init__(self, chains: Mapping[str, tuple[MangleRule, ...]], around: Surroundings) -> None:
        self._chains, self._around = chains, around
        self._steps: list[MangleStep] = []

    def run(self, rules: Iterable[MangleRule], sight: Sight, depth: int) -> MangleRun:
        for rule in rules:
            asked = ask(rule, sight, self._around)
            if not asked.decided:
                return self._end(Ending.UNDECIDED, sight)
            if asked.failed is not None:
                self._steps.append(MangleStep(rule, asked.failed, sight, drawn=asked.drawn))
                continue
            if _unreadable(rule, sight.packet):
                self._steps.append(MangleStep(rule, None, sight, unreadable=True, drawn=asked.drawn))
                return self._end(Ending.DROPPED, sight)
            if sight.packet is None and _needs_the_packet(rule.action):
                return self._end(Ending.UNDECIDED, sight)
            done = self._act(rule, sight, depth, asked.drawn)
            sight = done.sight
            if done.ending is Ending.RETURNED:
                return self._end(Ending.END, sight)
            if done.ending is not Ending.END:
                return done
        return self._end(Ending.END, sight)

    def _act(self, rule: MangleRule, sight: Sight, depth: int, drawn: tuple[Drawn, ...]) -> MangleRun:
        """Carry out the action of a rule that matched."""
        action = rule.action
        match action:
            case MarkAction() | SpreadAction():
                owner = action.mark if isinstance(action, MarkAction) else self._owner(action, sight)
                taken = isinstance(action, MarkAction) or owner is not None
                kind = action.kind if isinstance(action, MarkAction) else MarkKind.CONNECTION
                sight = sight.marked(kind, owner) if taken else sight
                ending = Ending.ACCEPTED if taken and not action.passthrough else Ending.END
            case AcceptAction():
                ending = Ending.ACCEPTED
            case ReturnAction():
                ending = Ending.RETURNED
            case _:
                ending = Ending.END
        self._steps.append(MangleStep(rule, None, sight, drawn=drawn))
        if isinstance(action, JumpAction) and depth < JUMP_DEPTH:
            return self.run(self._chains.get(action.chain, ()), sight, depth + 1)
        return self._end(ending, sight)

    def _end(self, ending: Ending, sight: Sight) -> MangleRun:
        return MangleRun(ending, sight, tuple(self._steps))

    def _owner(self, spread: SpreadAction, sight: Sight) -> str | None:
        assert sight.packet is not None
        return spread.owners[self._around.bucket(sight.packet, spread.classifier) % len(spread.owners)]


def _needs_the_packet(action: MangleAction) -> bool:
    """Whether what an action does is not told by the marks that it leaves: a hash, a line in a log."""
    return isinstance(action, SpreadAction) or (isinstance(action, PassthroughAction) and action.log_prefix is not None)


def _unreadable(rule: MangleRule, packet: Packet | None) -> bool:
    """Whether the rule's classifier asks for ports that a later fragment does not carry: RouterOS drops it.

    On Linux connection tracking puts fragments together before mangle, so that none gets here.
    """
    if packet is None or not (packet.later_fragment and packet.has_ports):
        return False
    classifiers = [matcher.classifier for matcher in rule.matchers if isinstance(matcher, PccMatch)]
    if isinstance(rule.action, SpreadAction):
        classifiers.append(rule.action.classifier)
    return any(classifier.fields.any_port for classifier in classifiers)
