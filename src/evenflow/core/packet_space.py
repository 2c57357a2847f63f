"""All packets that a router can tell apart, as dimensions of boxes; and the boxes that a condition lets through."""

from __future__ import annotations

import enum
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from evenflow.core.addresses import LOOPBACK, merge
from evenflow.core.conditions import conditions
from evenflow.core.interfaces import interfaces_used
from evenflow.core.matching import WITHOUT_ENTRY, Sight, Surroundings, holds
from evenflow.core.numbering import number_router
from evenflow.model.flow import TCP, ConnectionState, Family, Packet
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
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from evenflow.core.boxes import Box
    from evenflow.core.classes import PacketClasses, Partition
    from evenflow.model.machine import Machine
    from evenflow.model.matcher import AddressRange, Classifier, Matcher
    from evenflow.model.router import Router


class Axis(enum.IntEnum):
    """The dimensions of every space; after them comes one for each classifier."""

    IN, OUT, SOURCE, DESTINATION, PROTOCOL, SOURCE_PORT, DESTINATION_PORT = range(7)
    STATE, CONNECTION_MARK, ROUTING_MARK, PACKET_MARK, SOURCE_MAC = range(7, 12)


MARK_AXES = {
    MarkKind.CONNECTION: Axis.CONNECTION_MARK,
    MarkKind.ROUTING: Axis.ROUTING_MARK,
    MarkKind.PACKET: Axis.PACKET_MARK,
}

#: No interface: of packets that were not routed yet, and of the router's own.
NO_INTERFACE = ""

#: Stands for every interface that neither the configuration nor the machine names. (No device can have this name.)
ANOTHER_INTERFACE = "/"

STATES = tuple(ConnectionState)

#: A hardware address that no rule names, and none at all.
_ANY_MAC, _NO_MAC = b"\0" * 6, None


@dataclass(frozen=True)
class PacketSpace:
    """The space of one family. `axes` has for each dimension the values that its bits stand for."""

    family: Family
    axes: tuple[Sequence[Any], ...]
    classifiers: Mapping[Classifier, int]
    around: Surroundings
    classes: PacketClasses
    _known: dict[Matcher, list[Box]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, router: Router, machine: Machine, classes: PacketClasses) -> PacketSpace:
        """The space of what `router` can tell apart."""
        numbers = number_router(router)
        interfaces = dict.fromkeys((NO_INTERFACE, LOOPBACK, ANOTHER_INTERFACE, *interfaces_used(router)))
        interfaces |= dict.fromkeys(link.name for link in machine.links)
        matchers = [condition.matcher for condition in conditions(router)]
        macs = dict.fromkeys(matcher.mac for matcher in matchers if isinstance(matcher, SourceMacMatch))
        axes: list[Sequence[Any]] = [tuple(interfaces), tuple(interfaces)]
        axes += [_samples(classes.source), _samples(classes.destination), _samples(classes.protocol)]
        axes += [_samples(classes.source_port), _samples(classes.destination_port), STATES]
        axes += [(None, *names) for names in (numbers.connection_marks, numbers.routing_marks, numbers.packet_marks)]
        axes.append((_NO_MAC, _ANY_MAC, *macs))
        first = len(axes)
        axes += [_first_values(of_each) for of_each in classes.buckets.values()]
        numbered = {classifier: first + number for number, classifier in enumerate(classes.buckets)}
        return cls(classes.family, tuple(axes), numbered, Surroundings(router, machine), classes)

    @cached_property
    def everything(self) -> Box:
        """The box of all packets."""
        return tuple((1 << len(values)) - 1 for values in self.axes)

    def box(self, **only: Iterable[object]) -> Box:
        """All packets with one of these values on each axis that is named."""
        return self.narrowed(
            {Axis[name]: self.mask(Axis[name], set(values).__contains__) for name, values in only.items()}
        )

    def narrowed(self, masks: Mapping[int, int]) -> Box:
        """All packets with these values, as bits, on these axes."""
        return tuple(masks.get(axis, full) for axis, full in enumerate(self.everything))

    def mask(self, axis: int, wanted: Callable[[Any], bool]) -> int:
        """The values of an axis that are wanted, as bits."""
        return sum(1 << number for number, value in enumerate(self.axes[axis]) if wanted(value))

    # --- conditions --------------------------------------------------------------------------------------------------

    def allowed(self, matcher: Matcher) -> list[Box]:
        """The packets that a condition holds for."""
        known = self._known.get(matcher)
        if known is None:
            known = self._known[matcher] = [box for box in self._boxes(matcher) if all(box)]
        return known

    def _boxes(self, matcher: Matcher) -> list[Box]:
        masks: dict[int, int]
        match matcher:
            case MarkMatch():
                masks = {MARK_AXES[matcher.kind]: self.mask(MARK_AXES[matcher.kind], self._on_marks(matcher))}
                if matcher.kind is MarkKind.CONNECTION:
                    masks[Axis.STATE] = self.with_entry
            case InInterface() | InInterfaceList():
                masks = {Axis.IN: self.mask(Axis.IN, lambda name: self._holds(matcher, Sight(in_interface=name)))}
            case OutInterface() | OutInterfaceList():
                masks = {Axis.OUT: self.mask(Axis.OUT, lambda name: self._holds(matcher, Sight(out_interface=name)))}
            case AddressListMatch():
                axis = Axis.SOURCE if matcher.direction is Direction.SOURCE else Axis.DESTINATION
                inside = set(_members(self.axes[axis], merge(self.around.ranges(matcher.list_name), self.family)))
                masks = {axis: self.mask(axis, lambda number: (number in inside) != matcher.negated)}
            case AddressMatch() | AddressTypeMatch():
                axis = Axis.SOURCE if matcher.direction is Direction.SOURCE else Axis.DESTINATION
                masks = {axis: self._on_packets(matcher, axis)}
            case ProtocolMatch():
                masks = {Axis.PROTOCOL: self._on_packets(matcher, Axis.PROTOCOL)}
            case PortMatch():
                return self._ports(matcher)
            case StateMatch():
                masks = {Axis.STATE: self._on_packets(matcher, Axis.STATE)}
            case SourceMacMatch():
                masks = {Axis.SOURCE_MAC: self._on_packets(matcher, Axis.SOURCE_MAC)}
            case PccMatch() if matcher.remainder < matcher.denominator:
                axis_of = self.classifiers[matcher.classifier]
                wanted = matcher.remainder, matcher.negated
                masks = {axis_of: self.mask(axis_of, lambda v: (v % matcher.denominator == wanted[0]) != wanted[1])}
            case PccMatch():
                return [self.everything] if matcher.negated else []
            case NthMatch() | RandomMatch() | UnsupportedMatch():
                return [self.everything]
        return [self.narrowed(masks)]

    @property
    def with_entry(self) -> int:
        """The states of packets that connection tracking has an entry for, as bits."""
        return self.mask(Axis.STATE, lambda state: state not in WITHOUT_ENTRY)

    def _on_marks(self, matcher: MarkMatch) -> Callable[[str | None], bool]:
        return lambda mark: (mark == matcher.mark) != matcher.negated

    def _holds(self, matcher: Matcher, sight: Sight) -> bool:
        return holds(matcher, sight, self.around) is True

    def _on_packets(self, matcher: Matcher, axis: Axis) -> int:
        return self.mask(axis, lambda value: self._holds(matcher, Sight(packet=self._packet_with(axis, value))))

    def _packet_with(self, axis: Axis, value: Any) -> Packet:  # noqa: ANN401 - each axis has values of its own type
        """Some packet with that value."""
        nobody = self.address(0)
        packet = Packet(nobody, nobody, TCP)
        match axis:
            case Axis.SOURCE:
                return replace(packet, source=self.address(value))
            case Axis.DESTINATION:
                return replace(packet, destination=self.address(value))
            case Axis.PROTOCOL:
                return replace(packet, protocol=value)
            case Axis.STATE:
                return replace(packet, state=value)
            case _:
                return replace(packet, source_mac=value)

    def _ports(self, matcher: PortMatch) -> list[Box]:
        """Only of protocols with ports, also where it is negated (`core.matching`)."""
        ported = self.mask(Axis.PROTOCOL, lambda protocol: self._packet_with(Axis.PROTOCOL, protocol).has_ports)
        sides = {
            Direction.SOURCE: (Axis.SOURCE_PORT,),
            Direction.DESTINATION: (Axis.DESTINATION_PORT,),
            Direction.EITHER: (Axis.SOURCE_PORT, Axis.DESTINATION_PORT),
        }[matcher.direction]
        inside: dict[int, int] = {axis: self.mask(axis, lambda port: _within(matcher.ranges, port)) for axis in sides}
        if matcher.negated:
            outside = {axis: self.everything[axis] & ~mask for axis, mask in inside.items()}
            return [self.narrowed({Axis.PROTOCOL: ported, **outside})]
        return [self.narrowed({Axis.PROTOCOL: ported, axis: mask}) for axis, mask in inside.items()]

    def address(self, number: int) -> IPv4Address | IPv6Address:
        """The address of this family with that number."""
        return IPv4Address(number) if self.family is Family.IPV4 else IPv6Address(number)


def _members(numbers: Iterable[int], ranges: Sequence[AddressRange]) -> Iterator[int]:
    """Those of the numbers of addresses that lie in one of the ranges, which are merged (`addresses.merge`)."""
    starts = [int(one.first) for one in ranges]
    for number in numbers:
        place = bisect_right(starts, number) - 1
        if place >= 0 and number <= int(ranges[place].last):
            yield number


def _within(ranges: Iterable[tuple[int, int]], port: int) -> bool:
    return any(first <= port <= last for first, last in ranges)


def _samples(cut: Partition) -> tuple[int, ...]:
    """The first number of each class."""
    found: dict[int, int] = {}
    for start, of_this in zip(cut.starts, cut.classes, strict=True):
        found.setdefault(of_this, start)
    return tuple(found[number] for number in range(cut.count))


def _first_values(of_each: Sequence[int]) -> tuple[int, ...]:
    """The first value of each class of a classifier's values."""
    return tuple(of_each.index(number) for number in range(max(of_each) + 1))
