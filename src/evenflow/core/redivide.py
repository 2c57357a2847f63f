"""A script's router with another classifier or other weights: what its rules would do if written otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.core.buckets import home
from evenflow.core.fold import fold
from evenflow.core.streams import stream_groups
from evenflow.model.finding import Origin, error
from evenflow.model.matcher import MarkKind, PccMatch
from evenflow.model.router import SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.finding import Finding
    from evenflow.model.matcher import Classifier
    from evenflow.model.router import MangleRule, Router


def reclassify(router: Router, classifier: Classifier, known: Iterable[RouterUplink], option: str) -> Router | Finding:
    """The router with another classifier in all rules that divide connections among its uplinks (`known`).

    What speaks against it: there is no such rule.

    Rules that divide for something else, queues or servers, keep theirs.
    """
    marks = _marks(known)
    changed = {
        id(rule)
        for group in stream_groups(router)
        if group.kind is MarkKind.ROUTING or marks & group.shares().keys()
        for rule in group.rules
    }
    if not changed:
        why = "no rule of this script divides connections among its uplinks by a classifier, so there is none to change"
        return error("no-classifier", Origin(option), why)
    rules = (_with(rule, classifier) if id(rule) in changed else rule for rule in router.mangle)
    return replace(router, mangle=tuple(rules))


def _with(rule: MangleRule, classifier: Classifier) -> MangleRule:
    matchers = (replace(one, classifier=classifier) if isinstance(one, PccMatch) else one for one in rule.matchers)
    action = rule.action
    if isinstance(action, SpreadAction):
        action = replace(action, classifier=classifier)
    return replace(rule, matchers=tuple(matchers), action=action)


def reapportion(
    router: Router, weights: Mapping[str, int], known: Iterable[RouterUplink], option: str
) -> Router | Finding:
    """The router with streams in proportion to `weights`, by the names of its uplinks; or what speaks against it.

    All of its runs of PCC rules for these uplinks are changed; uplinks without a weight get nothing.
    """
    uplinks = list(known)
    names = [uplink.name for uplink in uplinks]
    unknown = [name for name in weights if name not in names]
    if unknown:
        return error("unknown-uplink", Origin(option), f"there is no uplink {unknown[0]}, only {', '.join(names)}")
    if not any(weights.values()):
        return error("no-weight", Origin(option), "all weights would be 0; leave one above")
    marks = _marks(uplinks)
    folded = fold(router).mangle
    changed = [_with_weights(rule, weights, uplinks, marks) for rule in folded]
    if not any(changed):
        why = "no run of this script's rules divides connections among all of its uplinks, so weights mean nothing here"
        return error("no-weights", Origin(option), why)
    return replace(router, mangle=tuple(new or rule for rule, new in zip(folded, changed, strict=True)))


def _with_weights(
    rule: MangleRule, weights: Mapping[str, int], uplinks: Iterable[RouterUplink], marks: set[str]
) -> MangleRule | None:
    """A spread with other owners; None for a rule that does not divide among the uplinks."""
    action = rule.action
    if not isinstance(action, SpreadAction) or not marks.intersection(filter(None, action.owners)):
        return None
    wanted = {_mark(uplink, action): weights.get(uplink.name, 0) for uplink in uplinks}
    by_mark = {mark: weight for mark, weight in wanted.items() if mark is not None and weight}
    return replace(rule, action=replace(action, owners=home(by_mark))) if by_mark else None


def _marks(known: Iterable[RouterUplink]) -> set[str]:
    return {mark for uplink in known for mark in uplink.connection_marks}


def _mark(uplink: RouterUplink, spread: SpreadAction) -> str | None:
    """The connection mark by which a spread sends to an uplink; the first that leads there if it sends nothing yet."""
    used = [mark for mark in uplink.connection_marks if mark in spread.owners]
    return next(iter([*used, *uplink.connection_marks]), None)
