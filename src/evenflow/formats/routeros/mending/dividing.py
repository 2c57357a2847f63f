"""Mends of classifiers: remainders that can't be, or that two rules take; and what they divide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.core.streams import denominator_of, never_matches, pcc_of, stream_groups
from evenflow.formats.routeros.mending.edits import SetProperty
from evenflow.formats.routeros.mending.script import NOT_ALONE, Decision, Way
from evenflow.formats.routeros.writing.rules import mangle_commands
from evenflow.model.matcher import AddressType, AddressTypeMatch, Direction, PccMatch

if TYPE_CHECKING:
    from evenflow.core.streams import StreamGroup
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule

_PCC = "per-connection-classifier"


def _group(script: Script, finding: Finding) -> StreamGroup | None:
    groups = stream_groups(script.router)
    return next((group for group in groups if any(rule.origin == finding.where for rule in group.rules)), None)


def remainder(script: Script, finding: Finding) -> Way | Decision:
    """`pcc-remainder`: the remainder that is left for the rule whose own can't be, or is taken."""
    group = _group(script, finding)
    if group is None:
        return NOT_ALONE
    denominators = {denominator_of(rule) for rule in group.rules}
    if len(denominators) > 1:
        named = " and ".join(map(str, sorted(denominators)))
        return Decision(f"denominators {named} divide the same connections; which shares are meant is yours to say")
    (denominator,) = denominators
    wrong = _without_a_stream(group)
    taken = [pcc.remainder for rule in group.rules if rule not in wrong and (pcc := pcc_of(rule)) is not None]
    free = [number for number in range(denominator) if number not in taken]
    if len(wrong) == 1 == len(free):
        rule = wrong[0]
        if not script.can_edit(rule):
            return NOT_ALONE
        value = f"{group.classifier.value}:{denominator}/{free[0]}"
        return Way(
            f"the rule takes remainder {free[0]}, the only one left", (SetProperty(rule.origin.line, _PCC, value),)
        )
    return Decision(_who_gets_it(group, free), _proposed(group, free[0], denominator) if free else ())


def _without_a_stream(group: StreamGroup) -> list[MangleRule]:
    """The rules whose remainder can't be, or is an earlier rule's."""
    taken: set[int] = set()
    wrong = []
    for rule in group.rules:
        pcc = pcc_of(rule)
        if pcc is None or pcc.negated:
            continue
        if never_matches(rule) or pcc.remainder in taken:
            wrong.append(rule)
        taken.add(pcc.remainder)
    return wrong


def _who_gets_it(group: StreamGroup, free: list[int]) -> str:
    if not free:
        return "two rules take the same connections; which of them goes is yours to say"
    which = "remainder" if len(free) == 1 else "remainders"
    why = f"which mark gets {which} {', '.join(map(str, free))} is yours to say: it changes the shares"
    return f"{why}; one of these goes behind line {group.rules[-1].origin.line}"


def _proposed(group: StreamGroup, remainder: int, denominator: int) -> tuple[str, ...]:
    """For each mark of the group a rule that gives it the remainder."""
    found: dict[str, None] = {}
    for rule in group.rules:
        others = tuple(m for m in rule.matchers if not isinstance(m, PccMatch))
        pcc = PccMatch(group.classifier, denominator, remainder)
        (command,) = mangle_commands((replace(rule, matchers=(*others, pcc), comment=""),))
        found[str(command)] = None
    return tuple(found)


def for_the_router_only(script: Script, finding: Finding) -> Way | Decision:
    """`classifier-for-the-router`: `!local` where `local` stands."""
    group = _group(script, finding)
    local = AddressTypeMatch(Direction.DESTINATION, frozenset((AddressType.LOCAL,)))
    rules = [rule for rule in group.rules if local in rule.matchers] if group is not None else []
    if not rules:
        return Decision("no dst-address-type=local stands there; see what makes it so")
    if not script.can_edit(*rules):
        return NOT_ALONE
    edits = tuple(SetProperty(rule.origin.line, "dst-address-type", "!local") for rule in rules)
    return Way("what is not for the router itself is divided", edits)


def router_not_answering(script: Script, finding: Finding) -> Way | Decision:
    """`router-not-answering`: the classifier leaves out what is for the router itself."""
    group = _group(script, finding)
    asking = [rule for rule in group.rules if not any(_is_type(m) for m in rule.matchers)] if group is not None else []
    if not asking or not script.can_edit(*asking):
        return Decision("it is not a classifier alone that marks them; leave out there what is for the router itself")
    edits = tuple(SetProperty(rule.origin.line, "dst-address-type", "!local") for rule in asking)
    return Way("only what is not for the router itself is divided", edits)


def _is_type(matcher: Matcher) -> bool:
    return isinstance(matcher, AddressTypeMatch) and matcher.direction is Direction.DESTINATION
