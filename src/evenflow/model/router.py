"""The waist: a router in RouterOS's own terms, whichever front end it came from.

A `Router` holds what is in force: disabled items are left out by the reader. Names of marks, tables,
interfaces and lists are as the user wrote them; numbers for the kernel are given later (`core.numbering`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.model.finding import NOWHERE, Origin
from evenflow.model.flow import BOTH_FAMILIES, ConnectionState, Family

if TYPE_CHECKING:
    from evenflow.model.flow import Address, InterfaceAddress, Network

MAIN_TABLE = "main"


# --- matchers: one class per property of a rule; a rule matches when all of its matchers do -------------------


class Direction(enum.Enum):
    """Which end of a packet a matcher looks at."""

    SOURCE = "src"
    DESTINATION = "dst"
    EITHER = "either"


class MarkKind(enum.Enum):
    """RouterOS's three marks."""

    CONNECTION = "connection"
    ROUTING = "routing"
    PACKET = "packet"


class AddressType(enum.Enum):
    """`dst-address-type` and `src-address-type`; the value is the word in RouterOS and nftables."""

    LOCAL = "local"
    UNICAST = "unicast"
    BROADCAST = "broadcast"
    MULTICAST = "multicast"


@dataclass(frozen=True, slots=True)
class MarkMatch:
    """`connection-mark=`, `routing-mark=`, `packet-mark=`; `mark` None is no-mark."""

    kind: MarkKind
    mark: str | None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InInterface:
    """`in-interface=`; never matches a packet of the router's own (its negation does)."""

    interface: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OutInterface:
    """`out-interface=`; only in chains after the routing decision."""

    interface: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InInterfaceList:
    """`in-interface-list=`. A list without members never matches; its negation always does."""

    list_name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OutInterfaceList:
    """`out-interface-list=`. A list without members never matches; its negation always does."""

    list_name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressRange:
    """First and last address, both included, of one family."""

    first: Address
    last: Address


@dataclass(frozen=True, slots=True)
class AddressMatch:
    """`src-address=`, `dst-address=`: a network, one address or a range."""

    direction: Direction
    addresses: AddressRange
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressListMatch:
    """`src-address-list=`, `dst-address-list=`."""

    direction: Direction
    list_name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressTypeMatch:
    """`src-address-type=`, `dst-address-type=`: any of `types`."""

    direction: Direction
    types: frozenset[AddressType]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ProtocolMatch:
    """`protocol=`, as its number."""

    protocol: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class PortMatch:
    """`src-port=`, `dst-port=`, `port=` (EITHER): inclusive ranges. Only protocols with ports ever match."""

    direction: Direction
    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class StateMatch:
    """`connection-state=`: any of `states`."""

    states: frozenset[ConnectionState]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SourceMacMatch:
    """`src-mac-address=`: 6 bytes. A packet without an Ethernet header never matches, nor with `!` (Linux, xt_mac)."""

    mac: bytes
    negated: bool = False


class Classifier(enum.Enum):
    """The nine field sets of PCC. The value is RouterOS's word; the number is in `bits`."""

    SRC_ADDRESS = "src-address"
    DST_ADDRESS = "dst-address"
    BOTH_ADDRESSES = "both-addresses"
    SRC_PORT = "src-port"
    DST_PORT = "dst-port"
    BOTH_PORTS = "both-ports"
    SRC_ADDRESS_AND_PORT = "src-address-and-port"
    DST_ADDRESS_AND_PORT = "dst-address-and-port"
    BOTH_ADDRESSES_AND_PORTS = "both-addresses-and-ports"

    @property
    def fields(self) -> ClassifierFields:
        """Which fields enter the key."""
        return _CLASSIFIER_FIELDS[self]


@dataclass(frozen=True, slots=True)
class ClassifierFields:
    """The fields of a key, in the order in which they are packed."""

    source_address: bool = False
    destination_address: bool = False
    source_port: bool = False
    destination_port: bool = False

    @property
    def any_address(self) -> bool:
        """Whether an address enters the key."""
        return self.source_address or self.destination_address

    @property
    def any_port(self) -> bool:
        """Whether a port enters the key."""
        return self.source_port or self.destination_port


_CLASSIFIER_FIELDS = {
    Classifier.SRC_ADDRESS: ClassifierFields(source_address=True),
    Classifier.DST_ADDRESS: ClassifierFields(destination_address=True),
    Classifier.BOTH_ADDRESSES: ClassifierFields(source_address=True, destination_address=True),
    Classifier.SRC_PORT: ClassifierFields(source_port=True),
    Classifier.DST_PORT: ClassifierFields(destination_port=True),
    Classifier.BOTH_PORTS: ClassifierFields(source_port=True, destination_port=True),
    Classifier.SRC_ADDRESS_AND_PORT: ClassifierFields(source_address=True, source_port=True),
    Classifier.DST_ADDRESS_AND_PORT: ClassifierFields(destination_address=True, destination_port=True),
    Classifier.BOTH_ADDRESSES_AND_PORTS: ClassifierFields(True, True, True, True),
}


@dataclass(frozen=True, slots=True)
class PccMatch:
    """`per-connection-classifier=[!]FIELDS:DENOMINATOR/REMAINDER`.

    A remainder of at least the denominator never matches (with `!` always).
    """

    classifier: Classifier
    denominator: int
    remainder: int
    negated: bool = False


Matcher = (
    MarkMatch
    | InInterface
    | OutInterface
    | InInterfaceList
    | OutInterfaceList
    | AddressMatch
    | AddressListMatch
    | AddressTypeMatch
    | ProtocolMatch
    | PortMatch
    | StateMatch
    | SourceMacMatch
    | PccMatch
)


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
class SpreadAction:
    """Many PCC rules in one: stream `i` of `len(owners)` gets connection mark `owners[i]`.

    None is a stream that no rule takes: the chain goes on as if nothing had matched.
    """

    classifier: Classifier
    owners: tuple[str | None, ...]
    passthrough: bool = True


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
    """A static route. Several gateways share the connections (ECMP); none only where `kind` is not UNICAST."""

    table: str
    destination: Network
    gateways: tuple[Gateway, ...] = ()
    distance: int = 1
    kind: RouteKind = RouteKind.UNICAST
    check_gateway: CheckGateway | None = None
    scope: int = 30
    target_scope: int = 10
    preferred_source: Address | None = None
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
class Router:
    """The whole router. All tuples are in the order of evaluation, or of appearance where order means nothing.

    Attributes:
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
    forwards: bool = True
    file: str = field(default="", compare=False)
