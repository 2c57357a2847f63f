"""What a traced packet gets from counters and chance, as the options of `evenflow trace` ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.draws import LIKELY, Draws
from evenflow.errors import InputError
from evenflow.model.finding import Origin, error
from evenflow.model.matcher import NthMatch, RandomMatch

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule, NatRule, Router
    from evenflow.model.trace import Trace


def draws_of(arguments: argparse.Namespace, router: Router, go: Callable[[Draws], Trace]) -> Draws:
    """The draws that are asked for; `go` traces the packet, once for each that came before it.

    Raises:
        InputError: no rule has such a condition.
    """
    if arguments.packet_number is not None and not any(_with(router, NthMatch)):
        raise InputError([error("wrong-question", Origin("--packet-number"), "no rule has nth=; leave it out")])
    chances: dict[int, tuple[int, ...]] = {}
    chance = LIKELY
    for line, number in arguments.chance:
        rules = [rule for rule in _with(router, RandomMatch) if line in (None, rule.origin.line)]
        if not rules:
            where = f"in line {line} " if line is not None else ""
            raise InputError([error("wrong-question", Origin("--chance"), f"no rule {where}has random=; leave it out")])
        if line is None:
            chance = number
        else:
            chances |= {id(rule): (number,) for rule in rules}
    draws = Draws({}, chances, chance)
    for _ in range((arguments.packet_number or 1) - 1):
        draws = draws.after(go(draws).drawn)
    return draws


def _with(router: Router, kind: type[Matcher]) -> Iterator[MangleRule | NatRule]:
    rules: tuple[MangleRule | NatRule, ...] = (*router.mangle, *router.nat)
    return (rule for rule in rules if any(isinstance(matcher, kind) for matcher in rule.matchers))


def notes_on(trace: Trace, arguments: argparse.Namespace) -> Iterator[str]:
    """What was taken for granted of counters and chance, if the packet met any."""
    kinds = {type(one.matcher) for one in trace.drawn}
    if NthMatch in kinds:
        which = "the first packet" if arguments.packet_number is None else f"packet number {arguments.packet_number}"
        unknown = "; how far the counters are, the kernel does not tell" if arguments.live else ""
        yield f"nth= counts from 1 here: this is {which} of those that are like it (--packet-number){unknown}"
    if RandomMatch in kinds:
        taken = "as --chance says" if arguments.chance else "as it mostly falls (--chance)"
        yield f"random= is taken {taken}: a number from 0 to 99 below the percentage matches"
