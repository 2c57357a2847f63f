"""Rules that leave it to counters and chance which uplink a packet takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.draws import has_chance
from evenflow.model.finding import info, warning
from evenflow.model.flow import ConnectionState
from evenflow.model.matcher import MarkKind, MarkMatch, StateMatch
from evenflow.model.router import AcceptAction, JumpAction, MarkAction, ReturnAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Finding
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule, NatRule, Router

#: What a connection's first packet has, and no later one.
_FIRST = frozenset((ConnectionState.NEW, ConnectionState.RELATED))

_MEND = "mark the connection by it (connection-state=new), and set routing marks by the connection's mark"


def chance_findings(router: Router) -> Iterator[Finding]:
    """One that nobody can tell what such rules do, and one for each rule that draws for each packet anew."""
    rules: tuple[MangleRule | NatRule, ...] = (*router.mangle, *router.nat)
    left = [rule for rule in rules if has_chance(rule)]
    if left:
        who = "1 rule leaves" if len(left) == 1 else f"{len(left)} rules, from this one on, leave"
        what = f"{who} it to counters and chance (nth=, random=) which packets they take, so nobody can tell"
        mend = "per-connection-classifier= divides likewise, and the same client stays where it is"
        yield info("by-chance", left[0].origin, f"{what} where a connection goes; {mend}")
    for rule in router.mangle:
        if has_chance(rule) and _draws_for_each_packet(rule, router):
            what = "this rule draws for each packet anew, so that packets of one connection leave by different uplinks"
            yield warning("chance-per-packet", rule.origin, f"{what}; {_MEND}")


def _draws_for_each_packet(rule: MangleRule, router: Router) -> bool:
    """Whether a rule marks later packets of a connection, too, by what they draw themselves."""
    match rule.action:
        case MarkAction(MarkKind.ROUTING):
            return True
        case MarkAction(MarkKind.CONNECTION):
            return not _is_of_the_first(rule, router)
        case _:
            return False


def _is_of_the_first(rule: MangleRule, router: Router) -> bool:
    """Whether only first packets get to a rule, by its conditions, those of the jumps to it, or what ends before it."""
    if any(_lets_only_the_first_through(matcher) for matcher in rule.matchers):
        return True
    for other in router.mangle:
        if other is rule:
            break
        if other.chain == rule.chain and _ends_here(other) and any(map(_is_about_connections, other.matchers)):
            return True
    jumps = [r for r in router.mangle if isinstance(r.action, JumpAction) and r.action.chain == rule.chain]
    return bool(jumps) and all(any(map(_lets_only_the_first_through, jump.matchers)) for jump in jumps)


def _lets_only_the_first_through(matcher: Matcher) -> bool:
    match matcher:
        case StateMatch(states, False):
            return states <= _FIRST
        case MarkMatch(MarkKind.CONNECTION, None, False):
            return True
        case _:
            return False


def _is_about_connections(matcher: Matcher) -> bool:
    return isinstance(matcher, StateMatch) or (isinstance(matcher, MarkMatch) and matcher.kind is MarkKind.CONNECTION)


def _ends_here(rule: MangleRule) -> bool:
    ends = isinstance(rule.action, AcceptAction | ReturnAction)
    return ends or (isinstance(rule.action, MarkAction) and not rule.action.passthrough)
