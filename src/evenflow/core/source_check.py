"""Linux's checks of an IPv4 source: none of the router's own, and what the reverse-path filter asks for.

Source: Linux, fib_validate_source(); RFC 3704, 2.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from evenflow.core.addresses import type_of
from evenflow.core.lookup import Question
from evenflow.core.reverse_path import NO_FILTER, STRICT, reverse_path
from evenflow.model.flow import Family
from evenflow.model.matcher import AddressType
from evenflow.model.trace import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.core.lookup import Fib
    from evenflow.model.flow import Packet
    from evenflow.model.machine import Machine


def disbelief(packet: Packet, way_back: str, machine: Machine, fib: Fib, sysctls: Mapping[str, str]) -> Step | None:
    """Why the kernel drops a packet that came in for its source; None when it believes it.

    Asked without a mark, as of an answer that comes in where the packet is to leave, `way_back`. Loose: some route must
    lead to the source; strict: by the interface it came in by.
    """
    arrival = packet.in_interface or ""
    if packet.family is not Family.IPV4:
        return None
    if type_of(packet.source, machine) is not AddressType.UNICAST and int(packet.source):
        return Step("routing", "source address", matched=True, detail="nobody else can have it")
    asked = reverse_path(sysctls, arrival)
    # To a broadcast or group no answer comes from that address.
    mine = type_of(packet.destination, machine) in (AddressType.LOCAL, AddressType.UNICAST)
    back = fib.decide(Question(packet.source, packet.destination if mine else IPv4Address(0), in_interface=way_back))
    route = back.tried[-1].route if back.tried else None
    if asked == NO_FILTER or (back.hop is not None and asked != STRICT):
        return None
    if back.hop is not None and route is not None and any(hop.interface == arrival for hop in route.hops):
        return None
    detail = "another way back" if back.hop is not None else "no route to the source"
    return Step("routing", "reverse-path filter", matched=True, detail=detail)
