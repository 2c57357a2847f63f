"""What of a router a policy does not say: one finding for each rule and route that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.lift_uplinks import translates
from evenflow.core.lookup_hosts import way_to
from evenflow.core.rule_words import action, conditions
from evenflow.core.uplinks import default_routes
from evenflow.model.finding import Finding, warning
from evenflow.model.matcher import (
    AddressListMatch,
    AddressMatch,
    AddressType,
    AddressTypeMatch,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    StateMatch,
)
from evenflow.model.router import (
    MAIN_TABLE,
    AcceptAction,
    DestinationNat,
    JumpAction,
    MangleRule,
    MarkAction,
    PassthroughAction,
    Redirect,
    ReturnAction,
    RouteKind,
    RuleAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.model.matcher import AddressRange, Matcher
    from evenflow.model.router import NatRule, Route, Router, RouteRule


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a policy was made of.

    Attributes:
        uplinks, lan: interfaces.
        connection_marks, routing_marks, tables: those that lead to uplinks.
        rules: the mangle rules of the spread; their `chains`.
    """

    uplinks: frozenset[str]
    lan: frozenset[str]
    connection_marks: frozenset[str]
    routing_marks: frozenset[str]
    tables: frozenset[str]
    rules: frozenset[MangleRule]
    chains: frozenset[str]


def left_over(router: Router, known: Recognised) -> Iterator[Finding]:
    """Findings about all that is not part of the policy."""
    gateways = {gateway for route in default_routes(router) for gateway in route.gateways}
    ways = (way_to(gateway, router) for gateway in gateways)
    rest = _Rest(router, known, frozenset(way for way in ways if way is not None))
    for rule in router.mangle:
        if not rest.is_part(rule):
            said = f"chain={rule.chain} {conditions(rule)}".strip()
            yield warning("rule-left", rule.origin, f"{action(rule.action)} where {said}: {_rule_advice(rule)}")
    for nat in router.nat:
        if not rest.is_part_of_nat(nat):
            yield warning("nat-left", nat.origin, f"{action(nat.action)} where {conditions(nat)}: {_nat_advice(nat)}")
    for route in router.routes:
        if not rest.is_part_of_routes(route):
            where = "in main" if route.table == MAIN_TABLE else f"in table {route.table}"
            what = "make it a route of the system: a policy lets routes of main win over its balance"
            yield warning("route-left", route.origin, f"the route to {route.destination} {where}: {what}")
    for rule_ in router.rules:
        if not rest.is_part_of_rules(rule_):
            what = "a policy has no route rules of its own; make it one of the system, before priority 10000"
            yield warning("route-rule-left", rule_.origin, f"the route rule {rule_.action.value}: {what}")


def _rule_advice(rule: MangleRule) -> str:
    if isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.PACKET:
        return "a policy sets no packet marks, so it is left out; queues that go by it need other marks"
    return "no part of a policy, so it is left out; what it marks or spares is balanced as the rest"


def _nat_advice(rule: NatRule) -> str:
    if isinstance(rule.action, DestinationNat | Redirect):
        return "a policy forwards no ports; make it a rule of your own firewall. Its replies leave by the right uplink"
    return "a policy only masquerades by its uplinks; make it a rule of your own firewall"


@dataclass(frozen=True, slots=True)
class _Rest:
    router: Router
    known: Recognised
    ways: frozenset[Route]  # to the hosts that recursive routes ask

    # --- mangle ---------------------------------------------------------------------------------------------------

    def is_part(self, rule: MangleRule) -> bool:
        """Whether a rule is part of the policy, or does nothing to a packet."""
        if rule in self.known.rules:
            return True
        match rule.action:
            case PassthroughAction():
                return True
            case JumpAction(chain):
                return chain in self.known.chains and self._only(rule.matchers)
            case MarkAction(MarkKind.CONNECTION, mark):
                return mark in self.known.connection_marks and self._is_incoming(rule)
            case MarkAction(MarkKind.ROUTING, mark):
                return mark in self.known.routing_marks and self._of_a_connection(rule)
            case AcceptAction() | ReturnAction():
                return self._is_bypass(rule)
        return False

    def _is_incoming(self, rule: MangleRule) -> bool:
        """Connections that come in by an uplink."""
        by_uplink = any(self._is_by_uplink(matcher) for matcher in rule.matchers)
        rest = [matcher for matcher in rule.matchers if not self._is_by_uplink(matcher)]
        return by_uplink and self._only(rest)

    def _is_by_uplink(self, matcher: Matcher) -> bool:
        return isinstance(matcher, InInterface) and not matcher.negated and matcher.interface in self.known.uplinks

    def _of_a_connection(self, rule: MangleRule) -> bool:
        """Packets of a marked connection; the connection's uplink is theirs."""
        marked = [
            matcher
            for matcher in rule.matchers
            if isinstance(matcher, MarkMatch) and matcher.kind is MarkKind.CONNECTION and not matcher.negated
        ]
        rest = [matcher for matcher in rule.matchers if matcher not in marked]
        return bool(marked) and self._only(rest)

    def _is_bypass(self, rule: MangleRule) -> bool:
        """Packets to networks of ours, which a policy leaves to main."""
        ours = [matcher for matcher in rule.matchers if self._is_to_us(matcher)]
        rest = [matcher for matcher in rule.matchers if matcher not in ours]
        sources = [
            m for m in rest if isinstance(m, AddressMatch | AddressListMatch) and m.direction is Direction.SOURCE
        ]
        return bool(ours) and self._only([matcher for matcher in rest if matcher not in sources])

    def _is_to_us(self, matcher: Matcher) -> bool:
        match matcher:
            case AddressTypeMatch(Direction.DESTINATION, types, False):
                return types == frozenset({AddressType.LOCAL})
            case AddressMatch(Direction.DESTINATION, addresses, False):
                return self._are_ours((addresses,))
            case AddressListMatch(Direction.DESTINATION, name, False):
                ranges = [entry for each in self.router.address_lists if each.name == name for entry in each.ranges]
                return self._are_ours(ranges)
        return False

    def _are_ours(self, ranges: Sequence[AddressRange]) -> bool:
        """Private ones, groups, or networks of the router's interfaces."""
        networks = [own.network for each in self.router.interfaces for own in each.addresses]
        return bool(ranges) and all(
            (entry.first.is_private and entry.last.is_private)
            or (entry.first.is_multicast and entry.last.is_multicast)
            or any(
                network.version == entry.first.version and entry.first in network and entry.last in network
                for network in networks
            )
            for entry in ranges
        )

    def _only(self, matchers: Sequence[Matcher]) -> bool:
        """Whether the conditions are such as a policy's own rules have."""
        return all(self._is_usual(matcher) for matcher in matchers)

    def _is_usual(self, matcher: Matcher) -> bool:
        match matcher:
            case MarkMatch(MarkKind.CONNECTION | MarkKind.ROUTING, None, False) | StateMatch() | InInterfaceList():
                return True
            case InInterface(name, negated):
                return name in (self.known.uplinks if negated else self.known.lan)
            case AddressTypeMatch(Direction.DESTINATION, types):
                return types == frozenset({AddressType.LOCAL})
        return False

    # --- the others -----------------------------------------------------------------------------------------------

    def is_part_of_nat(self, rule: NatRule) -> bool:
        """Masquerade by an uplink."""
        return any(translates(rule, interface, self.router) for interface in self.known.uplinks)

    def is_part_of_routes(self, route: Route) -> bool:
        """Default routes of main and of the uplinks' tables, and the ways to the hosts that they ask."""
        tables = self.known.tables | {MAIN_TABLE}
        if route.destination.prefixlen == 0:
            refuses = route.kind is not RouteKind.UNICAST and route.table in self.known.tables
            return refuses or (route.kind is RouteKind.UNICAST and route.table in tables)
        return route in self.ways

    def is_part_of_rules(self, rule: RouteRule) -> bool:
        """What a mark's own table would do anyway, and refusing what it has no way for."""
        anywhere = (rule.source, rule.interface) == (None, None) and (
            rule.destination is None or rule.destination.prefixlen == 0
        )
        to_its_own = rule.table == rule.routing_mark or rule.action is RuleAction.UNREACHABLE
        return anywhere and rule.routing_mark in self.known.routing_marks and to_its_own
