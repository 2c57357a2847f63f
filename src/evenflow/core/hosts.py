"""Hosts on the local interfaces, one for all interfaces that no rule tells apart."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.addresses import LOOPBACK
from evenflow.core.conditions import conditions
from evenflow.core.internet import first_server
from evenflow.core.matching import Sight, Surroundings, holds
from evenflow.core.supposed import Arrival, supposed_machine
from evenflow.core.witness import ordinary_packets
from evenflow.model.flow import Family
from evenflow.model.matcher import InInterface, InInterfaceList

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.flow import Packet
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router


@dataclass(frozen=True, slots=True)
class Host:
    """A host that asks a server on the Internet.

    Attributes:
        packet: the first of its connection; IPv4.
        machine: a supposed one on which that host is.
        alike: the interfaces whose hosts fare the same; its own is the first.
    """

    packet: Packet
    machine: Machine
    alike: tuple[str, ...]

    def connections(self) -> Iterator[Packet]:
        """First packets of its and its neighbours' connections to that server and its neighbours, all different."""
        interface = self.packet.in_interface or ""
        return ordinary_packets(self.machine, interface, Family.IPV4, self.packet.destination)


def hosts(router: Router, known: Sequence[RouterUplink]) -> Iterator[Host]:
    """A host for each kind of local interface: one that is no uplink, and has an address or is named by a rule."""
    machine = supposed_machine(router).machine
    around = Surroundings(router, machine)
    asked = [c.matcher for c in conditions(router) if isinstance(c.matcher, InInterface | InInterfaceList)]
    wanted = [matcher for matcher in asked if not matcher.negated]
    outside = {uplink.interface for uplink in known} | {LOOPBACK}
    with_address = {own.interface for own in machine.addresses}
    server = first_server(router, machine)
    groups: defaultdict[tuple[bool | None, ...], list[Packet]] = defaultdict(list)
    for link in machine.links:
        sight = Sight(in_interface=link.name)
        local = link.name in with_address or any(holds(matcher, sight, around) for matcher in wanted)
        if local and link.master is None and link.name not in outside:
            answers = tuple(holds(matcher, sight, around) for matcher in asked)
            groups[answers].append(next(ordinary_packets(machine, link.name, Family.IPV4, server)))
    for packets in groups.values():
        first = packets[0]
        there = supposed_machine(router, Arrival(first.in_interface, first.source, first.destination)).machine
        yield Host(first, there, tuple(packet.in_interface or "" for packet in packets))


def listed(names: Sequence[str], what: str) -> str:
    """Names for a message; of many the first."""
    most = 3
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more {what}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
