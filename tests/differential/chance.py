"""Random routers that leave it to counters or to chance which packets some of their rules take."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, TypeVar

from differential.bench import INTERFACES
from differential.rounds import CONNECTIONS, Round
from differential.routers import Draw
from evenflow.core.failover import AS_USUAL
from evenflow.model.flow import BOTH_FAMILIES, ICMPV6, Family
from evenflow.model.matcher import Direction, InInterface, NthMatch, PortMatch, ProtocolMatch, RandomMatch
from evenflow.model.router import MangleRule, NatRule

if TYPE_CHECKING:
    from differential.bench import Plan
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Route, Router

Rule = TypeVar("Rule", MangleRule, NatRule)

#: Rules with `random`: each doubles the ends that a packet may have, each time that it is asked.
_RANDOM, _RANDOM_FOR_MANY = 2, 2


def drawn_by_counters(number: int, plan: Plan) -> Round:
    """The round of a number, with `nth` in many rules, and one way only for each packet."""
    draw = Draw(Random(number), plan)
    router = draw.router()
    nth = _nth(draw) if draw.some(0.5) else None
    mangle = [_counting(rule, draw, nth) if draw.some(0.6) else rule for rule in router.mangle]
    for _ in range(4):
        mangle.insert(draw.random.randint(0, len(mangle)), _counting(_for_many(draw), draw, nth))
    nat = tuple(_counting(rule, draw, nth) if draw.some(0.6) else rule for rule in router.nat)
    return _round(replace(router, mangle=tuple(mangle), nat=nat, routes=_without_choices(router)), draw)


def drawn_by_chance(number: int, plan: Plan) -> Round:
    """The round of a number, with `random` in some rules."""
    draw = Draw(Random(number), plan)
    router = draw.router()
    mangle = list(router.mangle)
    for place in draw.random.sample(range(len(mangle)), _RANDOM):
        mangle[place] = _by_chance(mangle[place], draw)
    for _ in range(_RANDOM_FOR_MANY):
        mangle.insert(draw.random.randint(0, len(mangle)), _by_chance(_for_many(draw), draw))
    return _round(replace(router, mangle=tuple(mangle)), draw)


def _round(router: Router, draw: Draw) -> Round:
    packets = tuple(draw.packet(number) for number in range(CONNECTIONS))
    return Round(router, AS_USUAL, draw.random.getrandbits(32), packets)


def _nth(draw: Draw) -> NthMatch:
    every = draw.random.choice([1, 2, 2, 3, 4])
    return NthMatch(every, draw.random.randint(1, every))


def _counting(rule: Rule, draw: Draw, nth: NthMatch | None) -> Rule:
    """A rule that counts. It counts nothing but what the test sends, and comes in by an interface of the bench.

    The kernel's own neighbour discovery has the interface that it leaves by as the one that it came in by.
    """
    more: list[Matcher] = [nth or _nth(draw)]
    if not any(isinstance(matcher, InInterface) and not matcher.negated for matcher in rule.matchers):
        more.append(InInterface(draw.random.choice(list(INTERFACES))))
    if draw.some(0.2):
        # Several rules of the kernel's for the same counter.
        more.append(PortMatch(Direction.EITHER, ((1, 20_000),)))
    if rule.families[0] is Family.IPV6:
        more.append(ProtocolMatch(ICMPV6, negated=True))
    matchers = tuple(dict.fromkeys((*more, *rule.matchers)))
    return replace(rule, matchers=matchers, families=rule.families[:1])


def _by_chance(rule: MangleRule, draw: Draw) -> MangleRule:
    return replace(rule, matchers=(RandomMatch(draw.random.choice([1, 30, 50, 75, 99])), *rule.matchers))


def _for_many(draw: Draw) -> MangleRule:
    """A rule that asks for so little that many packets get to its counter, or its chance."""
    chain = draw.random.choice(["prerouting", "prerouting", "forward", "postrouting"])
    family = draw.random.choice(BOTH_FAMILIES)
    return MangleRule(chain, (InInterface("lan0"),), draw.action(chain), (family,))  # type: ignore[arg-type]


def _without_choices(router: Router) -> tuple[Route, ...]:
    """One next hop for each packet: which one the kernel takes would decide what is counted behind it."""
    found = {(route.table, route.destination, route.distance): route for route in reversed(router.routes)}
    return tuple(replace(route, gateways=route.gateways[:1]) for route in found.values())
