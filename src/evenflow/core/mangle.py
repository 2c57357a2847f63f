"""The mangle list, run as RouterOS runs it: first to last, a mark set by one rule seen by the next.

Source of the order of evaluation: MikroTik's manual, "Packet Flow in RouterOS" and "Mangle".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.matching import holds
from evenflow.model.matcher import MarkKind, PccMatch
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
    from evenflow.model.router import MangleAction, MangleRule

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
class MangleStep:
    """One rule that was looked at.

    Attributes:
        failed: the first matcher that did not match, None when the rule did.
        sight: what is known after it.
        unreadable: it matched, but its classifier asks for ports that the packet does not carry.
    """

    rule: MangleRule
    failed: Matcher | None
    sight: Sight
    unreadable: bool = False


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
            failed, decided = self._failed(rule, sight)
            if not decided:
                return self._end(Ending.UNDECIDED, sight)
            if failed is not None:
                self._steps.append(MangleStep(rule, failed, sight))
                continue
            if _unreadable(rule, sight.packet):
                self._steps.append(MangleStep(rule, None, sight, unreadable=True))
                return self._end(Ending.DROPPED, sight)
            if sight.packet is None and _needs_the_packet(rule.action):
                return self._end(Ending.UNDECIDED, sight)
            done = self._act(rule, sight, depth)
            sight = done.sight
            if done.ending is Ending.RETURNED:
                return self._end(Ending.END, sight)
            if done.ending is not Ending.END:
                return done
        return self._end(Ending.END, sight)

    def _act(self, rule: MangleRule, sight: Sight, depth: int) -> MangleRun:
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
        self._steps.append(MangleStep(rule, None, sight))
        if isinstance(action, JumpAction) and depth < JUMP_DEPTH:
            return self.run(self._chains.get(action.chain, ()), sight, depth + 1)
        return self._end(ending, sight)

    def _end(self, ending: Ending, sight: Sight) -> MangleRun:
        return MangleRun(ending, sight, tuple(self._steps))

    def _failed(self, rule: MangleRule, sight: Sight) -> tuple[Matcher | None, bool]:
        """The matcher that does not match, if any; and whether what is known decides the rule."""
        decided = True
        for matcher in rule.matchers:
            answer = holds(matcher, sight, self._around)
            if answer is False:
                return matcher, True
            decided = decided and answer is not None
        return None, decided

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
