"""Mends of marks: never set, never turned into a way, set too late; and of the tables that they lead to."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from evenflow.core.conditions import conditions
from evenflow.core.spelling import meant
from evenflow.core.streams import stream_groups
from evenflow.core.uplinks import default_routes, routing_marks, table_of
from evenflow.formats.routeros.mending.edits import AddCommand, MoveCommand, Place, SetProperty
from evenflow.formats.routeros.mending.script import NOT_ALONE, Decision, Way
from evenflow.formats.routeros.mending.tables import (
    NewRoute,
    copied,
    free_tables,
    is_of_seven,
    selects_routes_by_comment,
    table_property,
)
from evenflow.formats.routeros.version import version_of
from evenflow.formats.routeros.writing.rules import mangle_commands
from evenflow.formats.routeros.writing.words import Command
from evenflow.model.matcher import InInterface, InInterfaceList, MarkKind, MarkMatch
from evenflow.model.router import MAIN_TABLE, MangleRule, MarkAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.core.uplinks import RouterUplink
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding
    from evenflow.model.router import Route


# --- marks that are asked for --------------------------------------------------------------------------------------


def never_set(script: Script, finding: Finding) -> Way | Decision:
    """`mark-never-set`: a name that can only be a slip of one that is set."""
    edits = []
    for asked in conditions(script.router):
        matcher = asked.matcher
        if asked.origin != finding.where or not isinstance(matcher, MarkMatch) or matcher.mark is None:
            continue
        known = set(_marks_set(script, matcher.kind))
        name = None if matcher.mark in known else meant(matcher.mark, known)
        if name is not None:
            sign = "!" if matcher.negated else ""
            edits.append(SetProperty(finding.where.line, f"{matcher.kind.value}-mark", f"{sign}{name}"))
    if not edits:
        return Decision("no mark that is set, or more than one, has a name so near to it that this can only be a slip")
    return Way(f"the mark is called {edits[0].value}", tuple(edits))


def _marks_set(script: Script, kind: MarkKind) -> Iterator[str]:
    for rule in script.router.mangle:
        if isinstance(rule.action, MarkAction) and rule.action.kind is kind and rule.action.mark is not None:
            yield rule.action.mark


# --- from connection marks to routing marks ------------------------------------------------------------------------


def not_routed(script: Script, finding: Finding) -> Way | Decision:
    """`mark-not-routed`: the rules by which its siblings get their routing marks, once more for this one."""
    rule = script.rule(finding.where.line)
    mark = _connection_mark(rule)
    if rule is None or mark is None:
        return NOT_ALONE
    table = _table_for(mark, script)
    if table is None:
        return Decision(f"which table mark {mark} is to lead to does not follow from the file")
    siblings = [other for other in _marks_beside(rule, script) if _routing_rules(other, script)]
    if siblings:
        models = _routing_rules(siblings[0], script)
        if not script.can_edit(*models):
            return NOT_ALONE
        changes = (("connection-mark", mark), ("new-routing-mark", table), ("comment", None))
        last = {r.chain: r for other in siblings for r in _routing_rules(other, script)}
        edits = [copied(script, m.origin.line, changes, Place(last[m.chain].origin.line, behind=True)) for m in models]
        what = f"packets of mark {mark} get routing mark {table}, as those of {siblings[0]} get theirs"
        return NOT_ALONE if None in edits else Way(what, tuple(edit for edit in edits if edit is not None))
    return _first_routing_rule(rule, mark, table, script)


def _first_routing_rule(rule: MangleRule, mark: str, table: str, script: Script) -> Way | Decision:
    """A rule for the packets that the classifier looks at, behind all of its chain."""
    who = tuple(m for m in rule.matchers if isinstance(m, InInterface | InInterfaceList))
    if not who:
        why = "the classifier does not say which interfaces its packets come in by, and from an uplink's they must not"
        return Decision(f"{why} get a routing mark; add a mark-routing rule for those of the local interfaces")
    new = MangleRule(
        rule.chain, (*who, MarkMatch(MarkKind.CONNECTION, mark)), MarkAction(MarkKind.ROUTING, table), rule.families
    )
    last = [other for other in script.router.mangle if other.chain == rule.chain and script.can_edit(other)][-1]
    (command,) = mangle_commands((new,))
    what = f"packets of mark {mark} get routing mark {table}"
    return Way(what, (AddCommand(command, Place(last.origin.line, behind=True)),))


def _connection_mark(rule: MangleRule | None) -> str | None:
    """The connection mark that a rule sets."""
    if rule is None or not isinstance(rule.action, MarkAction) or rule.action.kind is not MarkKind.CONNECTION:
        return None
    return rule.action.mark


def _marks_beside(rule: MangleRule, script: Script) -> list[str]:
    """The other connection marks that the same classifier sets."""
    group = next((group for group in stream_groups(script.router) if rule in group.rules), None)
    marks = [_connection_mark(other) for other in group.rules] if group is not None else []
    return list(dict.fromkeys(mark for mark in marks if mark is not None and mark != _connection_mark(rule)))


def _routing_rules(mark: str, script: Script) -> list[MangleRule]:
    """The rules that give packets of a connection mark a routing mark."""
    asked = MarkMatch(MarkKind.CONNECTION, mark)
    return [rule for rule in script.router.mangle if _sets_routing(rule) and asked in rule.matchers]


def _sets_routing(rule: MangleRule) -> bool:
    return isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.ROUTING


def _table_for(mark: str, script: Script) -> str | None:
    """The table of the uplink whose incoming connections get that mark; else the only one that nothing leads to."""
    interfaces = {
        matcher.interface
        for rule in script.router.mangle
        for matcher in rule.matchers
        if isinstance(matcher, InInterface) and not matcher.negated and _connection_mark(rule) == mark
    }
    own = {uplink.table for uplink in script.uplinks if uplink.interface in interfaces}
    if len(own) == 1:
        return own.pop()
    free = free_tables(script)
    named = [table for table in free if table.casefold() in mark.casefold()]
    if len(named) == 1:
        return named[0]
    routed = routing_marks(script.router)
    unrouted = {m for group in stream_groups(script.router) for m in group.shares() if m not in routed}
    return free[0] if len(free) == 1 and unrouted == {mark} else None


# --- order ---------------------------------------------------------------------------------------------------------


def marked_too_late(script: Script, finding: Finding) -> Way | Decision:
    """`marked-too-late`: rules that set routing marks come behind those that mark connections; and are come to."""
    rule = script.rule(finding.where.line)
    if rule is None:
        return NOT_ALONE
    routing = [other for other in script.router.mangle if other.chain == rule.chain and _routes_a_mark(other)]
    marks = {mark for other in routing for mark in _asked(other)}
    marking = [
        other for other in script.router.mangle if other.chain == rule.chain and _connection_mark(other) in marks
    ]
    if not marking or not script.can_edit(*routing, *marking):
        return NOT_ALONE
    last = marking[-1]
    mangle = script.router.mangle
    early = [other for other in routing if mangle.index(other) < mangle.index(last)]
    stopping = [other for other in marking if isinstance(other.action, MarkAction) and not other.action.passthrough]
    moves = [MoveCommand(other.origin.line, Place(last.origin.line, behind=True)) for other in early]
    opened = [SetProperty(other.origin.line, "passthrough", "yes") for other in stopping]
    if not moves and not opened:
        return Decision("the order of the rules is right; see what takes the first packets before them")
    what = "rules that set routing marks come behind those that mark connections"
    return Way(what if moves else "rules that mark connections let their packets go on", (*moves, *opened))


def _routes_a_mark(rule: MangleRule) -> bool:
    return _sets_routing(rule) and bool(_asked(rule))


def _asked(rule: MangleRule) -> list[str]:
    """The connection marks that a rule asks for."""
    asked = (m for m in rule.matchers if isinstance(m, MarkMatch) and m.kind is MarkKind.CONNECTION and not m.negated)
    return [matcher.mark for matcher in asked if matcher.mark is not None]


# --- tables --------------------------------------------------------------------------------------------------------


def without_route(script: Script, finding: Finding) -> Way | Decision:
    """`routing-mark-without-route`: a misspelt mark, or a table whose only possible route is told by main."""
    rule = script.rule(finding.where.line)
    mark = rule.action.mark if rule is not None and isinstance(rule.action, MarkAction) else None
    if mark is None:
        return NOT_ALONE
    filled = {route.table for route in default_routes(script.router)} - {MAIN_TABLE}
    name = meant(mark, filled)
    setting = [other for other in script.router.mangle if _sets_routing(other) and _mark_of(other) == mark]
    if name is not None:
        if not script.can_edit(*setting):
            return NOT_ALONE
        edits = tuple(SetProperty(other.origin.line, "new-routing-mark", name) for other in setting)
        return Way(f"the table is called {name}", edits)
    return _only_route(mark, setting, script)


def _only_route(mark: str, setting: Iterable[MangleRule], script: Script) -> Way | Decision:
    """A default route by the gateway that connections of that mark come in by, or that no other table has first."""
    asked = set(chain.from_iterable(_asked(rule) for rule in setting))
    inbound = {
        matcher.interface
        for rule in script.router.mangle
        if _connection_mark(rule) in asked
        for matcher in rule.matchers
        if isinstance(matcher, InInterface) and not matcher.negated
    }
    fitting = [uplink for uplink in script.uplinks if uplink.interface in inbound]
    fitting = fitting or [uplink for uplink in script.uplinks if uplink.table is None]
    models = _models(script, fitting[0]) if len(fitting) == 1 else ()
    new = NewRoute(models, mark, 1)
    if not models or not all(route.origin.line in script.commands for route in models):
        table = table_of(mark, script.router)
        proposal = f"/ip route add dst-address=0.0.0.0/0 gateway=GATEWAY {table_property(script)}={table}"
        return Decision(
            f"by which gateway packets of mark {mark} are to leave does not follow from the file", (proposal,)
        )
    if new.is_learnt(script):
        why = f"the gateway of {fitting[0].name} is learnt by DHCP, so no route by its address lasts"
        return Decision(why, new.proposal(script))
    if selects_routes_by_comment(script):
        why = "scripts of the file find routes by their comments; which are to find this one is yours to say"
        return Decision(why, new.proposal(script))
    edit = new.edit(script, Place(new.model(script).origin.line, behind=True))
    return NOT_ALONE if edit is None else Way(f"table {mark} has a default route by {fitting[0].name}", (edit,))


def _models(script: Script, uplink: RouterUplink) -> tuple[Route, ...]:
    """The default routes of main by an uplink."""
    return tuple(
        route
        for route in default_routes(script.router)
        if route.table == MAIN_TABLE and set(route.gateways) <= set(uplink.gateways)
    )


def _mark_of(rule: MangleRule) -> str | None:
    return rule.action.mark if isinstance(rule.action, MarkAction) else None


def table_undeclared(script: Script, finding: Finding) -> Way | Decision:
    """`table-undeclared`: declared before it is used; but RouterOS 6 makes tables by itself, and knows no such menu."""
    declared = {table.name for table in script.router.tables} | {MAIN_TABLE}
    using = [
        *(route.table for route in script.router.routes if route.origin == finding.where),
        *(_mark_of(rule) for rule in script.router.mangle if rule.origin == finding.where and _sets_routing(rule)),
        *(rule.table for rule in script.router.rules if rule.origin == finding.where),
    ]
    missing = [table for table in dict.fromkeys(using) if table is not None and table not in declared]
    version = version_of(script.statements)
    if not missing or (version.major < 7 if version is not None else not is_of_seven(script)):
        return Decision("whether the router runs RouterOS 7, where tables are declared, does not follow from the file")
    place = _place_for_table(script, finding.where.line)
    if place is None:
        return NOT_ALONE
    menu = ("routing", "table")
    edits = tuple(AddCommand(Command(menu, (("name", name),), ("fib",)), place) for name in missing)
    return Way(f"table {', '.join(missing)} is declared", edits)


def _place_for_table(script: Script, line: int) -> Place | None:
    """Behind the last declaration above the line, else before the command there."""
    above = [n for n, command in script.commands.items() if command.menu == ("routing", "table") and n < line]
    if above:
        return Place(max(above), behind=True)
    return Place(line) if line in script.commands else None
