"""Routes and route rules of others on a machine that take packets before those of a router can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.numbering import TooManyNamesError, number_router
from evenflow.core.routing import resolve
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, ROUTING_MARK_MASK, Jump
from evenflow.model.finding import Finding, Origin, warning
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.routing import Routing
    from evenflow.model.dataplane import FibRoute, FibRule
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router


def foreign_findings(router: Router, machine: Machine) -> Iterator[Finding]:
    """A finding for each. Main is left out: there a person's own routes are meant to stand beside ours."""
    try:
        numbers = number_router(router)
    except TooManyNamesError:
        return  # another finding says so
    names = {numbers.table(name): name for name in numbers.routing_marks}
    names.pop(MAIN_TABLE_NUMBER, None)
    routing = resolve(router, machine, numbers)
    for route in machine.routes:
        if route.table in names and _comes_first(route, routing):
            yield warning("foreign-route", Origin(router.file), _of_route(route, names[route.table]))
    for rule in machine.rules:
        ours = next((own for own in routing.rules if _takes(rule, own)), None)
        if ours is not None:
            yield warning("foreign-rule", Origin(router.file), _of_rule(rule, ours))


def _comes_first(route: FibRoute, routing: Routing) -> bool:
    """Whether it stands before all of ours to the same destination; where there are none, it is more specific."""
    alike = [
        own.metric
        for own in routing.routes
        if (own.family, own.table, own.destination) == (route.family, route.table, route.destination)
    ]
    return all(route.metric < metric for metric in alike)


def _takes(rule: FibRule, own: FibRule) -> bool:
    """Whether a foreign rule is asked before `own` and wants bits of the mark that `own` wants so, too."""
    bits = rule.mask & own.mask & ROUTING_MARK_MASK
    return (
        rule.family is own.family
        and rule.kind is not Jump.NOP
        and not isinstance(own.kind, Jump)
        and rule.priority <= own.priority
        and bits != 0
        and rule.mark & bits == own.mark & bits
        # The mark that it wants must be possible together with ours.
        and rule.mark & ~rule.mask == 0
    )


def _of_route(route: FibRoute, name: str) -> str:
    where = f"table {route.table} ({name.removeprefix('*')})"  # the star of the probes' tables is none of a person's
    ip = "ip" if route.family is Family.IPV4 else "ip -6"
    delete = f"{ip} route del {route.destination} metric {route.metric} table {route.table}"
    return (
        f"somebody else has a route to {route.destination} with metric {route.metric} in {where}, which is evenflow's; "
        f"it is used before evenflow's own; `{delete}` takes it away"
    )


def _of_rule(rule: FibRule, ours: FibRule) -> str:
    ip = "ip" if rule.family is Family.IPV4 else "ip -6"
    said = f"{ip} rule: priority {rule.priority}, fwmark {rule.mark:#x}/{rule.mask:#x}, {rule.answer}"
    return (
        f"somebody else's route rule ({said}) takes packets with a mark of evenflow's ({ours.mark:#x}/{ours.mask:#x}) "
        f"before evenflow's own with priority {ours.priority}; give it a mark and mask outside of "
        f"{ROUTING_MARK_MASK:#x}, or a higher priority number"
    )
