"""Marks that lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.chance_groups import chance_groups
from evenflow.core.conditions import conditions
from evenflow.core.streams import StreamGroup, stream_groups
from evenflow.core.uplinks import table_of
from evenflow.model.finding import Finding, error, warning
from evenflow.model.matcher import MarkKind, MarkMatch, PccMatch
from evenflow.model.router import MAIN_TABLE, JumpAction, MarkAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.chance_groups import ChanceGroup
    from evenflow.model.finding import Origin
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule, Router


def mark_findings(router: Router) -> Iterator[Finding]:
    """Marks set and not used, used and not set, and tables that they lead to in vain."""
    yield from _not_routed(router)
    yield from _without_route(router)
    yield from _undeclared(router)
    yield from _never_set(router)


# --- connection marks that a classifier or chance sets -------------------------------------------------------------


def _not_routed(router: Router) -> Iterator[Finding]:
    told: set[str] = set()
    groups: tuple[StreamGroup | ChanceGroup, ...] = (*stream_groups(router), *chance_groups(router))
    for group in groups:
        if group.kind is not MarkKind.CONNECTION:
            continue
        for rule in group.rules:
            for mark in _marks_set(rule):
                if mark not in told and not _is_used(mark, router) and not _routed_beside(group, router):
                    told.add(mark)
                    yield error(
                        "mark-not-routed",
                        rule.origin,
                        f"connection mark {mark} is set here, but no rule turns it into a routing mark, so these "
                        f"connections leave by the main table; add a mark-routing rule for connection-mark={mark}",
                    )


def _marks_set(rule: MangleRule) -> tuple[str, ...]:
    """Connection marks that a rule sets."""
    if isinstance(rule.action, SpreadAction):
        return tuple(dict.fromkeys(owner for owner in rule.action.owners if owner is not None))
    if isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.CONNECTION and rule.action.mark is not None:
        return (rule.action.mark,)
    return ()


def _is_used(mark: str, router: Router) -> bool:
    """Whether the connection mark decides about something: a routing mark, a packet mark, a chain, a translation."""
    for rule in router.mangle:
        decides = isinstance(rule.action, JumpAction) or (
            isinstance(rule.action, MarkAction) and rule.action.kind is not MarkKind.CONNECTION
        )
        if decides and any(_asks_for(matcher, mark) for matcher in rule.matchers):
            return True
    return any(_asks_for(matcher, mark) for rule in router.nat for matcher in rule.matchers)


def _asks_for(matcher: Matcher, mark: str) -> bool:
    """Whether a matcher for connection marks lets this one through."""
    if not isinstance(matcher, MarkMatch) or matcher.kind is not MarkKind.CONNECTION:
        return False
    return (matcher.mark == mark) != matcher.negated


def _routed_beside(group: StreamGroup | ChanceGroup, router: Router) -> bool:
    """Whether the same streams get routing marks directly, by a classifier on `mark-routing`."""
    return isinstance(group, StreamGroup) and any(
        isinstance(rule.action, MarkAction)
        and rule.action.kind is MarkKind.ROUTING
        and any(isinstance(m, PccMatch) and m.classifier is group.classifier for m in rule.matchers)
        for rule in router.mangle
    )


# --- routing marks and tables --------------------------------------------------------------------------------------


def _routing_marks(router: Router) -> dict[str, Origin]:
    """Routing marks that rules set, with the first place of each; not main, which is always there."""
    found: dict[str, Origin] = {}
    for rule in router.mangle:
        action = rule.action
        if isinstance(action, MarkAction) and action.kind is MarkKind.ROUTING and action.mark not in (None, MAIN_TABLE):
            assert action.mark is not None
            found.setdefault(action.mark, rule.origin)
    return found


def _leads_nowhere(mark: str, router: Router) -> bool:
    """Whether no route and no rule answers to a routing mark, and no rule uses it as a label either."""
    table = table_of(mark, router)
    answered = table == MAIN_TABLE or any(route.table == table for route in router.routes)
    answered = answered or any(rule.routing_mark == mark and rule.table is None for rule in router.rules)
    label = MarkMatch(MarkKind.ROUTING, mark)
    return not answered and not any(label in rule.matchers for rule in router.mangle)


def _without_route(router: Router) -> Iterator[Finding]:
    for mark, origin in _routing_marks(router).items():
        if _leads_nowhere(mark, router):
            yield error(
                "routing-mark-without-route",
                origin,
                f"routing mark {mark} leads to table {table_of(mark, router)}, in which there is no route, so all "
                f"of it leaves by the main table; add a default route with routing-table={table_of(mark, router)}",
            )


def _undeclared(router: Router) -> Iterator[Finding]:
    declared = {table.name for table in router.tables} | {MAIN_TABLE}
    marks = _routing_marks(router)
    used = {mark: origin for mark, origin in marks.items() if table_of(mark, router) == mark}
    for route in router.routes:
        used.setdefault(route.table, route.origin)
    for rule in router.rules:
        if rule.table is not None:
            used.setdefault(rule.table, rule.origin)
    # Only RouterOS 7 knows declared tables, and it refuses what names another. Without any, it may be RouterOS 6.
    tell = error if router.tables else warning
    for table, origin in used.items():
        # One mistake, one finding: that nothing is in it says more.
        if table not in declared and not (table in marks and _leads_nowhere(table, router)):
            yield tell(
                "table-undeclared",
                origin,
                f"routing table {table} is never declared, and RouterOS 7 refuses what names it; "
                f"add /routing table add name={table} fib",
            )


# --- marks that are asked for --------------------------------------------------------------------------------------


def _never_set(router: Router) -> Iterator[Finding]:
    marks_set = {(MarkKind.CONNECTION, mark) for rule in router.mangle for mark in _marks_set(rule)}
    for rule in router.mangle:
        if isinstance(rule.action, MarkAction) and rule.action.mark is not None:
            marks_set.add((rule.action.kind, rule.action.mark))
    told = set()
    for condition in conditions(router):
        matcher = condition.matcher
        # Routing marks also come from elsewhere: a socket, a VRF.
        if not isinstance(matcher, MarkMatch) or matcher.mark is None or matcher.kind is MarkKind.ROUTING:
            continue
        asked = (matcher.kind, matcher.mark)
        if asked not in marks_set and asked not in told:
            told.add(asked)
            then = "always" if matcher.negated else "never"
            yield warning(
                "mark-never-set",
                condition.origin,
                f"{matcher.kind.value} mark {matcher.mark} is asked for here, but no rule sets it, so this "
                f"condition {then} holds; set the mark, or correct its name",
            )
