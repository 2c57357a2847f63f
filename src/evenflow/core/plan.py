"""The plan: what leads from the actual dataplane to the desired one. A function of the two, and of nothing else.

Order: routes and route rules are added first, so that a mark never leads to a table that is not there; then
everything in nf_tables at once; then settings (but those that routes depend on); then what is no longer wanted goes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.core.saved import with_kept
from evenflow.core.settings import in_force, passes_over_dead_links, writes
from evenflow.model.dataplane import (
    AddRoute,
    AddRouteRule,
    Dataplane,
    DeleteRoute,
    DeleteRouteRule,
    NftTransaction,
    Plan,
)
from evenflow.model.nft import FlowOffload, NftSet, NftTable
from evenflow.model.transaction import (
    AddChain,
    AddElements,
    AddFlowtable,
    AddRule,
    AddSet,
    AddTable,
    DeleteChain,
    DeleteElements,
    DeleteFlowtable,
    DeleteSet,
    DeleteTable,
    FlushChain,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evenflow.model.dataplane import FibRoute, FibRule, Operation, SetSysctl
    from evenflow.model.nft import NftChain, SetElement
    from evenflow.model.transaction import NftOperation

__all__ = ["EMPTY", "in_force", "make_plan", "nft_difference"]

EMPTY = Dataplane()


def make_plan(desired: Dataplane, actual: Dataplane) -> Plan:
    """What to do so that `actual` becomes `desired`, which is as `in_force` gave it. Empty when it is already."""
    return Plan(tuple(_operations(desired, actual)))


def _operations(desired: Dataplane, actual: Dataplane) -> Iterator[Operation]:
    settings = tuple(writes(desired, actual))
    first = _before_routes(desired, actual, settings)
    if first:
        # What was before is kept before it changes.
        keeping = replace(actual, table=actual.table or NftTable(), saved={**actual.saved, **desired.saved})
        yield from _transaction(keeping, actual)
        yield from first
        actual, settings = keeping, tuple(setting for setting in settings if setting not in first)
    yield from _added_routes(desired.routes, actual.routes)
    new, gone = desired.rules - actual.rules, actual.rules - desired.rules
    in_the_way = _taken_for(new, gone)
    for rule in sorted(in_the_way, key=_rule_order):
        yield DeleteRouteRule(rule)
    for rule in sorted(new, key=_rule_order):
        yield AddRouteRule(rule)
    if desired.table is None:
        yield from settings  # the table keeps the old values: they go back before it goes
    yield from _transaction(desired, actual)
    if desired.table is not None:
        yield from settings
    for rule in sorted(gone - in_the_way, key=_rule_order):
        yield DeleteRouteRule(rule)
    unwanted = sorted(actual.routes - desired.routes, key=_route_order)
    keys = {route.key for route in desired.routes} if unwanted else set()
    for route in unwanted:
        if route.key not in keys:
            yield DeleteRoute(route)


def _transaction(desired: Dataplane, actual: Dataplane) -> Iterator[NftTransaction]:
    operations = nft_difference(with_kept(desired.table, desired), with_kept(actual.table, actual))
    if operations:
        yield NftTransaction(operations)


def _before_routes(desired: Dataplane, actual: Dataplane, settings: Iterable[SetSysctl]) -> tuple[SetSysctl, ...]:
    """Settings that must stand before routes over several hops are made.

    The kernel divides connections among the hops when it makes the route, and leaves out one without carrier only
    if the setting says so by then (Linux, fib_rebalance()).
    """
    if desired.table is None or not any(len(route.hops) > 1 for route in desired.routes - actual.routes):
        return ()
    return tuple(setting for setting in settings if passes_over_dead_links(setting.name))


# --- routes and rules --------------------------------------------------------------------------------------------


def _added_routes(desired: frozenset[FibRoute], actual: frozenset[FibRoute]) -> Iterator[Operation]:
    missing = sorted(desired - actual, key=_route_order)
    there = {route.key for route in actual} if missing else set()
    for route in missing:
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


def _taken_for(wanted: Iterable[FibRule], there: Iterable[FibRule]) -> frozenset[FibRule]:
    """Those of `there` that the kernel would take for one of `wanted` and so refuse to add it: they say more.

    Source: Linux, rule_exists() in net/core/fib_rules.c and fib4_rule_compare(): what the new rule does not name
    as source or destination is not compared.
    """
    alike: dict[FibRule, list[FibRule]] = {}
    for rule in wanted:
        alike.setdefault(replace(rule, source=None, destination=None), []).append(rule)
    return frozenset(
        rule
        for rule in there
        for other in alike.get(replace(rule, source=None, destination=None), ())
        if other.source in (None, rule.source) and other.destination in (None, rule.destination)
    )


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
    flowtables = any(
        desired.flowtables[name] != actual.flowtables[name]
        for name in desired.flowtables.keys() & actual.flowtables.keys()
    )
    return (
        chains
        or flowtables
        or any(
            _declaration(desired.sets[name]) != _declaration(actual.sets[name])
            for name in desired.sets.keys() & actual.sets.keys()
        )
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
    yield from _flowtables(desired, actual)
    yield from _rules(desired.chains, actual.chains)
    gone = _new(actual.chains, desired.chains)
    yield from (FlushChain(name) for name in gone if actual.chains[name].rules)
    yield from (DeleteSet(name) for name in _new(actual.sets, desired.sets))
    yield from (DeleteChain(name) for name in gone)


def _flowtables(desired: NftTable, actual: NftTable) -> Iterator[NftOperation]:
    """A device is in one flowtable at most: those that go make room first, and rules that refer to them before that."""
    gone = _new(actual.flowtables, desired.flowtables)
    for name, chain in actual.chains.items():
        if any(isinstance(e, FlowOffload) and e.flowtable in gone for rule in chain.rules for e in rule.expressions):
            yield FlushChain(name)
    yield from (DeleteFlowtable(name) for name in gone)
    for name in _new(desired.flowtables, actual.flowtables):
        yield AddFlowtable(desired.flowtables[name])


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
