"""What becomes of connections that a mend is not about: those of local hosts, to the Internet and to the router."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from evenflow.core.following import next_packet, reply_to
from evenflow.core.hosts import hosts
from evenflow.core.lint.exact import SEED
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import uplinks
from evenflow.core.witness import ordinary_packets
from evenflow.model.flow import Family, family_of
from evenflow.model.matcher import AddressListMatch, AddressMatch, Direction, PortMatch, ProtocolMatch
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evenflow.core.hosts import Host
    from evenflow.model.flow import Address, Packet
    from evenflow.model.machine import Machine
    from evenflow.model.matcher import AddressRange
    from evenflow.model.router import Router

#: Connections of each kind of host: enough to meet every stream of usual classifiers.
_CONNECTIONS = 32

#: Of connections that rules ask for, how many of each kind, and how many kinds.
_OF_EACH, _MOST_KINDS = 6, 24

_Asked = ProtocolMatch | PortMatch | AddressMatch | AddressListMatch


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one connection. Of one to the router itself, both ways are that of its answer.

    Attributes:
        first, later: the interface that its first packet leaves by, and a later one; None where it does not.
        mark, answered: its connection mark behind the first packet, and behind the answer to that.
    """

    first: str | None
    later: str | None
    mark: str | None = None
    answered: str | None = None

    def is_kept_by(self, other: Fate) -> bool:
        """Whether it fares the same, or better: its packets go on as the first one did, and its mark stays."""
        if self.first != other.first:
            return False
        return other.later in (self.later, other.first) and other.answered in (self.answered, other.mark)


def ways(router: Router, asked: Router | None = None) -> dict[str, tuple[Fate, ...]]:
    """For each local interface what becomes of some connections of its hosts; IPv4.

    The rules of `asked` say what other connections than ordinary ones are tried; None: those of the router itself.
    """
    kinds = _kinds(router if asked is None else asked)
    return {
        interface: tuple(_fates(router, host, interface, kinds))
        for host in hosts(router, uplinks(router))
        for interface in host.alike
    }


def keeps_ways(before: Mapping[str, tuple[Fate, ...]], after: Mapping[str, tuple[Fate, ...]]) -> bool:
    """Whether all connections of before fare after as `Fate.is_kept_by` has it."""
    return before.keys() == after.keys() and all(
        len(fates) == len(after[interface])
        and all(old.is_kept_by(new) for old, new in zip(fates, after[interface], strict=True))
        for interface, fates in before.items()
    )


def _fates(router: Router, host: Host, interface: str, kinds: Sequence[_Kind]) -> Iterator[Fate]:
    tracer = Tracer(router, host.machine, SEED)
    packets = list(islice(ordinary_packets(host.machine, interface, Family.IPV4), _CONNECTIONS))
    for packet in (*packets, *_of_kinds(packets[:_OF_EACH], kinds, host.machine)):
        yield _fate(packet, tracer)
    for own in host.machine.addresses:
        if own.interface == interface and family_of(own.address) is Family.IPV4:
            for packet in packets:
                asking = replace(packet, destination=own.address.ip)
                first = tracer.trace(asking)
                if first.disposition is Disposition.DELIVERED:
                    by = tracer.trace(reply_to(asking, first)).out_interface
                    yield Fate(by, by)


def _fate(packet: Packet, tracer: Tracer) -> Fate:
    first = tracer.trace(packet)
    # Where it would be held to the interface of its masquerade, the way that the rules lead it is what counts.
    later = tracer.trace(replace(next_packet(packet, first), masqueraded_by=None))
    if first.out_interface is None:
        return Fate(None, later.out_interface, first.connection_mark, first.connection_mark)
    answer = tracer.trace(reply_to(packet, first))
    return Fate(first.out_interface, later.out_interface, first.connection_mark, answer.connection_mark)


# --- what rules ask for ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a rule asks of packets; of lists, their addresses."""

    matchers: tuple[_Asked, ...]
    listed: tuple[tuple[AddressRange, ...], ...]

    def of(self, packet: Packet, number: int) -> Packet | None:
        """The packet as the rule asks for it, `number` chooses among addresses; None where there is none."""
        lists = iter(self.listed)
        for matcher in self.matchers:
            match matcher:
                case ProtocolMatch(protocol):
                    packet = replace(packet, protocol=protocol)
                case PortMatch(Direction.SOURCE, ranges):
                    packet = replace(packet, source_port=ranges[0][0])
                case PortMatch(_, ranges):
                    packet = replace(packet, destination_port=ranges[0][0])
                case AddressMatch(direction, addresses):
                    packet = _with_address(packet, direction, _nth(addresses, number))
                case AddressListMatch(direction):
                    ranges_of_list = next(lists)
                    if not ranges_of_list:
                        return None
                    addresses = ranges_of_list[number % len(ranges_of_list)]
                    packet = _with_address(packet, direction, _nth(addresses, number))
        if {packet.source.version, packet.destination.version} != {4}:
            return None
        return packet if packet.has_ports else replace(packet, source_port=0, destination_port=0)


def _kinds(router: Router) -> tuple[_Kind, ...]:
    """What the mangle rules ask for, each once: what they take and what they leave out (`!`) alike."""
    lists = {known.name: known.ranges for known in router.address_lists}
    found: dict[_Kind, None] = {}
    for rule in router.mangle:
        asked = tuple(matcher for matcher in rule.matchers if isinstance(matcher, _Asked))
        listed = tuple(lists.get(m.list_name, ()) for m in asked if isinstance(m, AddressListMatch))
        if asked:
            found[_Kind(asked, listed)] = None
    return tuple(found)[:_MOST_KINDS]


def _of_kinds(packets: Sequence[Packet], kinds: Sequence[_Kind], machine: Machine) -> Iterator[Packet]:
    for kind in kinds:
        for number, packet in enumerate(packets, start=1):
            fitting = kind.of(packet, number)
            if fitting is not None and _leaves_the_house(fitting, machine):
                yield fitting


def _leaves_the_house(packet: Packet, machine: Machine) -> bool:
    """Whether it goes to no network of the router, and does not pretend to come from another interface's."""
    networks = [(own.interface, own.address.network) for own in machine.addresses]
    to_own = any(packet.destination in network for _, network in networks)
    from_others = any(packet.source in network and name != packet.in_interface for name, network in networks)
    return not to_own and not from_others


def _with_address(packet: Packet, direction: Direction, address: Address) -> Packet:
    if direction is Direction.SOURCE:
        return replace(packet, source=address)
    return replace(packet, destination=address)


def _nth(addresses: AddressRange, number: int) -> Address:
    return addresses.first + number % (int(addresses.last) - int(addresses.first) + 1)
