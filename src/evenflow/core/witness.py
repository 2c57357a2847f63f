"""A packet of flesh and blood for a set of packets: addresses and ports that anybody can try."""

from __future__ import annotations

import shlex
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from evenflow.core.addresses import LOOPBACK
from evenflow.core.boxes import bits
from evenflow.core.packet_space import ANOTHER_INTERFACE, NO_INTERFACE, Axis
from evenflow.core.pcc import classify, moduli
from evenflow.core.unstated import is_nameless
from evenflow.model.flow import ICMP, ICMPV6, TCP, UDP, ConnectionState, Family, Packet, family_of
from evenflow.model.protocols import protocol_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from evenflow.core.boxes import Box
    from evenflow.core.classes import Partition, Span
    from evenflow.core.packet_space import PacketSpace
    from evenflow.model.flow import Address
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: Packets that are tried until the classifiers' values are as wanted. Chances are some tenths for each as a rule.
_TRIES = 4096

#: Of these, how many go to the same server.
_TRIES_OF_CLIENT = 256

#: Where ports of clients begin on most systems (RFC 6056, 3.2), and the port that most traffic goes to.
_CLIENT_PORT, _SERVER_PORT = 49152, 443

#: A service of a router's that people reach from outside.
_SERVICE_PORT = 22

#: Connections from outside that are tried: enough for all streams of a classifier.
_TRIES_OF_STRANGERS = 24

#: Somebody on the Internet: addresses for examples (RFC 5737; RFC 3849).
_SERVERS = {Family.IPV4: int(IPv4Address("198.51.100.7")), Family.IPV6: int(IPv6Address("2001:db8::7"))}

#: Which protocols are shown first.
_USUAL = (TCP, UDP, ICMP, ICMPV6)


def witness(
    router: Router, space: PacketSpace, box: Box, seed: int, outside: Container[str | None] = ()
) -> Packet | None:
    """A packet of that box, or None where none is found: so few addresses may never hash to such a value.

    It comes in by an interface with a network of its source if it can, else by any that is not among `outside`, the
    uplinks. None where it could come in only by the loopback device or a supposed one, which nobody can try.
    """
    interfaces = [name for name in values_on(space, box, Axis.IN) if name not in (ANOTHER_INTERFACE, LOOPBACK)]
    interfaces = [name for name in interfaces if not is_nameless(name)]
    states = values_on(space, box, Axis.STATE)
    if not interfaces:
        return None
    interfaces.sort(key=lambda name: (name == NO_INTERFACE, not _is_at_home(space, box, name), name in outside))
    candidates = _candidates(space, box, interfaces[0])
    scales = moduli(router)
    wanted = {
        classifier: {space.classes.buckets[classifier][value] for value in values_on(space, box, axis)}
        for classifier, axis in space.classifiers.items()
        if box[axis] != space.everything[axis]
    }
    for packet in islice(candidates, _TRIES if wanted else 1):
        if all(
            space.classes.buckets[classifier][classify(packet, classifier, scales[classifier], seed)] in values
            for classifier, values in wanted.items()
        ):
            return replace(packet, state=states[0], connection_mark=values_on(space, box, Axis.CONNECTION_MARK)[0])
    return None


def ordinary_packets(
    machine: Machine, interface: str, family: Family, server: Address | None = None
) -> Iterator[Packet]:
    """First packets of connections from hosts on an interface to servers on the Internet, all different.

    `server` is the first of the servers; None: one of those for examples.
    """
    near, far = _neighbour(machine, interface, family), int(server) if server is not None else _SERVERS[family]
    for number in range(_TRIES_OF_CLIENT - _HOST):
        ends = _address(near + number, family), _address(far + number, family)
        yield Packet(*ends, TCP, _CLIENT_PORT + number, _SERVER_PORT, interface)


def strangers(own: Address, interface: str, first: Address | None = None) -> Iterator[Packet]:
    """First packets of connections from the Internet to an IPv4 address of the router's, all different.

    `first` is that of the first one; None: one of those for examples.
    """
    at = int(first) if first is not None else _SERVERS[Family.IPV4]
    for number in range(_TRIES_OF_STRANGERS):
        far = _address(at + number, Family.IPV4)
        yield Packet(far, own, TCP, _CLIENT_PORT + number, _SERVICE_PORT, interface)


def command(packet: Packet, file: str, seed: int) -> str:
    """The command that shows what becomes of a packet, ready for a shell."""
    words = ["evenflow", "trace", file]
    words += ["--local"] if packet.in_interface is None else ["--in", packet.in_interface]
    words += ["--src", str(packet.source), "--dst", str(packet.destination), "--proto", protocol_name(packet.protocol)]
    if packet.has_ports:
        words += ["--sport", str(packet.source_port), "--dport", str(packet.destination_port)]
    if packet.connection_mark is not None:
        words += ["--mark", packet.connection_mark]
    if packet.state is not ConnectionState.NEW:
        words += ["--state", packet.state.value]
    return shlex.join([*words, "--seed", str(seed), "--machine", "supposed"])


def values_on(space: PacketSpace, box: Box, axis: int) -> list[Any]:
    """The values that a box has on an axis."""
    return [space.axes[axis][number] for number in bits(box[axis])]


def _candidates(space: PacketSpace, box: Box, interface: str) -> Iterator[Packet]:
    """Packets of the box without regard to classifiers, as ordinary ones first; fields vary from one to the next."""
    classes = space.classes
    protocol = _protocol(classes.protocol, box[Axis.PROTOCOL])
    near = _neighbour(space.around.machine, interface, space.family)
    sources = _Numbers(classes.source, box[Axis.SOURCE], near)
    destinations = _Numbers(classes.destination, box[Axis.DESTINATION], _SERVERS[space.family])
    source_ports = _Numbers(classes.source_port, box[Axis.SOURCE_PORT], _CLIENT_PORT)
    destination_ports = _Numbers(classes.destination_port, box[Axis.DESTINATION_PORT], _SERVER_PORT)
    for number in count():
        # The client's side varies from one packet to the next, the server's only when that has led to nothing.
        far = number // _TRIES_OF_CLIENT
        packet = Packet(
            _address(sources.at(number), space.family),
            _address(destinations.at(far), space.family),
            protocol,
            source_ports.at(number),
            destination_ports.at(far // _TRIES_OF_CLIENT),
            interface or None,
        )
        yield packet if packet.has_ports else replace(packet, source_port=0, destination_port=0)


def _is_at_home(space: PacketSpace, box: Box, interface: str) -> bool:
    """Whether a host on the network of an interface may send packets of the box."""
    near = _known_neighbour(space.around.machine, interface, space.family)
    return near is not None and any(
        first <= near <= last for first, last in _spans(space.classes.source, box[Axis.SOURCE])
    )


def _neighbour(machine: Machine, interface: str, family: Family) -> int:
    """An address that a host on an interface's network may have; of an interface without one, that of many offices."""
    near = _known_neighbour(machine, interface, family)
    if near is not None:
        return near
    return int(IPv4Address("192.168.88.10")) if family is Family.IPV4 else int(IPv6Address("2001:db8:1::10"))


def _known_neighbour(machine: Machine, interface: str, family: Family) -> int | None:
    """An address on the first network of an interface that has room for hosts."""
    for own in machine.addresses:
        network = own.address.network
        if own.interface == interface and family_of(own.address) is family and network.num_addresses > _HOST:
            return int(network.network_address) + _HOST
    return None


def _address(number: int, family: Family) -> Address:
    return IPv4Address(number) if family is Family.IPV4 else IPv6Address(number)


def _protocol(cut: Partition, wanted: int) -> int:
    """A protocol of some classes, a usual one if there is."""
    spans = _spans(cut, wanted)
    usual = (number for number in _USUAL if any(first <= number <= last for first, last in spans))
    return next(usual, spans[0][0])


def _spans(cut: Partition, wanted: int) -> list[Span]:
    """The numbers of some classes."""
    return [span for number in bits(wanted) for span in cut.spans(number)]


#: The number of the host that is shown on a network.
_HOST = 10

#: Addresses that no host on a link has: "this network", loopback, multicast and above (RFC 6890). By their bits.
_NO_HOSTS: dict[int, tuple[Span, ...]] = {
    32: ((0, (1 << 24) - 1), (127 << 24, (128 << 24) - 1), (224 << 24, (1 << 32) - 1)),
    128: ((0, (1 << 120) - 1), (255 << 120, (1 << 128) - 1)),
}


def _common(one: Span, other: Span) -> Iterator[Span]:
    """What two spans share."""
    first, last = max(one[0], other[0]), min(one[1], other[1])
    if first <= last:
        yield first, last


def _without(span: Span, others: Iterable[Span]) -> Iterator[Span]:
    """What is left of a span; `others` are ascending."""
    first, last = span
    for start, end in others:
        yield from _common((first, last), (first, start - 1))
        first = max(first, end + 1)
    yield from _common((first, last), (first, last))


class _Numbers:
    """The numbers of some classes, from the preferred one on if it is of them; of addresses those of hosts first."""

    def __init__(self, cut: Partition, wanted: int, preferred: int) -> None:
        spans = _spans(cut, wanted)
        of_hosts = [part for span in spans for part in _without(span, _NO_HOSTS.get(cut.bits, ()))]
        of_nobody = [both for span in spans for other in _NO_HOSTS.get(cut.bits, ()) for both in _common(span, other)]
        self._spans = [*of_hosts, *of_nobody]
        self._spans.sort(key=lambda span: not span[0] <= preferred <= span[1])
        first, last = self._spans[0]
        self._offset = (preferred if first <= preferred <= last else min(first + 1, last)) - first
        self._count = sum(last - first + 1 for first, last in self._spans)

    def at(self, place: int) -> int:
        """One of them; round and round."""
        left = (self._offset + place) % self._count
        for first, last in self._spans:
            if left <= last - first:
                return first + left
            left -= last - first + 1
        raise AssertionError(place)
