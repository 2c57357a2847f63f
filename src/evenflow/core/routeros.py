"""From a policy to the router that RouterOS can be: no buckets, no rule before the marks, no daemon.

What differs from `core.lower`, and how a RouterOS script does it:

- main's specific routes can't be asked before the marks: packets to local ranges are taken out first (the bypass);
- a spread has as few streams as meet the weights;
- uplinks are asked by the routes themselves: by `check-gateway`, beyond the next hop by recursive routes;
- "no uplink is left" is a route rule behind the marks, which refuses what its mark's table has no way for;
- main gets default routes far behind those that it has.

What can't be said is a finding, with what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from evenflow.core.addresses import range_of
from evenflow.core.lower import FALLBACK_TABLE_NAME, LAN_LIST_NAME, UPLINK_LIST_NAME, WHEN_ALL_ARE_LOST, lower
from evenflow.core.unfold import Unfolding, first_weights, smallest_unfolding
from evenflow.core.unsaid import unsaid
from evenflow.core.watching_routes import Asking, asked_routes
from evenflow.model.finding import Finding, info, warning
from evenflow.model.flow import BOTH_FAMILIES, Family, family_of
from evenflow.model.matcher import AddressListMatch, Direction, InInterfaceList
from evenflow.model.policy import LastResort
from evenflow.model.router import (
    MAIN_TABLE,
    AcceptAction,
    AddressList,
    InterfaceGateway,
    LearnedGateway,
    MangleRule,
    Route,
    RouteKind,
    Router,
    RouteRule,
    RuleAction,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from evenflow.model.flow import Network
    from evenflow.model.matcher import Matcher
    from evenflow.model.policy import Policy, Uplink
    from evenflow.model.router import Gateway

#: Names that nothing of the user's has; `UPLINKS` and `LAN` are lists of interfaces, `LOCAL` of addresses.
UPLINKS, LAN, LOCAL = "evenflow-uplinks", "evenflow-lan", "evenflow-local"

#: Networks that are never reached through a provider (RFC 1918, RFC 4193), links' own (RFC 3927, RFC 4291) and groups.
LOCAL_NETWORKS: tuple[Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "224.0.0.0/4")),
    *map(IPv6Network, ("fc00::/7", "fe80::/10", "ff00::/8")),
)

#: How far behind the default routes that main has ours are: clients add theirs with a distance from 0 to 10.
BEHIND_THOSE_OF_MAIN = 100

#: What interfaces are called whose other end needs no address: the names that RouterOS gives them, and WireGuard's.
POINT_TO_POINT = ("pppoe", "ppp", "l2tp", "pptp", "sstp", "ovpn", "lte", "wireguard", "wg", "gre", "ipip")


@dataclass(frozen=True, slots=True)
class Unfolded:
    """A policy as RouterOS can do it.

    Attributes:
        unfolding: the streams that stand for the weights.
        asking: how each uplink is asked, by name.
    """

    router: Router
    unfolding: Unfolding
    asking: dict[str, Asking]
    findings: tuple[Finding, ...] = ()


def for_routeros(policy: Policy, major: int, most_error: Fraction) -> Unfolded:
    """The router of a policy, for RouterOS.

    Args:
        policy: what is wanted.
        major: the release, 6 or 7; RouterOS 6 has no policy routing for IPv6.
        most_error: how far a share may be from its weight, as a part of all connections.
    """
    return _Unfolding(policy, lower(policy), _families(policy, major), major).go(most_error)


def _families(policy: Policy, major: int) -> tuple[Family, ...]:
    """IPv4, and IPv6 where some uplink states a gateway: one that is learnt goes into main only, on RouterOS."""
    stated = {family_of(gateway) for uplink in policy.uplinks for gateway in uplink.gateways}
    learns = any(uplink.learn_gateway for uplink in policy.uplinks)
    wanted = {Family.IPV4: learns or Family.IPV4 in stated, Family.IPV6: major > 6 and Family.IPV6 in stated}
    return tuple(family for family in BOTH_FAMILIES if wanted[family])


@dataclass(frozen=True, slots=True)
class _Unfolding:
    policy: Policy
    lowered: Router
    families: tuple[Family, ...]
    major: int

    def go(self, most_error: Fraction) -> Unfolded:
        unfolding = smallest_unfolding(first_weights(self.policy), most_error)
        plain = tuple(self._routes())
        asked = asked_routes(self.policy, plain)
        router = Router(
            mangle=(*self._bypass(), *(self._rule(rule, unfolding) for rule in self.lowered.mangle if self.families)),
            nat=tuple(replace(rule, families=self.families) for rule in self.lowered.nat if self.families),
            tables=tuple(table for table in self.lowered.tables if table.name != FALLBACK_TABLE_NAME),
            routes=asked.routes,
            rules=tuple(self._refusals(plain)),
            interfaces=self.lowered.interfaces,
            interface_lists=tuple(
                replace(each, name=_LISTS[each.name]) for each in self.lowered.interface_lists if self.families
            ),
            address_lists=tuple(self._local_list()),
            file=self.policy.file,
        )
        findings = (
            *self._findings(unfolding, most_error),
            *self._gateway_findings(),
            *asked.findings,
            *unsaid(self.policy),
        )
        return Unfolded(router, unfolding, asked.asking, tuple(sorted(findings, key=lambda each: each.where.line)))

    # --- mangle ---------------------------------------------------------------------------------------------------

    def _bypass(self) -> Iterator[MangleRule]:
        local = AddressListMatch(Direction.DESTINATION, LOCAL)
        if not self.families:
            return
        inside = InInterfaceList(UPLINKS, negated=True)
        origin = self.policy.balance.origin
        yield MangleRule(
            "prerouting", (inside, local), AcceptAction(), self.families, "to networks of our own: by main", origin
        )
        yield MangleRule("output", (local,), AcceptAction(), self.families, "to networks of our own: by main", origin)

    def _rule(self, rule: MangleRule, unfolding: Unfolding) -> MangleRule:
        action = rule.action
        if isinstance(action, SpreadAction):
            action = SpreadAction(action.classifier, unfolding.owners, action.passthrough)
        matchers = tuple(_renamed(matcher) for matcher in rule.matchers)
        return replace(rule, matchers=matchers, action=action, families=self.families)

    def _local_list(self) -> Iterator[AddressList]:
        ranges = tuple(range_of(network) for network in LOCAL_NETWORKS if family_of(network) in self.families)
        if ranges:
            yield AddressList(LOCAL, ranges, self.policy.balance.origin)

    # --- routes ---------------------------------------------------------------------------------------------------

    def _routes(self) -> Iterator[Route]:
        for route in self.lowered.routes:
            if route.kind is not RouteKind.UNICAST or family_of(route.destination) not in self.families:
                continue
            if route.table == FALLBACK_TABLE_NAME and route.distance >= WHEN_ALL_ARE_LOST:
                continue
            gateways = [_gateway(gateway, family_of(route.destination)) for gateway in route.gateways]
            known = tuple(gateway for gateway in gateways if gateway is not None)
            if known:
                behind = route.table == FALLBACK_TABLE_NAME
                yield replace(
                    route,
                    table=MAIN_TABLE if behind else route.table,
                    distance=route.distance + (BEHIND_THOSE_OF_MAIN if behind else 0),
                    gateways=known,
                    watches=(),
                )

    def _refusals(self, routes: tuple[Route, ...]) -> Iterator[RouteRule]:
        """Behind the last uplink: nothing. In a family in which the mark's table has a route at all."""
        if self.policy.balance.last_resort is LastResort.MAIN:
            return
        held = {(route.table, family_of(route.destination)) for route in routes}
        for uplink in self.policy.uplinks:
            for family in self.families:
                if (uplink.name, family) in held:
                    yield RouteRule(
                        RuleAction.UNREACHABLE,
                        destination=family.any_network,
                        routing_mark=uplink.name,
                        families=(family,),
                        comment=f"no uplink is left for {uplink.name}",
                        origin=self.policy.balance.origin,
                    )

    # --- findings -------------------------------------------------------------------------------------------------

    def _findings(self, unfolding: Unfolding, most_error: Fraction) -> Iterator[Finding]:
        origin = self.policy.balance.origin
        if unfolding.error > most_error:
            yield warning(
                "weights-not-met",
                origin,
                f"with {len(unfolding.owners)} streams, the most that are written, a share is still "
                f"{percent(unfolding.error)} from its weight ({percent(most_error)} is allowed); use rounder weights",
            )
        yield info(
            "bypass-by-ranges",
            origin,
            f"RouterOS can't ask main's specific routes before the marks: packets to private ranges (list {LOCAL}) go "
            "by main instead. What main knows beyond them, public networks of yours or a VPN's, would leave by an "
            f"uplink: add those to {LOCAL}",
        )

    def _gateway_findings(self) -> Iterator[Finding]:
        for uplink in self.policy.uplinks:
            if uplink.learn_gateway and not any(family_of(gateway) is Family.IPV4 for gateway in uplink.gateways):
                yield _how_learnt(uplink)
            stated = any(family_of(gateway) is Family.IPV6 for gateway in uplink.gateways)
            if stated and self.major == 6:
                what = "RouterOS 6 has no policy routing for IPv6: it is left out, and goes by main"
                yield warning("ipv6-left-out", uplink.origin, f"uplink {uplink.name}: {what}. Use RouterOS 7")
            if uplink.learn_gateway and not stated and not _needs_no_gateway(uplink.interface):
                what = "puts a learnt IPv6 gateway into main only, so IPv6 by it is left out; state its IPv6 gateway"
                yield info("ipv6-left-out", uplink.origin, f"uplink {uplink.name}: RouterOS {what}")


def _how_learnt(uplink: Uplink) -> Finding:
    if _needs_no_gateway(uplink.interface):
        what = f"{uplink.interface} is taken as point-to-point by its name, and is the gateway itself"
    else:
        what = (
            f'gateway "auto" of {uplink.interface} is taken as DHCP, and the script makes its client. If the router '
            f"has one, hand it over first: /ip dhcp-client set [find interface={uplink.interface}] comment=evenflow"
        )
    return info("gateway-learnt", uplink.origin, f"uplink {uplink.name}: {what}")


def percent(part: Fraction) -> str:
    """A part of all connections in words, up to two digits."""
    return f"{float(part) * 100:.2f}".rstrip("0").rstrip(".") + " %"


_LISTS = {UPLINK_LIST_NAME: UPLINKS, LAN_LIST_NAME: LAN}


def _renamed(matcher: Matcher) -> Matcher:
    return replace(matcher, list_name=_LISTS[matcher.list_name]) if isinstance(matcher, InInterfaceList) else matcher


def _gateway(gateway: Gateway, family: Family) -> Gateway | None:
    """A gateway as a script can name it; None where RouterOS would learn it into main only."""
    if not isinstance(gateway, LearnedGateway):
        return gateway
    if _needs_no_gateway(gateway.interface):
        return InterfaceGateway(gateway.interface)
    return gateway if family is Family.IPV4 else None


def _needs_no_gateway(interface: str) -> bool:
    return interface.startswith(POINT_TO_POINT)
