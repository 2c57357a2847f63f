"""The interpreter: one packet's way through a router, as RouterOS defines it and Linux carries it out.

prerouting mangle → destination NAT → routing decision → forward mangle → postrouting mangle → source NAT; own packets:
routing decision → output mangle → routing decision anew → postrouting mangle → source NAT. It runs the router itself,
not what was compiled from it: the two are compared packet by packet with the kernel between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from evenflow.core.addresses import type_of
from evenflow.core.lookup import Decision, Fib, Question, Refusal
from evenflow.core.mangle import Ending, chains_of, run_chain
from evenflow.core.matching import Sight, Surroundings, holds
from evenflow.core.numbering import Numbers, number_router
from evenflow.core.routing import resolve
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, PACKET_MARK_SHIFT
from evenflow.model.flow import ConnectionState, Family
from evenflow.model.matcher import AddressType, MarkKind
from evenflow.model.router import MAIN_TABLE, DestinationNat, Masquerade, Redirect, SourceNat
from evenflow.model.trace import Disposition, Step, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.core.mangle import MangleRun
    from evenflow.model.flow import Address, Packet
    from evenflow.model.machine import Machine
    from evenflow.model.router import MangleRule, NatRule, Router

_REFUSED = {
    Refusal.NO_ROUTE: Disposition.NO_ROUTE,
    Refusal.UNREACHABLE: Disposition.UNREACHABLE,
    Refusal.BLACKHOLE: Disposition.BLACKHOLE,
    Refusal.PROHIBIT: Disposition.PROHIBIT,
}


class Tracer:
    """A router on a machine, ready to trace packets."""

    def __init__(self, router: Router, machine: Machine, seed: int) -> None:
        """Prepare.

        Raises:
            TooManyNamesError: more marks than can be numbered.
        """
        numbers = number_router(router)
        routing = resolve(router, machine, numbers)
        self._parts = _Parts(
            router,
            machine,
            Surroundings(router, machine, seed),
            numbers,
            Fib.of(machine, routing.routes, routing.rules, routing.uplink_interfaces),
            {family: chains_of(router.mangle, family) for family in Family},
        )

    def trace(self, packet: Packet) -> Trace:
        """One packet's way."""
        return _Way(self._parts, packet).go()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What every way through the router needs."""

    router: Router
    machine: Machine
    around: Surroundings
    numbers: Numbers
    fib: Fib
    chains: Mapping[Family, Mapping[str, tuple[MangleRule, ...]]]


class _Way:
    """One packet on its way: the steps so far, and what is known of it."""

    def __init__(self, parts: _Parts, packet: Packet) -> None:
        self._parts = parts
        self._packet = packet
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
        if not self._mangle("prerouting"):
            return self._end(Disposition.DROPPED)
        self._translate_destination()
        if type_of(self._packet.destination, self._parts.machine) is not AddressType.UNICAST:
            return self._local()
        decision = self._route()
        if decision.hop is None:
            return self._refused(decision)
        if not self._source_is_reachable(decision.hop.interface):
            return self._end(Disposition.DROPPED)
        self._sight = replace(self._sight, out_interface=decision.hop.interface)
        if not self._mangle("forward"):
            return self._end(Disposition.DROPPED)
        return self._leave(decision, Disposition.FORWARDED)

    def _own(self) -> Trace:
        decision = self._route()
        if decision.hop is None:
            return self._refused(decision)
        mark = self._mark()
        self._sight = replace(self._sight, out_interface=decision.hop.interface)
        if not self._mangle("output"):
            return self._end(Disposition.DROPPED)
        if self._mark() != mark:
            decision = self._route()
            if decision.hop is None:
                return self._refused(decision)
            self._sight = replace(self._sight, out_interface=decision.hop.interface)
        return self._leave(decision, Disposition.SENT)

    def _local(self) -> Trace:
        self._steps.append(Step("routing", "the router's own address", matched=True))
        if not self._source_is_reachable("lo"):
            return self._end(Disposition.DROPPED)
        if not self._mangle("input"):
            return self._end(Disposition.DROPPED)
        return self._end(Disposition.DELIVERED)

    def _leave(self, decision: Decision, disposition: Disposition) -> Trace:
        if not self._mangle("postrouting"):
            return self._end(Disposition.DROPPED)
        assert decision.hop is not None
        if self._packet.masqueraded_by not in (None, decision.hop.interface):
            # Linux, nf_nat_oif_changed(): rather than leak the address of another uplink, it ends the connection.
            detail = f"the connection has the address of {self._packet.masqueraded_by}: dropped and forgotten"
            self._steps.append(Step("srcnat", "masquerade", matched=True, detail=detail))
            return self._end(Disposition.DROPPED)
        return self._end(disposition, decision, self._snat(decision))

    # --- the parts of the way ------------------------------------------------------------------------------------

    def _mangle(self, chain: str) -> bool:
        """Run a chain; False when it drops the packet."""
        run = run_chain(self._parts.chains[self._packet.family], chain, self._sight, self._parts.around)
        self._steps.extend(_mangle_steps(run))
        self._sight = run.sight
        return run.ending is not Ending.DROPPED

    def _source_is_reachable(self, way_back: str) -> bool:
        """Linux's loose reverse-path filter, which stands on IPv4 uplinks: some route must lead to the source.

        Source: RFC 3704, 2.4; Linux, __fib_validate_source(): asked without a mark, as of an answer that comes in
        where the packet is to leave.
        """
        packet, fib = self._packet, self._parts.fib
        if packet.family is not Family.IPV4 or packet.in_interface not in fib.uplink_interfaces:
            return True
        if fib.decide(Question(packet.source, packet.destination, in_interface=way_back)).hop is not None:
            return True
        self._steps.append(Step("routing", "reverse-path filter", matched=True, detail="no route to the source"))
        return False

    def _mark(self) -> int:
        """The skb mark, as far as it is ours."""
        routing, packet = self._sight.routing_mark, self._sight.packet_mark
        assert isinstance(routing, str | None)
        assert isinstance(packet, str | None)
        numbers = self._parts.numbers
        return numbers.mark(MarkKind.ROUTING, routing) | (numbers.mark(MarkKind.PACKET, packet) << PACKET_MARK_SHIFT)

    def _route(self) -> Decision:
        question = Question(
            self._packet.destination, self._packet.source, self._mark(), self._packet.in_interface or ""
        )
        decision = self._parts.fib.decide(question)
        for tried in decision.tried:
            table = self._table_name(tried.rule.table) if tried.rule.table else tried.rule.kind.value
            what = f"rule {tried.rule.priority}: table {table}"
            taken = tried.hop is not None or tried.refusal is not None
            route = f"{tried.route.destination} distance {tried.route.metric}" if tried.route else "no usable route"
            self._steps.append(Step("routing", what, taken, route))
        return decision

    def _table_name(self, number: int) -> str:
        if number == MAIN_TABLE_NUMBER:
            return MAIN_TABLE
        names = {self._parts.numbers.table(name): name for name in self._parts.numbers.routing_marks}
        return names.get(number, str(number))

    def _nat_rule(self, chain: str) -> NatRule | None:
        """The first rule of a NAT chain that matches; only a connection's first packet asks."""
        if self._packet.known or self._packet.state is not ConnectionState.NEW:
            return None
        for rule in self._parts.router.nat:
            if rule.chain != chain or self._packet.family not in rule.families:
                continue
            matched = all(holds(matcher, self._sight, self._parts.around) for matcher in rule.matchers)
            self._steps.append(Step(chain, type(rule.action).__name__.lower(), matched, origin=rule.origin))
            if matched:
                return rule
        return None

    def _translate_destination(self) -> None:
        """Destination NAT: by a rule for a new connection, as connection tracking remembers for a known one.

        Of a range only the first address is told: the kernel chooses.
        """
        packet = self._packet
        rule = self._nat_rule("dstnat")
        match rule.action if rule else None:
            case DestinationNat(to, ports):
                port = ports[0] if ports and packet.has_ports else packet.destination_port
                packet = replace(packet, destination=to.first if to else packet.destination, destination_port=port)
            case Redirect(ports):
                own = self._addresses(packet.in_interface or "")
                port = ports[0] if ports and packet.has_ports else packet.destination_port
                packet = replace(packet, destination=own[0] if own else packet.destination, destination_port=port)
            case _ if packet.translated_destination is not None:
                packet = replace(packet, destination=packet.translated_destination)
        self._packet = packet
        self._sight = replace(self._sight, packet=packet)

    def _snat(self, decision: Decision) -> Address | None:
        rule = self._nat_rule("srcnat")
        match rule.action if rule else None:
            case SourceNat(to):
                return to.first
            case Masquerade():
                assert decision.hop is not None
                own = self._addresses(decision.hop.interface)
                return own[0] if own else None
            case _:
                return self._packet.translated_source

    def _addresses(self, interface: str) -> list[Address]:
        """Addresses that NAT can give: those of the packet's family that are valid beyond the link."""
        return [
            ip_address(own.address.ip)
            for own in self._parts.machine.addresses
            if own.interface == interface
            and own.address.version == self._packet.destination.version
            and not own.address.is_link_local
        ]

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
            self._table_name(decision.tried[-1].rule.table) if decision else None,
            hop.gateway if hop else None,
            hop.interface if hop else None,
            snat,
            tuple(self._steps),
        )


def _mangle_steps(run: MangleRun) -> list[Step]:
    return [
        Step(
            step.rule.chain,
            step.rule.origin.item or type(step.rule.action).__name__,
            step.failed is None,
            "" if step.failed is None else f"{type(step.failed).__name__} does not match",
            step.rule.origin,
        )
        for step in run.steps
    ]
