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
    looked_up: list[SetElement] = []
    # Those with the fewest interfaces first, among them that of the LAN.
    for number, (column, interfaces) in enumerate(sorted(columns.items(), key=lambda pair: len(pair[1]))):
        look = _mark_look(f"{name}/{number}", column, sets, chains)
        if len(rules) + len(interfaces) <= COMPARED:
            rules += (NftRule((*before, *_is_interface(interface), *look)) for interface in interfaces)
        else:
            chain = chains.add(NftChain(f"{name}/{number}", (NftRule(look),)))
            looked_up += [SetElement(ifname(interface), jump(chain)) for interface in interfaces]
    if looked_up:
        sets.named(NftSet(name, KeyType.IFNAME, frozenset(looked_up), verdicts=True))
        rules.append(NftRule((*before, Meta(MetaKey.IIFNAME), Lookup(name, verdict=True))))
    return rules


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
