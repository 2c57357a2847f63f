"""Matchers: one class per property by which a rule chooses packets. A rule matches when all of its matchers do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.model.flow import Address, ConnectionState


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


@dataclass(frozen=True, slots=True)
class NthMatch:
    """`nth=EVERY,PACKET`: packet number `packet`, from 1 on, of each `every` that get to it.

    The rule that has it has a counter of its own. It counts the packets that all other conditions of the rule hold for:
    those are asked first. RouterOS has no `!` for it. Source: MikroTik's manual, "Mangle", nth.
    """

    every: int
    packet: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class RandomMatch:
    """`random=PERCENT`: so many of 100 packets, 1 to 99, each by a draw of its own. RouterOS has no `!` for it."""

    percent: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class UnsupportedMatch:
    """A property that RouterOS knows and that can't be asked for here: `hotspot=auth`. The value has its `!` in it.

    A rule with it stands only in the router that a file states, never in one that runs.
    """

    property: str
    value: str
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
    | NthMatch
    | RandomMatch
    | UnsupportedMatch
)
