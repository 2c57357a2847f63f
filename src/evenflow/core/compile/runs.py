"""Runs of neighbouring rules that one lookup can answer, where that takes less than to ask them one by one.

Rules belong together when they differ in one thing that has one value at a time, an interface or a mark, which
none of them can change: at most one of them matches, and a map finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import COMPARED
from evenflow.core.draws import has_chance
from evenflow.model.matcher import InInterface, MarkMatch, OutInterface
from evenflow.model.router import AcceptAction, JumpAction, MarkAction, ReturnAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule

#: What the rules of a run differ in.
Dimension = MarkMatch | InInterface | OutInterface


@dataclass(frozen=True, slots=True)
class Run:
    """Rules that one lookup answers: the matcher in which they differ, one for each, and those they share."""

    rules: tuple[MangleRule, ...]
    keys: tuple[Dimension, ...]
    common: tuple[Matcher, ...]


def run_at(rules: Sequence[MangleRule], position: int) -> Run | None:
    """The longest run that begins at a position."""
    found = [
        run
        for matcher in rules[position].matchers
        if isinstance(matcher, MarkMatch | InInterface | OutInterface)
        and not matcher.negated
        and (run := _run_along(rules, position, matcher)) is not None
    ]
    return max(found, key=lambda run: len(run.rules), default=None)


def _run_along(rules: Sequence[MangleRule], position: int, dimension: Dimension) -> Run | None:
    first = rules[position]
    common = _without(first, dimension)
    members: list[MangleRule] = []
    keys: list[Dimension] = []
    for rule in rules[position:]:
        key = _key_like(rule, dimension)
        if key is None or key in keys or frozenset(_without(rule, key)) != frozenset(common):
            break
        if not _leaves_alone(rule, dimension) or has_chance(rule):  # each counts for itself
            break
        members.append(rule)
        keys.append(key)
    least = 2 if isinstance(dimension, MarkMatch) else COMPARED + 1
    return Run(tuple(members), tuple(keys), common) if len(members) >= least else None


def _without(rule: MangleRule, matcher: Matcher) -> tuple[Matcher, ...]:
    return tuple(other for other in rule.matchers if other != matcher)


def _key_like(rule: MangleRule, dimension: Dimension) -> Dimension | None:
    """The rule's only matcher of the same kind as `dimension`."""
    found = [
        matcher
        for matcher in rule.matchers
        if isinstance(matcher, type(dimension))
        and (not isinstance(matcher, MarkMatch) or matcher.kind is _kind(dimension))
    ]
    return found[0] if len(found) == 1 and not found[0].negated else None


def _kind(dimension: Dimension) -> object:
    return dimension.kind if isinstance(dimension, MarkMatch) else None


def _leaves_alone(rule: MangleRule, dimension: Dimension) -> bool:
    """Whether a rule's action can't change what the rules of the run differ in."""
    match rule.action:
        case AcceptAction() | ReturnAction():
            return True
        case MarkAction(kind):
            return kind is not _kind(dimension)
        case JumpAction():
            return not isinstance(dimension, MarkMatch)  # the chain may change any mark, and come back
        case _:
            return False
