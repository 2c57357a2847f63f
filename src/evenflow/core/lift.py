"""Lifting: from a router that somebody wrote as a script to the policy that means the same.

Who is balanced, by which classifier, among which uplinks, with which weights: that is taken from what the rules add up
to, not from how they are written. Every rule, route and NAT rule that is no part of it is told of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from evenflow.core.lift_lan import lan_of
from evenflow.core.lift_rest import Recognised, left_over
from evenflow.core.lift_uplinks import LiftedUplink, about_checks, lifted_uplinks
from evenflow.core.rule_words import condition
from evenflow.core.streams import StreamGroup, stream_groups
from evenflow.core.uplinks import routing_marks, table_of
from evenflow.model.finding import Finding, Origin, error, has_errors, warning
from evenflow.model.matcher import (
    AddressType,
    AddressTypeMatch,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    StateMatch,
)
from evenflow.model.policy import Balance, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evenflow.model.matcher import Classifier, Matcher
    from evenflow.model.router import Router


@dataclass(frozen=True, slots=True)
class Lifted:
    """The policy, None where there is none to be seen in the router, and what there is to say."""

    policy: Policy | None
    findings: tuple[Finding, ...] = ()


def lift(router: Router) -> Lifted:
    """The policy that a router carries out, as far as one can say it."""
    uplinks = lifted_uplinks(router)
    spreads = _spreads(router, uplinks)
    if not spreads:
        what = (
            "no PCC rules divide connections among uplinks here, so there is nothing to make a policy of; "
            "write one by hand (docs/policy.md)"
        )
        return Lifted(None, (error("nothing-to-lift", Origin(router.file), what),))
    main, *others = spreads
    groups = tuple(group for spread in spreads for group in spread.groups)
    lan = lan_of(router, groups, frozenset(uplink.interface for uplink in uplinks))
    weights = _whole([main.shares.get(uplink.name, Fraction(0)) for uplink in uplinks])
    policy = Policy(
        lan.interfaces,
        tuple(uplink.uplink for uplink in uplinks if uplink.uplink is not None),
        Balance(
            main.classifier,
            tuple((uplink.name, weight) for uplink, weight in zip(uplinks, weights, strict=True)),
            origin=main.groups[0].rules[0].origin,
        ),
        file=router.file,
    )
    findings = [*(finding for uplink in uplinks for finding in uplink.findings), *lan.findings]
    findings += about_checks(router, uplinks)
    findings += [finding for spread in others for finding in _second(spread)]
    findings += _narrower(main, lan.said_by)
    findings += left_over(router, _recognised(router, groups, uplinks, lan.interfaces))
    ordered = tuple(sorted(findings, key=lambda finding: finding.where.line))
    return Lifted(None if has_errors(ordered) else policy, ordered)


# --- spreads ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spread:
    """Groups of rules that divide connections in the same way: by classifier, and with shares by uplink's name."""

    classifier: Classifier
    shares: Mapping[str, Fraction]
    groups: tuple[StreamGroup, ...]


def _spreads(router: Router, uplinks: Sequence[LiftedUplink]) -> list[_Spread]:
    """Those with the most rules first."""
    routing = routing_marks(router)
    by_table = {table: uplink.name for uplink in uplinks for table in uplink.tables}
    found: dict[object, list[StreamGroup]] = {}
    shares_of: dict[object, dict[str, Fraction]] = {}
    for group in stream_groups(router):
        shares: dict[str, Fraction] = {}
        for mark, share in group.shares().items():
            routing_mark = mark if group.kind is MarkKind.ROUTING else routing.get(mark)
            name = by_table.get(table_of(routing_mark, router)) if routing_mark is not None else None
            if name is not None:
                shares[name] = shares.get(name, Fraction(0)) + share
        if shares and group.kind is not MarkKind.PACKET:
            same = (group.classifier, frozenset(shares.items()))
            found.setdefault(same, []).append(group)
            shares_of[same] = shares
    spreads = [_Spread(groups[0].classifier, shares_of[same], tuple(groups)) for same, groups in found.items()]
    return sorted(spreads, key=lambda spread: -sum(len(group.rules) for group in spread.groups))


def _whole(shares: Sequence[Fraction]) -> list[int]:
    """Shares as whole numbers in lowest terms."""
    scale = math.lcm(*(share.denominator for share in shares))
    numbers = [int(share * scale) for share in shares]
    divisor = math.gcd(*numbers)
    return [number // divisor for number in numbers]


def _second(spread: _Spread) -> Iterator[Finding]:
    for group in spread.groups:
        what = (
            f"these {len(group.rules)} rules divide by {group.classifier.value} otherwise than most do, and a policy "
            "has one spread; what they balance is balanced as the rest"
        )
        yield warning("second-spread", group.rules[0].origin, what)


def _narrower(spread: _Spread, said_by: frozenset[Matcher]) -> Iterator[Finding]:
    """Conditions that make a spread take fewer connections than a policy's."""
    for group in spread.groups:
        narrow = [matcher for matcher in group.conditions if matcher not in said_by and not _of_any_spread(matcher)]
        if narrow:
            asked = " ".join(sorted(condition(matcher) for matcher in narrow))
            what = f"the rules balance only {asked}; a policy balances every new connection of the LAN"
            yield warning("condition-left", group.rules[0].origin, what)


def _of_any_spread(matcher: Matcher) -> bool:
    """Conditions that a policy's spread has, or that say nothing beside them."""
    match matcher:
        case MarkMatch(_, None, False) | StateMatch() | InInterface() | InInterfaceList():
            return True
        case AddressTypeMatch(Direction.DESTINATION, types, True):
            return types == frozenset({AddressType.LOCAL})
    return False


def _recognised(
    router: Router, groups: Sequence[StreamGroup], uplinks: Sequence[LiftedUplink], lan: tuple[str, ...]
) -> Recognised:
    rules = {rule for group in groups for rule in (*group.rules, *((group.rest,) if group.rest is not None else ()))}
    tables = {table for uplink in uplinks for table in uplink.tables}
    return Recognised(
        frozenset(uplink.interface for uplink in uplinks),
        frozenset(lan),
        frozenset(mark for uplink in uplinks for mark in uplink.connection_marks),
        frozenset(mark for mark in routing_marks(router).values() if table_of(mark, router) in tables) | tables,
        frozenset(tables),
        frozenset(rules),
        frozenset(group.chain for group in groups),
    )
