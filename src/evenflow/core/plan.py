"""The plan: what leads from the actual dataplane to the desired one. A function of the two, and of nothing else.

Order: routes and route rules are added first, so that a mark never leads to a table that is not there; then
everything in nf_tables at once; then settings; then what is no longer wanted goes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.core.saved import with_kept
from evenflow.model.dataplane import (
    AddRoute,
    AddRouteRule,
    Dataplane,
    DeleteRoute,
    DeleteRouteRule,
    NftTransaction,
    Plan,
    SetSysctl,
)
from evenflow.model.nft import NftSet, NftTable
from evenflow.model.transaction import (
    AddChain,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evenflow.model.dataplane import FibRoute, FibRule, Operation
    from evenflow.model.nft import NftChain, SetElement
    from evenflow.model.transaction import NftOperation

EMPTY = Dataplane()


def make_plan(desired: Dataplane, actual: Dataplane) -> Plan:
    """What to do so that `actual` becomes `desired`. Empty when it is already."""
    return Plan(tuple(_operations(desired, actual)))


def _operations(desired: Dataplane, actual: Dataplane) -> Iterator[Operation]:
    yield from _added_routes(desired.routes, actual.routes)
    new, gone = desired.rules - actual.rules, actual.rules - desired.rules
    clashing = {(rule.family, rule.priority) for rule in new}
    for rule in sorted(gone, key=_rule_order):
        # The kernel takes a rule for another one of that priority which says more: there the old one goes first.
        if (rule.family, rule.priority) in clashing:
            yield DeleteRouteRule(rule)
    for rule in sorted(new, key=_rule_order):
        yield AddRouteRule(rule)
    kept = replace(desired, saved=_saved(desired, actual))
    settings = list(_settings(desired, actual))
    if desired.table is None:
        yield from settings  # the table keeps the old values: they go back before it goes
    transaction = nft_difference(with_kept(desired.table, kept), with_kept(actual.table, actual))
    if transaction:
        yield NftTransaction(transaction)
    if desired.table is not None:
        yield from settings
    for rule in sorted(gone, key=_rule_order):
        if (rule.family, rule.priority) not in clashing:
            yield DeleteRouteRule(rule)
    keys = {route.key for route in desired.routes}
    for route in sorted(actual.routes - desired.routes, key=_route_order):
        if route.key not in keys:
            yield DeleteRoute(route)


def in_force(desired: Dataplane, actual: Dataplane) -> Dataplane:
    """What must be read back once the plan is carried out: `desired`, with the values that `down` will restore."""
    return replace(desired, saved=_saved(desired, actual))


# --- routes and rules --------------------------------------------------------------------------------------------


def _added_routes(desired: frozenset[FibRoute], actual: frozenset[FibRoute]) -> Iterator[Operation]:
    there = {route.key for route in actual}
    for route in sorted(desired - actual, key=_route_order):
        yield AddRoute(route, replace=route.key in there)


def _route_order(route: FibRoute) -> tuple[str, int, int, str, int]:
    """Routes to gateways' networks before defaults, so that the kernel finds each gateway."""
    return (
        route.family.value,
        route.table,
        -route.destination.prefixlen,
        str(route.destination),
        route.metric,
    )


def _rule_order(rule: FibRule) -> tuple[str, int, int]:
    return (rule.family.value, rule.priority, rule.mark)


# --- settings ------------------------------------------------------------------------------------------------------


def _saved(desired: Dataplane, actual: Dataplane) -> dict[str, str]:
    """Values from before evenflow, of what is desired: as told, else as kept already, else what holds now."""
    if desired.table is None:
        return {}
    known = {**actual.sysctls, **actual.saved, **desired.saved}
    return {name: known[name] for name in desired.sysctls if name in known}


def _settings(desired: Dataplane, actual: Dataplane) -> Iterator[SetSysctl]:
    wanted = {name: value for name, value in actual.saved.items() if name not in desired.sysctls}
    wanted.update(desired.sysctls)
    for name, value in sorted(wanted.items(), key=_setting_order):
        now = actual.sysctls.get(name)
        if now is not None and now != value:
            yield SetSysctl(name, value, now)


def _setting_order(setting: tuple[str, str]) -> tuple[bool, str]:
    """Forwarding first: the kernel changes other settings together with it (Linux, inet_forward_change())."""
    name, _ = setting
    return (not name.endswith(("ip_forward", "all/forwarding")), name)


# --- nf_tables -------------------------------------------------------------------------------------------------------


def nft_difference(desired: NftTable | None, actual: NftTable | None) -> tuple[NftOperation, ...]:
    """The operations of one transaction that turns one table into another."""
    if desired is None:
        return () if actual is None else (DeleteTable(),)
    if actual is None:
        return (AddTable(), *_contents(desired, NftTable()))
    if _must_be_replaced(desired, actual):
        return (DeleteTable(), AddTable(), *_contents(desired, NftTable()))
    return tuple(_contents(desired, actual))


def _must_be_replaced(desired: NftTable, actual: NftTable) -> bool:
    """Whether something has changed that an object can't change: its type or its hook.

    Then the table is made anew in the same transaction; packets meet the old one or the new one.
    """
    chains = any(
        desired.chains[name].hook != actual.chains[name].hook for name in desired.chains.keys() & actual.chains.keys()
    )
    return chains or any(
        _declaration(desired.sets[name]) != _declaration(actual.sets[name])
        for name in desired.sets.keys() & actual.sets.keys()
    )


def _declaration(declared: NftSet) -> NftSet:
    return replace(declared, elements=frozenset())


def _contents(desired: NftTable, actual: NftTable) -> Iterator[NftOperation]:
    """What is referred to comes before what refers to it, and goes after it."""
    for name in _new(desired.chains, actual.chains):
        yield AddChain(name, desired.chains[name].hook)
    for name in _new(desired.sets, actual.sets):
        yield AddSet(_declaration(desired.sets[name]))
    for name, wanted in desired.sets.items():
        yield from _elements(wanted, actual.sets.get(name))
    yield from _rules(desired.chains, actual.chains)
    gone = _new(actual.chains, desired.chains)
    yield from (FlushChain(name) for name in gone if actual.chains[name].rules)
    yield from (DeleteSet(name) for name in _new(actual.sets, desired.sets))
    yield from (DeleteChain(name) for name in gone)


def _rules(desired: Mapping[str, NftChain], actual: Mapping[str, NftChain]) -> Iterator[NftOperation]:
    """A chain that differs is flushed and filled again: in a transaction no packet meets it empty."""
    for name, chain in desired.items():
        before = actual[name].rules if name in actual else ()
        if before == chain.rules:
            continue
        if before:
            yield FlushChain(name)
        for rule in chain.rules:
            yield AddRule(name, rule)


def _new(these: Iterable[str], those: Mapping[str, object]) -> list[str]:
    return sorted(name for name in these if name not in those)


def _elements(wanted: NftSet, present: NftSet | None) -> Iterator[NftOperation]:
    there = present.elements if present is not None else frozenset()
    gone, new = there - wanted.elements, wanted.elements - there
    if gone and wanted.intervals:
        # Intervals touch: taking out one end of a changed interval is not defined. All of them change at once.
        gone, new = there, wanted.elements
    if gone:
        yield DeleteElements(wanted.name, _in_order(gone))
    if new:
        yield AddElements(wanted.name, _in_order(new))


def _in_order(elements: Iterable[SetElement]) -> tuple[SetElement, ...]:
    return tuple(sorted(elements, key=lambda element: (element.key, not element.interval_end)))
