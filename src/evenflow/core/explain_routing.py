"""Why a routing decision came out so: each route rule that was asked, and the routes of its table.

The kernel's rules and routes are traced back to what the user wrote: a route of the kernel is told by its family,
table, destination and distance, a rule by its priority.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.explain import NO_MARK, packet_side
from evenflow.core.numbering import needs_own_table, probe_table
from evenflow.core.routing import resolve_gateway, rules_made
from evenflow.model.dataplane import (
    MAIN_TABLE_NUMBER,
    PRIORITY_AFTER_MARKS,
    PRIORITY_BEFORE_MARKS,
    PRIORITY_FALLBACK,
    PRIORITY_MARKS,
    PRIORITY_PROBES,
    ROUTE_PROTOCOL,
    ROUTING_MARK_MASK,
    Jump,
)
from evenflow.model.finding import NOWHERE, Origin
from evenflow.model.flow import family_of
from evenflow.model.router import (
    MAIN_TABLE,
    AddressGateway,
    InterfaceGateway,
    LearnedGateway,
    RouteKind,
    RuleStage,
)
from evenflow.model.trace import RouteLook, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.lookup import Decision, Fib, Question, Tried
    from evenflow.core.numbering import Numbers
    from evenflow.model.dataplane import FibHop, FibRoute, FibRule
    from evenflow.model.flow import Address, Family
    from evenflow.model.machine import Machine
    from evenflow.model.router import Gateway, Route, Router, RouteRule

#: What is said of a rule whose table had no usable route.
NOTHING_THERE = "no usable route, so the next rule is asked"

#: RTPROT_KERNEL: routes that come with an address.
_CONNECTED = 2

#: Priorities of the rules of a stage begin here; each has its own but behind main, where all have the same.
_FIRST_PRIORITY = {
    RuleStage.BEFORE_MARKS: PRIORITY_BEFORE_MARKS,
    RuleStage.AFTER_MARKS: PRIORITY_AFTER_MARKS,
    RuleStage.AFTER_MAIN: PRIORITY_FALLBACK,
}


@dataclass(frozen=True, slots=True)
class _Named:
    """A rule of the kernel in words, and where the user wrote it."""

    what: str
    origin: Origin = NOWHERE


class RoutingExplainer:
    """A router's routes and rules, ready to explain decisions."""

    def __init__(self, router: Router, machine: Machine, numbers: Numbers, fib: Fib) -> None:
        self._router, self._machine, self._numbers, self._fib = router, machine, numbers, fib
        self._tables = {numbers.table(name): name for name in numbers.routing_marks} | {MAIN_TABLE_NUMBER: MAIN_TABLE}
        self._written: dict[tuple[Family, int, object, int], list[Route]] = {}
        for route in router.routes:
            key = (family_of(route.destination), numbers.table(route.table), route.destination, route.distance)
            self._written.setdefault(key, []).append(route)
        self._rules: dict[FibRule, _Named] = {}

    def table_name(self, number: int) -> str:
        """A table as the user calls it."""
        return self._tables.get(number, str(number))

    def steps(self, decision: Decision, question: Question) -> Iterator[Step]:
        """The rules up to the one that decided, in order; all where none did."""
        answers = {tried.rule: tried for tried in decision.tried}
        last = (
            decision.tried[-1] if decision.hop is not None or (decision.tried and decision.tried[-1].refusal) else None
        )
        for rule, missing in self._fib.asked(question):
            named = self._named(rule)
            if isinstance(rule.kind, Jump):
                if rule.kind is Jump.GOTO and not missing:
                    yield Step("routing", named.what, False, f"on with the rules from {rule.goto} on", named.origin)
                continue
            answer = answers.get(rule)
            if answer is None:
                why = self._why_missed(missing, question)
                yield Step("routing", named.what, False, why, named.origin)
                continue
            taken = answer is last
            yield Step(
                "routing", named.what, taken, _answer(answer), named.origin, routes=self._looks(answer, question)
            )
            if taken:
                return

    # --- rules -----------------------------------------------------------------------------------------------------

    def _named(self, rule: FibRule) -> _Named:
        found = self._rules.get(rule)
        if found is None:
            found = self._rules[rule] = self._name(rule)
        return found

    def _name(self, rule: FibRule) -> _Named:
        table = self.table_name(rule.table)
        if isinstance(rule.kind, Jump):
            return _Named(f"no routing mark: {rule.answer}" if rule.mask else rule.answer)
        if rule.protocol != ROUTE_PROTOCOL:
            return _Named(f"table {table}")
        if rule.priority == PRIORITY_MARKS:
            declared = (known.origin for known in self._router.tables if known.name == table)
            return _Named(f"routing-mark={table}: table {table}", next(declared, NOWHERE))
        for watch in self._router.watches:
            if rule.priority == PRIORITY_PROBES and needs_own_table(watch) and probe_table(watch) == table:
                return _Named(f"probes of {watch.name}: a table of their own", watch.origin)
        written = self._written_rule(rule)
        if written is None:
            return _Named(f"table {table}")
        return _Named(
            f"{written.comment}: {rule_words(written)}" if written.comment else rule_words(written), written.origin
        )

    def _written_rule(self, rule: FibRule) -> RouteRule | None:
        """The user's rule that a rule of the kernel was made of (`core.routing` gives them out in this order)."""
        for stage, first in _FIRST_PRIORITY.items():
            priority = first
            for written in self._router.rules:
                if written.stage is not stage or not _of_family(written, rule.family):
                    continue
                if stage is RuleStage.AFTER_MAIN:
                    table = self._numbers.table(written.table) if written.table is not None else 0
                    if (rule.priority, rule.table) == (priority, table):
                        return written
                elif priority <= rule.priority < priority + rules_made(written):
                    return written
                else:
                    priority += rules_made(written)
        return None

    def _why_missed(self, missing: str, question: Question) -> str:
        match missing:
            case "fwmark":
                mark = question.mark & ROUTING_MARK_MASK
                names = (name for name, number in self._numbers.routing_marks.items() if number == mark)
                return f"the routing mark is {next(names, NO_MARK)}"
            case "to":
                return f"it goes to {question.destination}"
            case "from":
                return f"it comes from {question.source}"
            case _:
                return f"it comes from {packet_side(question.in_interface)}"

    # --- routes ----------------------------------------------------------------------------------------------------

    def _looks(self, answer: Tried, question: Question) -> tuple[RouteLook, ...]:
        """Routes to the destination that come before the one that was taken, then that one."""
        rule = answer.rule
        if rule.kind is not RouteKind.UNICAST:
            return ()
        found: list[tuple[tuple[int, int], RouteLook]] = []
        for passed in answer.passed_over:
            look = RouteLook(self._words(passed.route), False, passed.hurdle.value, self._origin(passed.route))
            found.append((_order(passed.route.destination.prefixlen, passed.route.metric), look))
        found += self._absent(rule, question.destination)
        found.sort(key=lambda pair: pair[0])
        if answer.route is None:
            return tuple(look for _, look in found)
        limit = _order(answer.route.destination.prefixlen, answer.route.metric)
        taken = RouteLook(self._words(answer.route, answer.hop), True, "", self._origin(answer.route, answer.hop))
        return (*(look for order, look in found if order <= limit), taken)

    def _absent(self, rule: FibRule, destination: Address) -> Iterator[tuple[tuple[int, int], RouteLook]]:
        """Routes of the file to the destination that are not in the kernel's table now."""
        there = {route.key for route in self._fib.tables.get((rule.family, rule.table), ())}
        for key, routes in self._written.items():
            if key[:2] == (rule.family, rule.table) and key not in there:
                for route in routes:
                    if destination in route.destination:
                        why = _why_absent(route, self._router, self._machine)
                        look = RouteLook(written_words(route), False, why, route.origin)
                        yield _order(route.destination.prefixlen, route.distance), look

    def _words(self, route: FibRoute, taken: FibHop | None = None) -> str:
        hops = (taken,) if taken is not None else route.hops
        by = " and ".join(f"{hop.gateway} on {hop.interface}" if hop.gateway else hop.interface for hop in hops)
        if route.kind is not RouteKind.UNICAST:
            by = route.kind.value
        elif taken is None or taken.gateway is not None:
            by = f"gateway {by}"
        else:
            by = f"on {by}" if route.protocol == _CONNECTED else f"gateway {by}"
        if self._written.get(route.key):
            return f"{route.destination} {by}, distance {route.metric}"
        whose = "connected" if route.protocol == _CONNECTED else "not of this configuration"
        return f"{route.destination} {by}, {whose}"

    def _origin(self, route: FibRoute, taken: FibHop | None = None) -> Origin:
        written = self._written.get(route.key, [])
        for one in written:
            hops = (resolve_gateway(g, route.family, self._router, self._machine) for g in one.gateways)
            if taken is not None and len(written) > 1 and taken in hops:
                return one.origin
        return written[0].origin if written else NOWHERE


def _of_family(rule: RouteRule, family: Family) -> bool:
    networks = (network for network in (rule.source, rule.destination) if network is not None)
    return family in rule.families and all(family_of(network) is family for network in networks)


def _order(prefix_length: int, distance: int) -> tuple[int, int]:
    """The order in which routes of a table are asked."""
    return (-prefix_length, distance)


def _answer(tried: Tried) -> str:
    """What a rule's table answered."""
    if tried.refusal is not None and tried.route is None:
        return tried.rule.answer
    if tried.route is None:
        return NOTHING_THERE
    text = f"{tried.route.destination} distance {tried.route.metric}"
    if tried.ways > 1:
        text += f"; the kernel chooses one of {tried.ways} next hops by a hash of its own, this is one of them"
    return text


def rule_words(rule: RouteRule) -> str:
    """A route rule in RouterOS's words."""
    given = {
        "src-address": rule.source,
        "dst-address": rule.destination,
        "interface": rule.interface,
        "routing-mark": rule.routing_mark,
        "min-prefix": rule.min_prefix,
        "action": rule.action.value,
        "table": rule.table,
    }
    return " ".join(f"{name}={value}" for name, value in given.items() if value is not None)


def written_words(route: Route) -> str:
    """A route as the user wrote it."""
    if route.kind is not RouteKind.UNICAST:
        return f"{route.destination} {route.kind.value}, distance {route.distance}"
    return f"{route.destination} gateway {' and '.join(map(_gateway, route.gateways))}, distance {route.distance}"


def _gateway(gateway: Gateway) -> str:
    match gateway:
        case AddressGateway(address, interface, table):
            at = f"@{table}" if table else ""
            return f"{address}{at} on {interface}" if interface else f"{address}{at}"
        case InterfaceGateway(interface):
            return interface
        case LearnedGateway(interface, fallback):
            return f"learnt on {interface}" + (f" (else {fallback})" if fallback is not None else "")


def _why_absent(route: Route, router: Router, machine: Machine) -> str:
    """Why a route of the file is not in the kernel's table."""
    if not route.in_force:
        names = list(dict.fromkeys(name for name in (*route.watches, *route.gateway_watches) if name))
        return f"{names[0]} is down" if len(names) == 1 else f"one of these is down: {', '.join(names)}"
    if route.kind is not RouteKind.UNICAST:
        return "no uplink has this family"
    for gateway in route.gateways:
        interface = getattr(gateway, "interface", None)
        link = machine.link(interface) if interface is not None else None
        if interface is not None and link is None:
            return f"interface {interface} is missing"
        if link is not None and not link.up:
            return f"interface {interface} is down"
        if (
            isinstance(gateway, AddressGateway)
            and resolve_gateway(gateway, family_of(gateway.address), router, machine, route.target_scope) is None
        ):
            return f"no usable route leads to {gateway.address}"
    return "no gateway is known on its interface"
