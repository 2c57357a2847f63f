"""Lowering: from what a person wants (`Policy`) to the router that does it (`Router`).

Connection mark, routing mark and table of an uplink have the uplink's name. In order, a packet meets:

1. Connections that come in by an uplink get its mark, so that their replies leave by it.
2. The spread: new connections from the LAN to elsewhere get the mark of their bucket's owner.
3. Packets that don't come from an uplink get the routing mark of their connection: those of balanced connections, and
   the replies of connections that came in by an uplink and were forwarded, to the LAN or to anywhere else.
4. So do the router's own packets that belong to a marked connection.

Each uplink's table leads through the uplink itself, then through the others, then to the last resort: a dead line
moves traffic with no help from the daemon. Routes of main that are more specific than a default win over all this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.failover import bucket_count_of, home_of
from evenflow.model.flow import BOTH_FAMILIES, ConnectionState, family_of
from evenflow.model.health import Watch
from evenflow.model.matcher import (
    AddressType,
    AddressTypeMatch,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    OutInterface,
    StateMatch,
)
from evenflow.model.policy import FlowtableUse, LastResort
from evenflow.model.router import (
    LAST_RESORT_DISTANCE,
    MAIN_TABLE,
    AddressGateway,
    CheckGateway,
    Flowtable,
    Interface,
    InterfaceList,
    LearnedGateway,
    MangleRule,
    MarkAction,
    Masquerade,
    NatRule,
    PoolMember,
    Route,
    RouteKind,
    Router,
    RouteRule,
    RoutingTable,
    RuleAction,
    RuleStage,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Origin
    from evenflow.model.flow import Family
    from evenflow.model.matcher import Matcher
    from evenflow.model.policy import Policy, Uplink
    from evenflow.model.router import Gateway

#: The table that the machine falls back to when main has no default. The star keeps it from any uplink's name.
FALLBACK_TABLE_NAME = "*fallback"

#: The interface list of a policy with several LAN interfaces; no name from a file can clash with it.
LAN_LIST_NAME = "lan"

#: The interface list of all uplinks.
UPLINK_LIST_NAME = "uplinks"

#: Distance of routes that are there whatever is lost; behind all others.
WHEN_ALL_ARE_LOST = 1001

#: How many others stand in for an uplink without the daemon. So many carriers are not lost at the same moment, and with
#: all of them the tables would grow with the square of the uplinks (200 uplinks: 80,000 routes).
MOST_BACKUPS = 8


def lower(policy: Policy) -> Router:
    """The router that does what the policy wants.

    A family is balanced if some uplink has a gateway of it, or learns one. The rest of the families is left alone:
    no rule looks at it and no route is made.
    """
    lowering = _Lowering(policy, _families(policy))
    return Router(
        mangle=tuple(lowering.mangle()),
        nat=tuple(lowering.nat()),
        tables=tuple(lowering.tables()),
        routes=tuple(lowering.routes()),
        rules=tuple(lowering.rules()),
        interfaces=tuple(lowering.interfaces()),
        interface_lists=tuple(lowering.interface_lists()),
        watches=tuple(lowering.watches()),
        guarded=frozenset(uplink.interface for uplink in policy.uplinks if uplink.masquerade and lowering.families),
        flowtable=_flowtable(policy),
        file=policy.file,
    )


def _flowtable(policy: Policy) -> Flowtable | None:
    use = policy.balance.flowtable
    if use is FlowtableUse.OFF:
        return None
    interfaces = (*policy.lan, *(uplink.interface for uplink in policy.uplinks))
    return Flowtable(interfaces, use is FlowtableUse.HARDWARE)


def _families(policy: Policy) -> tuple[Family, ...]:
    return tuple(family for family in BOTH_FAMILIES if any(_gateway(u, family) for u in policy.uplinks))


def _gateway(uplink: Uplink, family: Family) -> Gateway | None:
    """How an uplink is left in one family: by the address given, else by what is learnt, else not at all."""
    for address in uplink.gateways:
        if family_of(address) is family:
            return AddressGateway(address, uplink.interface)
    return LearnedGateway(uplink.interface) if uplink.learn_gateway else None


def _backups(policy: Policy, uplink: Uplink) -> list[Uplink]:
    """The others in the order in which they stand in for `uplink`: by tier, greatest weight first, as in the file."""
    weights = dict(policy.balance.weights)
    others = [other for other in policy.uplinks if other is not uplink]
    return sorted(others, key=lambda other: (other.tier, -weights.get(other.name, 0)))[:MOST_BACKUPS]


@dataclass(frozen=True, slots=True)
class _Lowering:
    """A policy on its way down."""

    policy: Policy
    families: tuple[Family, ...]

    # --- mangle ---------------------------------------------------------------------------------------------------

    def mangle(self) -> Iterator[MangleRule]:
        uplinks = self.policy.uplinks
        if not self.families:
            return
        for uplink in uplinks:
            yield self._mark_incoming(uplink)
        yield self._spread()
        for uplink in uplinks:
            matchers = (_connection_mark(uplink.name), _NOT_FROM_AN_UPLINK)
            yield self._mark_routing("prerouting", uplink, matchers)
        for uplink in uplinks:
            yield self._mark_routing("output", uplink, (_connection_mark(uplink.name),))

    def _mark_incoming(self, uplink: Uplink) -> MangleRule:
        matchers = (InInterface(uplink.interface), _connection_mark(None), _NEW)
        action = MarkAction(MarkKind.CONNECTION, uplink.name)
        comment = f"connections that come in by {uplink.name}"
        return MangleRule("prerouting", matchers, action, self.families, comment, uplink.origin)

    def _spread(self) -> MangleRule:
        balance = self.policy.balance
        matchers = (self._from_lan(), _connection_mark(None), _NEW, _ELSEWHERE)
        weights = dict(balance.weights)
        pool = tuple(PoolMember(u.name, weights.get(u.name, 0), u.tier, u.name) for u in self.policy.uplinks)
        buckets = balance.buckets or bucket_count_of(pool)
        action = SpreadAction(balance.classifier, home_of(pool, buckets), pool=pool)
        comment = "new connections of the LAN"
        return MangleRule("prerouting", matchers, action, self.families, comment, balance.origin)

    def _mark_routing(self, chain: str, uplink: Uplink, matchers: tuple[Matcher, ...]) -> MangleRule:
        # Nothing is left to do for the packet: without passthrough its way ends here, which a trace then shows.
        action = MarkAction(MarkKind.ROUTING, uplink.name, passthrough=False)
        return MangleRule(chain, matchers, action, self.families, f"by {uplink.name}", uplink.origin)

    def _from_lan(self) -> Matcher:
        lan = self.policy.lan
        return InInterface(lan[0]) if len(lan) == 1 else InInterfaceList(LAN_LIST_NAME)

    # --- health ---------------------------------------------------------------------------------------------------

    def watches(self) -> Iterator[Watch]:
        balance = self.policy.balance
        for uplink in self.policy.uplinks if self.families else ():
            gateways = (_gateway(uplink, family) for family in self.families)
            yield Watch(
                uplink.name,
                uplink.interface,
                tuple(dict.fromkeys(gateway for gateway in gateways if gateway is not None)),
                uplink.targets,
                uplink.health,
                uplink.name,
                balance.on_down,
                balance.failback,
                balance.failback_s,
                passive=True,
                origin=uplink.origin,
            )

    # --- everything else ------------------------------------------------------------------------------------------

    def nat(self) -> Iterator[NatRule]:
        for uplink in self.policy.uplinks:
            if uplink.masquerade and self.families:
                matchers = (OutInterface(uplink.interface),)
                yield NatRule("srcnat", matchers, Masquerade(), self.families, uplink.name, uplink.origin)

    def tables(self) -> Iterator[RoutingTable]:
        for uplink in self.policy.uplinks:
            yield RoutingTable(uplink.name, uplink.origin)
        yield RoutingTable(FALLBACK_TABLE_NAME, self.policy.balance.origin)

    def routes(self) -> Iterator[Route]:
        for uplink in self.policy.uplinks:
            yield from self._defaults(uplink.name, [uplink, *_backups(self.policy, uplink)])
            if self.policy.balance.last_resort is LastResort.UNREACHABLE:
                yield from self._last_resort(uplink.name, self.policy.balance.origin)
        yield from self._defaults(FALLBACK_TABLE_NAME, list(self.policy.uplinks))
        # Without any default route a reverse-path filter takes the answers to our probes for forged: no uplink could
        # ever be seen to return. So the way that the router's own packets fall back to is there even when all are lost.
        for route in self._defaults(FALLBACK_TABLE_NAME, list(self.policy.uplinks), first=WHEN_ALL_ARE_LOST):
            yield replace(route, watches=())

    def _defaults(self, table: str, uplinks: list[Uplink], first: int = 1) -> Iterator[Route]:
        """Default routes through the uplinks, nearest first; an uplink has the same distance in both families."""
        for distance, uplink in enumerate(uplinks, start=first):
            for family in self.families:
                gateway = _gateway(uplink, family)
                if gateway is not None:
                    # The gateway is asked because RouterOS fails over by nothing else. Where our own daemon runs a
                    # policy, the probes of the policy take its place.
                    yield Route(
                        table,
                        family.any_network,
                        (gateway,),
                        distance,
                        check_gateway=CheckGateway.PING,
                        watches=(uplink.name,),
                        comment=uplink.name,
                        origin=uplink.origin,
                    )

    def _last_resort(self, table: str, origin: Origin) -> Iterator[Route]:
        """Behind the last uplink: nothing. It is in force only in a family in which the table has another route.

        So where every gateway is learnt and there turns out to be no IPv6 by any uplink, IPv6 is not cut off for
        who has it by other ways (`core.routing` leaves such a route out).
        """
        for family in self.families:
            yield Route(
                table,
                family.any_network,
                (),
                LAST_RESORT_DISTANCE,
                RouteKind.UNREACHABLE,
                comment="no uplink is left",
                origin=origin,
            )

    def rules(self) -> Iterator[RouteRule]:
        origin = self.policy.balance.origin
        if self.families:
            yield RouteRule(
                RuleAction.LOOKUP,
                MAIN_TABLE,
                min_prefix=0,
                stage=RuleStage.BEFORE_MARKS,
                families=self.families,
                comment="what main knows better than a default",
                origin=origin,
            )
            yield RouteRule(
                RuleAction.LOOKUP,
                FALLBACK_TABLE_NAME,
                stage=RuleStage.AFTER_MAIN,
                families=self.families,
                comment="when main has no default",
                origin=origin,
            )

    def interfaces(self) -> Iterator[Interface]:
        for name in self.policy.lan:
            yield Interface(name, origin=self.policy.lan_origin)
        for uplink in self.policy.uplinks:
            yield Interface(uplink.interface, bandwidth_bps=uplink.bandwidth_bps, origin=uplink.origin)

    def interface_lists(self) -> Iterator[InterfaceList]:
        if self.families:
            interfaces = frozenset(uplink.interface for uplink in self.policy.uplinks)
            yield InterfaceList(UPLINK_LIST_NAME, interfaces, self.policy.balance.origin)
        if len(self.policy.lan) > 1:
            yield InterfaceList(LAN_LIST_NAME, frozenset(self.policy.lan), self.policy.lan_origin)


_NEW = StateMatch(frozenset({ConnectionState.NEW}))
_NOT_FROM_AN_UPLINK = InInterfaceList(UPLINK_LIST_NAME, negated=True)
_ELSEWHERE = AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.LOCAL}), negated=True)


def _connection_mark(name: str | None) -> MarkMatch:
    """A matcher for a connection mark; None is no-mark."""
    return MarkMatch(MarkKind.CONNECTION, name)
