"""Answers that leave by another uplink than the connection came in by: to the router itself, and to port forwards.

A connection from outside is traced to the router and to a host behind it, and then its answer. What leaves by another
uplink has the wrong source address there, and the connection never comes to be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.following import reply_to, uplink_of
from evenflow.core.hosts import hosts
from evenflow.core.internet import first_server
from evenflow.core.supposed import supposed_machine
from evenflow.core.trace import Tracer
from evenflow.core.unstated import is_nameless
from evenflow.core.uplinks import uplinks
from evenflow.core.witness import command, strangers
from evenflow.model.finding import info, warning
from evenflow.model.flow import Family, family_of
from evenflow.model.matcher import AddressRange, InInterface, MarkKind, NthMatch, PccMatch, RandomMatch
from evenflow.model.router import DestinationNat, MarkAction, NatRule, SpreadAction
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.core.hosts import Host
    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.finding import Finding, Origin
    from evenflow.model.flow import Address, Packet
    from evenflow.model.router import Router
    from evenflow.model.trace import Trace

_MARK_INBOUND = "add a mark-connection rule in prerouting for connection-state=new that come in by it"


@dataclass(frozen=True, slots=True)
class _Astray:
    """An answer that leaves elsewhere: the packet that it answers, how that fared, and how the answer does."""

    packet: Packet
    first: Trace
    answer: Trace


def answer_findings(router: Router, seed: int) -> Iterator[Finding]:
    """For each uplink what goes wrong with connections that come in by it (IPv4)."""
    known = uplinks(router)
    if len(known) < 2:
        return
    host = next(hosts(router, known), None)
    for uplink in (each for each in known if not is_nameless(each.interface)):
        yield from _Inbound(router, known, uplink, host, seed).findings()


class _Inbound:
    """Connections that come in by one uplink."""

    def __init__(
        self, router: Router, known: Sequence[RouterUplink], uplink: RouterUplink, host: Host | None, seed: int
    ) -> None:
        self._router, self._known, self._uplink, self._host, self._seed = router, known, uplink, host, seed
        self._machine = host.machine if host is not None else supposed_machine(router).machine

    def findings(self) -> Iterator[Finding]:
        own = self._own_address()
        if own is None:
            return
        to_router = self._astray(self._router, own, Disposition.DELIVERED)
        if to_router is not None:
            yield self._with(self._of_router(to_router), to_router)
        if self._host is None or (to_router is not None and to_router.first.connection_mark is None):
            return
        through = self._astray(self._forwarding_to(self._host.packet), own, Disposition.FORWARDED)
        if through is not None:
            yield self._of_forward(through)

    def _own_address(self) -> Address | None:
        """An address of the router's on that uplink."""
        own = (a.address.ip for a in self._machine.addresses if a.interface == self._uplink.interface)
        return next((address for address in own if family_of(address) is Family.IPV4), None)

    def _forwarding_to(self, host: Packet) -> Router:
        """The router with one more port forward: of all ports, to that host."""
        assert self._uplink.interface is not None
        to = DestinationNat(AddressRange(host.source, host.source))
        rule = NatRule("dstnat", (InInterface(self._uplink.interface),), to, (Family.IPV4,))
        return replace(self._router, nat=(rule, *self._router.nat))

    def _astray(self, router: Router, own: Address, disposition: Disposition) -> _Astray | None:
        """A connection from outside whose answer does not go back by the uplink."""
        tracer = Tracer(router, self._machine, self._seed)
        assert self._uplink.interface is not None
        for packet in strangers(own, self._uplink.interface, first_server(self._router, self._machine)):
            first = tracer.trace(packet)
            if first.disposition is disposition and (disposition is Disposition.FORWARDED or first.dnat is None):
                answer = tracer.trace(reply_to(packet, first))
                if uplink_of(answer, self._known) != self._uplink.name:
                    return _Astray(packet, first, answer)
        return None

    # --- findings ----------------------------------------------------------------------------------------------------

    def _of_router(self, found: _Astray) -> Finding:
        name, where = self._uplink.name, self._where(found.answer)
        if found.first.connection_mark is None:
            what = f"connections that come in by {name} get no mark, and the router's answers {where}"
            # Where nothing is balanced, the others only stand by, or lead to few hosts: a VPN.
            tell = warning if _routes_by_marks_of_connections(self._router) else info
            return tell("inbound-not-marked", self._uplink.origin, f"{what}; {_MARK_INBOUND}")
        mark = found.first.connection_mark
        what = f"the router's answers to connections that come in by {name} (mark {mark}) {where}"
        mend = f"add chain=output connection-mark={mark} action=mark-routing"
        if all(step.stage == "routing" for step in found.answer.steps):
            what += ": they are routed without the mark before chain=output sees them, and no route takes them then"
            mend = "add a default route to main"
        return warning("output-not-routed", self._uplink.origin, f"{what}; {mend}")

    def _of_forward(self, found: _Astray) -> Finding:
        """A warning where the file has port forwards; else it is as well to know."""
        forwards = any(isinstance(rule.action, DestinationNat) for rule in self._router.nat)
        tell = warning if forwards else info
        of_what = "answers of port forwards" if forwards else "answers of a port forward, if there were one,"
        name, where = self._uplink.name, self._where(found.answer)
        changed = _marked_anew(found.answer)
        if changed is not None:
            what = f"{of_what} that came in by {name} are marked anew by this rule, and {where}"
            return tell("answers-marked-anew", changed, f"{what}; add connection-state=new or connection-mark=no-mark")
        if found.first.connection_mark is None:
            what = f"connections that come in by {name} get no mark, so {of_what} {where}"
            return tell("inbound-not-marked", self._uplink.origin, f"{what}; {_MARK_INBOUND}")
        what = f"{of_what} that came in by {name} (mark {found.first.connection_mark}) {where}"
        mend = "let the mark-routing rule for this mark take packets from the local interfaces"
        return tell("forward-not-routed", self._uplink.origin, f"{what}; {mend}")

    def _where(self, answer: Trace) -> str:
        by = uplink_of(answer, self._known) or answer.out_interface
        return f"leave by {by}" if by else "have no way"

    def _with(self, finding: Finding, found: _Astray) -> Finding:
        if not self._router.file:
            return finding
        return replace(finding, witness=f"{command(found.packet, self._router.file, self._seed)} --reply")


def _routes_by_marks_of_connections(router: Router) -> bool:
    """Whether some rule balances: a spread, a classifier, or a connection mark that may become a routing mark."""
    return any(
        isinstance(rule.action, SpreadAction)
        or (isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.CONNECTION)
        or any(isinstance(matcher, PccMatch | NthMatch | RandomMatch) for matcher in rule.matchers)
        for rule in router.mangle
    )


def _marked_anew(answer: Trace) -> Origin | None:
    """The rule that changed the connection mark of an answer."""
    for step in answer.steps:
        change = step.change
        if change is not None and change.kind is MarkKind.CONNECTION and change.before != change.after:
            return step.origin
    return None
