"""What counters and chance make of a packet: the draws of `nth` and `random`. They are an argument, as a seed is.

A rule's counter is known by the rule's identity (`id`), since two rules that say the same count apart. Where nothing
else is said, each counter has counted nothing yet, and each chance falls as it mostly does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Generic, Protocol, TypeGuard, TypeVar

from evenflow.model.matcher import NthMatch, RandomMatch
from evenflow.model.trace import Drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule, NatRule, Router

#: A chance that falls to the likelier side of every percentage.
LIKELY = 50

#: A chance that is below every percentage, and one that is below none.
ALWAYS, NEVER = 0, 99


def is_by_chance(matcher: Matcher) -> TypeGuard[NthMatch | RandomMatch]:
    """Whether a condition takes some packets and leaves others that are the same; `nth=1,1` takes all."""
    return isinstance(matcher, RandomMatch) or (isinstance(matcher, NthMatch) and matcher.every > 1)


def most_draws(router: Router) -> int:
    """At most in so many ways counters and chance can fall for one packet (that gets to no rule twice)."""
    rules: tuple[MangleRule | NatRule, ...] = (*router.mangle, *router.nat)
    by_chance = (matcher for rule in rules for matcher in rule.matchers if is_by_chance(matcher))
    return prod(matcher.every if isinstance(matcher, NthMatch) else 2 for matcher in by_chance)


def has_chance(rule: MangleRule | NatRule) -> bool:
    """Whether a rule has such a condition."""
    return any(map(is_by_chance, rule.matchers))


def counting(rule: MangleRule | NatRule) -> tuple[NthMatch, ...]:
    """The conditions for which a rule has a counter: one, or none."""
    return tuple(matcher for matcher in rule.matchers if isinstance(matcher, NthMatch) and matcher.every > 1)


def without_counting(rule: MangleRule | NatRule) -> tuple[Matcher, ...]:
    """All other conditions of a rule: what they let through is counted."""
    return tuple(matcher for matcher in rule.matchers if matcher not in counting(rule))


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of one packet.

    Attributes:
        passed: for each rule how many packets its `nth` has counted before, modulo its `every`; left out: 0.
        chances: for each rule the numbers, 0 to 99, that its `random` gets, one after another each time that it is
            asked; the last one from there on.
        chance: the number for rules that are not among them.
    """

    passed: Mapping[int, int] = field(default_factory=dict)
    chances: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    chance: int = LIKELY

    def after(self, drawn: Iterable[Drawn]) -> Draws:
        """Those of the next packet, after one that met `drawn`."""
        passed = dict(self.passed)
        for one in drawn:
            if isinstance(one.matcher, NthMatch):
                passed[id(one.rule)] = one.number % one.matcher.every
        return replace(self, passed=passed)

    @property
    def state(self) -> frozenset[tuple[int, int]]:
        """What the counters say: packets with the same state and chances have the same way."""
        return frozenset(pair for pair in self.passed.items() if pair[1])


#: Counters that have counted nothing, and chances as they mostly fall.
NOTHING_DRAWN = Draws()


class Drawing:
    """The draws as a packet meets them on its way, which may lead to a rule more than once."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._passed = dict(draws.passed)
        self._asked: Counter[int] = Counter()
        self.drawn: list[Drawn] = []

    def draw(self, rule: MangleRule | NatRule, matcher: NthMatch | RandomMatch) -> Drawn:
        """What the packet gets at a condition of a rule."""
        if isinstance(matcher, NthMatch):
            number = self._passed.get(id(rule), 0) % matcher.every + 1
            self._passed[id(rule)] = number
        else:
            chances = self._draws.chances.get(id(rule), ()) or (self._draws.chance,)
            number = chances[min(self._asked[id(rule)], len(chances) - 1)]
            self._asked[id(rule)] += 1
        drawn = Drawn(rule, matcher, number)
        self.drawn.append(drawn)
        return drawn


# --- all that can be drawn -------------------------------------------------------------------------------------------


class WithDraws(Protocol):
    """What becomes of a packet, with what it drew on its way."""

    @property
    def drawn(self) -> tuple[Drawn, ...]:
        """In the order of its way."""


End = TypeVar("End", bound=WithDraws)


@dataclass(frozen=True, slots=True)
class Part(Generic[End]):
    """One way in which packets that are the same end, what part of them does, and what they draw for it."""

    part: Fraction
    end: End
    draws: Draws


class TooManyDrawsError(Exception):
    """The counters get into more states than are looked at."""


def ends_by_chance(go: Callable[[Draws], End], draws: Draws) -> Iterator[Part[End]]:
    """The ends of a packet as chance falls this way or that, with the probability of each; the counters as they are."""
    return _branches(go, draws, Fraction(1))


def _branches(go: Callable[[Draws], End], draws: Draws, part: Fraction) -> Iterator[Part[End]]:
    end = go(draws)
    asked: Counter[int] = Counter()
    for one in end.drawn:
        if not isinstance(one.matcher, RandomMatch):
            continue
        known = draws.chances.get(id(one.rule), ())
        asked[id(one.rule)] += 1
        if asked[id(one.rule)] > len(known):
            likely = Fraction(one.matcher.percent, 100)
            for chance, probability in ((ALWAYS, likely), (NEVER, 1 - likely)):
                chances = {**draws.chances, id(one.rule): (*known, chance)}
                yield from _branches(go, replace(draws, chances=chances), part * probability)
            return
    yield Part(part, end, draws)


def parts_of(go: Callable[[Draws], End], most_states: int) -> list[Part[End]]:
    """What becomes of many packets that are the same: each end, and what part of them has it in the long run.

    Each packet moves the counters from one state to another in such a way that no two states lead to the same one,
    however chance falls (unless it gets to a rule twice). So all states that can be reached are met equally often, and
    the mean over them is exact.

    Args:
        go: what becomes of the packet with these draws.
        most_states: of the counters.

    Raises:
        TooManyDrawsError: there are more.
    """
    states = [Draws()]
    seen = {states[0].state}
    found: list[Part[End]] = []
    for draws in states:  # it grows on the way
        for one in ends_by_chance(go, draws):
            found.append(one)
            then = Draws(draws.after(one.end.drawn).passed)
            if then.state not in seen:
                seen.add(then.state)
                states.append(then)
        if len(states) > most_states:
            raise TooManyDrawsError
    return [replace(one, part=one.part / len(states)) for one in found]
