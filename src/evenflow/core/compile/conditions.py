"""Matchers as conditions of nf_tables rules.

A condition is a sequence of expressions that lets the rule go on only for packets that match. Some matchers need
several rules (a port on either side, a classifier that has ports for some protocols only): they give
alternatives, of which no packet meets two.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.core.addresses import merge
from evenflow.core.compile.names import fitting, safe_name
from evenflow.core.matching import ALL_INTERFACES
from evenflow.core.pcc import jhash, key_length_bytes, scale
from evenflow.model.dataplane import CONNECTION_MARK_MASK, PACKET_MARK_MASK, PACKET_MARK_SHIFT, ROUTING_MARK_MASK
from evenflow.model.flow import PORT_PROTOCOLS, ConnectionState, Family, family_of
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
    NthMatch,
    OutInterface,
    OutInterfaceList,
    PccMatch,
    PortMatch,
    ProtocolMatch,
    RandomMatch,
    SourceMacMatch,
    StateMatch,
)
from evenflow.model.nft import (
    Bitwise,
    Cmp,
    CmpOp,
    Ct,
    CtKey,
    Expression,
    FibType,
    Hash,
    KeyType,
    Lookup,
    Meta,
    MetaKey,
    NftSet,
    NumberGenerator,
    Payload,
    PayloadBase,
    Range,
    SetElement,
    ToNetworkOrder,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evenflow.core.matching import Surroundings
    from evenflow.core.numbering import Numbers
    from evenflow.model.matcher import AddressRange, Classifier, Matcher

Condition = tuple[Expression, ...]
#: Alternatives: () never holds, ((),) always does.
Alternatives = tuple[Condition, ...]
NEVER: Alternatives = ()
ALWAYS: Alternatives = ((),)

#: So many interfaces are compared one after the other. To look a name up in a set takes as long as four comparisons.
COMPARED = 4

#: Bits of `ct state` (Linux, NF_CT_STATE_BIT).
STATE_BITS = {
    ConnectionState.INVALID: 1,
    ConnectionState.ESTABLISHED: 2,
    ConnectionState.RELATED: 4,
    ConnectionState.NEW: 8,
    ConnectionState.UNTRACKED: 64,
}

#: Route types that the fib expression answers with (Linux, RTN_*). 4 is an anycast address of the machine's own: the
#: first of each network that a router is in (RFC 4291, 2.6.1). IPv6 has no broadcast; unicast is all the rest.
_ROUTE_TYPES: dict[Family, dict[AddressType, tuple[int, ...]]] = {
    Family.IPV4: {AddressType.LOCAL: (2,), AddressType.BROADCAST: (3,), AddressType.MULTICAST: (5,)},
    Family.IPV6: {AddressType.LOCAL: (2, 4), AddressType.BROADCAST: (), AddressType.MULTICAST: (5,)},
}

#: ARPHRD_ETHER: only such devices have a source MAC address to look at.
_ETHERNET = struct.pack("=H", 1)

#: NFPROTO_IPV4 and NFPROTO_IPV6.
_NFPROTO = {Family.IPV4: b"\x02", Family.IPV6: b"\x0a"}


def ifname(interface: str) -> bytes:
    """An interface name as the kernel compares it: 16 bytes, padded with zeros."""
    return interface.encode().ljust(16, b"\0")


def word(number: int) -> bytes:
    """A 32-bit number as registers and maps hold marks and hashes: in the machine's byte order."""
    return struct.pack("=I", number)


def of_family(family: Family) -> Condition:
    """Only packets of that family."""
    return (Meta(MetaKey.NFPROTO), Cmp(CmpOp.EQ, _NFPROTO[family]))


def mark_bits(kind: MarkKind, number: int) -> int:
    """Where a mark's number stands in ct mark or skb mark."""
    return number << PACKET_MARK_SHIFT if kind is MarkKind.PACKET else number


MARK_MASKS = {
    MarkKind.CONNECTION: CONNECTION_MARK_MASK,
    MarkKind.ROUTING: ROUTING_MARK_MASK,
    MarkKind.PACKET: PACKET_MARK_MASK,
}


def load_mark(kind: MarkKind) -> Condition:
    """Our bits of a mark, in register 0."""
    load: Expression = Ct(CtKey.MARK) if kind is MarkKind.CONNECTION else Meta(MetaKey.MARK)
    return (load, Bitwise(word(MARK_MASKS[kind]), word(0)))


@dataclass
class Sets:
    """The sets that rules refer to, made as they are asked for; equal content shares one set."""

    made: dict[str, NftSet] = field(default_factory=dict)

    def values(self, prefix: str, key_type: KeyType, keys: Iterable[bytes], readable: str) -> str:
        """Name of a set of single values."""
        elements = frozenset(SetElement(key) for key in keys)
        return self._add(NftSet(fitting(f"{prefix}/{safe_name(readable)}"), key_type, elements))

    def intervals(self, prefix: str, key_type: KeyType, ranges: Iterable[tuple[bytes, bytes]], readable: str) -> str:
        """Name of a set of intervals (first and last key, in order, none touching the next)."""
        elements: set[SetElement] = set()
        for first, last in ranges:
            elements.add(SetElement(first))
            behind = int.from_bytes(last, "big") + 1
            if behind < 1 << 8 * len(last):
                elements.add(SetElement(behind.to_bytes(len(last), "big"), interval_end=True))
        return self._add(
            NftSet(fitting(f"{prefix}/{safe_name(readable)}"), key_type, frozenset(elements), intervals=True)
        )

    def named(self, made: NftSet) -> str:
        """Add a set under its own name."""
        return self._add(made)

    def _add(self, made: NftSet) -> str:
        self.made[made.name] = made
        return made.name


@dataclass(frozen=True)
class Conditions:
    """Translates matchers for one family."""

    family: Family
    around: Surroundings
    numbers: Numbers
    sets: Sets

    def all_of(self, matchers: Sequence[Matcher]) -> Alternatives:
        """All matchers together. A protocol with ports that is named already is not asked for again."""
        ported = any(isinstance(m, ProtocolMatch) and m.protocol in PORT_PROTOCOLS and not m.negated for m in matchers)
        # Cheap looks at marks and interfaces first, so that most packets leave a rule early; the hash and chance last.
        ordered = sorted(matchers, key=_cost)
        parts = [self.one(matcher, ported=ported) for matcher in ordered]
        return tuple(tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*parts))

    def one(self, matcher: Matcher, *, ported: bool = False) -> Alternatives:
        """One matcher; `ported`: the rule already asks for a protocol that has ports."""
        match matcher:
            case MarkMatch(kind, mark, negated):
                number = mark_bits(kind, self.numbers.mark(kind, mark))
                return ((*load_mark(kind), Cmp(_equal(negated=negated), word(number))),)
            case InInterface(interface, negated):
                return ((Meta(MetaKey.IIFNAME), Cmp(_equal(negated=negated), ifname(interface))),)
            case OutInterface(interface, negated):
                return ((Meta(MetaKey.OIFNAME), Cmp(_equal(negated=negated), ifname(interface))),)
            case InInterfaceList(list_name, negated):
                return self._interface_list(MetaKey.IIFNAME, list_name, negated=negated)
            case OutInterfaceList(list_name, negated):
                return self._interface_list(MetaKey.OIFNAME, list_name, negated=negated)
            case AddressMatch(direction, addresses, negated):
                return self._address(direction, addresses, negated=negated)
            case AddressListMatch(direction, list_name, negated):
                return self._address_list(direction, list_name, negated=negated)
            case PccMatch():
                return self._pcc(matcher)
            case PortMatch():
                return self._ports(matcher, ported=ported)
            case _:
                return self._simple(matcher)

    def _simple(self, matcher: Matcher) -> Alternatives:
        match matcher:
            case AddressTypeMatch(direction, types, negated):
                return self._address_type(direction, types, negated=negated)
            case ProtocolMatch(protocol, negated):
                return ((Meta(MetaKey.L4PROTO), Cmp(_equal(negated=negated), bytes([protocol]))),)
            case StateMatch(states, negated):
                bits = sum(STATE_BITS[state] for state in states)
                masked = (Ct(CtKey.STATE), Bitwise(word(bits), word(0)))
                return ((*masked, Cmp(CmpOp.EQ if negated else CmpOp.NEQ, word(0))),)
            case NthMatch(every, packet, negated):
                if every == 1:
                    return NEVER if negated else ALWAYS
                # The first packet that is counted gets 0.
                return ((NumberGenerator(every), Cmp(_equal(negated=negated), word(packet - 1))),)
            case RandomMatch(percent, negated):
                below = Cmp(CmpOp.GTE if negated else CmpOp.LT, percent.to_bytes(4, "big"))
                return ((NumberGenerator(100, random=True), ToNetworkOrder(), below),)
            case SourceMacMatch(mac, negated):
                is_ethernet = (Meta(MetaKey.IIFTYPE), Cmp(CmpOp.EQ, _ETHERNET))
                mac_is = (Payload(PayloadBase.LINK, 6, 6), Cmp(_equal(negated=negated), mac))
                return ((*is_ethernet, *mac_is),)
            case _:
                raise TypeError(matcher)

    def _address_type(self, direction: Direction, types: frozenset[AddressType], *, negated: bool) -> Alternatives:
        """Unicast is what is nothing else: in IPv6 the kernel says so only of what it has a route to (nft_fib_ipv6)."""
        others = sorted({kind for kind in AddressType if kind not in types}, key=lambda kind: kind.value)
        if AddressType.UNICAST in types:
            types, negated = frozenset(others), not negated
        numbers = sorted({number for kind in types for number in _ROUTE_TYPES[self.family][kind]})
        load = FibType(of_source=direction is Direction.SOURCE)
        if not numbers:
            return ALWAYS if negated else NEVER
        if len(numbers) == 1:
            return ((load, Cmp(_equal(negated=negated), word(numbers[0]))),)
        readable = "_".join(sorted(kind.value for kind in types))
        name = self.sets.values(f"types/{self.family.value}", KeyType.MARK, map(word, numbers), readable)
        return ((load, Lookup(name, negated=negated)),)

    def _interface_list(self, key: MetaKey, list_name: str, *, negated: bool) -> Alternatives:
        if list_name == ALL_INTERFACES:
            return ((Meta(key), Cmp(_equal(negated=not negated), ifname(""))),)
        members = self.around.members(list_name)
        if not members:
            return ALWAYS if negated else NEVER
        name = self.sets.values("interfaces", KeyType.IFNAME, map(ifname, members), list_name)
        return ((Meta(key), Lookup(name, negated=negated)),)

    def load_address(self, direction: Direction) -> Payload:
        """The address, in the first registers."""
        size = self.family.address_bits // 8
        source = 12 if self.family is Family.IPV4 else 8
        offset = source if direction is Direction.SOURCE else source + size
        return Payload(PayloadBase.NETWORK, offset, size)

    def _address(self, direction: Direction, addresses: AddressRange, *, negated: bool) -> Alternatives:
        if family_of(addresses.first) is not self.family:
            return ALWAYS if negated else NEVER
        load = self.load_address(direction)
        first, last = addresses.first.packed, addresses.last.packed
        if first == last:
            return ((load, Cmp(_equal(negated=negated), first)),)
        return ((load, Range(first, last, negated)),)

    def _address_list(self, direction: Direction, list_name: str, *, negated: bool) -> Alternatives:
        ranges = merge(self.around.ranges(list_name), self.family)
        if not ranges:
            return ALWAYS if negated else NEVER
        key_type = KeyType.IPV4_ADDR if self.family is Family.IPV4 else KeyType.IPV6_ADDR
        keys = [(r.first.packed, r.last.packed) for r in ranges]
        name = self.sets.intervals(f"addresses/{self.family.value}", key_type, keys, list_name)
        return ((self.load_address(direction), Lookup(name, negated=negated)),)

    # --- ports and classifiers ---------------------------------------------------------------------------------

    def has_ports(self, *, negated: bool = False) -> Condition:
        """Only protocols with ports: `th sport` of others would be something else's bytes."""
        name = self.sets.values("protocols", KeyType.INET_PROTO, (bytes([p]) for p in PORT_PROTOCOLS), "with_ports")
        return (Meta(MetaKey.L4PROTO), Lookup(name, negated=negated))

    def _ports(self, matcher: PortMatch, *, ported: bool) -> Alternatives:
        before = () if ported else self.has_ports()
        sides = {
            Direction.SOURCE: ((0, matcher.negated),),
            Direction.DESTINATION: ((2, matcher.negated),),
        }
        if matcher.direction is not Direction.EITHER:
            ((offset, negated),) = sides[matcher.direction]
            return ((*before, *self._port(offset, matcher, negated=negated)),)
        source, destination = (self._port(offset, matcher, negated=matcher.negated) for offset in (0, 2))
        if matcher.negated:
            return ((*before, *source, *destination),)
        not_source = self._port(0, matcher, negated=True)
        return ((*before, *source), (*before, *not_source, *destination))

    def _port(self, offset: int, matcher: PortMatch, *, negated: bool) -> Condition:
        load = Payload(PayloadBase.TRANSPORT, offset, 2)
        ranges = _merged_ports(matcher.ranges)
        if len(ranges) == 1:
            ((first, last),) = ranges
            if first == last:
                return (load, Cmp(_equal(negated=negated), first.to_bytes(2, "big")))
            return (load, Range(first.to_bytes(2, "big"), last.to_bytes(2, "big"), negated))
        readable = "_".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
        keys = [(a.to_bytes(2, "big"), b.to_bytes(2, "big")) for a, b in ranges]
        return (load, Lookup(self.sets.intervals("ports", KeyType.INET_SERVICE, keys, readable), negated=negated))

    def buckets(self, classifier: Classifier) -> tuple[tuple[Condition, int | None], ...]:
        """How to get a packet's bucket into register 0: alternatives, none overlapping.

        Each is a condition that ends in the hash; or, where the key is empty, only a condition, and the bucket
        that all its packets have.
        """
        fields = classifier.fields
        modulus = self.around.modulus(classifier)
        without = self._hash(classifier, modulus, with_ports=False) if fields.any_address else ()
        empty = None if fields.any_address else scale(jhash(b"", self.around.seed), modulus)
        if not fields.any_port:
            return ((without, None),)
        return (
            ((*self.has_ports(), *self._hash(classifier, modulus, with_ports=True)), None),
            ((*self.has_ports(negated=True), *without), empty),
        )

    def _hash(self, classifier: Classifier, modulus: int, *, with_ports: bool) -> Condition:
        """Load the key, packed, into registers from 0 on, and hash it."""
        fields, size = classifier.fields, self.family.address_bits // 8
        loads: list[Payload] = []
        register = 0
        if fields.any_address:
            start = self.load_address(Direction.SOURCE if fields.source_address else Direction.DESTINATION)
            length = size * (fields.source_address + fields.destination_address)
            loads.append(Payload(PayloadBase.NETWORK, start.offset_bytes, length, register))
            register += length // 4
        if with_ports and fields.any_port:
            length = 2 * (fields.source_port + fields.destination_port)
            loads.append(Payload(PayloadBase.TRANSPORT, 0 if fields.source_port else 2, length, register))
        key_length = key_length_bytes(classifier, self.family, with_ports=with_ports)
        return (*loads, Hash(key_length, modulus, self.around.seed))

    def _pcc(self, matcher: PccMatch) -> Alternatives:
        if matcher.remainder >= matcher.denominator:
            return ALWAYS if matcher.negated else NEVER
        modulus = self.around.modulus(matcher.classifier)
        values = range(matcher.remainder, modulus, matcher.denominator)
        found: list[Condition] = []
        for condition, constant in self.buckets(matcher.classifier):
            if constant is not None:
                if (constant in values) != matcher.negated:
                    found.append(condition)
            elif len(values) == 1:
                found.append((*condition, Cmp(_equal(negated=matcher.negated), word(values[0]))))
            else:
                readable = f"{modulus}_{matcher.denominator}_{matcher.remainder}"
                name = self.sets.values("buckets", KeyType.MARK, map(word, values), readable)
                found.append((*condition, Lookup(name, negated=matcher.negated)))
        return tuple(found)


def _equal(*, negated: bool) -> CmpOp:
    return CmpOp.NEQ if negated else CmpOp.EQ


def _merged_ports(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _cost(matcher: Matcher) -> int:
    """Rough cost of looking at something, for the order within a rule; equal ones stay as the user wrote them."""
    match matcher:
        case InInterface() | OutInterface() | MarkMatch() | StateMatch():
            return 0
        case NthMatch():
            return 5  # it counts what all others let through
        case RandomMatch():
            return 4
        case PccMatch():
            return 3
        case AddressTypeMatch():
            return 2
        case _:
            return 1
