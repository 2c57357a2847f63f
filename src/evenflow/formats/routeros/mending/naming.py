"""Mends of names: of lists, chains and interfaces called nearly like others, and of marks in the wrong property."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.conditions import conditions
from evenflow.core.lint.interfaces import interfaces_used
from evenflow.core.spelling import meant
from evenflow.formats.routeros.mending.edits import SetProperty
from evenflow.formats.routeros.mending.script import NOT_ALONE, Decision, Way
from evenflow.model.matcher import (
    AddressListMatch,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    OutInterface,
    OutInterfaceList,
)
from evenflow.model.router import BUILT_IN_CHAINS, InterfaceGateway, JumpAction, MarkAction

if TYPE_CHECKING:
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding
    from evenflow.model.matcher import Matcher


def unknown_list(script: Script, finding: Finding) -> Way | Decision:
    """`unknown-interface-list`, `interface-list-empty`, `unknown-address-list`: a slip of a list that has members."""
    interface_lists = {known.name for known in script.router.interface_lists if known.members}
    address_lists = {known.name for known in script.router.address_lists}
    edits = []
    for asked in conditions(script.router):
        match asked.matcher:
            case InInterfaceList() | OutInterfaceList() | AddressListMatch() if asked.origin == finding.where:
                known = address_lists if isinstance(asked.matcher, AddressListMatch) else interface_lists
                name = asked.matcher.list_name
                other = None if name in known else meant(name, known)
                if other is not None:
                    sign = "!" if asked.matcher.negated else ""
                    edits.append(SetProperty(finding.where.line, _property(asked.matcher), f"{sign}{other}"))
    if not edits:
        return Decision("who is to be in the list is yours to say")
    return Way(f"the list is called {edits[0].value}", tuple(edits))


def _property(matcher: Matcher) -> str:
    if isinstance(matcher, AddressListMatch):
        return f"{matcher.direction.value}-address-list"
    return "in-interface-list" if isinstance(matcher, InInterfaceList) else "out-interface-list"


def jump_to_nothing(script: Script, finding: Finding) -> Way | Decision:
    """`jump-to-nothing`: a slip of a chain that has rules."""
    rule = script.rule(finding.where.line)
    if rule is None or not isinstance(rule.action, JumpAction):
        return NOT_ALONE
    chains = {other.chain for other in script.router.mangle} - set(BUILT_IN_CHAINS)
    name = meant(rule.action.chain, chains)
    if name is None:
        return Decision(
            "no chain, or more than one, has a name so near to it; its rules, or its end, are yours to write"
        )
    return Way(f"the chain is called {name}", (SetProperty(finding.where.line, "jump-target", name),))


def misspelt_interface(script: Script, finding: Finding) -> Way | Decision:
    """`interface-misspelt`: the interface that is meant, wherever the name stands."""
    known = {interface.name for interface in script.router.interfaces}
    used = interfaces_used(script.router)
    name = next((name for name, origin in used.items() if origin == finding.where and meant(name, known)), None)
    other = meant(name, known) if name is not None and name not in known else None
    if name is None or other is None:
        return NOT_ALONE
    edits: list[SetProperty] = []
    for asked in conditions(script.router):
        match asked.matcher:
            case InInterface(interface, negated) | OutInterface(interface, negated) if interface == name:
                end = "in" if isinstance(asked.matcher, InInterface) else "out"
                edits.append(SetProperty(asked.origin.line, f"{end}-interface", f"{'!' if negated else ''}{other}"))
    edits += [
        SetProperty(route.origin.line, "gateway", other)
        for route in script.router.routes
        if route.gateways == (InterfaceGateway(name),)
    ]
    return Way(f"the interface is called {other}", tuple(edits))


def wrong_mark_property(script: Script, finding: Finding) -> Way | Decision:
    """`missing-property`: the name of a mark that stands in the property of another action.

    Whether the action or the property is wrong shows by what else the name is used for.
    """
    command = script.commands.get(finding.where.line)
    action = command.get("action") if command is not None else None
    kind = str(action).removeprefix("mark-")
    others = [other for other in _KINDS if command is not None and other != kind and command.get(_new(other))]
    if command is None or kind not in _KINDS or len(others) != 1:
        return Decision("what is to stand there is yours to say")
    name = str(command.get(_new(others[0])))
    line = finding.where.line
    if name in _names(script, kind):
        edits = (SetProperty(line, _new(others[0]), None), SetProperty(line, _new(kind), name))
        return Way(f"{name} is a {kind} mark", edits)
    if name in _names(script, others[0]):
        return Way(f"{name} is a {others[0]} mark", (SetProperty(line, "action", f"mark-{others[0]}"),))
    return Decision(f"whether {name} is to be a {kind} mark or a {others[0]} mark does not follow from the file")


_KINDS = tuple(kind.value for kind in MarkKind)


def _new(kind: str) -> str:
    return f"new-{kind}-mark"


def _names(script: Script, kind: str) -> set[str]:
    """The names that marks of a kind have elsewhere: where they are set, asked for, or lead to."""
    tables = {route.table for route in script.router.routes} if kind == MarkKind.ROUTING.value else set()
    actions = [rule.action for rule in script.router.mangle]
    matchers = [asked.matcher for asked in conditions(script.router)]
    marks = {action.mark for action in actions if isinstance(action, MarkAction) and action.kind.value == kind}
    asked = {matcher.mark for matcher in matchers if isinstance(matcher, MarkMatch) and matcher.kind.value == kind}
    return tables | {mark for mark in marks | asked if mark is not None}
