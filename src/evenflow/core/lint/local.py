"""Traffic between local networks that is sent to an uplink all the same; and connections that are marked too late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from evenflow.core.addresses import type_of
from evenflow.core.following import next_packet, reply_to, uplink_of
from evenflow.core.hosts import hosts, listed
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import uplinks
from evenflow.core.witness import command
from evenflow.model.finding import NOWHERE, info, warning
from evenflow.model.flow import Family, family_of
from evenflow.model.matcher import AddressType, MarkKind
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evenflow.core.hosts import Host
    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.finding import Finding, Origin
    from evenflow.model.flow import Network, Packet
    from evenflow.model.machine import LinkAddress
    from evenflow.model.router import Router
    from evenflow.model.trace import Trace

#: Packets that are tried for each pair of networks: enough to fall into another stream.
_TRIES = 8

#: Kinds of local interfaces that are looked at; hotels have one for each floor, and they are all alike.
_MOST_HOSTS = 6


def local_findings(router: Router, seed: int) -> Iterator[Finding]:
    """Findings about connections that begin on a local interface (IPv4)."""
    known = uplinks(router)
    if len(known) > 1:
        local = _Local(router, known, seed)
        yield from local.not_bypassed()
        yield from local.marked_too_late()
        yield from local.not_answered()


@dataclass(frozen=True, slots=True)
class LedAway:
    """A network that the router is in, and a packet to it from a local interface that leaves by an uplink.

    Attributes:
        origin: the rule that set the routing mark.
    """

    network: Network
    packet: Packet
    origin: Origin


def networks_led_away(router: Router, seed: int, *, of_uplinks: bool) -> tuple[LedAway, ...]:
    """What `connected-not-bypassed` is about: of the networks of uplinks, or of all others."""
    return tuple(_Local(router, uplinks(router), seed).led_away(of_uplinks=of_uplinks))


class _Local:
    def __init__(self, router: Router, known: Sequence[RouterUplink], seed: int) -> None:
        self._router, self._known, self._seed = router, known, seed
        self._hosts = tuple(islice(hosts(router, known), _MOST_HOSTS))
        self._tracers = tuple(Tracer(router, host.machine, seed) for host in self._hosts)

    def not_bypassed(self) -> Iterator[Finding]:
        """Connected networks whose packets are led away by a routing mark; those of local interfaces, then others."""
        for of_uplinks, tell in ((False, warning), (True, info)):
            found = list(self.led_away(of_uplinks=of_uplinks))
            if found:
                networks = [str(each.network) for each in found]
                yield self._with(_not_bypassed(networks, found[0].origin, tell), found[0].packet)

    def led_away(self, *, of_uplinks: bool) -> Iterator[LedAway]:
        """Each network once."""
        outside = {uplink.interface for uplink in self._known}
        told = set()
        for host, tracer in zip(self._hosts, self._tracers, strict=True):
            for own in host.machine.addresses:
                network = own.address.network
                if (own.interface in outside) is not of_uplinks or network in told:
                    continue
                packet = _led_away(host, own, tracer)
                if packet is not None:
                    told.add(network)
                    yield LedAway(network, packet, _who_marked(tracer.trace(packet)))

    def marked_too_late(self) -> Iterator[Finding]:
        """First packets that leave by another uplink than the rest of their connection."""
        told: set[Origin] = {NOWHERE}
        for host, tracer in zip(self._hosts, self._tracers, strict=True):
            for packet in islice(host.connections(), _TRIES):
                first = tracer.trace(packet)
                later = tracer.trace(replace(next_packet(packet, first), masqueraded_by=None))
                by, then = (uplink_of(trace, self._known) for trace in (first, later))
                origin = _who_marked(later)
                if by is None or then is None or by == then or origin in told:
                    continue
                told.add(origin)
                what = (
                    f"the first packet of a connection gets no routing mark here and leaves by {by}, the rest by {then}"
                )
                finding = warning(
                    "marked-too-late", origin, f"{what}; move this rule behind those that mark connections"
                )
                yield self._with(finding, packet)

    def not_answered(self) -> Iterator[Finding]:
        """Local hosts that the router's own answers don't come back to, because their connections are divided, too."""
        told: set[Origin] = {NOWHERE}
        for host, tracer in zip(self._hosts, self._tracers, strict=True):
            for packet in _to_the_router(host):
                first = tracer.trace(packet)
                if first.disposition is not Disposition.DELIVERED:
                    continue
                answer = tracer.trace(reply_to(packet, first))
                by, origin = uplink_of(answer, self._known), _who_marked(first, MarkKind.CONNECTION)
                if by is None or origin in told:
                    continue
                told.add(origin)
                name = listed(host.alike, "interfaces")
                what = f"connections from {name} to the router itself are marked here, and its answers leave by {by}"
                finding = warning("router-not-answering", origin, f"{what}; add dst-address-type=!local")
                yield self._with(finding, packet, " --reply")

    def _with(self, finding: Finding, packet: Packet, option: str = "") -> Finding:
        if not self._router.file:
            return finding
        return replace(finding, witness=f"{command(packet, self._router.file, self._seed)}{option}")


def _led_away(host: Host, other: LinkAddress, tracer: Tracer) -> Packet | None:
    """A packet to a host of a connected network that leaves elsewhere because of a routing mark."""
    network = other.address.network
    if network.version != 4 or network.num_addresses < 4 or other.peer is not None or other.interface in host.alike:
        return None
    for number in range(_TRIES):
        address = network.network_address + 1 + number % (network.num_addresses - 2)
        if type_of(address, host.machine) is AddressType.UNICAST:
            packet = replace(host.packet, source=host.packet.source + number, destination=address)
            packet = replace(packet, source_port=packet.source_port + number)
            trace = tracer.trace(packet)
            if trace.out_interface not in (None, other.interface) and trace.routing_mark is not None:
                return packet
    return None


def _not_bypassed(networks: Sequence[str], origin: Origin, tell: Callable[[str, Origin, str], Finding]) -> Finding:
    what = f"packets from local networks to {listed(networks, 'networks')}, which the router is in, leave by an uplink"
    mend = "before the rules that divide connections, accept what goes to connected networks"
    return tell("connected-not-bypassed", origin, f"{what}; {mend}")


def _to_the_router(host: Host) -> Iterator[Packet]:
    """Connections of a host to the router's address on its network; several, since they may be divided."""
    own = (a.address.ip for a in host.machine.addresses if a.interface == host.alike[0])
    for address in own:
        if family_of(address) is Family.IPV4:
            packets = islice(host.connections(), _TRIES)
            yield from (replace(packet, destination=address) for packet in packets)


def _who_marked(trace: Trace, kind: MarkKind = MarkKind.ROUTING) -> Origin:
    """The rule that set a mark of that kind."""
    for step in trace.steps:
        if step.change is not None and step.change.kind is kind and step.change.after is not None:
            return step.origin
    return NOWHERE
