"""A router as a RouterOS script states it: what `parse` of the written script gives back.

One rule has one family, IPv4 comes first, each stream is a rule of its own, and only what the release knows is left.
What can't be stated is a finding; one of severity error where packets would go another way without it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.fold import unfold
from evenflow.model.finding import Finding, Origin, error, info, warning
from evenflow.model.flow import BOTH_FAMILIES, Family, family_of
from evenflow.model.matcher import MarkKind, MarkMatch
from evenflow.model.router import (
    INTERFACE_GROUPS,
    MAIN_TABLE,
    AddressGateway,
    AddressList,
    LearnedGateway,
    MarkAction,
    Route,
    RouteKind,
    Router,
    RoutingTable,
    RuleStage,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.model.flow import Network
    from evenflow.model.matcher import AddressRange, Matcher
    from evenflow.model.router import MangleRule, NatRule, RouteRule

#: The sign by which a script finds what it has made.
HANDLE = "evenflow"

#: Lists of interfaces that are always there and can't be made.
_BUILT_IN_LISTS = frozenset(("all", "none", "static", "dynamic")) | INTERFACE_GROUPS


@dataclass(frozen=True, slots=True)
class ScriptForm:
    """The router that a script can state, and what of the other it can't."""

    router: Router
    findings: tuple[Finding, ...] = ()


def script_form(router: Router, major: int) -> ScriptForm:
    """`router` as a script for RouterOS 6 or 7 (`major`) states it. Interfaces and watches are not part of it."""
    findings: list[Finding] = []
    form = _Form(major, findings)
    rules = unfold(router)
    made = Router(
        mangle=tuple(form.mangle(rules.mangle)),
        nat=tuple(form.nat(rules.nat)),
        routes=tuple(form.routes(router.routes)),
        rules=tuple(form.rules(router.rules)),
        interface_lists=tuple(each for each in router.interface_lists if each.name not in _BUILT_IN_LISTS),
        address_lists=tuple(form.address_lists(router.address_lists)),
        file=router.file,
    )
    made = replace(made, tables=tuple(form.tables(router.tables, made)))
    findings += _of_the_whole(router, form)
    return ScriptForm(made, tuple(findings))


def with_handles(router: Router) -> Router:
    """The router with comments by which its script finds again what it has made."""
    return replace(
        router,
        mangle=tuple(replace(rule, comment=handled(rule.comment)) for rule in router.mangle),
        nat=tuple(replace(rule, comment=handled(rule.comment)) for rule in router.nat),
        routes=tuple(replace(route, comment=_handle_of(route)) for route in router.routes),
        rules=tuple(replace(rule, comment=handled(rule.comment)) for rule in router.rules),
    )


def handled(comment: str) -> str:
    """A comment that begins with the handle."""
    if comment == HANDLE or comment.startswith(f"{HANDLE}:"):
        return comment
    return f"{HANDLE}: {comment}" if comment else HANDLE


def _handle_of(route: Route) -> str:
    """Routes that a DHCP client makes have the client's comment, and no other route has it."""
    if route.gateways and isinstance(route.gateways[0], LearnedGateway):
        return f"{HANDLE}: by DHCP of {route.gateways[0].interface}"
    return handled(route.comment)


@dataclass(frozen=True, slots=True)
class _Form:
    major: int
    findings: list[Finding]

    @property
    def families(self) -> tuple[Family, ...]:
        return BOTH_FAMILIES if self.major > 6 else (Family.IPV4,)

    def tell(self, finding: Finding) -> None:
        self.findings.append(finding)

    # --- rules ------------------------------------------------------------------------------------------------------

    def mangle(self, rules: Iterable[MangleRule]) -> Iterator[MangleRule]:
        stated = [rule for rule in rules if not isinstance(rule.action, SpreadAction) and self._can_be_said(rule)]
        for family in self.families:
            yield from (replace(rule, families=(family,)) for rule in stated if family in rule.families)

    def nat(self, rules: Iterable[NatRule]) -> Iterator[NatRule]:
        stated = [rule for rule in rules if self._can_be_said(rule)]
        for family in self.families:
            yield from (replace(rule, families=(family,)) for rule in stated if family in rule.families)

    def _can_be_said(self, rule: MangleRule | NatRule) -> bool:
        twice = [kind for kind, count in Counter(map(_kind_of, rule.matchers)).items() if count > 1]
        if twice:
            what = "two conditions on the same property can't stand in one rule of a script, so the rule is left out"
            self.tell(error("condition-twice", rule.origin, f"{rule.chain}: {what}; write it as two chains"))
        return not twice

    # --- routing ----------------------------------------------------------------------------------------------------

    def routes(self, routes: Iterable[Route]) -> Iterator[Route]:
        stated = [self._route(route) for route in routes]
        kept = [route for route in stated if route is not None]
        static = [route for route in kept if not _learns(route)]
        for family in self.families:
            yield from (route for route in static if family_of(route.destination) is family)
        # Of two routes by the same client to the same place the farther is never used, and a client makes only one.
        learnt: dict[str, dict[tuple[str, Network], Route]] = {}
        for route in sorted(filter(_learns, kept), key=lambda route: route.distance):
            own = learnt.setdefault(route.gateways[0].interface or "", {})
            own.setdefault((route.table, route.destination), route)
        for routes_of_client in learnt.values():
            yield from routes_of_client.values()

    def _route(self, route: Route) -> Route | None:
        route = replace(route, watches=(), gateway_watches=(), in_force=True)
        if self.major > 6 and route.kind in (RouteKind.UNREACHABLE, RouteKind.PROHIBIT):
            what = f"RouterOS 7 has no {route.kind.value} routes: it becomes a blackhole, and senders are told nothing"
            self.tell(warning("refusal-becomes-silence", route.origin, what))
            route = replace(route, kind=RouteKind.BLACKHOLE)
        learned = [gateway for gateway in route.gateways if isinstance(gateway, LearnedGateway)]
        if not learned:
            return route
        family = family_of(route.destination)
        if len(route.gateways) > 1:
            what = "a gateway that DHCP gives can't stand beside others in one route; the route is left out"
            self.tell(error("learnt-beside-others", route.origin, what))
            return None
        if family is Family.IPV6:
            what = f"the IPv6 gateway of {learned[0].interface} is learnt, which RouterOS puts into main by itself"
            self.tell(warning("ipv6-left-out", route.origin, f"{what}; state the gateway, if other tables need it"))
            return None
        if learned[0].fallback is not None:
            told = f"{learned[0].fallback}, the gateway that routes by {learned[0].interface} state, is left out"
            finding = info("fallback-left-out", Origin(route.origin.file), f"{told}: its DHCP client gives it")
            if finding not in self.findings:
                self.tell(finding)
        return replace(route, gateways=(LearnedGateway(learned[0].interface),))

    def tables(self, tables: Iterable[RoutingTable], stated: Router) -> Iterator[RoutingTable]:
        """In RouterOS 6 a table is there when a route is in it; 7 refuses what names one that is not declared."""
        if self.major > 6:
            yield from tables
            named = dict.fromkeys(_tables_named(stated))
            known = {table.name for table in tables}
        else:
            named, known = dict.fromkeys(route.table for route in stated.routes), set()
        yield from (RoutingTable(name) for name in named if name not in known and name != MAIN_TABLE)

    def rules(self, rules: Iterable[RouteRule]) -> Iterator[RouteRule]:
        for rule in rules:
            if rule.stage is not RuleStage.AFTER_MARKS:
                what = "RouterOS asks route rules after the marks and before main only; this one is left out"
                self.tell(error("route-rule-stage", rule.origin, what))
            elif self.major == 6 and rule.min_prefix is not None:
                self.tell(error("min-prefix", rule.origin, "RouterOS 6 has no min-prefix; the rule is left out"))
            elif set(rule.families) & set(self.families):
                yield self._rule(rule)

    def _rule(self, rule: RouteRule) -> RouteRule:
        """In RouterOS 7 a rule is of the family of its addresses; without any it is of both."""
        if self.major == 6:
            return replace(rule, families=(Family.IPV4,))
        if len(rule.families) == 1 and rule.source is None and rule.destination is None:
            return replace(rule, destination=rule.families[0].any_network)
        return rule

    # --- lists ------------------------------------------------------------------------------------------------------

    def address_lists(self, lists: Iterable[AddressList]) -> Iterator[AddressList]:
        """A list is there by its entries; those of IPv4 are read first."""
        found: dict[str, list[AddressRange]] = {}
        for family in self.families:
            for each in lists:
                own = [entry for entry in each.ranges if family_of(entry.first) is family]
                if own:
                    found.setdefault(each.name, []).extend(own)
        origins = {each.name: each.origin for each in lists}
        yield from (AddressList(name, tuple(ranges), origins[name]) for name, ranges in found.items())


def _tables_named(router: Router) -> Iterator[str]:
    """Tables that anything of a router names, or a routing mark, which has to be the name of one."""
    for route in router.routes:
        yield route.table
        yield from (each.table for each in route.gateways if isinstance(each, AddressGateway) and each.table)
    for rule in router.mangle:
        if isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.ROUTING and rule.action.mark:
            yield rule.action.mark
    for matchers in [each.matchers for each in router.mangle] + [each.matchers for each in router.nat]:
        asked = (one for one in matchers if isinstance(one, MarkMatch) and one.kind is MarkKind.ROUTING)
        yield from (one.mark for one in asked if one.mark)
    for said in router.rules:
        yield from (name for name in (said.table, said.routing_mark) if name)


def _learns(route: Route) -> bool:
    return bool(route.gateways) and isinstance(route.gateways[0], LearnedGateway)


def _kind_of(matcher: Matcher) -> tuple[object, ...]:
    """The property of a rule that a condition stands in."""
    return (type(matcher), getattr(matcher, "kind", None), getattr(matcher, "direction", None))


def _of_the_whole(router: Router, form: _Form) -> Iterator[Finding]:
    where = Origin(router.file)
    if not router.forwards:
        what = "the file switches forwarding off, which the script does not: /ip settings set ip-forward=no"
        yield warning("forwarding-left-out", where, what)
    families = {
        family for rules in (router.mangle, router.nat, router.rules) for rule in rules for family in rule.families
    }
    families |= {family_of(route.destination) for route in router.routes}
    if families - set(form.families):
        what = "RouterOS 6 has no policy routing for IPv6: its rules and routes are left out. Use RouterOS 7"
        yield warning("ipv6-left-out", where, what)
    for route in router.routes:
        if route.watches and any(watch.name in route.watches for watch in router.watches):
            what = f"the route hangs on {', '.join(route.watches)}, which is not written: it stays while that is lost"
            mend = f'Keep the entry, and let its scripts look for comment="{handled(route.comment)}"'
            yield warning("netwatch-left-out", route.origin, f"{what}. {mend}")
