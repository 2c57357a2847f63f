"""What if: a router with other weights, with uplinks lost or drained, with a cable pulled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.failover import Standing
from evenflow.model.finding import Origin, error
from evenflow.model.router import SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.finding import Finding
    from evenflow.model.health import Watch
    from evenflow.model.machine import Machine
    from evenflow.model.policy import Policy
    from evenflow.model.router import Router


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is to be supposed of uplinks, by their names or interfaces.

    Attributes:
        down: lost, as the daemon finds it.
        drained: no new connections go there.
        no_carrier: its cable is pulled, and no daemon is running.
    """

    down: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    no_carrier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How things stand then; `findings` are what can't be supposed."""

    standing: Standing
    machine: Machine
    findings: tuple[Finding, ...] = ()


def suppose(
    router: Router, known: Sequence[RouterUplink], machine: Machine, what_if: WhatIf, standing: Standing
) -> Outcome:
    """Begin with what holds, and let what is supposed happen to it; `known` are the uplinks of the router."""
    findings: list[Finding] = []
    down, drained = set(standing.down), set(standing.drained)
    for option, names in (
        ("--down", what_if.down),
        ("--no-carrier", what_if.no_carrier),
        ("--drained", what_if.drained),
    ):
        findings += [_unknown(option, name, known) for name in names if _named(name, known) is None]
    if findings:
        return Outcome(standing, machine, tuple(findings))
    for uplink in _all(what_if.down, known):
        watches = watches_of(uplink, router)
        down.update(watch.name for watch in watches)
        if not watches and uplink.interface is not None:
            machine = without_link(machine, uplink.interface)  # nothing is watched there but the link itself
    for uplink in _all(what_if.no_carrier, known):
        links = (replace(link, carrier=False) if link.name == uplink.interface else link for link in machine.links)
        machine = replace(machine, links=tuple(links))
    can_drain = any(isinstance(rule.action, SpreadAction) and rule.action.pool for rule in router.mangle)
    for uplink in _all(what_if.drained, known):
        drained.update(watch.name for watch in watches_of(uplink, router))
        if not can_drain:
            why = f"{uplink.name} can't be drained: a RouterOS script says itself which connections go there"
            findings.append(error("not-drainable", Origin("--drained"), why))
    away = {name: buckets for name, buckets in standing.away.items() if name not in down}
    return Outcome(Standing(frozenset(down), frozenset(drained), away), machine, tuple(findings))


def lost_uplinks(known: Sequence[RouterUplink], what_if: WhatIf) -> frozenset[str]:
    """The names of the uplinks that are supposed to be lost; they may be asked for by their interfaces."""
    return frozenset(uplink.name for uplink in _all((*what_if.down, *what_if.no_carrier), known))


def watches_of(uplink: RouterUplink, router: Router) -> tuple[Watch, ...]:
    """What tells whether an uplink is lost."""
    gateways = set(uplink.gateways)
    return tuple(
        watch
        for watch in router.watches
        if watch.name == uplink.name
        or (watch.interface is not None and watch.interface == uplink.interface)
        or gateways.intersection(watch.gateways)
    )


def without_link(machine: Machine, interface: str) -> Machine:
    """The machine with an interface down: its addresses stay, its routes go (Linux, fib_sync_down_dev())."""
    links = tuple(replace(link, up=False, carrier=False) if link.name == interface else link for link in machine.links)
    routes = tuple(route for route in machine.routes if all(hop.interface != interface for hop in route.hops))
    return replace(machine, links=links, routes=routes)


def reweigh(policy: Policy, weights: Mapping[str, int], option: str = "--set-weight") -> Policy | Finding:
    """The policy with other weights for some uplinks, or what speaks against it; `option` is who asks for them."""
    names = [uplink.name for uplink in policy.uplinks]
    for name in weights:
        if name not in names:
            return error("unknown-uplink", Origin(option), f"{_no_uplink(name, names)}")
    merged = tuple((name, weights.get(name, weight)) for name, weight in policy.balance.weights)
    if not any(weight for _, weight in merged):
        return error("no-weight", Origin(option), "all weights would be 0; leave one above")
    return replace(policy, balance=replace(policy.balance, weights=merged))


def _all(names: Iterable[str], known: Sequence[RouterUplink]) -> Iterable[RouterUplink]:
    return (uplink for name in names if (uplink := _named(name, known)) is not None)


def _named(name: str, known: Iterable[RouterUplink]) -> RouterUplink | None:
    found = list(known)
    by_name = (uplink for uplink in found if uplink.name == name)
    by_interface = (uplink for uplink in found if uplink.interface == name)
    return next(by_name, None) or next(by_interface, None)


def _unknown(option: str, name: str, known: Iterable[RouterUplink]) -> Finding:
    return error("unknown-uplink", Origin(option), _no_uplink(name, [uplink.name for uplink in known]))


def _no_uplink(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - asked for where something is misspelt only

    close = get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"there is no uplink {name}, only {', '.join(names) or 'none at all'}{hint}"
