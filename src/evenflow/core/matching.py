"""Whether a matcher holds for what is known of a packet: yes, no, or not decided by what is known.

One reading of every matcher serves both the tracer, which knows everything of its packet, and the compiler, which
asks what follows for all packets from some interface with some connection mark.
"""

from __future__ import annotations

import enum
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from evenflow.core.addresses import contains, type_of
from evenflow.core.draws import Drawing, Draws
from evenflow.core.pcc import jhash, key_of, moduli, scale
from evenflow.model.flow import ConnectionState
from evenflow.model.machine import Machine
from evenflow.model.matcher import (
    AddressListMatch,
    AddressMatch,
    AddressTypeMatch,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    NthMatch,
    OutInterface,
    OutInterfaceList,
    PccMatch,
    PortMatch,
    ProtocolMatch,
    RandomMatch,
    SourceMacMatch,
    StateMatch,
    UnsupportedMatch,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.flow import Address, Packet
    from evenflow.model.matcher import AddressRange, Classifier, Matcher
    from evenflow.model.router import MangleRule, NatRule, Router
    from evenflow.model.trace import Drawn


class Unknown(enum.Enum):
    """A type of its own for what is not known, since None is a value: no-mark. SOME_MARK is any but no-mark."""

    UNKNOWN = "unknown"
    SOME_MARK = "some mark"


UNKNOWN: Final = Unknown.UNKNOWN
SOME_MARK: Final = Unknown.SOME_MARK
Mark = str | None | Unknown

#: States of packets that connection tracking has no entry for.
WITHOUT_ENTRY = frozenset({ConnectionState.INVALID, ConnectionState.UNTRACKED})

#: `in-interface-list=all` and `none` are built into RouterOS; neither lists its members.
ALL_INTERFACES, NO_INTERFACES = "all", "none"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a packet at one point of its way.

    Interfaces are "" where the packet has none there: no in-interface for the router's own, no out-interface
    before the routing decision. `given` are matchers that are known to hold, of what a rule can't change.
    """

    in_interface: str | Literal[Unknown.UNKNOWN] = UNKNOWN
    out_interface: str | Literal[Unknown.UNKNOWN] = UNKNOWN
    connection_mark: Mark = UNKNOWN
    routing_mark: Mark = UNKNOWN
    packet_mark: Mark = UNKNOWN
    packet: Packet | None = None
    given: frozenset[Matcher] = frozenset()

    @property
    def has_entry(self) -> bool:
        """Whether connection tracking has an entry for it; True where that is not known.

        Without one there is no connection mark: none can be set, and no condition on it holds, nor with `!` (Linux,
        xt_connmark and nft_ct).
        """
        return self.packet is None or self.packet.state not in WITHOUT_ENTRY

    def mark(self, kind: MarkKind) -> Mark:
        """One of the three marks."""
        if kind is MarkKind.CONNECTION:
            return self.connection_mark
        return self.routing_mark if kind is MarkKind.ROUTING else self.packet_mark

    def marked(self, kind: MarkKind, mark: str | None) -> Sight:
        """The same with one mark set."""
        if kind is MarkKind.CONNECTION:
            return replace(self, connection_mark=mark) if self.has_entry else self
        return replace(self, routing_mark=mark) if kind is MarkKind.ROUTING else replace(self, packet_mark=mark)


@dataclass(frozen=True)
class Surroundings:
    """What matchers refer to: lists, the machine's own addresses, the scale and seed of the hash."""

    router: Router
    machine: Machine = field(default_factory=Machine)
    seed: int = 0

    def __post_init__(self) -> None:
        lists = {members.name: members.members for members in self.router.interface_lists}
        ranges = {addresses.name: addresses.ranges for addresses in self.router.address_lists}
        object.__setattr__(self, "_interface_lists", lists)
        object.__setattr__(self, "_address_lists", ranges)
        object.__setattr__(self, "_moduli", moduli(self.router))
        object.__setattr__(self, "_hashes", _Hashes(self.seed))

    def drawing(self, drawing: Drawing) -> Surroundings:
        """The same, with the draws of one packet."""
        other = copy(self)
        object.__setattr__(other, "_drawing", drawing)
        return other

    def supposing(self, buckets: Mapping[Classifier, int]) -> Surroundings:
        """The same, with these values of classifiers in place of what a packet's fields hash to."""
        other = copy(self)
        object.__setattr__(other, "_supposed", buckets)
        return other

    _interface_lists: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    _address_lists: Mapping[str, tuple[AddressRange, ...]] = field(init=False, repr=False, compare=False)
    _moduli: Mapping[Classifier, int] = field(init=False, repr=False, compare=False)
    _hashes: _Hashes = field(init=False, repr=False, compare=False)
    _supposed: Mapping[Classifier, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    _drawing: Drawing = field(init=False, repr=False, compare=False, default_factory=lambda: Drawing(Draws()))

    def in_list(self, list_name: str, interface: str) -> bool:
        """Whether an interface is on an interface list; one that was never defined has no members."""
        if list_name == ALL_INTERFACES:
            return bool(interface)
        return interface in self._interface_lists.get(list_name, frozenset())

    def members(self, list_name: str) -> frozenset[str]:
        """The members of an interface list."""
        return self._interface_lists.get(list_name, frozenset())

    def ranges(self, list_name: str) -> tuple[AddressRange, ...]:
        """The entries of an address list of both families."""
        return self._address_lists.get(list_name, ())

    def modulus(self, classifier: Classifier) -> int:
        """What the hash over these fields is scaled to."""
        return self._moduli.get(classifier, 1)

    def draw(self, rule: MangleRule | NatRule, matcher: NthMatch | RandomMatch) -> Drawn:
        """What the packet gets at a condition of a rule that is left to a counter or to chance."""
        return self._drawing.draw(rule, matcher)

    def hash_of(self, packet: Packet, classifier: Classifier) -> int:
        """The packet's hash under a classifier, 32 bits."""
        return self._hashes.of(packet, classifier)

    def bucket(self, packet: Packet, classifier: Classifier) -> int:
        """The packet's value under a classifier."""
        supposed = self._supposed.get(classifier)
        if supposed is not None:
            return supposed
        return scale(self.hash_of(packet, classifier), self.modulus(classifier))


class _Hashes:
    """The hashes of the packet that was asked for last: each rule of a group asks for the same one."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._packet: Packet | None = None
        self._known: dict[Classifier, int] = {}

    def of(self, packet: Packet, classifier: Classifier) -> int:
        if packet is not self._packet:
            self._packet, self._known = packet, {}
        value = self._known.get(classifier)
        if value is None:
            value = self._known[classifier] = jhash(key_of(packet, classifier), self._seed)
        return value


def holds(matcher: Matcher, sight: Sight, around: Surroundings) -> bool | None:
    """Whether `matcher` matches; None when what is known does not decide it, as of counters and chance never."""
    if matcher in sight.given:
        return True
    if isinstance(matcher, MarkMatch) and matcher.kind is MarkKind.CONNECTION and not sight.has_entry:
        return False
    plain = _holds_plain(matcher, sight, around)
    if plain is None or isinstance(matcher, PortMatch | SourceMacMatch):
        return plain
    return plain != matcher.negated


def _holds_plain(matcher: Matcher, sight: Sight, around: Surroundings) -> bool | None:
    match matcher:
        case MarkMatch():
            mark = sight.mark(matcher.kind)
            if isinstance(mark, Unknown):
                return False if mark is SOME_MARK and matcher.mark is None else None
            return mark == matcher.mark
        case InInterface():
            return None if sight.in_interface is UNKNOWN else sight.in_interface == matcher.interface
        case OutInterface():
            return None if sight.out_interface is UNKNOWN else sight.out_interface == matcher.interface
        case InInterfaceList():
            return None if sight.in_interface is UNKNOWN else around.in_list(matcher.list_name, sight.in_interface)
        case OutInterfaceList():
            return None if sight.out_interface is UNKNOWN else around.in_list(matcher.list_name, sight.out_interface)
        case PccMatch() if matcher.remainder >= matcher.denominator:
            return False
        case NthMatch(every=1):
            return True
        case NthMatch() | RandomMatch() | UnsupportedMatch():
            return None
        case _:
            return None if sight.packet is None else _holds_of_packet(matcher, sight.packet, around)


def _holds_of_packet(matcher: Matcher, packet: Packet, around: Surroundings) -> bool:
    match matcher:
        case AddressMatch():
            return contains([matcher.addresses], _end(packet, matcher.direction))
        case AddressListMatch():
            return contains(around.ranges(matcher.list_name), _end(packet, matcher.direction))
        case AddressTypeMatch():
            return type_of(_end(packet, matcher.direction), around.machine) in matcher.types
        case ProtocolMatch():
            return packet.protocol == matcher.protocol
        case PortMatch():
            return packet.has_ports and (_port_in(matcher, packet) != matcher.negated)
        case StateMatch():
            return packet.state in matcher.states
        case SourceMacMatch():
            return packet.source_mac is not None and (packet.source_mac == matcher.mac) != matcher.negated
        case PccMatch():
            return around.bucket(packet, matcher.classifier) % matcher.denominator == matcher.remainder
        case _:
            raise TypeError(matcher)


def _end(packet: Packet, direction: Direction) -> Address:
    return packet.source if direction is Direction.SOURCE else packet.destination


def _port_in(matcher: PortMatch, packet: Packet) -> bool:
    ports = {
        Direction.SOURCE: (packet.source_port,),
        Direction.DESTINATION: (packet.destination_port,),
        Direction.EITHER: (packet.source_port, packet.destination_port),
    }[matcher.direction]
    return any(first <= port <= last for port in ports for first, last in matcher.ranges)
