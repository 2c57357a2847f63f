"""Rules that no packet can match."""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING

from evenflow.core.boxes import meet_all, without_all
from evenflow.core.packet_space import MARK_AXES
from evenflow.core.rule_words import condition
from evenflow.model.finding import warning
from evenflow.model.matcher import MarkMatch
from evenflow.model.router import BUILT_IN_CHAINS, AcceptAction, JumpAction, MangleRule, MarkAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evenflow.core.boxes import Box
    from evenflow.core.packet_space import PacketSpace
    from evenflow.core.reach import Reached
    from evenflow.model.finding import Finding
    from evenflow.model.flow import Family
    from evenflow.model.router import NatRule, Router

#: How many rules a message names.
_NAMED = 3

#: So many rules are tried one by one for whether they are needed.
_WEIGHED = 16


def dead_rules(router: Router, reached: Mapping[Family, Reached]) -> Iterator[MangleRule | NatRule]:
    """The rules that no packet of any family matches, but those of chains that nothing leads to."""
    rules: tuple[MangleRule | NatRule, ...] = (*router.mangle, *router.nat)
    # A command in a loop, or in a chain that two rules jump to, makes several rules: it is dead when all of them are.
    alive = {rule.origin for rule in rules if any(found.by(rule) for found in reached.values())}
    for rule in rules:
        if rule.origin in alive and rule.origin.line:
            continue
        chain_is_met = rule.chain in BUILT_IN_CHAINS or rule in router.nat or _is_led_to(rule.chain, router, reached)
        known = all(family in reached for family in rule.families)
        if chain_is_met and known and not any(reached[family].by(rule) for family in rule.families):
            yield rule


def _is_led_to(chain: str, router: Router, reached: Mapping[Family, Reached]) -> bool:
    return any(
        isinstance(rule.action, JumpAction) and rule.action.chain == chain and any(r.by(rule) for r in reached.values())
        for rule in router.mangle
    )


def dead_finding(rule: MangleRule | NatRule, router: Router, space: PacketSpace, reached: Reached) -> Finding:
    """Why no packet can match it."""
    asked = asked_by(rule, space)
    coming = meet_all(reached.entered[rule.chain], asked) if rule.chain in reached.entered else asked
    takers = _takers(rule, router, coming, space)
    if not asked:
        why = _contradiction(rule, space)
    elif coming and takers:
        why = f"all that it asks for is taken before by {_named(_needed(takers, coming, space))}"
    else:
        why = f"no packet that comes to {rule.chain} is as it asks"
    return warning("dead-rule", rule.origin, f"no packet can match this rule: {why}; take it out, or correct it")


def asked_by(rule: MangleRule | NatRule, space: PacketSpace) -> list[Box]:
    """The packets that a rule asks for, if nothing came before it."""
    boxes = [space.everything]
    for matcher in rule.matchers:
        boxes = meet_all(boxes, space.allowed(matcher))
    return boxes


def _contradiction(rule: MangleRule | NatRule, space: PacketSpace) -> str:
    for one, other in combinations(rule.matchers, 2):
        if not meet_all(space.allowed(one), space.allowed(other)):
            return f"{condition(one)} and {condition(other)} exclude each other"
    return "its conditions exclude each other"


def _takers(
    rule: MangleRule | NatRule, router: Router, asked: list[Box], space: PacketSpace
) -> list[MangleRule | NatRule]:
    """Earlier rules of the chain that may end the way of what it asks for, or change a mark that it asks for."""
    others: Sequence[MangleRule | NatRule] = router.mangle if isinstance(rule, MangleRule) else router.nat
    earlier = others[: next(place for place, other in enumerate(others) if other is rule)]
    marks = {MARK_AXES[matcher.kind] for matcher in rule.matchers if isinstance(matcher, MarkMatch)}
    found = []
    for other in earlier:
        same = other.chain == rule.chain and space.family in other.families
        if same and (_ends(other) or _marks(other) & marks) and meet_all(asked_by(other, space), asked):
            found.append(other)
    return found


def _needed(
    takers: Sequence[MangleRule | NatRule], coming: Sequence[Box], space: PacketSpace
) -> Sequence[MangleRule | NatRule]:
    """Those of the takers without which not all would be taken, of two for the same the first.

    Rules that end the way are enough where they take all; where all of them together don't seem to, none is left out.
    """
    ending = [rule for rule in takers if _ends(rule)]
    for group in (ending, takers):
        taken = [asked_by(rule, space) for rule in group]
        alone = next((rule for rule, boxes in zip(group, taken, strict=True) if not without_all(coming, boxes)), None)
        if alone is not None:
            return [alone]
        if len(group) <= _WEIGHED and not without_all(coming, chain.from_iterable(taken)):
            left = list(range(len(group)))
            for place in reversed(range(len(group))):
                others = [number for number in left if number != place]
                if not without_all(coming, chain.from_iterable(taken[number] for number in others)):
                    left = others
            return [group[number] for number in left]
    return takers


def _ends(rule: MangleRule | NatRule) -> bool:
    """Whether no later rule sees what a rule matches."""
    if not isinstance(rule, MangleRule) or isinstance(rule.action, AcceptAction):
        return True
    return isinstance(rule.action, MarkAction | SpreadAction) and not rule.action.passthrough


def _marks(rule: MangleRule | NatRule) -> set[int]:
    """The marks that a rule changes, as axes of a space."""
    if isinstance(rule.action, MarkAction):
        return {MARK_AXES[rule.action.kind]}
    return set()


def _named(rules: Sequence[MangleRule | NatRule]) -> str:
    """Rules by their lines, the nearest first."""
    lines = list(dict.fromkeys(rule.origin.line for rule in reversed(rules) if rule.origin.line))
    if not lines:
        return "earlier rules"
    named = ", ".join(str(line) for line in lines[:_NAMED])
    more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return f"the rule in line {named}" if len(lines) == 1 else f"the rules in lines {named}{more}"
