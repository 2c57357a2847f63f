"""The waist: a router in RouterOS's own terms, whichever front end it came from.

A `Router` holds what is in force: disabled items are left out by the reader. Names of marks, tables,
interfaces and lists are as the user wrote them; numbers for the kernel are given later (`core.numbering`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.model.finding import NOWHERE, Origin
from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from evenflow.model.flow import Address, InterfaceAddress, Network
    from evenflow.model.health import Watch
    from evenflow.model.matcher import AddressRange, Classifier, MarkKind, Matcher

MAIN_TABLE = "main"

#: Distance of a policy's last resort: behind as many uplinks as there can be, and below 255, which RouterOS never uses.
LAST_RESORT_DISTANCE = 250


# --- actions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MarkAction:
    """`mark-connection`, `mark-routing`, `mark-packet`; `mark` None sets no-mark.

    With `passthrough` the chain goes on; without, it is an accept for the whole hook.
    """

    kind: MarkKind
    mark: str | None
    passthrough: bool = True


@dataclass(frozen=True, slots=True)
class PoolMember:
    """One of those among which a spread's buckets are divided.

    Attributes:
        mark: its connection mark.
        weight: its part; 0 gets buckets only when no other of its tier is left.
        tier: the lowest tier with a usable member takes all.
        watch: name of the `Watch` that tells whether it is usable.
    """

    mark: str
    weight: int
    tier: int = 1
    watch: str = ""


@dataclass(frozen=True, slots=True)
class SpreadAction:
    """Many PCC rules in one: stream `i` of `len(owners)` gets connection mark `owners[i]`.

    None is a stream that no rule takes: the chain goes on as if nothing had matched. `pool` says who else may own a
    stream when an owner is lost; without one (a script's) the owners never change.
    """

    classifier: Classifier
    owners: tuple[str | None, ...]
    passthrough: bool = True
    pool: tuple[PoolMember, ...] = ()


@dataclass(frozen=True, slots=True)
class AcceptAction:
    """`accept`: ends the whole hook, also from inside a chain that was jumped to."""


@dataclass(frozen=True, slots=True)
class JumpAction:
    """`jump`: to a chain of the user's."""

    chain: str


@dataclass(frozen=True, slots=True)
class ReturnAction:
    """`return`: back to the chain that jumped here; in a built-in chain the hook ends."""


@dataclass(frozen=True, slots=True)
class PassthroughAction:
    """`passthrough` and `log`: counts or logs, and goes on."""

    log_prefix: str | None = None


MangleAction = MarkAction | SpreadAction | AcceptAction | JumpAction | ReturnAction | PassthroughAction

#: Mangle chains that packets meet by themselves; any other name is a chain of the user's.
BUILT_IN_CHAINS = ("prerouting", "input", "forward", "output", "postrouting")


@dataclass(frozen=True, slots=True)
class MangleRule:
    """One rule of the mangle list. Order within `Router.mangle` is order of evaluation."""

    chain: str
    matchers: tuple[Matcher, ...]
    action: MangleAction
    families: tuple[Family, ...] = BOTH_FAMILIES
    comment: str = ""
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Source NAT to the address of the interface that the packet leaves by."""


@dataclass(frozen=True, slots=True)
class SourceNat:
    """`src-nat to-addresses=`."""

    to: AddressRange


@dataclass(frozen=True, slots=True)
class DestinationNat:
    """`dst-nat to-addresses= to-ports=`; None keeps what the packet has."""

    to: AddressRange | None = None
    to_ports: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """`redirect to-ports=`: to the router itself."""

    to_ports: tuple[int, int] | None = None


NatAction = Masquerade | SourceNat | DestinationNat | Redirect | AcceptAction


@dataclass(frozen=True, slots=True)
class NatRule:
    """One rule of the NAT list; the chain is "srcnat" or "dstnat"."""

    chain: str
    matchers: tuple[Matcher, ...]
    action: NatAction
    families: tuple[Family, ...] = BOTH_FAMILIES
    comment: str = ""
    origin: Origin = NOWHERE


#: What `in-interface=` and `out-interface=` may name instead of one interface: all of a sort. To a `Router` they are
#: interface lists, which nobody can make by these names in RouterOS.
INTERFACE_GROUPS = frozenset(("all-ethernet", "all-ppp", "all-vlan", "all-wireless"))

#: The factory configuration makes these interface lists, and an excerpt of an export seldom shows it.
FACTORY_LISTS = frozenset(("LAN", "WAN"))


# --- interfaces and lists --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interface:
    """A device that the configuration speaks of.

    Attributes:
        kind: "ethernet", "bridge", "pppoe", "vlan", … or "" when the file does not say.
        addresses: static addresses that the file gives it.
        bridge: the bridge that it is a port of, or None.
        bandwidth_bps: what the file says of its speed, bits per second, None if nothing.
    """

    name: str
    kind: str = ""
    addresses: tuple[InterfaceAddress, ...] = ()
    bridge: str | None = None
    bandwidth_bps: int | None = None
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class InterfaceList:
    """A named set of interfaces, included lists already resolved into it."""

    name: str
    members: frozenset[str] = frozenset()
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class AddressList:
    """A named set of addresses of both families."""

    name: str
    ranges: tuple[AddressRange, ...] = ()
    origin: Origin = NOWHERE


# --- routing ---------------------------------------------------------------------------------------------------


class CheckGateway(enum.Enum):
    """How a script wants a gateway to be watched."""

    PING = "ping"
    ARP = "arp"
    BFD = "bfd"


@dataclass(frozen=True, slots=True)
class AddressGateway:
    """`gateway=ADDRESS`, `ADDRESS%INTERFACE`, `ADDRESS@TABLE` (looked up in that table; None is main)."""

    address: Address
    interface: str | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True)
class InterfaceGateway:
    """`gateway=INTERFACE`: everything is on that link."""

    interface: str


@dataclass(frozen=True, slots=True)
class LearnedGateway:
    """The gateway that DHCP, PPP or a router advertisement gave for `interface`.

    `fallback` is what the file states meanwhile; None: no route until one is learnt.
    """

    interface: str
    fallback: Address | None = None


Gateway = AddressGateway | InterfaceGateway | LearnedGateway


class RouteKind(enum.Enum):
    """What a route does."""

    UNICAST = "unicast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"


@dataclass(frozen=True, slots=True)
class Route:
    """A static route. Several gateways share the connections (ECMP); none only where `kind` is not UNICAST.

    `watches` names the watches that must be up for it to be in force. `gateway_watches` names one watch per
    gateway, in their order ("" where it has none): a lost one takes away its gateway, the last one the route.
    `in_force` False is a route whose watches are not up: it is known, and left out of the kernel.
    """

    table: str
    destination: Network
    gateways: tuple[Gateway, ...] = ()
    distance: int = 1
    kind: RouteKind = RouteKind.UNICAST
    check_gateway: CheckGateway | None = None
    scope: int = 30
    target_scope: int = 10
    preferred_source: Address | None = None
    watches: tuple[str, ...] = ()
    gateway_watches: tuple[str, ...] = ()
    in_force: bool = True
    comment: str = ""
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """A table that was declared. `main` is always there and never declared."""

    name: str
    origin: Origin = NOWHERE


class RuleStage(enum.Enum):
    """When a route rule is asked. RouterOS only has the middle one."""

    BEFORE_MARKS = "before-marks"
    AFTER_MARKS = "after-marks"
    AFTER_MAIN = "after-main"


class RuleAction(enum.Enum):
    """What a route rule does."""

    LOOKUP = "lookup"
    LOOKUP_ONLY = "lookup-only-in-table"
    DROP = "drop"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class RouteRule:
    """`/routing rule`. `min_prefix` N: routes of prefix length N or less are passed over (0: the defaults)."""

    action: RuleAction
    table: str | None = None
    source: Network | None = None
    destination: Network | None = None
    interface: str | None = None
    routing_mark: str | None = None
    min_prefix: int | None = None
    stage: RuleStage = RuleStage.AFTER_MARKS
    families: tuple[Family, ...] = BOTH_FAMILIES
    comment: str = ""
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Flowtable:
    """Known connections that have a routing mark leave the rules behind, between these interfaces.

    RouterOS's FastTrack is something else: it passes by the marks, and goes by main.

    Attributes:
        hardware: network cards may do it, where they can.
    """

    interfaces: tuple[str, ...]
    hardware: bool = False


@dataclass(frozen=True, slots=True)
class Router:
    """The whole router. All tuples are in the order of evaluation, or of appearance where order means nothing.

    Attributes:
        watches: what is watched by a running daemon; no two have the same name.
        guarded: interfaces that only packets with an address of their own as source may leave by.
        flowtable: what known connections go by, if anything but the rules.
        forwards: whether it is to forward packets between interfaces (RouterOS always does).
    """

    mangle: tuple[MangleRule, ...] = ()
    nat: tuple[NatRule, ...] = ()
    tables: tuple[RoutingTable, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    interface_lists: tuple[InterfaceList, ...] = ()
    address_lists: tuple[AddressList, ...] = ()
    watches: tuple[Watch, ...] = ()
    guarded: frozenset[str] = frozenset()
    flowtable: Flowtable | None = None
    forwards: bool = True
    file: str = field(default="", compare=False)
