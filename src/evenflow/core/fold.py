"""Folding: neighbouring PCC rules that differ only in remainder and mark become one spread, and back.

It never changes what happens to a packet. Of the rules that fold into one spread at most one matches any packet,
since they take different streams of the same hash, and nothing between them can change what the others match.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.core.draws import counting, has_chance
from evenflow.core.pcc import MODULUS_LIMIT
from evenflow.model.matcher import MarkKind, PccMatch
from evenflow.model.router import MangleRule, MarkAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Router


def fold(router: Router) -> Router:
    """The same router with each run of PCC rules as one spread."""
    return replace(router, mangle=tuple(_folded(router.mangle)))


def unfold(router: Router) -> Router:
    """The same router with each spread as one PCC rule for each stream that has an owner."""
    return replace(router, mangle=tuple(rule for spread in router.mangle for rule in _unfolded(spread)))


def _folded(rules: Iterable[MangleRule]) -> Iterator[MangleRule]:
    run: list[MangleRule] = []
    for rule in rules:
        if run and not _joins(run, rule):
            yield from _close(run)
            run = []
        if _streams_rule(rule) is None:
            yield rule
        else:
            run.append(rule)
    yield from _close(run)


def _streams_rule(rule: MangleRule) -> PccMatch | None:
    """The PCC matcher of a rule that can be part of a spread, else None."""
    found = [matcher for matcher in rule.matchers if isinstance(matcher, PccMatch)]
    action = rule.action
    marks = isinstance(action, MarkAction) and action.kind is MarkKind.CONNECTION and action.mark is not None
    if not marks or len(found) != 1 or has_chance(rule):
        return None  # each rule counts for itself
    (pcc,) = found
    return None if pcc.negated or pcc.remainder >= pcc.denominator else pcc


def _others(rule: MangleRule) -> frozenset[Matcher]:
    return frozenset(matcher for matcher in rule.matchers if not isinstance(matcher, PccMatch))


def _pcc(rule: MangleRule) -> PccMatch:
    pcc = _streams_rule(rule)
    assert pcc is not None
    return pcc


def _passthrough(rule: MangleRule) -> bool:
    assert isinstance(rule.action, MarkAction)
    return rule.action.passthrough


def _joins(run: list[MangleRule], rule: MangleRule) -> bool:
    """Whether `rule` takes other streams of the same hash under the same conditions as the rules of `run`."""
    first, pcc = run[0], _streams_rule(rule)
    if pcc is None:
        return False
    same = (
        rule.chain == first.chain
        and rule.families == first.families
        and pcc.classifier is _pcc(first).classifier
        and _passthrough(rule) == _passthrough(first)
        and _others(rule) == _others(first)
    )
    denominators = {_pcc(other).denominator for other in run} | {pcc.denominator}
    if not same or math.lcm(*denominators) > MODULUS_LIMIT:
        return False
    return all(_disjoint(pcc, _pcc(other)) for other in run)


def _disjoint(one: PccMatch, other: PccMatch) -> bool:
    """Whether no value is both: by the Chinese remainder theorem, when they differ modulo the common divisor."""
    return (one.remainder - other.remainder) % math.gcd(one.denominator, other.denominator) != 0


def _close(run: list[MangleRule]) -> Iterator[MangleRule]:
    """A run as one spread; a single rule stays as it is."""
    if len(run) < 2:
        yield from run
        return
    streams = math.lcm(*(_pcc(rule).denominator for rule in run))
    owners: list[str | None] = [None] * streams
    for rule in run:
        pcc = _pcc(rule)
        assert isinstance(rule.action, MarkAction)
        for stream in range(pcc.remainder, streams, pcc.denominator):
            owners[stream] = rule.action.mark
    first = run[0]
    yield MangleRule(
        first.chain,
        tuple(matcher for matcher in first.matchers if not isinstance(matcher, PccMatch)),
        SpreadAction(_pcc(first).classifier, tuple(owners), _passthrough(first)),
        first.families,
        first.comment,
        first.origin,
    )


def _unfolded(rule: MangleRule) -> Iterator[MangleRule]:
    spread = rule.action
    if not isinstance(spread, SpreadAction) or not any(spread.owners) or counting(rule):
        # One without any owner does nothing, but its denominators are part of what its hash is scaled to. One that
        # counts (no file can say that) has one counter for all of its streams.
        yield rule
        return
    for stream, owner in enumerate(spread.owners):
        if owner is not None:
            pcc = PccMatch(spread.classifier, len(spread.owners), stream)
            action = MarkAction(MarkKind.CONNECTION, owner, spread.passthrough)
            yield replace(rule, matchers=(*rule.matchers, pcc), action=action)
