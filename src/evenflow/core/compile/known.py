"""The short way of known connections: what to do follows from the interface and the connection mark, by two looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import COMPARED, ifname, load_mark, word
from evenflow.core.matching import SOME_MARK
from evenflow.model.matcher import MarkKind
from evenflow.model.nft import (
    Act,
    Cmp,
    CmpOp,
    KeyType,
    Lookup,
    Meta,
    MetaKey,
    NftChain,
    NftRule,
    NftSet,
    SetElement,
    jump,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from evenflow.core.compile.conditions import Sets
    from evenflow.core.compile.effects import Chains, Effects
    from evenflow.core.matching import Unknown
    from evenflow.model.nft import Expression

    #: By connection mark; SOME_MARK stands for all of them, also such as nobody has a name for.
    Column = tuple[tuple[str | Literal[Unknown.SOME_MARK], Effects], ...]


@dataclass(frozen=True, slots=True)
class KnownTable:
    """What happens to packets of known connections: by interface ("" where the hook has none), then by mark.

    Pairs that are missing are not decided by interface and mark alone.
    """

    by_interface: tuple[tuple[str, Column], ...]


def known_rules(
    table: KnownTable, name: str, before: tuple[Expression, ...], sets: Sets, chains: Chains
) -> list[NftRule]:
    """The rules that look at the interface and then at the mark; `before` are conditions of all of it."""
    columns: dict[Column, list[str]] = {}
    for interface, column in table.by_interface:
        if column:
            columns.setdefault(column, []).append(interface)
    rules: list[NftRule] = []
    many: dict[Column, list[str]] = {}
    # Those with the fewest interfaces first, among them that of the LAN.
    for column, interfaces in sorted(columns.items(), key=lambda pair: len(pair[1])):
        if len(rules) + len(interfaces) <= COMPARED:
            look = _mark_look(f"{name}/{len(rules)}", column, sets, chains)
            rules += (NftRule((*before, *_is_interface(interface), *look)) for interface in interfaces)
        else:
            many[column] = interfaces
    if many:
        # New connections have no mark yet, and go on without a lookup by name.
        marked = (*load_mark(MarkKind.CONNECTION), Cmp(CmpOp.NEQ, word(0)), Meta(MetaKey.IIFNAME))
        rules.append(NftRule((*before, *marked, *_interface_look(many, name, sets, chains))))
    return rules


def _interface_look(many: dict[Column, list[str]], name: str, sets: Sets, chains: Chains) -> tuple[Expression, ...]:
    """By the interface's name, for packets with a mark."""
    (column, interfaces), *others = many.items()
    if not others and column[0][0] is SOME_MARK:
        elements = frozenset(SetElement(ifname(interface)) for interface in interfaces)
        return Lookup(sets.named(NftSet(name, KeyType.IFNAME, elements))), Act(chains.verdict(column[0][1]))
    verdicts: list[SetElement] = []
    for number, (column, interfaces) in enumerate(many.items()):
        place = f"{name}/many/{number}"
        chain = chains.add(NftChain(place, (NftRule(_mark_look(place, column, sets, chains)),)))
        verdicts += [SetElement(ifname(interface), jump(chain)) for interface in interfaces]
    sets.named(NftSet(name, KeyType.IFNAME, frozenset(verdicts), verdicts=True))
    return (Lookup(name, verdict=True),)


def _is_interface(interface: str) -> Iterator[Expression]:
    if interface:
        yield Meta(MetaKey.IIFNAME)
        yield Cmp(CmpOp.EQ, ifname(interface))


def _mark_look(name: str, column: Column, sets: Sets, chains: Chains) -> tuple[Expression, ...]:
    elements = []
    for mark, effects in column:
        if mark is SOME_MARK:
            return (*load_mark(MarkKind.CONNECTION), Cmp(CmpOp.NEQ, word(0)), Act(chains.verdict(effects)))
        elements.append(SetElement(word(chains.numbers.mark(MarkKind.CONNECTION, mark)), chains.verdict(effects)))
    sets.named(NftSet(f"{name}/marks", KeyType.MARK, frozenset(elements), verdicts=True))
    return (*load_mark(MarkKind.CONNECTION), Lookup(f"{name}/marks", verdict=True))
