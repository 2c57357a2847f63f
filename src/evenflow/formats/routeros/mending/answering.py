"""Mends of answers: to connections that come in by an uplink, from the router and from hosts behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.lint.interfaces import is_only_a_gateway
from evenflow.core.streams import stream_groups
from evenflow.core.uplinks import default_routes, routing_marks
from evenflow.formats.routeros.mending.edits import AddCommand, Place, SetProperty
from evenflow.formats.routeros.mending.script import NOT_ALONE, PLACEHOLDER, Decision, Way
from evenflow.formats.routeros.writing.rules import mangle_commands
from evenflow.model.flow import ConnectionState
from evenflow.model.matcher import InInterface, InInterfaceList, MarkKind, MarkMatch, StateMatch
from evenflow.model.router import MAIN_TABLE, MangleRule, MarkAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.uplinks import RouterUplink
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding

_NEW = (MarkMatch(MarkKind.CONNECTION, None), StateMatch(frozenset((ConnectionState.NEW,))))

_UNMARKED, _FIRST = ("connection-mark", "no-mark"), ("connection-state", "new")


def _uplink(script: Script, finding: Finding) -> RouterUplink | None:
    return next((uplink for uplink in script.uplinks if uplink.origin == finding.where), None)


def inbound_not_marked(script: Script, finding: Finding) -> Way | Decision:
    """`inbound-not-marked`: the rules of `input` for prerouting, or new ones before the classifier; for all uplinks."""
    uplink = _uplink(script, finding)
    in_input = [rule for each in script.uplinks for rule in _marking_inbound(each, script) if rule.chain == "input"]
    if in_input and script.can_edit(*in_input):
        changed = [SetProperty(rule.origin.line, "chain", "prerouting") for rule in in_input]
        # What comes in by an uplink in prerouting are also answers to local hosts, whose connections have marks.
        lax = [rule for rule in in_input if not _asks_for_state(rule) and not _asks_for_mark(rule)]
        changed += [SetProperty(rule.origin.line, *said) for rule in lax for said in (_UNMARKED, _FIRST)]
        return Way("what comes in by an uplink is marked in prerouting, where port forwards pass, too", tuple(changed))
    place = _before_the_classifier(script)
    if uplink is None or place is None or _mark_of(uplink, script) is None:
        return Decision(
            "which mark leads to the uplink does not follow from the file: it takes rules that route by one"
        )
    unmarked = [each for each in script.uplinks if not list(_marking_inbound(each, script))]
    if any(each.interface is not None and is_only_a_gateway(each.interface, script.router) for each in unmarked):
        return PLACEHOLDER
    commands = mangle_commands(rule for each in unmarked for rule in _inbound_rule(each, script))
    edits = tuple(AddCommand(command, Place(place.origin.line)) for command in commands)
    return Way("connections that come in by an uplink get the mark that leads back to it", edits)


def _asks_for_state(rule: MangleRule) -> bool:
    return any(isinstance(m, StateMatch) for m in rule.matchers)


def _asks_for_mark(rule: MangleRule) -> bool:
    return any(isinstance(m, MarkMatch) and m.kind is MarkKind.CONNECTION for m in rule.matchers)


def _inbound_rule(uplink: RouterUplink, script: Script) -> Iterator[MangleRule]:
    """The rule that marks what comes in by an uplink, where its mark is certain."""
    mark, place = _mark_of(uplink, script), _before_the_classifier(script)
    if mark is not None and uplink.interface is not None and place is not None:
        asked = (InInterface(uplink.interface), *_NEW)
        yield MangleRule("prerouting", asked, MarkAction(MarkKind.CONNECTION, mark), place.families)


def _before_the_classifier(script: Script) -> MangleRule | None:
    """The first rule of prerouting by which connections come to be divided."""
    gates = _gates(script)
    first = min(gates, key=script.router.mangle.index) if gates else None
    return first if first is not None and script.can_edit(first) else None


def _gates(script: Script) -> list[MangleRule]:
    """The rules of prerouting by which connections come to be divided."""
    gates = (script.gate(rule) for group in stream_groups(script.router) for rule in group.rules)
    return [gate for gate in gates if gate is not None]


def _mark_of(uplink: RouterUplink, script: Script) -> str | None:
    """The one mark that leads to an uplink; of several the one that the classifier sets."""
    divided = {mark for group in stream_groups(script.router) for mark in group.shares()}
    for marks in (uplink.connection_marks, tuple(mark for mark in uplink.connection_marks if mark in divided)):
        if len(marks) == 1:
            return marks[0]
    return None


def _marking_inbound(uplink: RouterUplink, script: Script) -> Iterator[MangleRule]:
    """The rules that mark connections by the interface of an uplink."""
    members = {known.name: known.members for known in script.router.interface_lists}
    for rule in script.router.mangle:
        if not isinstance(rule.action, MarkAction) or rule.action.kind is not MarkKind.CONNECTION:
            continue
        for matcher in rule.matchers:
            if isinstance(matcher, InInterface) and not matcher.negated and matcher.interface == uplink.interface:
                yield rule
            if isinstance(matcher, InInterfaceList) and list(members.get(matcher.list_name, ())) == [uplink.interface]:
                yield rule


def output_not_routed(script: Script, finding: Finding) -> Way | Decision:
    """`output-not-routed`: a rule in output for each mark that connections get that come in by an uplink."""
    uplink = _uplink(script, finding)
    rules = [rule for rule in script.router.mangle if script.can_edit(rule)]
    if not any(route.table == MAIN_TABLE and route.destination.version == 4 for route in default_routes(script.router)):
        return Decision("main has no default route, by which the router looks first; which one it gets is yours to say")
    if uplink is None or not list(_marking_inbound(uplink, script)) or not rules:
        return NOT_ALONE
    last = next((rule for rule in reversed(rules) if rule.chain == "output"), rules[-1])
    routing = routing_marks(script.router)
    routed = {m for rule in script.router.mangle if rule.chain == "output" for m in rule.matchers}
    new = []
    for each in script.uplinks:
        for rule in _marking_inbound(each, script):
            mark = _mark_set(rule)
            asked, to = MarkMatch(MarkKind.CONNECTION, mark), routing.get(mark or "") or each.table
            if mark is not None and to is not None and asked not in routed:
                new.append(MangleRule("output", (asked,), MarkAction(MarkKind.ROUTING, to, False), last.families))
    place = Place(last.origin.line, behind=True)
    edits = tuple(AddCommand(command, place) for command in mangle_commands(dict.fromkeys(new)))
    return Way("the router's own answers leave by the uplink that the connection came in by", edits)


def answers_marked_anew(script: Script, finding: Finding) -> Way | Decision:
    """`answers-marked-anew`: the rules of the classifier take only packets of unmarked, or of new, connections."""
    rule = script.rule(finding.where.line)
    group = next((group for group in stream_groups(script.router) if rule in group.rules), None)
    if group is None:
        return Decision("no classifier marks them, and what else divides connections is counted otherwise by that")
    if not script.can_edit(*group.rules):
        return NOT_ALONE
    wanted = _keeping_answers_out(group.rules[0], script)
    edits = tuple(SetProperty(each.origin.line, *said) for each in group.rules for said in _missing(each, wanted))
    if not edits:
        return Decision("it asks for marks or states already; see which of them an answer has")
    which = " ".join(dict.fromkeys(f"{edit.name}={edit.value}" for edit in edits))
    return Way(f"only packets with {which} are divided", edits)


_Said = tuple[str, str]


def _keeping_answers_out(first: MangleRule, script: Script) -> tuple[_Said, ...]:
    """What keeps answers out of a classifier, and nothing else; `first` is its first rule."""
    if _marked_before(first, script):
        return (_FIRST,)  # with no-mark, connections that have another mark would not be divided any more
    inbound = (_marking_inbound(uplink, script) for uplink in script.uplinks)
    if all(any(rule.chain == "prerouting" for rule in rules) for rules in inbound):
        return (_UNMARKED,)
    return (_UNMARKED, _FIRST)  # to some of the answers no-mark applies


def _missing(rule: MangleRule, wanted: tuple[_Said, ...]) -> list[_Said]:
    asked = {_UNMARKED: _asks_for_mark(rule), _FIRST: _asks_for_state(rule)}
    return [said for said in ((_FIRST,) if asked[_UNMARKED] else wanted) if not asked[said]]


def _marked_before(rule: MangleRule, script: Script) -> bool:
    """Whether an earlier rule marks connections that do not come in by an uplink."""
    inbound = [one for uplink in script.uplinks for one in _marking_inbound(uplink, script)]
    return any(
        isinstance(one.action, MarkAction) and one.action.kind is MarkKind.CONNECTION and one not in inbound
        for one in script.router.mangle[: script.router.mangle.index(rule)]
        if one.chain in ("prerouting", rule.chain)
    )


def forward_not_routed(script: Script, _: Finding) -> Way | Decision:
    """`forward-not-routed`: rules that turn a mark into a way do so for all packets; where there are none, new ones."""
    marks = {mark for uplink in script.uplinks for mark in uplink.connection_marks}
    limited = [
        rule
        for rule in script.router.mangle
        if rule.chain == "prerouting" and _routes(rule)
        if any(isinstance(m, MarkMatch) and m.mark in marks and not m.negated for m in rule.matchers)
        if any(isinstance(m, StateMatch) for m in rule.matchers)
    ]
    if not limited:
        return _routing_answers(script)
    if not script.can_edit(*limited):
        return NOT_ALONE
    edits = tuple(SetProperty(rule.origin.line, "connection-state", None) for rule in limited)
    return Way("all packets of a mark get its routing mark, not only the first", edits)


def _routing_answers(script: Script) -> Way | Decision:
    """Rules for marks of what comes in by an uplink that packets from the local interfaces get no way for."""
    local = [
        gate for gate in _gates(script) if any(isinstance(m, InInterface | InInterfaceList) for m in gate.matchers)
    ]
    before = [rule for rule in script.router.mangle if rule.chain == "prerouting" and _routes(rule)]
    if not local or not before or not script.can_edit(before[-1]):
        return Decision("no rule gives packets of that mark from the local interfaces a routing mark; add one")
    who = dict.fromkeys(
        tuple(m for m in gate.matchers if isinstance(m, InInterface | InInterfaceList)) for gate in local
    )
    routing = routing_marks(script.router)
    routed = {m for rule in before for m in rule.matchers}
    new: list[MangleRule] = []
    for uplink in script.uplinks:
        for mark in (m for m in map(_mark_set, _marking_inbound(uplink, script)) if m is not None):
            asked, to = MarkMatch(MarkKind.CONNECTION, mark), routing.get(mark) or uplink.table
            if to is not None and asked not in routed:
                action = MarkAction(MarkKind.ROUTING, to, False)
                new += [MangleRule("prerouting", (asked, *whose), action, before[-1].families) for whose in who]
    place = Place(before[-1].origin.line, behind=True)
    edits = tuple(AddCommand(command, place) for command in mangle_commands(dict.fromkeys(new)))
    return Way("answers of local hosts leave by the uplink that the connection came in by", edits)


def _routes(rule: MangleRule) -> bool:
    return isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.ROUTING


def _mark_set(rule: MangleRule) -> str | None:
    return rule.action.mark if isinstance(rule.action, MarkAction) else None
