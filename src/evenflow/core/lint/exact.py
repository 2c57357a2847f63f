"""What only exact semantics can show, each with a packet that proves it.

The router is put on a machine that its file tells (`core.supposed`), and all packets are run through its rules at once
(`core.reach`). Each packet that is named has been traced before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING

from evenflow.core.addresses import type_of
from evenflow.core.boxes import meet_all, without_all
from evenflow.core.hosts import hosts
from evenflow.core.limits import limit_findings
from evenflow.core.lint.answers import answer_findings
from evenflow.core.lint.dead import asked_by, dead_finding, dead_rules
from evenflow.core.lint.local import local_findings
from evenflow.core.lint.losses import loss_findings
from evenflow.core.lint.watched import watched_findings
from evenflow.core.packet_space import Axis, PacketSpace
from evenflow.core.reach import TooManyBoxesError, reach
from evenflow.core.streams import stream_groups
from evenflow.core.supposed import Arrival, supposed_machine
from evenflow.core.trace import Tracer
from evenflow.core.unstated import with_likely_interfaces
from evenflow.core.uplinks import uplinks
from evenflow.core.witness import command, values_on, witness
from evenflow.model.finding import Severity, Unread, warning
from evenflow.model.flow import BOTH_FAMILIES, ConnectionState, Family
from evenflow.model.matcher import AddressType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from evenflow.core.boxes import Box
    from evenflow.core.reach import Reached
    from evenflow.model.finding import Finding
    from evenflow.model.flow import Packet
    from evenflow.model.router import MangleRule, NatRule, Router
    from evenflow.model.trace import Trace

#: The seed of the packets that are shown. A router's own may be unknown; with any other there are such packets, too.
SEED = 0

#: Connections of one kind of host that are tried: enough to meet every stream of usual classifiers.
_CONNECTIONS = 32

#: Findings about a rule that are shown by a packet that it matches.
_SHOWN_BY_THE_RULE = frozenset(
    {"mark-not-routed", "routing-mark-without-route", "table-undeclared", "jump-to-nothing", "equal-distance"}
)


def exact_findings(
    router: Router, told: Iterable[Finding], *, shown: bool = True, unread: Unread = Unread.NOTHING
) -> tuple[Finding, ...]:
    """Findings of its own, and those of `told` with the packets that show them; in the order of the lines.

    With `shown` False packets are looked for only where a finding depends on one; that takes less time. What may follow
    from the absence of something that stands in the file, but was not read, is not told.
    """
    told = tuple(told)
    router = with_likely_interfaces(router)
    if any(finding.severity is Severity.ERROR for finding in limit_findings(router)):
        return told
    exact = _Exact(router, shown=shown)
    found = [exact.shown(finding) for finding in told]
    if unread is Unread.NOTHING:
        found += (*exact.dead(told), *exact.for_the_router_only())
        found += (*answer_findings(router, SEED), *local_findings(router, SEED))
    if unread is not Unread.ROUTES:
        found += watched_findings(router)
    if unread is Unread.NOTHING:
        found += loss_findings(router, SEED)
    return tuple(sorted(found, key=lambda finding: finding.where.line))


class _Exact:
    def __init__(self, router: Router, *, shown: bool) -> None:
        self._router = router
        self._shows = shown
        self._machine = supposed_machine(router).machine
        self._tracer = Tracer(router, self._machine, SEED)
        self._spaces = {
            family: PacketSpace.of(router, self._machine, self._tracer.classes(family)) for family in BOTH_FAMILIES
        }

    @cached_property
    def _reached(self) -> Mapping[Family, Reached]:
        """What is reached; a family that takes too long is left out."""
        found = {}
        for family, space in self._spaces.items():
            try:
                found[family] = reach(self._router, space)
            except TooManyBoxesError:
                continue
        return found

    @cached_property
    def _outside(self) -> frozenset[str | None]:
        """The interfaces of the uplinks."""
        return frozenset(uplink.interface for uplink in uplinks(self._router))

    # --- dead rules --------------------------------------------------------------------------------------------------

    def dead(self, told: Iterable[Finding]) -> Iterator[Finding]:
        """Rules that no packet can match, where nothing was told of them yet that explains it."""
        explained = {finding.where.line for finding in told if finding.severity is not Severity.INFO}
        for rule in dead_rules(self._router, self._reached):
            if rule.origin.line in explained:
                continue
            family = rule.families[0]
            space = self._spaces[family]
            if any(not space.allowed(matcher) for matcher in rule.matchers):
                continue  # a list without members, a remainder that can't be: told where it is written
            finding = dead_finding(rule, self._router, space, self._reached[family])
            if not self._shows:
                yield finding
                continue
            yield self._with(finding, self._packet(asked_by(rule, space), space, partial(_missed, rule)))

    def for_the_router_only(self) -> Iterator[Finding]:
        """Classifiers that divide nothing but what is for the router itself: `local` where `!local` was meant."""
        for group in stream_groups(self._router):
            if group.chain != "prerouting":
                continue
            kinds = {
                type_of(space.address(number), self._machine)
                for family, reached in self._reached.items()
                for rule in group.rules
                for box in reached.by(rule)
                for space in (self._spaces[family],)
                for number in values_on(space, box, Axis.DESTINATION)
            }
            if kinds == {AddressType.LOCAL}:
                what = "these rules divide only connections to the router itself, and none that pass through it"
                mend = "write dst-address-type=!local"
                yield warning("classifier-for-the-router", group.rules[0].origin, f"{what}; {mend}")

    # --- packets that show -------------------------------------------------------------------------------------------

    def shown(self, finding: Finding) -> Finding:
        """A finding with a packet that shows it, if there is one."""
        if finding.code == "fasttrack" and self._shows:
            return self._with(finding, self._led_by_marks())
        rules: tuple[MangleRule | NatRule, ...] = (*self._router.mangle, *self._router.nat)
        rule = next((one for one in rules if one.origin == finding.where and one.origin.line), None)
        if rule is None or not self._shows:
            return finding
        family = rule.families[0]
        if family not in self._reached:
            return finding
        space, boxes = self._spaces[family], self._reached[family].by(rule)
        if finding.code in _SHOWN_BY_THE_RULE:
            return self._with(finding, self._packet(boxes, space, lambda trace: _matched(rule, trace)))
        if finding.code == "pcc-remainder":
            return self._with(finding, self._left_over(rule, boxes, space))
        return finding

    def _led_by_marks(self) -> Packet | None:
        """A connection that leaves elsewhere than main would have it leave, as FastTrack does."""
        unmarked = replace(self._router, mangle=())
        for host in hosts(self._router, uplinks(self._router)):
            marking, main = (Tracer(router, host.machine, SEED) for router in (self._router, unmarked))
            for packet in islice(host.connections(), _CONNECTIONS):
                by, then = (tracer.trace(packet).out_interface for tracer in (marking, main))
                if by is not None and by != then:
                    return packet
        return None

    def _left_over(self, rule: MangleRule | NatRule, boxes: list[Box], space: PacketSpace) -> Packet | None:
        """A packet like those of a rule whose stream no rule takes."""
        group = next((one for one in stream_groups(self._router) if rule is one.rules[0]), None)
        axis = space.classifiers.get(group.classifier) if group is not None else None
        if group is None or axis is None:
            return None  # the rules divide nothing: none of their remainders can be
        anywhere = [(*box[:axis], space.everything[axis], *box[axis + 1 :]) for box in boxes]
        taken = [box for one in group.rules for box in asked_by(one, space)]
        left = without_all(anywhere, taken)
        return self._packet(left, space, lambda trace: not any(_matched(one, trace) for one in group.rules))

    def _packet(self, boxes: Iterable[Box], space: PacketSpace, shows: Callable[[Trace], bool]) -> Packet | None:
        """The first packet of a new connection in one of the boxes that shows it when it is traced."""
        beginning = space.box(STATE=[ConnectionState.NEW])
        for box in meet_all(boxes, [beginning]):
            unmarked = tuple(
                space.everything[axis] if axis in (Axis.OUT, Axis.ROUTING_MARK, Axis.PACKET_MARK) else values
                for axis, values in enumerate(box)
            )
            packet = witness(self._router, space, unmarked, SEED, self._outside)
            if packet is None:
                continue
            packet = replace(packet, connection_mark=None)
            if shows(self._trace(packet)):
                return packet
        return None

    def _trace(self, packet: Packet) -> Trace:
        """As `evenflow trace` would: the hosts of the packet are there as well."""
        arrival = Arrival(packet.in_interface, packet.source, packet.destination)
        machine = supposed_machine(self._router, arrival).machine
        return Tracer(self._router, machine, SEED).trace(packet)

    def _with(self, finding: Finding, packet: Packet | None) -> Finding:
        if packet is None or not self._router.file:
            return finding
        return replace(finding, witness=command(packet, self._router.file, SEED))


def _missed(rule: MangleRule | NatRule, trace: Trace) -> bool:
    return not _matched(rule, trace)


def _matched(rule: MangleRule | NatRule, trace: Trace) -> bool:
    return any(step.rule is rule and step.matched for step in trace.steps)
