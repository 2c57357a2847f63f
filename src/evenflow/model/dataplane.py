"""Everything of ours in the kernel: one nft table, routes, route rules, sysctls.

What is desired and what is actual are both a `Dataplane`; a plan is a function of two of them. What is ours
is found again by the signs below and by nothing else: there is no state file.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.flow import Address, Family, Network
    from evenflow.model.nft import NftTable
    from evenflow.model.transaction import NftOperation

# --- what is ours ------------------------------------------------------------------------------------------------

#: Our nft table; family inet.
TABLE_NAME = "evenflow"

#: Protocol number of our routes and route rules ("ef"). Unused in iproute2's rt_protos and in FRR's list.
ROUTE_PROTOCOL = 0xEF

#: Bits of ct mark for the connection mark. 16 bits: marks are numbered by a hash of their name, so that a
#: number keeps its meaning over changes of the configuration; the more bits, the fewer collisions to resolve.
CONNECTION_MARK_MASK = 0x0000_FFFF

#: Bits of skb mark for the routing mark. Free of Kubernetes's 0x4000 and 0x8000, Tailscale's 0xff0000.
ROUTING_MARK_MASK = 0x0000_03FF

#: Bits of skb mark for the packet mark.
PACKET_MARK_MASK = 0x3F00_0000
PACKET_MARK_SHIFT = 24

#: Routing table of routing mark n is TABLE_BASE + n: 20001 to 21023, clear of the small numbers that people use,
#: and of 51820 (wg-quick), 52 (Tailscale) and 10000 upwards (cloud network scripts).
TABLE_BASE = 20000

#: Priorities of our route rules, in the order in which a packet meets them. All lie behind those of strongSwan
#: (220), mwan3 (1000–3999) and Tailscale (5210–5270), and before wg-quick and main (32764–32766); only
#: the fallback lies behind main.
PRIORITY_BEFORE_MARKS = 20000
PRIORITY_UNMARKED = 20999
PRIORITY_MARKS = 21000
PRIORITY_PROBES = 21500
PRIORITY_PAST_MARKS = 21999
PRIORITY_AFTER_MARKS = 22000
PRIORITY_END = 24000
PRIORITY_FALLBACK = 40000

#: Number of the kernel's main table (RT_TABLE_MAIN).
MAIN_TABLE_NUMBER = 254

#: Desired values of sysctls that depend on what holds: 2 where 1 is in effect, else whatever it is; whatever it is, but
#: others are decided by it. `core.settings.in_force` makes plain values of them.
TWO_FOR_ONE = "2 for 1"
AS_IT_IS = ""


# --- routes and rules, as the kernel has them --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FibHop:
    """A next hop: an address on an interface, or the interface alone."""

    interface: str
    gateway: Address | None = None


@dataclass(frozen=True, slots=True)
class FibRoute:
    """A route in a table of the kernel.

    (family, table, destination, metric) identify it. `hops` are in the kernel's order; several are multipath.
    Several of one route to IPv6 count as one, too. For IPv6 a metric of 0 does not exist (the kernel makes it 1024).
    `nexthop_id` is that of the nexthop object (ip-nexthop(8)) that a route leads to, which none of ours does; 0: none.
    """

    family: Family
    table: int
    destination: Network
    metric: int
    hops: tuple[FibHop, ...] = ()
    kind: RouteKind = RouteKind.UNICAST
    preferred_source: Address | None = None
    protocol: int = ROUTE_PROTOCOL
    nexthop_id: int = 0

    @property
    def key(self) -> tuple[Family, int, Network, int]:
        """What identifies it."""
        return (self.family, self.table, self.destination, self.metric)

    @property
    def is_ours(self) -> bool:
        """Whether it carries our protocol number and stands where we put routes: in main or one of our tables."""
        own_table = TABLE_BASE < self.table <= TABLE_BASE + ROUTING_MARK_MASK
        return self.protocol == ROUTE_PROTOCOL and (own_table or self.table == MAIN_TABLE_NUMBER)


class Jump(enum.Enum):
    """What a route rule does that neither looks up a table nor refuses (ip-rule(8))."""

    GOTO = "goto"
    NOP = "nop"


@dataclass(frozen=True, slots=True)
class FibRule:
    """A route rule of the kernel.

    `kind` UNICAST looks up `table`; GOTO goes on at the priority `goto`, if there is a rule; NOP does nothing; the
    other kinds answer at once.
    """

    family: Family
    priority: int
    table: int = 0
    kind: RouteKind | Jump = RouteKind.UNICAST
    goto: int = 0
    mark: int = 0
    mask: int = 0
    source: Network | None = None
    destination: Network | None = None
    in_interface: str | None = None
    suppress_prefix_length: int | None = None
    protocol: int = ROUTE_PROTOCOL

    @property
    def is_ours(self) -> bool:
        """Whether it carries our protocol number and has a priority of ours."""
        own_priority = PRIORITY_BEFORE_MARKS <= self.priority < PRIORITY_END or self.priority == PRIORITY_FALLBACK
        return self.protocol == ROUTE_PROTOCOL and own_priority

    @property
    def answer(self) -> str:
        """What it does with a packet that it matches, in the words of ip-rule(8)."""
        if self.kind is RouteKind.UNICAST:
            return f"lookup {self.table}"
        return f"goto {self.goto}" if self.kind is Jump.GOTO else self.kind.value


@dataclass(frozen=True, slots=True)
class Dataplane:
    """All of ours.

    Attributes:
        table: our nft table, None when there is none.
        sysctls: name with slashes ("net/ipv4/ip_forward") and value. Desired: what must hold. Actual: what holds,
            for the names that were asked for; a name that this machine lacks is left out.
        saved: values from before evenflow, kept in our nft table. Desired may leave it empty: what holds now is saved,
            where it is another.
        standing: watches that are not as usual, "down" or "drained" by name; kept in our nft table, so that a
            restarted daemon begins where the last one ended.
    """

    table: NftTable | None = None
    routes: frozenset[FibRoute] = frozenset()
    rules: frozenset[FibRule] = frozenset()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    saved: Mapping[str, str] = field(default_factory=dict)
    standing: Mapping[str, str] = field(default_factory=dict)


# --- operations ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Add a route; with `replace` one of ours with the same key gives way in the same step."""

    route: FibRoute
    replace: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    """Delete a route."""

    route: FibRoute


@dataclass(frozen=True, slots=True)
class AddRouteRule:
    """Add a route rule."""

    rule: FibRule


@dataclass(frozen=True, slots=True)
class DeleteRouteRule:
    """Delete a route rule."""

    rule: FibRule


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """Write a sysctl. `before` is for people, and for undoing it."""

    name: str
    value: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class NftTransaction:
    """Operations on our nft table, all at once or none."""

    operations: tuple[NftOperation, ...]


Operation = AddRoute | DeleteRoute | AddRouteRule | DeleteRouteRule | SetSysctl | NftTransaction


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in order. Empty means in sync."""

    operations: tuple[Operation, ...] = ()

    @property
    def in_sync(self) -> bool:
        """Whether there is nothing to do."""
        return not self.operations
