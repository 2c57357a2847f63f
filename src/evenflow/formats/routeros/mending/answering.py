"""Mends of answers: to connections that come in by an uplink, from the router and from hosts behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.streams import stream_groups
from evenflow.core.uplinks import routing_marks
from evenflow.formats.routeros.mending.edits import AddCommand, Place, SetProperty
from evenflow.formats.routeros.mending.script import Decision, Way
from evenflow.formats.routeros.mending.tables import own_table
from evenflow.formats.routeros.writing.rules import mangle_commands
from evenflow.model.flow import ConnectionState
from evenflow.model.matcher import InInterface, InInterfaceList, MarkKind, MarkMatch, StateMatch
from evenflow.model.router import MangleRule, MarkAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.uplinks import RouterUplink
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding

_NOT_ALONE = "its rules are made by a loop, or share their lines with others; edit them by hand"
_NEW = (MarkMatch(MarkKind.CONNECTION, None), StateMatch(frozenset((ConnectionState.NEW,))))


def _uplink(script: Script, finding: Finding) -> RouterUplink | None:
    return next((uplink for uplink in script.uplinks if uplink.origin == finding.where), None)


def inbound_not_marked(script: Script, finding: Finding) -> Way | Decision:
    """`inbound-not-marked`: the rules of `input` for prerouting, or one more before the classifier."""
    uplink = _uplink(script, finding)
    if uplink is None or uplink.interface is None:
        return Decision("which interface its connections come in by does not follow from the file")
    in_input = [rule for rule in _marking_inbound(uplink, script) if rule.chain == "input"]
    if in_input and script.can_edit(*in_input):
        edits = tuple(SetProperty(rule.origin.line, "chain", "prerouting") for rule in in_input)
        return Way(f"what comes in by {uplink.name} is marked in prerouting, where port forwards pass, too", edits)
    return _new_mark(uplink, script)


def _new_mark(uplink: RouterUplink, script: Script) -> Way | Decision:
    mark = _mark_of_uplink(uplink, script)
    gates = [script.gate(rule) for group in stream_groups(script.router) for rule in group.rules]
    places = [rule for rule in gates if rule is not None and script.can_edit(rule)]
    if mark is None or not places:
        why = f"which mark leads to {uplink.name} does not follow from the file"
        return Decision(f"{why}; it takes a mark of its own, and rules that route by it")
    assert uplink.interface is not None
    new = MangleRule(
        "prerouting", (InInterface(uplink.interface), *_NEW), MarkAction(MarkKind.CONNECTION, mark), places[0].families
    )
    (command,) = mangle_commands((new,))
    what = f"connections that come in by {uplink.name} get mark {mark}"
    return Way(what, (AddCommand(command, Place(min(rule.origin.line for rule in places))),))


def _mark_of_uplink(uplink: RouterUplink, script: Script) -> str | None:
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
            if isinstance(matcher, InInterfaceList) and members.get(matcher.list_name) == {uplink.interface}:
                yield rule


def output_not_routed(script: Script, finding: Finding) -> Way | Decision:
    """`output-not-routed`: a rule in output for each mark that connections get that come in by the uplink."""
    uplink = _uplink(script, finding)
    inbound = list(_marking_inbound(uplink, script)) if uplink is not None else []
    marks = [rule.action.mark for rule in inbound if isinstance(rule.action, MarkAction) and rule.action.mark]
    rules = [rule for rule in script.router.mangle if script.can_edit(rule)]
    if uplink is None or not marks or not rules:
        return Decision(_NOT_ALONE)
    routing, edits = routing_marks(script.router), []
    last = next((rule for rule in reversed(rules) if rule.chain == "output"), rules[-1])
    for mark in dict.fromkeys(marks):
        to = routing.get(mark) or own_table(uplink, script)
        if to is None:
            return Decision(f"which routing mark goes with mark {mark} does not follow from the file")
        new = MangleRule(
            "output",
            (MarkMatch(MarkKind.CONNECTION, mark),),
            MarkAction(MarkKind.ROUTING, to, passthrough=False),
            last.families,
        )
        (command,) = mangle_commands((new,))
        edits.append(AddCommand(command, Place(last.origin.line, behind=True)))
    return Way(f"the router's own answers to connections that came in by {uplink.name} leave by it", tuple(edits))


def answers_marked_anew(script: Script, finding: Finding) -> Way | Decision:
    """`answers-marked-anew`: the rules of the classifier take only the first packets of unmarked connections."""
    rule = script.rule(finding.where.line)
    group = next((group for group in stream_groups(script.router) if rule in group.rules), None)
    rules = group.rules if group is not None else (rule,)
    edits: list[SetProperty] = []
    for each in rules:
        if each is None or not script.can_edit(each):
            return Decision(_NOT_ALONE)
        if not any(isinstance(m, MarkMatch) and m.kind is MarkKind.CONNECTION for m in each.matchers):
            edits.append(SetProperty(each.origin.line, "connection-mark", "no-mark"))
        if not any(isinstance(m, StateMatch) for m in each.matchers):
            edits.append(SetProperty(each.origin.line, "connection-state", "new"))
    if not edits:
        return Decision("it asks for marks or states already; see which of them an answer has")
    return Way("only new connections without a mark are divided", tuple(edits))


def forward_not_routed(script: Script, finding: Finding) -> Way | Decision:
    """`forward-not-routed`: rules that turn a mark into a way do so for all packets, not only for the first."""
    uplink = _uplink(script, finding)
    marks = set(uplink.connection_marks) if uplink is not None else set()
    limited = [
        rule
        for rule in script.router.mangle
        if rule.chain == "prerouting" and isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.ROUTING
        if any(isinstance(m, MarkMatch) and m.mark in marks and not m.negated for m in rule.matchers)
        if any(isinstance(m, StateMatch) for m in rule.matchers)
    ]
    if not limited or not script.can_edit(*limited):
        return Decision("no rule gives packets of that mark from the local interfaces a routing mark; add one")
    edits = tuple(SetProperty(rule.origin.line, "connection-state", None) for rule in limited)
    return Way("all packets of a mark get its routing mark, not only the first", edits)
