"""What the rules of a router add up to that divide by counters and chance: which mark what part of the packets gets."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from evenflow.core.draws import Drawing, TooManyDrawsError, has_chance, parts_of
from evenflow.core.mangle import continue_chain
from evenflow.core.matching import Sight, Surroundings, Unknown
from evenflow.model.flow import TCP, Packet
from evenflow.model.matcher import MarkKind, MarkMatch, NthMatch, PccMatch, RandomMatch
from evenflow.model.router import MarkAction, Router

if TYPE_CHECKING:
    from evenflow.core.draws import Draws
    from evenflow.model.flow import Family
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule
    from evenflow.model.trace import Drawn

#: States of counters that are looked at: more than those of any rules that people write.
_MOST_STATES = 1000

#: Any packet that begins a connection: what it is like does not matter to these conditions.
_PACKET = Packet(IPv4Address(1), IPv4Address(2), TCP)


@dataclass(frozen=True, slots=True)
class _Marked:
    """The mark that a packet has behind the rules, and what it drew."""

    mark: str | None
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True)
class ChanceGroup:
    """Rules of one chain that divide the same packets by `nth` and `random`, and set the same kind of mark.

    Attributes:
        rules: in their order, with those that take whatever the others leave.
    """

    kind: MarkKind
    rules: tuple[MangleRule, ...]

    def shares(self) -> dict[str, Fraction]:
        """The part of the packets that ends with each mark, in the long run; {} where the counters are too many."""
        alone = tuple(replace(rule, matchers=_telling(rule, self.kind)) for rule in self.rules)
        around = Surroundings(Router(alone))

        def go(draws: Draws) -> _Marked:
            drawing = Drawing(draws)
            begin = Sight("", "", None, None, None, _PACKET)
            mark = continue_chain(alone, {}, begin, around.drawing(drawing)).sight.mark(self.kind)
            assert not isinstance(mark, Unknown)
            return _Marked(mark, tuple(drawing.drawn))

        shares: defaultdict[str, Fraction] = defaultdict(Fraction)
        try:
            for one in parts_of(go, _MOST_STATES):
                if one.end.mark is not None:
                    shares[one.end.mark] += one.part
        except TooManyDrawsError:
            return {}
        return dict(shares)


def chance_groups(router: Router) -> tuple[ChanceGroup, ...]:
    """All groups, in the order of their first rules."""
    found: dict[_Asked, list[int]] = {}
    for place, rule in enumerate(router.mangle):
        if isinstance(rule.action, MarkAction):
            found.setdefault(_asked(rule, rule.action.kind), []).append(place)
    groups = []
    for asked, places in found.items():
        rules = [router.mangle[place] for place in places]
        if any(map(has_chance, rules)) and not any(isinstance(matcher, PccMatch) for matcher in asked.others):
            rest = (rule for rule in router.mangle[places[-1] + 1 :] if _takes_the_rest(rule, asked))
            groups.append(ChanceGroup(asked.kind, (*rules, *rest)))
    return tuple(groups)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the rules of a group have in common; `others`: the conditions that do not tell them apart."""

    chain: str
    families: tuple[Family, ...]
    kind: MarkKind
    others: frozenset[Matcher]


def _asked(rule: MangleRule, kind: MarkKind) -> _Asked:
    told = _telling(rule, kind)
    return _Asked(rule.chain, rule.families, kind, frozenset(m for m in rule.matchers if m not in told))


def _takes_the_rest(rule: MangleRule, asked: _Asked) -> bool:
    """Whether a rule sets the same kind of mark for everything that a group looks at, and for more."""
    if not isinstance(rule.action, MarkAction) or rule.action.kind is not asked.kind or has_chance(rule):
        return False
    own = _asked(rule, asked.kind)
    return own.chain == asked.chain and set(own.families) >= set(asked.families) and own.others < asked.others


def _telling(rule: MangleRule, kind: MarkKind) -> tuple[Matcher, ...]:
    """The conditions that tell the rules of a group apart."""
    unmarked = MarkMatch(kind, None)
    return tuple(m for m in rule.matchers if isinstance(m, NthMatch | RandomMatch) or m == unmarked)
