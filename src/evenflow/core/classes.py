"""Classes of packets that a router cannot tell apart.

All that a router asks of an address is whether it lies in this or that set: of a condition, a route's destination, its
own addresses. So the numbers 0 to 2^32 - 1 fall into some classes, and the way of a packet is a function of the
classes of its fields. The same goes for ports, protocols and the buckets of a classifier. Of millions of flows only
one of each combination has to be traced, and what holds for all classes holds for all packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.addresses import merge, range_of
from evenflow.core.conditions import conditions
from evenflow.core.groups import joined_groups
from evenflow.core.own_address import NARROW_SCOPES
from evenflow.core.pcc import moduli
from evenflow.model.flow import PORT_PROTOCOLS, Family
from evenflow.model.matcher import (
    AddressListMatch,
    AddressMatch,
    AddressRange,
    Direction,
    PccMatch,
    PortMatch,
    ProtocolMatch,
)
from evenflow.model.router import Redirect, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evenflow.core.lookup import Fib
    from evenflow.model.flow import Network
    from evenflow.model.machine import Machine
    from evenflow.model.matcher import Classifier
    from evenflow.model.router import Router

#: First and last of some numbers, both included.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Partition:
    """The numbers 0 to 2^bits - 1, cut into spans, each of one class.

    Attributes:
        starts: the first number of each span, ascending; the first is 0.
        classes: the class of each span; classes are numbered from 0 in the order of their first spans.
        bits: of the numbers.
    """

    starts: tuple[int, ...]
    classes: tuple[int, ...]
    bits: int

    @property
    def count(self) -> int:
        """How many classes there are."""
        return max(self.classes) + 1

    def spans(self, class_number: int) -> Iterator[Span]:
        """The spans of a class, ascending."""
        ends = (*(start - 1 for start in self.starts[1:]), (1 << self.bits) - 1)
        for start, end, number in zip(self.starts, ends, self.classes, strict=True):
            if number == class_number:
                yield start, end


def partition(sets: Iterable[Iterable[Span]], bits: int) -> Partition:
    """Numbers are of one class when they are in the same ones of `sets`; the spans of one set must not overlap."""
    changes: dict[int, int] = {0: 0}
    for number, spans in enumerate(sets):
        for first, last in spans:
            for place in (first, last + 1):
                changes[place] = changes.get(place, 0) ^ (1 << number)
    changes.pop(1 << bits, None)
    starts: list[int] = []
    classes: list[int] = []
    known: dict[int, int] = {}
    members = 0
    for place in sorted(changes):
        members ^= changes[place]
        of_this = known.setdefault(members, len(known))
        if not classes or classes[-1] != of_this:
            starts.append(place)
            classes.append(of_this)
    return Partition(tuple(starts), tuple(classes), bits)


@dataclass(frozen=True)
class PacketClasses:
    """The classes of the fields of one family's packets; `buckets` has a class for each value of a classifier."""

    family: Family
    source: Partition
    destination: Partition
    protocol: Partition
    source_port: Partition
    destination_port: Partition
    buckets: Mapping[Classifier, tuple[int, ...]]


def packet_classes(router: Router, machine: Machine, fib: Fib, family: Family) -> PacketClasses:
    """What `router` can tell apart on `machine`, of packets that begin a connection.

    Two packets of the same classes, that come in by the same interface, have the same marks, routes and disposition.
    (The address that masquerade chooses for IPv6 can differ; the uplink can't.)
    """
    matchers = [condition.matcher for condition in conditions(router)]
    lists = {addresses.name: addresses.ranges for addresses in router.address_lists}
    of_both = [*_own_sets(machine, family), *_networks(_prefixes(fib, family))]
    sides: dict[Direction, list[list[Span]]] = {Direction.SOURCE: [*of_both], Direction.DESTINATION: [*of_both]}
    if family is Family.IPV6 and any(isinstance(rule.action, Redirect) for rule in router.nat):
        sides[Direction.DESTINATION] += [[_span(range_of(one)) for one in networks] for networks in NARROW_SCOPES]
    ports: dict[Direction, list[list[Span]]] = {Direction.SOURCE: [], Direction.DESTINATION: []}
    protocols = [[(number, number)] for number in sorted(PORT_PROTOCOLS)]
    for matcher in matchers:
        match matcher:
            case AddressMatch():
                sides[matcher.direction].append(_spans([matcher.addresses], family))
            case AddressListMatch():
                sides[matcher.direction].append(_spans(lists.get(matcher.list_name, ()), family))
            case ProtocolMatch():
                protocols.append([(matcher.protocol, matcher.protocol)])
            case PortMatch():
                for direction in ports:
                    if matcher.direction in (direction, Direction.EITHER):
                        ports[direction] += [[one] for one in matcher.ranges]
            case _:
                pass
    return PacketClasses(
        family,
        partition(sides[Direction.SOURCE], family.address_bits),
        partition(sides[Direction.DESTINATION], family.address_bits),
        partition(protocols, 8),
        partition(ports[Direction.SOURCE], 16),
        partition(ports[Direction.DESTINATION], 16),
        {classifier: _bucket_classes(router, classifier, modulus) for classifier, modulus in moduli(router).items()},
    )


def _bucket_classes(router: Router, classifier: Classifier, modulus: int) -> tuple[int, ...]:
    """For each value of a classifier its class: the same rules match, and the same marks own it."""
    answers: list[list[object]] = [[] for _ in range(modulus)]
    matchers = {condition.matcher for condition in conditions(router)}
    for matcher in matchers:
        if isinstance(matcher, PccMatch) and matcher.classifier is classifier and modulus % matcher.denominator == 0:
            for value, known in enumerate(answers):
                known.append(value % matcher.denominator == matcher.remainder)
    for rule in router.mangle:
        if isinstance(rule.action, SpreadAction) and rule.action.classifier is classifier:
            for value, known in enumerate(answers):
                known.append(rule.action.owners[value % len(rule.action.owners)])
    numbers: dict[tuple[object, ...], int] = {}
    return tuple(numbers.setdefault(tuple(known), len(numbers)) for known in answers)


def _own_sets(machine: Machine, family: Family) -> Iterator[list[Span]]:
    """What the kernel itself asks of an address: its type, whose it is, which interface's network it is of."""
    top = (1 << family.address_bits) - 1
    if family is Family.IPV4:
        yield from ([(0, 0)], [(127 << 24, (128 << 24) - 1)], [(224 << 24, (240 << 24) - 1)], [(top, top)])
    else:
        yield from ([(1, 1)], [(0xFF << 120, top)])
    for group in joined_groups(machine):
        if group.version == (4 if family is Family.IPV4 else 6):
            yield [(int(group), int(group))]
    for own in machine.addresses:
        network = own.address.network
        if network.version != (4 if family is Family.IPV4 else 6):
            continue
        ends = (own.address.ip, network.network_address, network.broadcast_address, *([own.peer] if own.peer else []))
        yield from ([(int(address), int(address))] for address in ends)
        yield from _networks([network])


def _prefixes(fib: Fib, family: Family) -> Iterator[Network]:
    for (of_family, _), routes in fib.tables.items():
        if of_family is family:
            yield from (route.destination for route in routes)
    for rule in fib.rules:
        if rule.family is family:
            yield from (network for network in (rule.source, rule.destination) if network is not None)


def _networks(networks: Iterable[Network]) -> Iterator[list[Span]]:
    for network in dict.fromkeys(networks):
        yield [_span(range_of(network))]


def _spans(ranges: Sequence[AddressRange], family: Family) -> list[Span]:
    return [_span(one) for one in merge(ranges, family)]


def _span(addresses: AddressRange) -> Span:
    return int(addresses.first), int(addresses.last)
