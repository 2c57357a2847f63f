"""NAT chains of the user's, written out: a jump becomes the rules that it leads to, with its conditions in each.

No NAT rule changes what a later one asks for, so that what is asked may be asked in any place; but not in several what
is left to a counter or to chance.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.draws import counting, is_by_chance
from evenflow.core.rule_words import condition
from evenflow.model.flow import PORT_PROTOCOLS
from evenflow.model.matcher import PortMatch, ProtocolMatch, SourceMacMatch, UnsupportedMatch
from evenflow.model.router import JumpAction, NatRule, ReturnAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.finding import Origin
    from evenflow.model.flow import Family
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import NatAction

#: Chains that packets meet by themselves.
BUILT_IN = ("srcnat", "dstnat")

#: Chains within chains, and rules written out: more than any router has.
_MAX_DEPTH, _MOST_RULES = 16, 20_000


@dataclass(frozen=True, slots=True)
class StatedNat:
    """A NAT rule as it is stated, in any chain."""

    chain: str
    matchers: tuple[Matcher, ...]
    action: NatAction | JumpAction | ReturnAction
    family: Family
    comment: str
    origin: Origin


def written_out(rules: Iterable[StatedNat], notes: Notes) -> list[NatRule]:
    """The rules of the built-in chains, in the order of the list."""
    return _Writer(tuple(rules), notes).rules()


class _TooManyError(Exception):
    """Chains that jump in a ring, or add up to too much."""


class _Writer:
    def __init__(self, rules: tuple[StatedNat, ...], notes: Notes) -> None:
        self._rules = rules
        self._notes = notes
        self._chains: dict[str, list[StatedNat]] = {}
        for rule in rules:
            self._chains.setdefault(rule.chain, []).append(rule)
        self._left = _MOST_RULES

    def rules(self) -> list[NatRule]:
        self._tell_of_names()
        places = {id(rule): place for place, rule in enumerate(self._rules)}
        made: list[tuple[int, NatRule]] = []
        for chain in BUILT_IN:
            reached: list[tuple[Matcher, ...]] = [()]
            for rule in self._chains.get(chain, ()):
                try:
                    made += [(places[id(rule)], one) for given in reached for one in self._one(chain, rule, given, 0)]
                except _TooManyError:
                    what = f"chain={chain}: the chains that its rules jump to lead back to themselves, or are too many"
                    self._notes.error("unsupported-chain", rule.origin, f"{what}. The rule is left out")
                reached = self._behind(rule, reached)
        return self._counted_once([rule for _, rule in sorted(made, key=lambda pair: pair[0])])

    def _counted_once(self, rules: list[NatRule]) -> list[NatRule]:
        """Of rules that stand in several places now, and have one counter, nobody can ask."""
        places = Counter(rule.origin for rule in rules if counting(rule) and not _never_runs(rule))
        for origin in (origin for origin, count in places.items() if count > 1):
            what = "nth= can't be counted here in a chain that packets come to in several ways"
            self._notes.error(
                "unsupported-matcher", origin, f"{what}; write the rule in the built-in chain. The rule is left out"
            )
        return [replace(rule, matchers=beyond_us(rule.matchers)) if places[rule.origin] > 1 else rule for rule in rules]

    def _one(self, chain: str, rule: StatedNat, given: tuple[Matcher, ...], depth: int) -> Iterator[NatRule]:
        """What one rule of a chain becomes where packets that are `given` meet it."""
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise _TooManyError
        matchers = tuple(dict.fromkeys((*given, *rule.matchers)))
        if any(_opposite(matcher) in matchers for matcher in matchers):
            return
        if isinstance(rule.action, JumpAction):
            reached = [matchers]
            for inner in self._chains.get(rule.action.chain, ()):
                for still in reached:
                    yield from self._one(chain, inner, still, depth + 1)
                reached = self._behind(inner, reached)
        elif not isinstance(rule.action, ReturnAction):
            yield NatRule(chain, matchers, rule.action, (rule.family,), rule.comment, rule.origin)

    def _behind(self, rule: StatedNat, reached: list[tuple[Matcher, ...]]) -> list[tuple[Matcher, ...]]:
        """Which packets get past a rule: of a `return` those that it does not take."""
        if not isinstance(rule.action, ReturnAction) or _never_runs(rule):
            return reached
        left: list[tuple[Matcher, ...]] = []
        before: tuple[Matcher, ...] = ()
        # The protocol first: where it is one with ports, a port is either within a range or not.
        for matcher in sorted(rule.matchers, key=lambda each: not isinstance(each, ProtocolMatch)):
            left += [(*given, *before, _opposite(matcher)) for given in reached]
            before = (*before, matcher)
        self._left -= len(left)
        if self._left < 0:
            raise _TooManyError
        return left

    def _tell_of_names(self) -> None:
        """Chains that nothing jumps to, and jumps that lead to none."""
        jumps = {rule.action.chain: rule for rule in self._rules if isinstance(rule.action, JumpAction)}
        for chain, rules in self._chains.items():
            if chain not in BUILT_IN and chain not in jumps:
                what = (
                    f"chain={chain} is neither srcnat nor dstnat, and nothing jumps to it, so its rules are never asked"
                )
                self._notes.warning("chain-unused", rules[0].origin, f"{what}; add a jump, or correct the name")
        for chain, rule in jumps.items():
            if chain not in self._chains:
                what = f"jump-target={chain} is a chain without rules, so the jump does nothing; correct the name"
                self._notes.warning("jump-to-nothing", rule.origin, what)


def _opposite(matcher: Matcher) -> Matcher:
    return replace(matcher, negated=not matcher.negated)


def beyond_us(matchers: Iterable[Matcher]) -> tuple[Matcher, ...]:
    """The conditions, with those that are left to counters and chance as such that can't be asked for."""
    return tuple(_unsupported(matcher) if is_by_chance(matcher) else matcher for matcher in matchers)


def _unsupported(matcher: Matcher) -> Matcher:
    name, _, value = condition(matcher).partition("=")
    return UnsupportedMatch(name, value)


def _never_runs(rule: StatedNat | NatRule) -> bool:
    return any(isinstance(matcher, UnsupportedMatch) for matcher in rule.matchers)


def can_return(matchers: Iterable[Matcher]) -> bool:
    """Whether it can be said of a `return` with these conditions which packets it does not take."""
    matchers = tuple(matchers)
    ported = any(isinstance(m, ProtocolMatch) and m.protocol in PORT_PROTOCOLS and not m.negated for m in matchers)
    return not any(isinstance(m, SourceMacMatch) or (isinstance(m, PortMatch) and not ported) for m in matchers)
