"""Remainders that no rule takes, or two."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from evenflow.core.pcc import MODULUS_LIMIT
from evenflow.core.streams import (
    classifier_of,
    conditions_of,
    denominator_of,
    never_matches,
    pcc_of,
    stream_groups,
    values_of,
)
from evenflow.model.finding import Finding, warning
from evenflow.model.flow import ConnectionState
from evenflow.model.matcher import InInterface, InInterfaceList, MarkKind, MarkMatch, StateMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.streams import StreamGroup
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule, Router

#: How many remainders a message names.
_NAMED = 5


def classifier_findings(router: Router) -> Iterator[Finding]:
    """Findings of code `pcc-remainder`. A remainder that is too large is the reader's to tell."""
    told: set[object] = set()
    for group in stream_groups(router):
        if group.modulus > MODULUS_LIMIT:
            continue
        yield from _taken_twice(group)
        alike = (group.chain, group.classifier, group.rules[0].families, _loosely(group.conditions))
        if alike not in told:
            told.add(alike)
            yield from _missing(group, router)


#: What the first packet of a connection is, whether or not a rule asks for it.
_OF_FIRST_PACKETS = (MarkMatch(MarkKind.CONNECTION, None), StateMatch(frozenset({ConnectionState.NEW})))


def _loosely(conditions: frozenset[Matcher]) -> frozenset[Matcher]:
    """Conditions without those that rules of one division may differ in.

    `in-interface=!X`: one rule for all but X and one for all but Y belong together. So do rules of which only some ask
    for no mark or a new connection: they divide the same first packets.
    """
    return frozenset(
        c
        for c in conditions
        if c not in _OF_FIRST_PACKETS and not (isinstance(c, InInterface | InInterfaceList) and c.negated)
    )


def _missing(group: StreamGroup, router: Router) -> Iterator[Finding]:
    """Values that no rule of the chain takes, whatever it does with them."""
    if group.rest is not None or any(never_matches(rule) for rule in group.rules):
        return
    modulus = group.modulus
    taken: set[int] = set()
    for rule in router.mangle:
        same = rule.chain == group.chain and classifier_of(rule) is group.classifier
        if same and _loosely(conditions_of(rule)) == _loosely(group.conditions):
            if modulus % denominator_of(rule):
                return  # denominators that only this check has brought together
            taken.update(values_of(rule, modulus))
    left = sorted(set(range(modulus)) - taken)
    if left:
        named = ", ".join(str(value) for value in left[:_NAMED]) + (", …" if len(left) > _NAMED else "")
        remainders = "remainder" if len(left) == 1 else "remainders"
        yield warning(
            "pcc-remainder",
            group.rules[0].origin,
            f"{group.classifier.value}:{modulus}: no rule takes {remainders} {named}, so "
            f"{Fraction(len(left), modulus)} of these connections get no mark here; add a rule for each",
        )


def _taken_twice(group: StreamGroup) -> Iterator[Finding]:
    """Rules that take what an earlier one of the group has taken."""
    modulus = group.modulus
    taken_by: dict[int, MangleRule] = {}
    for rule in group.rules:
        values = list(values_of(rule, modulus))
        earlier = next((taken_by[value] for value in values if value in taken_by), None)
        if earlier is not None:
            yield warning("pcc-remainder", rule.origin, _twice(group, rule, earlier))
        for value in values:
            taken_by.setdefault(value, rule)


def _twice(group: StreamGroup, rule: MangleRule, earlier: MangleRule) -> str:
    who = f"the rule in line {earlier.origin.line}" if earlier.origin.line else "an earlier rule"
    which = "the earlier one decides" if group.first_wins else "this one decides"
    if denominator_of(rule) == denominator_of(earlier):
        pcc = pcc_of(rule)
        what = f"remainder {pcc.remainder}" if pcc is not None else "a remainder"
        return (
            f"{group.classifier.value}:{denominator_of(rule)}: {what} is taken by {who} already, and {which}; "
            "give each remainder to one rule"
        )
    return (
        f"{group.classifier.value}: denominators {denominator_of(earlier)} ({who}) and {denominator_of(rule)} divide "
        f"the same connections, some fall to both, and {which}; use one denominator"
    )
