"""Traces as JSON; docs/json.md tells the fields, docs/trace.schema.json holds them to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenflow.core.rule_words import action, condition
from evenflow.model.matcher import NthMatch
from evenflow.model.protocols import protocol_name
from evenflow.model.router import MarkAction, SpreadAction

if TYPE_CHECKING:
    from evenflow.model.flow import Address, Packet
    from evenflow.model.router import Router
    from evenflow.model.trace import Hashed, Step, Trace

#: What stands in texts for an address that nobody has stated.
UNSTATED = "(not stated)"


@dataclass(frozen=True, slots=True)
class Told:
    """A packet's trace, with what was taken for granted.

    Attributes:
        uplink: that it leaves by, None if by none.
        seed: of the classifiers' hash.
        notes: what was supposed, in words.
        made_up: addresses that were supposed, and are not told.
        first: of the first packet of the connection, where this one is a reply.
    """

    router: Router
    packet: Packet
    trace: Trace
    uplink: str | None
    seed: int
    notes: tuple[str, ...] = ()
    made_up: frozenset[Address] = frozenset()
    first: Told | None = None

    def stated(self, address: Address | None) -> str | None:
        """An address as text; None for none, and for one that nobody has stated."""
        return None if address is None or address in self.made_up else str(address)

    def cleaned(self, text: str) -> str:
        """A text without addresses that nobody has stated."""
        for address in self.made_up:
            text = text.replace(str(address), UNSTATED)
        return text


def to_json(told: Told) -> dict[str, Any]:
    """One JSON object."""
    trace = told.trace
    return {
        "packet": _packet(told),
        "disposition": trace.disposition.value,
        "uplink": told.uplink,
        "connection_mark": trace.connection_mark,
        "routing_mark": trace.routing_mark,
        "packet_mark": trace.packet_mark,
        "table": trace.table,
        "gateway": told.stated(trace.gateway),
        "out_interface": trace.out_interface,
        "snat": told.stated(trace.snat),
        "dnat": told.stated(trace.dnat),
        "dnat_port": trace.dnat_port,
        "ways": trace.ways,
        "seed": told.seed,
        "notes": list(told.notes),
        "steps": [_step(step, told) for step in trace.steps],
        "first": to_json(told.first) if told.first is not None else None,
    }


def _packet(told: Told) -> dict[str, Any]:
    packet = told.packet
    return {
        "in_interface": packet.in_interface,
        "source": told.stated(packet.source),
        "destination": told.stated(packet.destination),
        "protocol": protocol_name(packet.protocol),
        "source_port": packet.source_port if packet.has_ports else None,
        "destination_port": packet.destination_port if packet.has_ports else None,
        "state": packet.state.value,
        "connection_mark": packet.connection_mark,
        "known": packet.known,
        "fragment": packet.later_fragment,
    }


def _step(step: Step, told: Told) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "what": told.cleaned(what(step)),
        "matched": step.matched,
        "detail": told.cleaned(step.detail),
        "file": step.origin.file,
        "line": step.origin.line,
        "failed": condition(step.failed) if step.failed is not None else None,
        "found": told.cleaned(step.found) if step.failed is not None else None,
        "hash": _hash(step.hashed, step) if step.hashed is not None else None,
        "drawn": [
            {
                "condition": condition(one.matcher),
                "number": one.number,
                "of": one.matcher.every if isinstance(one.matcher, NthMatch) else 100,
                "matched": one.matches,
            }
            for one in step.drawn
        ],
        "change": (
            {"kind": step.change.kind.value, "before": step.change.before, "after": step.change.after}
            if step.change is not None
            else None
        ),
        "routes": [
            {
                "what": told.cleaned(look.what),
                "taken": look.taken,
                "why": look.why,
                "file": look.origin.file,
                "line": look.origin.line,
            }
            for look in step.routes
        ],
    }


def _hash(hashed: Hashed, step: Step) -> dict[str, Any]:
    return {
        "classifier": hashed.classifier.value,
        "key": hashed.key.hex(),
        "hash": hashed.value,
        "modulus": hashed.modulus,
        "value": hashed.scaled,
        "denominator": hashed.denominator,
        "stream": hashed.stream,
        "owner": owner(hashed, step),
    }


def owner(hashed: Hashed, step: Step) -> str | None:
    """The mark that the packet's stream gets by this very rule; None if it gets none."""
    if not step.matched or step.rule is None:
        return None
    doing = step.rule.action
    if isinstance(doing, SpreadAction):
        return hashed.owners[hashed.stream]
    return doing.mark if isinstance(doing, MarkAction) else None


def what(step: Step) -> str:
    """What was looked at, in the words of the file."""
    return action(step.rule.action) if step.rule is not None else step.what
