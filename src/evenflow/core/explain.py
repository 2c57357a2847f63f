"""Why a rule matched or did not, and what it did: the steps of a trace through mangle and NAT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.addresses import type_of
from evenflow.core.draws import is_by_chance
from evenflow.core.matching import Unknown
from evenflow.core.pcc import key_of, scale
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
from evenflow.model.protocols import protocol_name
from evenflow.model.router import MarkAction, SpreadAction
from evenflow.model.trace import Hashed, MarkChange, Step

if TYPE_CHECKING:
    from evenflow.core.mangle import Asked, MangleRun, MangleStep
    from evenflow.core.matching import Sight, Surroundings
    from evenflow.model.flow import Address, Packet
    from evenflow.model.matcher import Classifier, Matcher
    from evenflow.model.router import MangleRule, NatRule
    from evenflow.model.trace import Drawn

NO_MARK = "no-mark"

UNREADABLE = "a later fragment has no ports, and the classifier asks for them: RouterOS drops it"


def mangle_steps(run: MangleRun, before: Sight, around: Surroundings) -> list[Step]:
    """The rules that a run looked at; `before` is what was known when it began."""
    steps = []
    for step in run.steps:
        steps.append(_mangle_step(step, before, around))
        before = step.sight
    return steps


def _mangle_step(step: MangleStep, before: Sight, around: Surroundings) -> Step:
    rule, packet = step.rule, before.packet
    assert packet is not None
    what = type(rule.action).__name__
    hashed = _hashed(rule, step.failed, packet, around)
    failed, found, drawn = step.failed, _found(step.failed, step.drawn, before, around), step.drawn
    if failed is not None:
        return Step(rule.chain, what, False, "", rule.origin, rule, failed, found, hashed, drawn)
    detail = UNREADABLE if step.unreadable else ""
    change = None if step.unreadable else _change(rule, before, step.sight, hashed)
    return Step(rule.chain, what, True, detail, rule.origin, rule, hashed=hashed, drawn=drawn, change=change)


def nat_step(rule: NatRule, asked: Asked, sight: Sight, around: Surroundings) -> Step:
    """A rule of a NAT chain that was looked at."""
    assert sight.packet is not None
    failed = asked.failed
    return Step(
        rule.chain,
        type(rule.action).__name__.lower(),
        failed is None,
        origin=rule.origin,
        rule=rule,
        failed=failed,
        found=_found(failed, asked.drawn, sight, around),
        hashed=_hashed(rule, failed, sight.packet, around),
        drawn=asked.drawn,
    )


# --- what a rule did -----------------------------------------------------------------------------------------------


def _change(rule: MangleRule, before: Sight, after: Sight, hashed: Hashed | None) -> MarkChange | None:
    if isinstance(rule.action, MarkAction):
        kind = rule.action.kind
    elif isinstance(rule.action, SpreadAction) and hashed is not None and hashed.owners[hashed.stream] is not None:
        kind = MarkKind.CONNECTION
    else:
        return None
    return MarkChange(kind, _known(before.mark(kind)), _known(after.mark(kind)))


def _known(mark: str | Unknown | None) -> str | None:
    assert not isinstance(mark, Unknown)
    return mark


def _hashed(rule: MangleRule | NatRule, failed: Matcher | None, packet: Packet, around: Surroundings) -> Hashed | None:
    """The classifier of a rule, unless another condition failed before it."""
    if isinstance(rule.action, SpreadAction):
        owners = rule.action.owners
        return None if failed is not None else _hash(rule.action.classifier, len(owners), packet, around, owners)
    for matcher in rule.matchers:
        if isinstance(matcher, PccMatch):
            if matcher.remainder >= matcher.denominator:
                return None  # nothing is hashed for it
            return _hash(matcher.classifier, matcher.denominator, packet, around)
        if matcher is failed and not is_by_chance(matcher):  # those are asked behind the classifier
            return None
    return None


def _hash(
    classifier: Classifier, denominator: int, packet: Packet, around: Surroundings, owners: tuple[str | None, ...] = ()
) -> Hashed | None:
    modulus = around.modulus(classifier)
    if modulus % denominator:
        return None  # a remainder that no value has: it takes no part in the hash
    value = around.hash_of(packet, classifier)
    return Hashed(classifier, key_of(packet, classifier), value, modulus, scale(value, modulus), denominator, owners)


# --- what the packet had instead -----------------------------------------------------------------------------------


def _found(failed: Matcher | None, drawn: tuple[Drawn, ...], sight: Sight, around: Surroundings) -> str:
    """What speaks against a rule; "" when nothing does."""
    if failed is None:
        return ""
    if drawn and drawn[-1].matcher is failed:
        return in_words(drawn[-1])
    return found_instead(failed, sight, around)


def in_words(drawn: Drawn) -> str:
    """What a packet got from a counter or from chance."""
    if isinstance(drawn.matcher, NthMatch):
        return f"packet {drawn.number} of {drawn.matcher.every}"
    return f"a draw of {drawn.number} (0 to 99)"


def found_instead(matcher: Matcher, sight: Sight, around: Surroundings) -> str:
    """What a packet has of the property that a condition asks for."""
    packet = sight.packet
    assert packet is not None
    match matcher:
        case MarkMatch():
            return _mark(matcher, sight)
        case InInterface() | InInterfaceList():
            return packet_side(sight.in_interface) + _on_it(matcher)
        case OutInterface() | OutInterfaceList():
            return packet_side(sight.out_interface) + _on_it(matcher)
        case AddressMatch() | AddressListMatch():
            return str(_end(packet, matcher.direction)) + _on_it(matcher)
        case AddressTypeMatch():
            return type_of(_end(packet, matcher.direction), around.machine).value
        case ProtocolMatch():
            return protocol_name(packet.protocol)
        case PortMatch():
            return _ports(packet, matcher)
        case StateMatch():
            return packet.state.value
        case SourceMacMatch():
            return packet.source_mac.hex(":") if packet.source_mac is not None else "no hardware address"
        case NthMatch() | RandomMatch() | UnsupportedMatch():
            return "what can't be asked here"
        case PccMatch():
            hashed = _hash(matcher.classifier, matcher.denominator, packet, around)
            return f"stream {hashed.stream}" if hashed is not None else "no such stream"


def packet_side(interface: object) -> str:
    """An interface of a packet in words."""
    return str(interface) if interface else "no interface"


def _mark(matcher: MarkMatch, sight: Sight) -> str:
    if matcher.kind is MarkKind.CONNECTION and not sight.has_entry:
        return "no connection"
    return str(sight.mark(matcher.kind) or NO_MARK)


def _on_it(matcher: Matcher) -> str:
    """What a condition on a list that does not hold says of it; "" for a condition on no list."""
    if not isinstance(matcher, InInterfaceList | OutInterfaceList | AddressListMatch):
        return ""
    return ", which is on it" if matcher.negated else ", which is not on it"


def _end(packet: Packet, direction: Direction) -> Address:
    return packet.source if direction is Direction.SOURCE else packet.destination


def _ports(packet: Packet, matcher: PortMatch) -> str:
    if not packet.has_ports:
        return f"{protocol_name(packet.protocol)}, which has no ports"
    if matcher.direction is Direction.SOURCE:
        return str(packet.source_port)
    if matcher.direction is Direction.DESTINATION:
        return str(packet.destination_port)
    return f"{packet.source_port} and {packet.destination_port}"
