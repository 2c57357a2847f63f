"""Later packets of a connection, as they follow from what was said of its first one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.model.flow import ConnectionState, Packet
from evenflow.model.router import AddressGateway, Masquerade, NatRule
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.trace import Trace

#: Ends after which connection tracking keeps a connection.
_KEPT = frozenset({Disposition.FORWARDED, Disposition.SENT, Disposition.DELIVERED})


def is_kept(first: Trace) -> bool:
    """Whether there is a connection at all: its first packet got through."""
    return first.disposition in _KEPT


def next_packet(packet: Packet, first: Trace) -> Packet:
    """A later packet of a connection in the same direction; `first` is the trace of its first packet."""
    return replace(
        packet,
        state=ConnectionState.ESTABLISHED,
        connection_mark=first.connection_mark,
        known=True,
        translated_source=first.snat,
        translated_destination=first.dnat,
        translated_destination_port=first.dnat_port,
        masqueraded_by=first.out_interface if _is_masqueraded(first) else None,
    )


def _is_masqueraded(first: Trace) -> bool:
    """Whether a connection's source address is masquerade's choice: the kernel then holds it to that interface."""
    rules = (step.rule for step in first.steps if step.matched)
    return any(isinstance(rule, NatRule) and isinstance(rule.action, Masquerade) for rule in rules)


def reply_to(packet: Packet, first: Trace) -> Packet:
    """What the other side answers to a connection's first packet, as it meets the router.

    It comes in where the first one left; the router's own answer, where that was delivered to the router.
    """
    own = first.disposition is Disposition.DELIVERED
    return Packet(
        first.dnat or packet.destination,
        first.snat or packet.source,
        packet.protocol,
        first.dnat_port or packet.destination_port,
        packet.source_port,
        None if own else first.out_interface,
        ConnectionState.ESTABLISHED,
        first.connection_mark,
        known=True,
        translated_source=packet.destination if first.dnat or first.dnat_port else None,
        translated_destination=packet.source if first.snat else None,
    )


def uplink_of(trace: Trace, known: Iterable[RouterUplink]) -> str | None:
    """The name of the uplink that a packet leaves by; None when it leaves by none.

    Where the file does not say which interface an uplink has, its gateway tells.
    """
    for uplink in known:
        by_gateway = (
            uplink.interface is None
            and trace.gateway is not None
            and any(isinstance(g, AddressGateway) and g.address == trace.gateway for g in uplink.gateways)
        )
        if trace.out_interface is not None and (uplink.interface == trace.out_interface or by_gateway):
            return uplink.name
    return None
