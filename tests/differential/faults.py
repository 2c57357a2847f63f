"""Faults as people make them, one at a time, in the compiler and in the interpreter: the bench has to notice each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evenflow.core import addresses, draws, fold, lookup, mangle, matching, own_address, pcc, trace
from evenflow.core import compile as compiling
from evenflow.core.compile import conditions, effects, nat, runs
from evenflow.core.compile import mangle as compiled_mangle
from evenflow.core.compile.conditions import Conditions
from evenflow.core.matching import SOME_MARK
from evenflow.model import flow
from evenflow.model.flow import BOTH_FAMILIES, ConnectionState, Family
from evenflow.model.matcher import AddressType, Direction, MarkKind, NthMatch, PccMatch
from evenflow.model.nft import goto
from evenflow.model.router import MangleRule, MarkAction, PassthroughAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


@dataclass(frozen=True)
class Fault:
    """What is wrong then; what is replaced, by what is made of it; the number of a round that shows it."""

    what: str
    owner: object
    name: str
    make: Callable[[Any], object]
    shown_by: int

    def plant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace it until the patch is undone."""
        monkeypatch.setattr(self.owner, self.name, self.make(getattr(self.owner, self.name)))


def _passing_through(rule: Any) -> Any:
    return replace(rule, action=replace(rule.action, passthrough=True)) if isinstance(rule.action, MarkAction) else rule


def _off_by_one(matcher: PccMatch) -> PccMatch:
    return replace(matcher, remainder=(matcher.remainder + 1) % matcher.denominator)


def _backwards(around: Any) -> Any:
    return replace(around, router=replace(around.router, nat=around.router.nat[::-1]))


def _of_first_family(rule: Any) -> Any:
    return replace(rule, families=rule.families[:1])


def _without_last(ranges: Any) -> Any:
    for first, last in ranges:
        yield first, last if first == last else (int.from_bytes(last, "big") - 1).to_bytes(len(last), "big")


def _with_farthest_first(fib: Any) -> Any:
    tables = {
        key: tuple(sorted(routes, key=lambda route: (-route.destination.prefixlen, -route.metric)))
        for key, routes in fib.tables.items()
    }
    return replace(fib, tables=tables)


def _shifted(router: Any) -> Any:
    mangle = tuple(
        replace(rule, action=replace(rule.action, owners=rule.action.owners[1:] + rule.action.owners[:1]))
        if isinstance(rule.action, SpreadAction)
        else rule
        for rule in router.mangle
    )
    return replace(router, mangle=mangle)


def _ending_for_good(run: Any) -> Any:
    return replace(run, ending=mangle.Ending.ACCEPTED) if run.ending is mangle.Ending.RETURNED else run


def _not_masqueraded(way: Any) -> Any:
    way._packet = replace(way._packet, masqueraded_by=None)
    return way


_ONE_RULE = MangleRule("prerouting", (), PassthroughAction())


COMPILER = (
    Fault("a remainder is one off", Conditions, "_pcc", lambda old: lambda self, m: old(self, _off_by_one(m)), 1),
    Fault("a negation is lost", conditions, "_equal", lambda old: lambda **_: old(negated=False), 0),
    Fault(
        "a negation of a list is lost",
        Conditions,
        "_address_list",
        lambda old: lambda self, direction, name, **_: old(self, direction, name, negated=False),
        11,
    ),
    Fault(
        "a connection mark is read with others' bits",
        conditions,
        "MARK_MASKS",
        lambda old: {**old, MarkKind.CONNECTION: 0xFFFF_FFFF},
        0,
    ),
    Fault(
        "a packet mark is set over others' bits",
        effects,
        "MARK_MASKS",
        lambda old: {**old, MarkKind.PACKET: 0xFF00_0000},
        1,
    ),
    Fault(
        "a routing mark is set over a packet mark",
        effects,
        "MARK_MASKS",
        lambda old: {**old, MarkKind.ROUTING: old[MarkKind.ROUTING] | old[MarkKind.PACKET]},
        3,
    ),
    Fault(
        "passthrough=no is ignored",
        compiled_mangle._FamilyCompiler,
        "_does",
        lambda old: lambda self, rule: old(self, _passing_through(rule)),
        1,
    ),
    Fault("the leak guard is left out", compiling, "compile_guard", lambda _: lambda *_: None, 0),
    Fault(
        "NAT rules stand in another order",
        compiling,
        "compile_nat",
        lambda old: lambda around, *more: old(_backwards(around), *more),
        2,
    ),
    Fault(
        "a NAT rule is made for one family only",
        nat,
        "_nat_rules",
        lambda old: lambda rule, *more: old(_of_first_family(rule), *more),
        0,
    ),
    Fault("a port that is forwarded to is forgotten", nat, "_ports", lambda old: lambda _: old(None), 16),
    Fault(
        "protocols without ports are hashed as if they had some",
        Conditions,
        "has_ports",
        lambda old: lambda self, *, negated=False: old(self, negated=True) if negated else (),
        1,
    ),
    Fault("rules of one family meet the other", compiled_mangle, "of_family", lambda _: lambda _: (), 1),
    Fault(
        "a known connection goes the short way though its mark may be erased",
        compiled_mangle._FamilyCompiler,
        "_any_mark",
        lambda _: lambda _, start: replace(start, connection_mark=SOME_MARK),
        194,
    ),
    Fault(
        "the short way sets no routing mark",
        compiled_mangle,
        "_effects",
        lambda old: lambda start, end: old(start, replace(end, routing_mark=start.routing_mark)),
        0,
    ),
    Fault(
        "rules are one lookup though one changes what the next asks for",
        runs,
        "_leaves_alone",
        lambda old: lambda rule, by: isinstance(rule.action, MarkAction) or old(rule, by),
        112,
    ),
    Fault("what is jumped to does not come back", compiled_mangle, "jump", lambda _: goto, 0),
    Fault(
        "own packets are not routed anew",
        compiled_mangle,
        "Hook",
        lambda old: lambda _, hook, priority: old("filter", hook, priority),
        0,
    ),
    Fault("streams go to the next owner", compiling, "fold", lambda old: lambda router: _shifted(old(router)), 0),
    Fault(
        "the kernel hashes with another seed",
        conditions,
        "Hash",
        lambda old: lambda length, modulus, seed: old(length, modulus, seed ^ 1),
        0,
    ),
    Fault("rules with other conditions are folded into one", fold, "_others", lambda _: lambda _: frozenset(), 1),
    Fault(
        "IPv6 addresses are looked for where IPv4 has them",
        Conditions,
        "load_address",
        lambda old: lambda self, side: replace(old(self, side), offset_bytes=12 if side is Direction.SOURCE else 16),
        0,
    ),
    Fault(
        "a port on either side is only looked for at the destination",
        Conditions,
        "_ports",
        lambda old: (
            lambda self, m, *, ported: old(
                self,
                replace(m, direction=Direction.DESTINATION) if m.direction is Direction.EITHER else m,
                ported=ported,
            )
        ),
        4,
    ),
    Fault(
        "the last of an interval is left out",
        conditions.Sets,
        "intervals",
        lambda old: (
            lambda self, prefix, kind, ranges, readable: old(self, prefix, kind, _without_last(ranges), readable)
        ),
        4,
    ),
    Fault(
        "related counts as established",
        conditions,
        "STATE_BITS",
        lambda old: {**old, ConnectionState.RELATED: old[ConnectionState.ESTABLISHED]},
        23,
    ),
    Fault(
        "the first address of an IPv6 network does not count as the router's own",
        conditions,
        "_ROUTE_TYPES",
        lambda old: {**old, Family.IPV6: {**old[Family.IPV6], AddressType.LOCAL: (2,)}},
        21,
    ),
    Fault(
        "passthrough=no does not end the way of a packet that can have no connection mark",
        effects.Effects,
        "is_apart",
        lambda _: False,
        37,
    ),
    Fault("what is lost keeps its buckets and routes", compiling, "stand", lambda _: lambda router, _: router, 6),
)

INTERPRETER = (
    Fault(
        "a list that was never defined has every interface",
        matching.Surroundings,
        "in_list",
        lambda old: lambda self, name, interface: name == "never defined" or old(self, name, interface),
        23,
    ),
    Fault(
        "a negation is lost",
        mangle,
        "holds",
        lambda old: (
            lambda m, sight, around: old(replace(m, negated=False) if isinstance(m, PccMatch) else m, sight, around)
        ),
        33,
    ),
    Fault(
        "the last port of a range is left out",
        matching,
        "_port_in",
        lambda old: (
            lambda m, packet: old(
                replace(m, ranges=tuple((first, max(first, last - 1)) for first, last in m.ranges)), packet
            )
        ),
        4,
    ),
    Fault(
        "passthrough=no is ignored",
        mangle._Runner,
        "_act",
        lambda old: lambda self, rule, *more: old(self, _passing_through(rule), *more),
        1,
    ),
    Fault(
        "return ends the hook",
        mangle._Runner,
        "_act",
        lambda old: lambda *asked: _ending_for_good(old(*asked)),
        71,
    ),
    Fault(
        "a packet without a connection keeps a connection mark",
        matching,
        "WITHOUT_ENTRY",
        lambda _: frozenset(),
        8,
    ),
    Fault(
        "source and destination are hashed in the other order",
        matching,
        "key_of",
        lambda old: (
            lambda packet, classifier: old(
                replace(packet, source=packet.destination, destination=packet.source), classifier
            )
        ),
        0,
    ),
    Fault("the hash is taken modulo", matching, "scale", lambda _: lambda value, modulus: value % modulus, 0),
    Fault("long keys are mixed otherwise", pcc, "_mix", lambda old: lambda a, b, c: old(b, a, c), 11),
    Fault("SCTP has no ports", flow, "PORT_PROTOCOLS", lambda old: old - {flow.SCTP}, 6),
    Fault(
        "the interface of a route rule is not looked at",
        lookup,
        "missed",
        lambda old: lambda rule, question: old(replace(rule, in_interface=None), question),
        3,
    ),
    Fault(
        "a route rule compares a whole mark",
        lookup,
        "missed",
        lambda old: lambda rule, question: old(replace(rule, mask=0xFFFF_FFFF if rule.mask else 0), question),
        18,
    ),
    Fault(
        "the greatest distance wins",
        lookup.Fib,
        "of",
        lambda old: lambda *parts: _with_farthest_first(old(*parts)),
        0,
    ),
    Fault("a line without carrier is used", lookup.Fib, "_hurdle", lambda _: lambda *_: None, 1),
    Fault(
        "a default of main counts before the marks",
        lookup.Fib,
        "_ask",
        lambda old: lambda self, rule, question: old(self, replace(rule, suppress_prefix_length=None), question),
        0,
    ),
    Fault("nobody knows the leak guard", trace._Way, "_may_leave", lambda _: lambda *_: True, 0),
    Fault("what belongs to no connection is translated", trace, "_BEGINNING", lambda _: tuple(ConnectionState), 2),
    Fault(
        "masquerade takes the first address",
        trace,
        "masquerading",
        lambda old: lambda machine, interface, destination, _: old(machine, interface, destination, None),
        55,
    ),
    Fault(
        "a masqueraded connection may go by another uplink",
        trace._Way,
        "_leave",
        lambda old: lambda self, *end: old(_not_masqueraded(self), *end),
        11,
    ),
    Fault("every source is believed", trace._Way, "_source_is_believed", lambda _: lambda *_: True, 3),
    Fault(
        "own packets are not routed anew",
        trace._Way,
        "_mark",
        lambda old: lambda self: 0 if self._packet.in_interface is None else old(self),
        0,
    ),
    Fault("the router hears every group", trace._Way, "_is_heard", lambda _: lambda _: True, 0),
    Fault(
        "an address is only the router's own word for word", addresses, "_is_local_by", lambda _: lambda *_: False, 21
    ),
    Fault(
        "rules of one family meet the other",
        trace,
        "chains_of",
        lambda old: lambda rules, family: old([replace(rule, families=BOTH_FAMILIES) for rule in rules], family),
        1,
    ),
    Fault("redirect gives the first address whatever its scope", own_address, "NARROW_SCOPES", lambda _: (), 68),
)

#: These are shown by rounds of `chance.drawn_by_counters`.
COUNTERS = (
    Fault("the kernel counts one too far", conditions, "NumberGenerator", lambda old: lambda every: old(every + 1), 0),
    Fault("rules that differ in one mark share a counter", runs, "has_chance", lambda _: lambda _: False, 30),
    Fault(
        "each rule of the kernel's counts for itself",
        compiled_mangle._FamilyCompiler,
        "_counts_together",
        lambda _: lambda *_: False,
        0,
    ),
    Fault(
        "the kernel counts before it asks the rest",
        conditions,
        "_cost",
        lambda old: lambda matcher: -1 if isinstance(matcher, NthMatch) else old(matcher),
        0,
    ),
    Fault("rules share a counter", draws.Drawing, "draw", lambda old: lambda self, _, m: old(self, _ONE_RULE, m), 0),
    Fault("each packet is the first", draws.Draws, "after", lambda _: lambda self, _: self, 0),
)
