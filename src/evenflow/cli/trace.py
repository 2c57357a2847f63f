"""`trace`: one packet's way, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.cli.scene import arrival_findings, other_names
from evenflow.cli.showing import show
from evenflow.cli.telling import DONE, print_json
from evenflow.cli.trace_draws import draws_of, notes_on
from evenflow.cli.trace_scene import scene_of
from evenflow.core.following import is_kept, next_packet, reply_to, uplink_of
from evenflow.core.numbering import number_router
from evenflow.core.rule_words import NO_MARK
from evenflow.core.trace import Tracer
from evenflow.errors import InputError
from evenflow.formats.trace import Told, to_json
from evenflow.model.finding import Finding, Origin, error
from evenflow.model.flow import ICMP, ICMPV6, PORT_PROTOCOLS, ConnectionState, Packet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from evenflow.cli.scene import Scene
    from evenflow.model.flow import Address
    from evenflow.model.trace import Trace

#: Ports of a connection whose ports nobody has said: a client's first free one (RFC 6335, 6), and HTTPS.
_SOURCE_PORT, _DESTINATION_PORT = 49152, 443


def trace(arguments: argparse.Namespace) -> int:
    """`evenflow trace`: what happens to a packet, and why."""
    findings = tuple(_contradictions(arguments))
    if findings:
        raise InputError(findings)
    told = answer(arguments, scene_of(arguments))
    if arguments.json:
        print_json(to_json(told))
    else:
        _draw(told, every=arguments.every)
    return DONE


def answer(arguments: argparse.Namespace, scene: Scene) -> Told:
    """What becomes of the packet that the arguments ask for.

    Raises:
        InputError: the question has a mistake.
        SystemRefusedError: connection tracking could not be asked.
    """
    findings = tuple(_unknown_names(arguments, scene))
    if findings:
        raise InputError(findings)
    tracer = Tracer(scene.router, scene.machine, scene.seed, scene.sysctls)
    question = _question(arguments, scene, tracer)
    draws = draws_of(arguments, scene.router, lambda draws: tracer.trace(question.packet, draws=draws))
    traced = tracer.trace(question.packet, draws=draws)
    told = _told(scene, question.packet, traced, (*question.notes, *notes_on(traced, arguments)))
    if not arguments.reply:
        return told
    if not is_kept(traced):
        raise InputError(
            [error("no-reply", Origin("--reply"), f"nobody answers: the packet itself is {traced.disposition.value}")]
        )
    reply = reply_to(question.packet, traced)
    answered = tracer.trace(reply, draws=draws.after(traced.drawn))
    return replace(_told(scene, reply, answered, (*question.notes, *notes_on(answered, arguments))), first=told)


def _told(scene: Scene, packet: Packet, traced: Trace, notes: tuple[str, ...]) -> Told:
    uplink = uplink_of(traced, scene.uplinks)
    return Told(scene.router, packet, traced, uplink, scene.seed, (*scene.notes, *notes), scene.made_up)


# --- what can't be ---------------------------------------------------------------------------------------------------


def _contradictions(arguments: argparse.Namespace) -> Iterator[Finding]:
    """What the options say against each other."""
    source, destination, protocol = arguments.src, arguments.dst, arguments.proto
    if source is not None and source.version != destination.version:
        yield _wrong("--dst", f"{destination} is IPv{destination.version}, and --src {source} is IPv{source.version}")
    if source is None and not arguments.local:
        yield _wrong("--src", "is missing: who sends the packet? Only for --local it can be left out")
    if protocol == (ICMP if destination.version == 6 else ICMPV6):
        other = "icmpv6" if destination.version == 6 else "icmp"
        yield _wrong("--proto", f"{destination} is IPv{destination.version}, whose protocol is {other}")
    ports = [name for name in ("sport", "dport") if getattr(arguments, name) is not None]
    if ports and protocol not in PORT_PROTOCOLS:
        yield _wrong(f"--{ports[0]}", "only tcp, udp, udp-lite, sctp and dccp have ports")
    if arguments.mark is not None and arguments.state not in (None, "established", "related"):
        yield _wrong("--mark", f"a packet that is {arguments.state} has no mark yet; leave --state out")
    if arguments.reply and (arguments.mark is not None or arguments.state not in (None, "new")):
        yield _wrong("--reply", "follows the answer to a connection's first packet; leave --mark and --state out")
    if arguments.reply and arguments.fragment:
        yield _wrong("--reply", "the answer to a fragment is none; leave --fragment out")
    if arguments.live and arguments.machine == "supposed":
        yield _wrong("--live", "asks this machine; leave --machine out")


def _unknown_names(arguments: argparse.Namespace, scene: Scene) -> Iterator[Finding]:
    name = arguments.in_interface
    if name is not None:
        yield from arrival_findings(name, scene.machine)
    if arguments.mark not in (None, NO_MARK):
        marks = sorted(number_router(scene.router).connection_marks)
        if arguments.mark not in marks:
            others = other_names(arguments.mark, marks)
            yield _wrong("--mark", f"no rule knows a connection mark {arguments.mark}; {others}", "unknown-mark")


def _wrong(option: str, message: str, code: str = "wrong-question") -> Finding:
    return error(code, Origin(option), message)


# --- the packet ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Question:
    """The packet that is asked for, and what was taken for granted of it."""

    packet: Packet
    notes: tuple[str, ...] = ()


def _question(arguments: argparse.Namespace, scene: Scene, tracer: Tracer) -> _Question:
    notes = []
    ported = arguments.proto in PORT_PROTOCOLS
    source_port, destination_port = arguments.sport or 0, arguments.dport or 0
    if ported and arguments.dport is None:
        destination_port = _DESTINATION_PORT
        notes.append(f"--dport is left out: {_DESTINATION_PORT} is used")
    if ported and arguments.sport is None:
        source_port = _SOURCE_PORT
        notes.append(f"--sport is left out: {_SOURCE_PORT} is used; from another port it may fall into another stream")
    packet = Packet(
        _source(arguments, tracer),
        arguments.dst,
        arguments.proto,
        source_port,
        destination_port,
        arguments.in_interface,
        later_fragment=arguments.fragment,
    )
    if arguments.fragment:
        notes.append("RouterOS is asked; on Linux fragments are put together before any rule sees them")
    if arguments.live and arguments.state is None and arguments.mark is None:
        from evenflow.cli.trace_live import as_tracked

        tracked = as_tracked(packet, scene)
        if tracked is not None:
            return _Question(tracked.packet, (*notes, tracked.note))
    if arguments.mark is None:
        state = ConnectionState(arguments.state or "new")
        return _Question(replace(packet, state=state, known=state is ConnectionState.ESTABLISHED), tuple(notes))
    return _of_connection(arguments, packet, scene, notes)


def _of_connection(arguments: argparse.Namespace, packet: Packet, scene: Scene, notes: list[str]) -> _Question:
    """A later packet of a connection with a mark, which began before whatever is supposed."""
    mark = None if arguments.mark == NO_MARK else arguments.mark
    marked = replace(packet, connection_mark=mark)
    tracer = Tracer(scene.before.router, scene.before.machine, scene.seed, scene.sysctls)
    first = tracer.trace(marked)
    notes.append("NAT of the connection is taken to be what a first packet with this mark gets")
    later = next_packet(marked, replace(first, connection_mark=mark))
    return _Question(replace(later, state=ConnectionState(arguments.state or "established")), tuple(notes))


def _source(arguments: argparse.Namespace, tracer: Tracer) -> Address:
    if arguments.src is not None:
        source: Address = arguments.src
        return source
    chosen = tracer.own_source(arguments.dst)
    if chosen is None:
        raise InputError([_wrong("--src", f"is left out, and no route to {arguments.dst} tells which address is used")])
    return chosen


# --- for people ------------------------------------------------------------------------------------------------------


def _draw(told: Told, *, every: bool) -> None:
    from evenflow.formats.trace_picture import picture

    both = (told.first, told) if told.first is not None else (told,)
    show((line for one in both for line in picture(one, every=every)), told.notes)
