"""The interpreter: one packet's way through a router, as RouterOS defines it and Linux carries it out.

prerouting mangle → destination NAT → routing decision → forward mangle → postrouting mangle → source NAT → leak guard;
own packets: routing decision → output mangle → routing decision anew → postrouting mangle → source NAT → leak guard. It
runs the router itself, not what was compiled from it: the two are compared packet by packet with the kernel between
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.addresses import LOOPBACK, type_of
from evenflow.core.classes import packet_classes
from evenflow.core.draws import NOTHING_DRAWN, Drawing, Draws
from evenflow.core.explain import mangle_steps, nat_step
from evenflow.core.explain_routing import RoutingExplainer
from evenflow.core.groups import joined_groups
from evenflow.core.lookup import Decision, Fib, Question, Refusal
from evenflow.core.mangle import Ending, ask, chains_of, run_chain
from evenflow.core.matching import Sight, Surroundings
from evenflow.core.numbering import Numbers, number_router
from evenflow.core.own_address import masquerading, redirecting
from evenflow.core.routing import resolve
from evenflow.core.source_check import disbelief
from evenflow.model.dataplane import PACKET_MARK_SHIFT, FibHop
from evenflow.model.flow import ConnectionState, Family
from evenflow.model.matcher import AddressType, MarkKind
from evenflow.model.router import DestinationNat, Masquerade, Redirect, SourceNat
from evenflow.model.trace import Disposition, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.core.classes import PacketClasses
    from evenflow.model.flow import Address, Packet
    from evenflow.model.machine import Machine
    from evenflow.model.matcher import Classifier
    from evenflow.model.router import MangleRule, NatRule, Router

_REFUSED = {
    Refusal.NO_ROUTE: Disposition.NO_ROUTE,
    Refusal.UNREACHABLE: Disposition.UNREACHABLE,
    Refusal.BLACKHOLE: Disposition.BLACKHOLE,
    Refusal.PROHIBIT: Disposition.PROHIBIT,
}

#: States in which NAT rules are asked: of a connection that connection tracking has not seen before.
_BEGINNING = (ConnectionState.NEW, ConnectionState.RELATED)

#: What is said of the translation that a connection's first packet got.
OF_THE_CONNECTION = "as the connection's first packet"


class Tracer:
    """A router on a machine, ready to trace packets."""

    def __init__(self, router: Router, machine: Machine, seed: int, sysctls: Mapping[str, str] | None = None) -> None:
        """Prepare. `sysctls` as they hold on the machine; those that are left out are taken for 0.

        Raises:
            TooManyNamesError: more marks than can be numbered.
        """
        numbers = number_router(router)
        routing = resolve(router, machine, numbers)
        fib = Fib.of(machine, routing.routes, routing.rules, routing.uplink_interfaces)
        self._parts = _Parts(
            router,
            machine,
            Surroundings(router, machine, seed),
            numbers,
            fib,
            {family: chains_of(router.mangle, family) for family in Family},
            sysctls or {},
            RoutingExplainer(router, machine, numbers, fib),
            joined_groups(machine),
        )

    def trace(self, packet: Packet, choice: int = 0, draws: Draws = NOTHING_DRAWN) -> Trace:
        """One packet's way. Where the kernel chooses among n next hops of a route, number `choice` % n is taken."""
        return _Way(self._parts, self._parts.around, packet, choice, draws).go()

    def outcome(
        self, packet: Packet, buckets: Mapping[Classifier, int], choice: int = 0, draws: Draws = NOTHING_DRAWN
    ) -> Trace:
        """What becomes of a packet whose fields hash to these buckets, without the steps: several times as fast."""
        return _Way(self._parts, self._parts.around.supposing(buckets), packet, choice, draws, explained=False).go()

    @property
    def router(self) -> Router:
        """The router whose packets it traces."""
        return self._parts.router

    def classes(self, family: Family) -> PacketClasses:
        """The classes of packets that this router can't tell apart."""
        return packet_classes(self._parts.router, self._parts.machine, self._parts.fib, family)

    def own_source(self, destination: Address) -> Address | None:
        """The source that the kernel gives to the router's own packets to a destination; None when there is no way."""
        parts = self._parts
        if type_of(destination, parts.machine) is AddressType.LOCAL:
            return destination
        decision = parts.fib.decide(Question(destination, in_interface=LOOPBACK))
        route = decision.tried[-1].route if decision.hop is not None else None
        if decision.hop is None or route is None:
            return None
        chosen = masquerading(parts.machine, decision.hop.interface, destination, decision.hop.gateway)
        return route.preferred_source or chosen


@dataclass(frozen=True, slots=True)
class _Parts:
    """What every way through the router needs."""

    router: Router
    machine: Machine
    around: Surroundings
    numbers: Numbers
    fib: Fib
    chains: Mapping[Family, Mapping[str, tuple[MangleRule, ...]]]
    sysctls: Mapping[str, str]
    explainer: RoutingExplainer
    groups: frozenset[Address]


class _Way:
    """One packet on its way: the steps so far, and what is known of it."""

    def __init__(
        self,
        parts: _Parts,
        around: Surroundings,
        packet: Packet,
        choice: int,
        draws: Draws,
        *,
        explained: bool = True,
    ) -> None:
        self._parts = parts
        self._drawing = Drawing(draws)
        self._around = around.drawing(self._drawing)
        self._explained = explained
        self._packet = packet
        self._choice = choice
        self._ways = 1
        self._dnat: Address | None = None
        self._dnat_port: int | None = None
        self._steps: list[Step] = []
        self._sight = Sight(
            packet.in_interface or "",
            "",
            packet.connection_mark,
            packet.routing_mark,
            packet.packet_mark,
            packet,
        )

    def go(self) -> Trace:
        return self._own() if self._packet.in_interface is None else self._arriving()

    def _arriving(self) -> Trace:
        if not (self._mangle("prerouting") and self._translate_destination()):
            return self._end(Disposition.DROPPED)
        if type_of(self._packet.destination, self._parts.machine) is not AddressType.UNICAST:
            return self._local()
        decision = self._route()
        if decision.hop is None:
            return self._refused(decision)
        if not self._source_is_believed(decision.hop.interface):
            return self._end(Disposition.DROPPED)
        self._sight = replace(self._sight, out_interface=decision.hop.interface)
        if not self._mangle("forward"):
            return self._end(Disposition.DROPPED)
        return self._leave(decision, Disposition.FORWARDED)

    def _own(self) -> Trace:
        decision = None
        self._sight = replace(self._sight, out_interface=LOOPBACK)
        if not self._is_own_destination():
            decision = self._route()
            if decision.hop is None:
                return self._refused(decision)
            self._sight = replace(self._sight, out_interface=decision.hop.interface)
        mark = self._mark()
        if not self._mangle("output"):
            return self._end(Disposition.DROPPED)
        if decision is not None and self._mark() != mark:
            decision = self._route()  # at once: only then NAT has its turn
            if decision.hop is None:
                return self._refused(decision)
        if self._packet.is_redirected:
            self._translate_destination()
        if self._is_own_destination():
            return self._to_itself()
        if decision is None or self._dnat is not None:
            decision = self._route()
            if decision.hop is None:
                return self._refused(decision)
        assert decision.hop is not None
        self._sight = replace(self._sight, out_interface=decision.hop.interface)
        return self._leave(decision, Disposition.SENT)

    def _is_own_destination(self) -> bool:
        return type_of(self._packet.destination, self._parts.machine) is AddressType.LOCAL

    def _to_itself(self) -> Trace:
        """From the router to the router: out by the loopback device, and in by it with the marks that it has by then.

        It has its route already, and is not routed again when it comes in.
        """
        self._steps.append(Step("routing", "the router's own address", matched=True))
        self._sight = replace(self._sight, out_interface=LOOPBACK)
        if not self._mangle("postrouting"):
            return self._end(Disposition.DROPPED)
        snat = self._snat(FibHop(LOOPBACK))
        self._packet = replace(self._packet, source=snat or self._packet.source, in_interface=LOOPBACK)
        self._sight = replace(self._sight, in_interface=LOOPBACK, out_interface="", packet=self._packet)
        if not (self._mangle("prerouting") and self._mangle("input")):
            return self._end(Disposition.DROPPED)
        return self._end(Disposition.DELIVERED, snat=snat)

    def _local(self) -> Trace:
        if not self._is_heard():
            self._steps.append(Step("routing", "a group that the router is not in", matched=True))
            return self._end(Disposition.DROPPED)
        self._steps.append(Step("routing", "the router's own address", matched=True))
        if not self._source_is_believed(LOOPBACK):
            return self._end(Disposition.DROPPED)
        if not self._mangle("input"):
            return self._end(Disposition.DROPPED)
        return self._end(Disposition.DELIVERED)

    def _is_heard(self) -> bool:
        """Whether the router takes what is sent to a group; what programs on it have joined is not known."""
        group = self._packet.destination
        return not group.is_multicast or group in self._parts.groups

    def _leave(self, decision: Decision, disposition: Disposition) -> Trace:
        if not self._mangle("postrouting"):
            return self._end(Disposition.DROPPED)
        assert decision.hop is not None
        if self._packet.masqueraded_by not in (None, decision.hop.interface):
            # Linux, nf_nat_oif_changed(): rather than leak the address of another uplink, it ends the connection.
            detail = f"the connection has the address of {self._packet.masqueraded_by}: dropped and forgotten"
            self._steps.append(Step("srcnat", "masquerade", matched=True, detail=detail))
            return self._end(Disposition.DROPPED)
        snat = self._snat(decision.hop)
        if not self._may_leave(decision.hop.interface, snat):
            detail = f"{snat or self._packet.source} is no address of {decision.hop.interface}: dropped"
            self._steps.append(Step("postrouting", "leak guard", matched=True, detail=detail))
            return self._end(Disposition.DROPPED)
        return self._end(disposition, decision, snat)

    # --- the parts of the way ------------------------------------------------------------------------------------

    def _mangle(self, chain: str) -> bool:
        """Run a chain; False when it drops the packet."""
        run = run_chain(self._parts.chains[self._packet.family], chain, self._sight, self._around)
        if self._explained:
            self._steps.extend(mangle_steps(run, self._sight, self._around))
        self._sight = run.sight
        return run.ending is not Ending.DROPPED

    def _source_is_believed(self, way_back: str) -> bool:
        parts = self._parts
        doubt = disbelief(self._packet, way_back, parts.machine, parts.fib, parts.sysctls)
        if doubt is not None:
            self._steps.append(doubt)
        return doubt is None

    def _may_leave(self, interface: str, snat: Address | None) -> bool:
        """The leak guard (`core.compile.guard`). Only policies have it, and they translate no destinations."""
        packet, machine = self._packet, self._parts.machine
        if interface not in self._parts.router.guarded or packet.state is ConnectionState.UNTRACKED:
            return True
        source = snat or packet.source
        changed = packet.known and (packet.translated_source or packet.translated_destination) is not None
        if changed and packet.state is not ConnectionState.NEW:
            return True
        if any(own.interface == interface and own.address.ip == source for own in machine.addresses):
            return True
        kind = type_of(source, machine)
        return kind is AddressType.BROADCAST or (source != packet.source and kind is not AddressType.LOCAL)

    def _mark(self) -> int:
        """The skb mark, as far as it is ours."""
        routing, packet = self._sight.routing_mark, self._sight.packet_mark
        assert isinstance(routing, str | None)
        assert isinstance(packet, str | None)
        numbers = self._parts.numbers
        return numbers.mark(MarkKind.ROUTING, routing) | (numbers.mark(MarkKind.PACKET, packet) << PACKET_MARK_SHIFT)

    def _route(self) -> Decision:
        question = Question(
            self._packet.destination,
            self._packet.source,
            self._mark(),
            self._packet.in_interface or LOOPBACK,
            self._choice,
        )
        decision = self._parts.fib.decide(question)
        if self._explained:
            self._steps.extend(self._parts.explainer.steps(decision, question))
        self._ways = max(self._ways, *(tried.ways for tried in decision.tried), 1)
        return decision

    def _nat_rule(self, chain: str) -> NatRule | None:
        """The first rule of a NAT chain that matches; only a connection's first packet asks."""
        if self._packet.known or self._packet.state not in _BEGINNING:
            return None
        for rule in self._parts.router.nat:
            if rule.chain != chain or self._packet.family not in rule.families:
                continue
            asked = ask(rule, self._sight, self._around)
            if self._explained:
                self._steps.append(nat_step(rule, asked, self._sight, self._around))
            if asked.failed is None:
                return rule
        return None

    def _translate_destination(self) -> bool:
        """Destination NAT: by a rule for a new connection, as connection tracking remembers for a known one.

        Of a range only the first address is told: the kernel chooses. False when there is no address to redirect to.
        """
        packet = self._packet
        rule = self._nat_rule("dstnat")
        match rule.action if rule else None:
            case DestinationNat(to, ports):
                port = ports[0] if ports and packet.has_ports else packet.destination_port
                packet = replace(packet, destination=to.first if to else packet.destination, destination_port=port)
            case Redirect(ports):
                own = redirecting(self._parts.machine, packet.in_interface or "", packet.destination)
                if own is None:
                    return False
                port = ports[0] if ports and packet.has_ports else packet.destination_port
                packet = replace(packet, destination=own, destination_port=port)
            case _ if packet.is_redirected:
                self._steps.append(Step("dstnat", OF_THE_CONNECTION, matched=True))
                packet = replace(
                    packet,
                    destination=packet.translated_destination or packet.destination,
                    destination_port=packet.translated_destination_port or packet.destination_port,
                )
        self._dnat = packet.destination if packet.destination != self._packet.destination else None
        self._dnat_port = packet.destination_port if packet.destination_port != self._packet.destination_port else None
        self._packet = packet
        self._sight = replace(self._sight, packet=packet)
        return True

    def _snat(self, hop: FibHop) -> Address | None:
        rule = self._nat_rule("srcnat")
        match rule.action if rule else None:
            case SourceNat(to) if to.first != to.last:
                detail = f"the kernel chooses an address from {to.first} to {to.last}"
                self._steps.append(Step("srcnat", "src-nat", matched=True, detail=detail))
                return None
            case SourceNat(to):
                return to.first
            case Masquerade():
                return masquerading(self._parts.machine, hop.interface, self._packet.destination, hop.gateway)
            case _:
                if self._packet.translated_source is not None:
                    self._steps.append(Step("srcnat", OF_THE_CONNECTION, matched=True))
                return self._packet.translated_source

    # --- ends ----------------------------------------------------------------------------------------------------

    def _refused(self, decision: Decision) -> Trace:
        assert decision.refusal is not None
        return self._end(_REFUSED[decision.refusal])

    def _end(self, disposition: Disposition, decision: Decision | None = None, snat: Address | None = None) -> Trace:
        sight = self._sight
        assert isinstance(sight.connection_mark, str | None)
        assert isinstance(sight.routing_mark, str | None)
        assert isinstance(sight.packet_mark, str | None)
        hop = decision.hop if decision else None
        return Trace(
            disposition,
            sight.connection_mark,
            sight.routing_mark,
            sight.packet_mark,
            self._parts.explainer.table_name(decision.tried[-1].rule.table) if decision else None,
            hop.gateway if hop else None,
            hop.interface if hop else None,
            snat,
            tuple(self._steps),
            self._dnat,
            self._dnat_port,
            self._ways,
            tuple(self._drawing.drawn),
        )
