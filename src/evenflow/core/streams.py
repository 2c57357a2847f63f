"""What the classifier rules of a router add up to: which mark each value of the hash ends with.

Rules over the same fields share one hash, also with different denominators; so the values are those modulo the least
common multiple, and a rule takes those that leave its remainder.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from evenflow.core.draws import has_chance
from evenflow.core.pcc import MODULUS_LIMIT
from evenflow.model.matcher import MarkKind, MarkMatch, PccMatch
from evenflow.model.router import MarkAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from evenflow.model.matcher import Classifier, Matcher
    from evenflow.model.router import MangleRule, Router


@dataclass(frozen=True, slots=True)
class StreamGroup:
    """Rules of one chain that divide the same packets by the same hash, and set the same kind of mark.

    Attributes:
        kind: the mark that they set.
        conditions: what the rules ask for besides the classifier.
        rules: the rules in their order.
        rest: a later rule that marks what they leave, None if there is none.
    """

    chain: str
    classifier: Classifier
    kind: MarkKind
    conditions: frozenset[Matcher]
    rules: tuple[MangleRule, ...]
    rest: MangleRule | None

    @property
    def modulus(self) -> int:
        """The least common multiple of the denominators; those of rules that never match don't count."""
        return math.lcm(*(denominator_of(rule) for rule in self.rules if not never_matches(rule)))

    @property
    def first_wins(self) -> bool:
        """Whether a rule leaves alone what an earlier one has marked."""
        return MarkMatch(self.kind, None) in self.conditions or not all(_goes_on(rule) for rule in self.rules)

    def owners(self) -> tuple[str | None, ...]:
        """The mark that each value ends with; None where no rule takes it. () if there are too many values."""
        modulus = self.modulus
        if modulus > MODULUS_LIMIT:
            return ()
        left = _mark_of(self.rest) if self.rest is not None else None
        owned: list[str | None] = [left] * modulus
        rules = reversed(self.rules) if self.first_wins else self.rules
        for rule in rules:
            for value in values_of(rule, modulus):
                owned[value] = owner_of(rule, value)
        return tuple(owned)

    def shares(self) -> dict[str, Fraction]:
        """The part of the values that ends with each mark."""
        owners = self.owners()
        return {mark: Fraction(count, len(owners)) for mark, count in Counter(owners).items() if mark is not None}


def stream_groups(router: Router) -> tuple[StreamGroup, ...]:
    """All groups, in the order of their first rules."""
    found: dict[object, list[int]] = {}
    for index, rule in enumerate(router.mangle):
        classifier = classifier_of(rule)
        kind = kind_of(rule)
        if classifier is not None and kind is not None:
            key = (rule.chain, rule.families, classifier, kind, conditions_of(rule))
            found.setdefault(key, []).append(index)
    return tuple(_group(router.mangle, indices) for indices in found.values())


def _group(mangle: tuple[MangleRule, ...], indices: list[int]) -> StreamGroup:
    rules = tuple(mangle[index] for index in indices)
    first = rules[0]
    classifier, kind = classifier_of(first), kind_of(first)
    assert classifier is not None
    assert kind is not None
    conditions = conditions_of(first)
    rest = next(_catching(mangle[indices[-1] + 1 :], first, kind, conditions), None)
    return StreamGroup(first.chain, classifier, kind, conditions, rules, rest)


def _catching(
    later: Iterable[MangleRule], first: MangleRule, kind: MarkKind, conditions: Collection[Matcher]
) -> Iterator[MangleRule]:
    """Later rules that mark everything that `first` and its like look at, without a classifier."""
    for rule in later:
        same_place = rule.chain == first.chain and set(rule.families) >= set(first.families)
        plain = isinstance(rule.action, MarkAction) and rule.action.kind is kind
        if same_place and plain and all(matcher in conditions for matcher in rule.matchers):
            yield rule


def classifier_of(rule: MangleRule) -> Classifier | None:
    """The classifier that a rule divides by; None if it does not, or by several, or by chance, too."""
    if has_chance(rule):
        return None
    if isinstance(rule.action, SpreadAction):
        return rule.action.classifier
    found = [matcher for matcher in rule.matchers if isinstance(matcher, PccMatch)]
    return found[0].classifier if len(found) == 1 else None


def kind_of(rule: MangleRule) -> MarkKind | None:
    """The kind of mark that a rule sets, None if it sets none."""
    if isinstance(rule.action, SpreadAction):
        return MarkKind.CONNECTION
    return rule.action.kind if isinstance(rule.action, MarkAction) else None


def conditions_of(rule: MangleRule) -> frozenset[Matcher]:
    """What a rule asks for besides the classifier."""
    return frozenset(matcher for matcher in rule.matchers if not isinstance(matcher, PccMatch))


def pcc_of(rule: MangleRule) -> PccMatch | None:
    """The classifier's matcher of a rule, None for a spread."""
    return next((matcher for matcher in rule.matchers if isinstance(matcher, PccMatch)), None)


def denominator_of(rule: MangleRule) -> int:
    """How many streams a rule divides into."""
    pcc = pcc_of(rule)
    if pcc is not None:
        return pcc.denominator
    assert isinstance(rule.action, SpreadAction)
    return len(rule.action.owners)


def never_matches(rule: MangleRule) -> bool:
    """Whether its remainder is too large for its denominator."""
    pcc = pcc_of(rule)
    return pcc is not None and pcc.remainder >= pcc.denominator and not pcc.negated


def values_of(rule: MangleRule, modulus: int) -> Iterable[int]:
    """The values below `modulus`, a multiple of its denominator, that a rule takes."""
    pcc = pcc_of(rule)
    if pcc is None:
        assert isinstance(rule.action, SpreadAction)
        owners = rule.action.owners
        return (value for value in range(modulus) if owners[value % len(owners)] is not None)
    if never_matches(rule):
        return ()
    if not pcc.negated:
        return range(pcc.remainder, modulus, pcc.denominator)
    return (value for value in range(modulus) if value % pcc.denominator != pcc.remainder)


def owner_of(rule: MangleRule, value: int) -> str | None:
    """The mark that a rule gives to a value that it takes."""
    if isinstance(rule.action, SpreadAction):
        return rule.action.owners[value % len(rule.action.owners)]
    return _mark_of(rule)


def _mark_of(rule: MangleRule) -> str | None:
    return rule.action.mark if isinstance(rule.action, MarkAction) else None


def _goes_on(rule: MangleRule) -> bool:
    return isinstance(rule.action, MarkAction | SpreadAction) and rule.action.passthrough
