"""The mangle list as nf_tables chains.

Three things keep it fast. A packet of a known connection is answered by two lookups (interface, connection
mark) wherever that decides everything. Neighbouring rules that differ only in one interface or mark are one lookup in
a map of verdicts. A spread is one hash and one lookup; where its stream decides the rest of the chain, the rest is
not walked. All of it is worked out by running the rules on what is known (`core.mangle`), so that nothing here
knows what such rules usually look like.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from evenflow.core.compile.conditions import Conditions, Sets, ifname, load_mark, mark_bits, of_family, word
from evenflow.core.compile.destinations import destinations_at, map_of, without_destination
from evenflow.core.compile.effects import Chains, Effects
from evenflow.core.compile.known import KnownTable, known_rules
from evenflow.core.compile.names import fitting, log_prefix, rule_comment, safe_name
from evenflow.core.compile.runs import run_at
from evenflow.core.draws import counting, is_by_chance, without_counting
from evenflow.core.mangle import Ending, chains_of, continue_chain, run_chain, without_misses
from evenflow.core.matching import SOME_MARK, UNKNOWN, Sight, Surroundings, Unknown
from evenflow.model.flow import BOTH_FAMILIES, Family
from evenflow.model.matcher import Direction, InInterface, InInterfaceList, MarkKind, MarkMatch
from evenflow.model.nft import (
    ACCEPT,
    RETURN,
    Act,
    Hook,
    KeyType,
    Log,
    Lookup,
    Meta,
    MetaKey,
    NftChain,
    NftRule,
    NftSet,
    SetElement,
    Verdict,
    goto,
    jump,
)
from evenflow.model.router import (
    BUILT_IN_CHAINS,
    AcceptAction,
    JumpAction,
    MarkAction,
    PassthroughAction,
    ReturnAction,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenflow.core.compile.destinations import ByDestination
    from evenflow.core.compile.known import Column
    from evenflow.core.compile.runs import Dimension, Run
    from evenflow.core.numbering import Numbers
    from evenflow.model.matcher import Matcher
    from evenflow.model.nft import Expression
    from evenflow.model.router import MangleRule

#: Priority of mangle in every hook: after connection tracking (-200), before destination NAT (-100).
MANGLE_PRIORITY = -150

#: What the names of the chains and maps of spreads begin with.
SPREAD_PREFIX = "spread/"


def compile_mangle(around: Surroundings, numbers: Numbers, sets: Sets, chains: Chains) -> None:
    """Add the chains and sets of the mangle list of `around.router`."""
    compilers = {
        family: _FamilyCompiler(family, around, numbers, sets, chains)
        for family in BOTH_FAMILIES
        if any(family in rule.families for rule in around.router.mangle)
    }
    for compiler in compilers.values():
        compiler.compile_chains()
    for hook in BUILT_IN_CHAINS:
        rules = _base_rules(hook, compilers, sets, chains)
        if rules:
            # Only a chain of type route has the packet routed anew after its mark changed (nft(8), chain types).
            kind = "route" if hook == "output" else "filter"
            chains.add(NftChain(hook, tuple(rules), Hook(kind, hook, MANGLE_PRIORITY)))


def _base_rules(hook: str, compilers: Mapping[Family, _FamilyCompiler], sets: Sets, chains: Chains) -> list[NftRule]:
    """What stands in a base chain: the short way for known connections, then a chain for each family."""
    concerned = {family: compiler for family, compiler in compilers.items() if hook in compiler.chains}
    if not concerned:
        return []
    # A family without rules here can have marked connections all the same: it must not meet the other's short way.
    known = {family: compiler.known(hook) for family, compiler in compilers.items()}
    rules: list[NftRule] = []
    if len(set(known.values())) == 1:
        rules += known_rules(next(iter(known.values())), f"known/{hook}", (), sets, chains)
    else:
        for family in concerned:
            name = f"known/{hook}/{family.value}"
            rules += known_rules(known[family], name, of_family(family), sets, chains)
    for family, compiler in concerned.items():
        rules.append(NftRule((*of_family(family), Act(jump(compiler.chain_name(hook))))))
    return rules


class _FamilyCompiler:
    """The mangle list of one family."""

    def __init__(self, family: Family, around: Surroundings, numbers: Numbers, sets: Sets, chains: Chains) -> None:
        self.family, self.around, self.numbers = family, around, numbers
        self.sets, self.made = sets, chains
        self.chains = chains_of(around.router.mangle, family)
        self.conditions = Conditions(family, around, numbers, sets)
        self.jumped_to = frozenset(
            rule.action.chain for rules in self.chains.values() for rule in rules if isinstance(rule.action, JumpAction)
        )

    def chain_name(self, chain: str) -> str:
        """The nf_tables chain of a mangle chain."""
        if chain in BUILT_IN_CHAINS:
            return f"{chain}/{self.family.value}"
        return f"{fitting(f'chain/{safe_name(chain)}')}/{self.family.value}"

    def compile_chains(self) -> None:
        """Add a chain for each mangle chain, and an empty one for each that is only jumped to."""
        for chain in sorted(self.jumped_to - set(self.chains)):
            self.made.add(NftChain(self.chain_name(chain)))
        for chain, rules in self.chains.items():
            self.made.add(NftChain(self.chain_name(chain), tuple(self._rules(chain, rules, 0))))

    def _rules(self, chain: str, rules: Sequence[MangleRule], position: int) -> list[NftRule]:
        """The rules of a chain from a position on."""
        found: list[NftRule] = []
        while position < len(rules):
            apart = destinations_at(rules, position, self.family) if chain in BUILT_IN_CHAINS else {}
            if apart:
                found.append(self._by_destination(f"{self.chain_name(chain)}/{position}", apart))
                position += sum(map(len, apart.values()))
                continue
            run = run_at(rules, position)
            if run is not None:
                found += self._dispatch(f"{self.chain_name(chain)}/{position}", run)
                position += len(run.rules)
                continue
            rule, does = rules[position], self._action(chain, rules, position)
            position += 1
            if does and self._counts_together(rule):
                name = f"{self.chain_name(chain)}/{position - 1}"
                if isinstance(rule.action, ReturnAction):
                    return found + self._counted_return(rule, name, self._rules(chain, rules, position))
                one = self.made.add(NftChain(f"{name}/counted", tuple(self._rule(rule, counting(rule), does))))
                found += self._rule(rule, without_counting(rule), (Act(jump(one)),))
            elif does:
                found += self._rule(rule, rule.matchers, does)
        return found

    def _by_destination(self, name: str, apart: ByDestination) -> NftRule:
        """One lookup for all these rules."""
        chains = {}
        for number, (address, rules) in enumerate(apart.items()):
            found = [
                each
                for rule in rules
                if (does := self._does(rule))
                for each in self._rule(rule, without_destination(rule), does)
            ]
            chains[address] = self.made.add(NftChain(f"{name}/to/{number}", tuple(found)))
        held = self.sets.named(map_of(f"by_destination/{name}", chains, self.family))
        return NftRule((self.conditions.load_address(Direction.DESTINATION), Lookup(held, verdict=True)))

    # --- one rule ------------------------------------------------------------------------------------------------

    def _rule(self, rule: MangleRule, matchers: Sequence[Matcher], does: tuple[Expression, ...]) -> list[NftRule]:
        """What a rule does, on these conditions."""
        ways = self.conditions.all_of(matchers)
        return [NftRule((*condition, *does), rule_comment(rule.comment)) for condition in ways]

    def _counts_together(self, rule: MangleRule) -> bool:
        """Whether packets come to the rule's counter by several alternatives, each a rule of the kernel's."""
        return bool(counting(rule)) and len(self.conditions.all_of(without_counting(rule))) > 1

    def _counted_return(self, rule: MangleRule, name: str, rest: Sequence[NftRule]) -> list[NftRule]:
        """A `return` whose counter has a chain of its own, and the rest of the chain that it stands in.

        They are gone to, not jumped to: so it returns from the chain that the rule stands in.
        """
        go_on = NftRule((Act(goto(self.made.add(NftChain(f"{name}/rest", tuple(rest))))),))
        counted = (*self._rule(rule, counting(rule), (Act(RETURN),)), go_on)
        one = self.made.add(NftChain(f"{name}/counted", counted))
        return [*self._rule(rule, without_counting(rule), (Act(goto(one)),)), go_on]

    def _action(self, chain: str, rules: Sequence[MangleRule], position: int) -> tuple[Expression, ...]:
        """What a rule does with the packets that it takes; () is nothing."""
        if isinstance(rules[position].action, SpreadAction):
            return (Act(jump(self._spread(chain, rules, position))),)
        return self._does(rules[position])

    def _does(self, rule: MangleRule) -> tuple[Expression, ...]:
        match rule.action:
            case MarkAction(kind, mark, passthrough):
                return self.made.expressions(Effects(((kind, mark),), not passthrough))
            case PassthroughAction(prefix):
                return () if prefix is None else (Log(log_prefix(prefix)),)
            case _:
                return (Act(self._verdict(rule)),)

    def _verdict(self, rule: MangleRule) -> Verdict:
        """The action of a rule as a verdict for a map."""
        match rule.action:
            case MarkAction(kind, mark, passthrough):
                return self.made.verdict(Effects(((kind, mark),), not passthrough))
            case AcceptAction():
                return ACCEPT
            case ReturnAction():
                return RETURN
            case JumpAction(chain):
                return jump(self.chain_name(chain))
            case _:
                raise TypeError(rule.action)

    # --- runs of rules that are one lookup -----------------------------------------------------------------------

    def _dispatch(self, name: str, run: Run) -> list[NftRule]:
        elements = set()
        for rule, key in zip(run.rules, run.keys, strict=True):
            verdict = self._verdict(rule)
            if isinstance(rule.action, MarkAction) and rule.action.passthrough:
                # A goto from here would leave this chain for good: jump, to come back to the next rule.
                assert verdict.chain is not None
                verdict = jump(verdict.chain)
            elements.add(SetElement(self._key(key), verdict))
        load = self._load(run.keys[0])
        key_type = KeyType.MARK if isinstance(run.keys[0], MarkMatch) else KeyType.IFNAME
        map_name = f"by_{_dimension_name(run.keys[0])}/{name}"
        self.sets.named(NftSet(map_name, key_type, frozenset(elements), verdicts=True))
        look = (*load, Lookup(map_name, verdict=True))
        return [NftRule((*condition, *look)) for condition in self.conditions.all_of(run.common)]

    def _load(self, key: Dimension) -> tuple[Expression, ...]:
        if isinstance(key, MarkMatch):
            return load_mark(key.kind)
        return (Meta(MetaKey.IIFNAME if isinstance(key, InInterface) else MetaKey.OIFNAME),)

    def _key(self, key: Dimension) -> bytes:
        if isinstance(key, MarkMatch):
            return word(mark_bits(key.kind, self.numbers.mark(key.kind, key.mark)))
        return ifname(key.interface)

    # --- spreads ---------------------------------------------------------------------------------------------------

    def _spread(self, chain: str, rules: Sequence[MangleRule], position: int) -> str:
        """The chain of a spread: hash, and one lookup in a map that holds every bucket."""
        rule = rules[position]
        spread = rule.action
        assert isinstance(spread, SpreadAction)
        name = f"{SPREAD_PREFIX}{self.chain_name(chain)}/{position}"
        # Every member of the pool has its verdict ready: a failover changes elements of the map and no chain.
        marks = dict.fromkeys((*spread.owners, *(member.mark for member in spread.pool)))
        verdicts = {mark: self._stream(chain, rules, position, mark) for mark in marks}
        modulus = self.around.modulus(spread.classifier)
        elements = frozenset(
            SetElement(word(value), verdicts[spread.owners[value % len(spread.owners)]]) for value in range(modulus)
        )
        self.sets.named(NftSet(name, KeyType.MARK, elements, verdicts=True))
        found = []
        for condition, constant in self.conditions.buckets(spread.classifier):
            if constant is None:
                found.append(NftRule((*condition, Lookup(name, verdict=True))))
            else:
                verdict = verdicts[spread.owners[constant % len(spread.owners)]]
                found.append(NftRule((*condition, Act(verdict))))
        return self.made.add(NftChain(name, tuple(found)))

    def _stream(self, chain: str, rules: Sequence[MangleRule], position: int, owner: str | None) -> Verdict:
        """What a packet of one stream goes to: its marks, and the rest of the chain where that is decided."""
        spread = rules[position].action
        assert isinstance(spread, SpreadAction)
        if owner is None:
            return RETURN
        plain = Effects(((MarkKind.CONNECTION, owner),), not spread.passthrough)
        if chain not in BUILT_IN_CHAINS or chain in self.jumped_to or not spread.passthrough:
            return self.made.verdict(plain)  # the end of this chain is not the end of the hook
        matchers = rules[position].matchers
        given = frozenset(m for m in matchers if not (isinstance(m, MarkMatch) or is_by_chance(m)))
        ends = set()
        for interface in self._in_interfaces(matchers):
            sight = _without_interface(Sight(interface, connection_mark=owner, given=given), chain)
            run = continue_chain(rules[position + 1 :], self.chains, sight, self.around)
            decided = run.ending in (Ending.END, Ending.ACCEPTED)
            ends.add(_effects(Sight(), run.sight) if decided else plain)
        return self.made.verdict(ends.pop() if len(ends) == 1 else plain)

    def _in_interfaces(self, matchers: Sequence[Matcher]) -> Sequence[str | Literal[Unknown.UNKNOWN]]:
        """Those that packets which match can have come in by; UNKNOWN stands for any."""
        for matcher in matchers:
            if isinstance(matcher, InInterface) and not matcher.negated:
                return [matcher.interface]
        for matcher in matchers:
            if isinstance(matcher, InInterfaceList) and not matcher.negated:
                return sorted(self.around.members(matcher.list_name)) or [UNKNOWN]
        return [UNKNOWN]

    # --- known connections -----------------------------------------------------------------------------------------

    def known(self, hook: str) -> KnownTable:
        """What follows from interface and connection mark alone."""
        if hook not in ("prerouting", "output"):
            return KnownTable(())  # the other hooks see a packet after its routing: nothing there is on the short way
        interfaces = self._interfaces() if hook == "prerouting" else [""]
        # Most interfaces leave the same few rules to look at: each such rest is run once for each mark.
        columns: dict[tuple[MangleRule, ...], Column] = {}
        found = []
        for interface in interfaces:
            start = _without_interface(Sight(in_interface=interface), hook)
            left = without_misses(self.chains, self._any_mark(start), self.around)
            rest = tuple(rule for chain in left.values() for rule in chain)
            if rest not in columns:
                columns[rest] = self._column(hook, left, start)
            found.append((interface, columns[rest]))
        return KnownTable(tuple(found))

    def _any_mark(self, start: Sight) -> Sight:
        """With any connection mark but no-mark; nothing is known where a rule can set that again."""
        erases = MarkAction(MarkKind.CONNECTION, None)
        actions = {rule.action for rules in self.chains.values() for rule in rules}
        if erases in actions or replace(erases, passthrough=False) in actions:
            return start
        return replace(start, connection_mark=SOME_MARK)

    def _column(self, hook: str, chains: Mapping[str, tuple[MangleRule, ...]], start: Sight) -> Column:
        """What follows from each connection mark that decides everything."""
        of_any = self._follows(hook, chains, replace(start, connection_mark=SOME_MARK))
        if of_any is not None:
            return ((SOME_MARK, of_any),)
        found = (
            (mark, self._follows(hook, chains, replace(start, connection_mark=mark)))
            for mark in self.numbers.connection_marks
        )
        return tuple((mark, effects) for mark, effects in found if effects is not None)

    def _follows(self, hook: str, chains: Mapping[str, tuple[MangleRule, ...]], marked: Sight) -> Effects | None:
        run = run_chain(chains, hook, marked, self.around)
        return _effects(marked, run.sight) if run.ending in (Ending.END, Ending.ACCEPTED) else None

    def _interfaces(self) -> list[str]:
        """Every interface that a rule of this family names, by itself or by a list."""
        names: set[str] = set()
        for rules in self.chains.values():
            for matcher in (m for rule in rules for m in rule.matchers):
                if isinstance(matcher, InInterface):
                    names.add(matcher.interface)
                elif isinstance(matcher, InInterfaceList):
                    names |= self.around.members(matcher.list_name)
        return sorted(names)


def _dimension_name(key: Dimension) -> str:
    if isinstance(key, MarkMatch):
        return f"{key.kind.value}_mark"
    return "in_interface" if isinstance(key, InInterface) else "out_interface"


def _without_interface(sight: Sight, hook: str) -> Sight:
    """The same, knowing that packets in some hooks have no in-interface or no out-interface."""
    if hook in ("prerouting", "input"):
        return replace(sight, out_interface="")
    if hook == "output":
        return replace(sight, in_interface="")
    return sight


def _effects(start: Sight, end: Sight) -> Effects:
    """What changed on the way to the end of a hook."""
    changed = []
    for kind in MarkKind:
        mark = end.mark(kind)
        if not isinstance(mark, Unknown) and mark != start.mark(kind):
            changed.append((kind, mark))
    return Effects(tuple(changed), accept=True, whole=True)
