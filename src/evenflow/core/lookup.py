"""The routing decision: route rules by priority, in each table the longest prefix, then the smallest distance.

As Linux does it (ip-rule(8), ip-route(8)): a table without a usable route is passed over, and the next rule asked.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.model.dataplane import MAIN_TABLE_NUMBER, FibRule, Jump
from evenflow.model.flow import Family, family_of
from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evenflow.model.dataplane import FibHop, FibRoute
    from evenflow.model.flow import Address
    from evenflow.model.machine import Machine

#: Priorities of the kernel's own rules for main and default (`ip rule` on a fresh machine).
_MAIN_PRIORITY = 32766


class Refusal(enum.Enum):
    """Why no route was taken."""

    NO_ROUTE = "no-route"
    UNREACHABLE = "unreachable"
    BLACKHOLE = "blackhole"
    PROHIBIT = "prohibit"


_REFUSALS: dict[RouteKind | Jump, Refusal] = {
    RouteKind.UNREACHABLE: Refusal.UNREACHABLE,
    RouteKind.BLACKHOLE: Refusal.BLACKHOLE,
    RouteKind.PROHIBIT: Refusal.PROHIBIT,
}


class Hurdle(enum.Enum):
    """Why a route to the destination is passed over."""

    SUPPRESSED = "the rule passes over routes as general as this"
    INTERFACE_DOWN = "its interface is down"
    NO_CARRIER = "its interface has no carrier"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A route to the destination that was not taken."""

    route: FibRoute
    hurdle: Hurdle


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule that matched, and what its table answered: a route, a refusal, or None (asked the next).

    `ways` is how many next hops of the route could be taken: the kernel chooses by a hash with a secret of its own.
    `passed_over` are routes that come before the one that was taken.
    """

    rule: FibRule
    route: FibRoute | None = None
    hop: FibHop | None = None
    refusal: Refusal | None = None
    ways: int = 1
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a packet goes: the last of `tried` tells."""

    tried: tuple[Tried, ...]

    @property
    def hop(self) -> FibHop | None:
        """The next hop, None when the packet can't be routed."""
        return self.tried[-1].hop if self.tried else None

    @property
    def refusal(self) -> Refusal | None:
        """Why it can't be routed, None when it can."""
        if self.hop is not None:
            return None
        return (self.tried[-1].refusal if self.tried else None) or Refusal.NO_ROUTE


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the routing: `mark` is the whole skb mark. Of n next hops number `choice` % n is taken."""

    destination: Address
    source: Address | None = None
    mark: int = 0
    in_interface: str = ""
    choice: int = 0


@dataclass(frozen=True)
class Fib:
    """All routes and rules that a lookup sees, ours and the machine's."""

    rules: tuple[FibRule, ...]
    tables: Mapping[tuple[Family, int], tuple[FibRoute, ...]]
    dead_interfaces: frozenset[str]
    uplink_interfaces: frozenset[str]
    no_carrier: frozenset[str]

    @classmethod
    def of(
        cls,
        machine: Machine,
        routes: Iterable[FibRoute],
        rules: Iterable[FibRule],
        uplink_interfaces: frozenset[str],
    ) -> Fib:
        """Put together the machine's and our routes; uplinks pass over routes without carrier."""
        own = tuple(routes)
        tables: dict[tuple[Family, int], list[FibRoute]] = {}
        for route in (*machine.routes, *own):
            tables.setdefault((route.family, route.table), []).append(route)
        for found in tables.values():
            found.sort(key=lambda route: (-route.destination.prefixlen, route.metric))
        main = tuple(FibRule(family, _MAIN_PRIORITY, MAIN_TABLE_NUMBER, protocol=0) for family in Family)
        return cls(
            tuple(sorted((*rules, *main), key=lambda rule: rule.priority)),
            {key: tuple(found) for key, found in tables.items()},
            frozenset(link.name for link in machine.links if not link.up),
            uplink_interfaces,
            frozenset(link.name for link in machine.links if not link.carrier),
        )

    def decide(self, question: Question) -> Decision:
        """The routing decision for one packet."""
        tried: list[Tried] = []
        for rule, missing in self.asked(question):
            if missing or isinstance(rule.kind, Jump):
                continue
            answer = self._ask(rule, question)
            tried.append(answer)
            if answer.hop is not None or answer.refusal is not None:
                break
        return Decision(tuple(tried))

    def asked(self, question: Question) -> Iterator[tuple[FibRule, str]]:
        """The rules that are asked, in order, each with what of it the packet does not have, "" where it matches.

        Those that a GOTO passes over are left out.
        """
        family = family_of(question.destination)
        rules = [rule for rule in self.rules if rule.family is family]
        resume = 0
        for rule in rules:
            if rule.priority < resume:
                continue
            missing = missed(rule, question)
            yield rule, missing
            # Where no rule has that priority, the kernel goes on with the next one.
            if rule.kind is Jump.GOTO and not missing and any(other.priority == rule.goto for other in rules):
                resume = rule.goto

    def _ask(self, rule: FibRule, question: Question) -> Tried:
        if rule.kind in _REFUSALS:
            return Tried(rule, refusal=_REFUSALS[rule.kind])
        passed_over: list[PassedOver] = []
        for route in self.tables.get((rule.family, rule.table), ()):
            if question.destination not in route.destination:
                continue
            if rule.suppress_prefix_length is not None and route.destination.prefixlen <= rule.suppress_prefix_length:
                passed_over.append(PassedOver(route, Hurdle.SUPPRESSED))
                continue
            if route.kind is not RouteKind.UNICAST:
                return Tried(rule, route, refusal=_REFUSALS[route.kind], passed_over=tuple(passed_over))
            hurdles = [self._hurdle(hop.interface) for hop in route.hops]
            usable = [hop for hop, hurdle in zip(route.hops, hurdles, strict=True) if hurdle is None]
            if usable:
                hop = usable[question.choice % len(usable)]
                return Tried(rule, route, hop, ways=len(usable), passed_over=tuple(passed_over))
            passed_over.extend(PassedOver(route, hurdle) for hurdle in hurdles[:1] if hurdle is not None)
        return Tried(rule, passed_over=tuple(passed_over))

    def _hurdle(self, interface: str) -> Hurdle | None:
        if interface in self.dead_interfaces:
            return Hurdle.INTERFACE_DOWN
        if interface in self.no_carrier and interface in self.uplink_interfaces:
            return Hurdle.NO_CARRIER
        return None


def missed(rule: FibRule, question: Question) -> str:
    """What of a rule the packet does not have, in the words of ip-rule(8); "" when it matches."""
    if question.mark & rule.mask != rule.mark:
        return "fwmark"
    if rule.destination is not None and question.destination not in rule.destination:
        return "to"
    if rule.source is not None and (question.source is None or question.source not in rule.source):
        return "from"
    if rule.in_interface is not None and rule.in_interface != question.in_interface:
        return "iif"
    return ""
