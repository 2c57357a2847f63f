"""What changes when an uplink is lost: where its share goes, and what then has no way at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from evenflow.core.draws import most_draws, parts_of
from evenflow.core.failover import AS_USUAL, stand
from evenflow.core.following import uplink_of
from evenflow.core.hosts import hosts, listed
from evenflow.core.lint.watched import is_watched
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import default_routes, uplinks
from evenflow.core.what_if import WhatIf, suppose
from evenflow.core.witness import command
from evenflow.model.finding import Severity, info, warning
from evenflow.model.flow import Family
from evenflow.model.router import InterfaceGateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evenflow.core.draws import Part
    from evenflow.core.hosts import Host
    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.finding import Finding, Origin
    from evenflow.model.flow import Packet
    from evenflow.model.matcher import Classifier
    from evenflow.model.router import Router
    from evenflow.model.trace import Trace

#: Most packets that are traced for this. A script of 300 rules needs some hundred.
_MOST_TRACES = 2000


@dataclass(frozen=True, eq=False, slots=True)
class _Value:
    """One combination of the values of all classifiers, and what part of the connections has it."""

    part: Fraction
    buckets: Mapping[Classifier, int]


@dataclass(frozen=True, slots=True)
class _Loss:
    """What becomes of the connections that went by an uplink: parts of all, by where they go then; "" is nowhere."""

    uplink: RouterUplink
    parts: tuple[tuple[str, Fraction], ...]


def loss_findings(router: Router, seed: int) -> Iterator[Finding]:
    """For each uplink what its loss means for new IPv4 connections from the local interfaces."""
    known = uplinks(router)
    ways = {gateway for route in default_routes(router) if route.destination.version == 4 for gateway in route.gateways}
    if sum(not ways.isdisjoint(uplink.gateways) for uplink in known) < 2:
        return  # nobody is there to take over
    left = _MOST_TRACES
    found: defaultdict[_Loss, list[Host]] = defaultdict(list)
    for host in hosts(router, known):
        losses = _Losses(router, known, host, seed)
        left -= losses.cost
        if left < 0:
            break
        for loss in losses.all():
            found[loss].append(host)
    for loss, hit in found.items():
        finding = _finding(loss, router, [name for host in hit for name in host.alike])
        if finding.severity is Severity.WARNING and router.file:
            packet = _Losses(router, known, hit[0], seed).left_alone_by(loss.uplink)
            shown = command(packet, router.file, seed) if packet is not None else ""
            finding = replace(finding, witness=shown and f"{shown} --down {loss.uplink.name}")
        yield finding


class _Losses:
    """What the loss of each uplink means for one kind of connections."""

    def __init__(self, router: Router, known: Sequence[RouterUplink], host: Host, seed: int) -> None:
        self._router, self._known, self._host, self._seed = router, known, host, seed
        self._tracer = Tracer(router, host.machine, seed)
        self._classes = self._tracer.classes(Family.IPV4).buckets
        self._ways: dict[tuple[int, ...], list[Part[Trace]]] = {}
        self.cost = 2 * prod(max(of_each) + 1 for of_each in self._classes.values()) * most_draws(router)

    def all(self) -> Iterator[_Loss]:
        for uplink in self._known:
            parts = self._parts(uplink)
            if parts:
                yield _Loss(uplink, tuple(parts.items()))

    def _parts(self, uplink: RouterUplink) -> Mapping[str, Fraction]:
        """Where those go that went by the uplink, once its loss is noticed."""
        after = self._after(uplink)
        parts: defaultdict[str, Fraction] = defaultdict(Fraction)
        for value in _values(self._tracer, after):
            for before in self._before(value):
                if self._way(before.end) == uplink.name:
                    then = after.outcome(self._host.packet, value.buckets, draws=before.draws)
                    parts[self._way(then)] += value.part * before.part
        return parts

    def _before(self, value: _Value) -> list[Part[Trace]]:
        """What becomes of such a connection while nothing is lost, for all that it may draw."""
        key = tuple(of_each[value.buckets[classifier]] for classifier, of_each in self._classes.items())
        known = self._ways.get(key)
        if known is None:
            go = partial(self._tracer.outcome, self._host.packet, value.buckets, 0)
            known = self._ways[key] = parts_of(go, _MOST_TRACES)
        return known

    def _way(self, trace: Trace) -> str:
        """The uplink that a connection takes, or its interface; "" if it gets nowhere."""
        return uplink_of(trace, self._known) or trace.out_interface or ""

    def _after(self, uplink: RouterUplink) -> Tracer:
        outcome = suppose(self._router, self._known, self._host.machine, WhatIf(down=(uplink.name,)), AS_USUAL)
        return Tracer(stand(self._router, outcome.standing), outcome.machine, self._seed)

    def left_alone_by(self, uplink: RouterUplink) -> Packet | None:
        """A packet that goes by the uplink, and has no other way once it is lost."""
        after = self._after(uplink)
        for packet in self._host.connections():
            by, then = (uplink_of(tracer.trace(packet), self._known) for tracer in (self._tracer, after))
            if by == uplink.name and then in (None, uplink.name):
                return packet
        return None


def _values(before: Tracer, after: Tracer) -> Iterator[_Value]:
    """All combinations of values that the rules tell apart, before or after."""
    classes, others = (tracer.classes(Family.IPV4).buckets for tracer in (before, after))
    each = []
    for classifier, of_each in classes.items():
        pairs = list(zip(of_each, others[classifier], strict=True))
        counts = Counter(pairs)
        firsts = {
            pair: value for value, pair in reversed(list(enumerate(zip(of_each, others[classifier], strict=True))))
        }
        each.append([(Fraction(number, len(of_each)), firsts[pair]) for pair, number in counts.items()])
    for chosen in product(*each):
        part = prod((part for part, _ in chosen), start=Fraction(1))
        yield _Value(part, dict(zip(classes, (value for _, value in chosen), strict=True)))


def _finding(loss: _Loss, router: Router, interfaces: Sequence[str]) -> Finding:
    parts = dict(loss.parts)
    whole = sum(parts.values(), Fraction(0))
    name, origin = loss.uplink.name, loss.uplink.origin
    cut, still = parts.pop("", Fraction(0)), parts.pop(name, Fraction(0))
    what = f"when {name} is lost, its {_percent(whole)} of new connections from {listed(interfaces, 'interfaces')}"
    goes = ", ".join(f"{_percent(part)} to {way}" for way, part in parts.items())
    rest = f", and {goes}" if goes else ""
    if still:
        what = f"{what} still go there ({_percent(still)}){rest}"
        return warning("loss-not-followed", *_unwatched(loss.uplink, router, what))
    if not cut:
        return info("uplink-lost", origin, f"{what} go elsewhere: {goes}")
    mend = "give their table a second route of a larger distance, or let them fall to the main table"
    return warning("no-way-left", origin, f"{what} have no way left ({_percent(cut)}){rest}; {mend}")


def _unwatched(uplink: RouterUplink, router: Router, what: str) -> tuple[Origin, str]:
    """The first default route by an uplink that somebody could watch and nobody does; the message with all of them."""
    askable = {gateway for gateway in uplink.gateways if not isinstance(gateway, InterfaceGateway)}
    routes = [route for route in default_routes(router) if not is_watched(route) and route.destination.version == 4]
    origins = [route.origin for route in routes if askable.intersection(route.gateways)]
    lines = list(dict.fromkeys(str(origin.line) for origin in origins if origin.line))
    if not lines:
        return uplink.origin, f"{what}; add check-gateway to each default route by it, in the main table, too"
    others = f", and to those in lines {listed(lines[1:], 'lines')}" if len(lines) > 2 else ""
    others = f", and to that in line {lines[1]}" if len(lines) == 2 else others
    return origins[0], f"{what}; add check-gateway to this default route by it{others}"


def _percent(part: Fraction) -> str:
    return f"{float(part) * 100:.3g} %"
