"""What connection tracking of this machine knows of a packet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.numbering import number_router
from evenflow.kernel.conntrack import Conntrack, Direction
from evenflow.model.dataplane import CONNECTION_MARK_MASK
from evenflow.model.flow import PORT_PROTOCOLS, ConnectionState
from evenflow.model.router import Masquerade

if TYPE_CHECKING:
    from evenflow.cli.scene import Scene
    from evenflow.kernel.conntrack import Entry
    from evenflow.model.flow import Address, Packet


@dataclass(frozen=True, slots=True)
class Tracked:
    """A packet with what its entry says of it."""

    packet: Packet
    note: str


def as_tracked(packet: Packet, scene: Scene) -> Tracked | None:
    """The packet as one of the connection that is tracked with its addresses and ports; None when there is none.

    Raises:
        SystemRefusedError: the table can't be asked.
    """
    if packet.protocol not in PORT_PROTOCOLS:
        return None
    ends = Direction(packet.source, packet.destination, packet.source_port, packet.destination_port)
    with Conntrack() as conntrack:
        entry = conntrack.find(packet.protocol, ends)
    if entry is None:
        return None
    number = entry.mark & CONNECTION_MARK_MASK
    names = (name for name, known in number_router(scene.router).connection_marks.items() if known == number)
    mark = next(names, None)
    note = "connection tracking has an entry of it"
    if number and mark is None:
        note += f", with a mark that is none of this configuration's ({number:#x})"
    answering = ends == entry.reply
    state = ConnectionState.ESTABLISHED if answering or entry.answered else ConnectionState.NEW
    known = replace(packet, state=state, connection_mark=mark, known=True)
    return Tracked(_translated(known, entry, scene, answering=answering), note)


def _translated(packet: Packet, entry: Entry, scene: Scene, *, answering: bool) -> Packet:
    """With what NAT makes of its addresses in this direction."""
    one, other = (entry.reply, entry.original) if answering else (entry.original, entry.reply)
    source = other.destination if other.destination != one.source else None
    destination = other.source if other.source != one.destination else None
    port = other.source_port if other.source_port != one.destination_port else None
    by = _masquerading(source, scene) if not answering and entry.source_nat else None
    return replace(
        packet,
        translated_source=source,
        translated_destination=destination,
        translated_destination_port=port,
        masqueraded_by=by,
    )


def _masquerading(address: Address | None, scene: Scene) -> str | None:
    """The interface whose address a connection has, if the router masquerades at all."""
    if not any(isinstance(rule.action, Masquerade) for rule in scene.router.nat):
        return None
    return next((own.interface for own in scene.machine.addresses if own.address.ip == address), None)
