"""The short way of known connections: what to do follows from the interface and the connection mark, by two lookups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import ifname, load_mark, word
from evenflow.model.matcher import MarkKind
from evenflow.model.nft import KeyType, Lookup, Meta, MetaKey, NftChain, NftRule, NftSet, SetElement, jump

if TYPE_CHECKING:
    from evenflow.core.compile.conditions import Sets
    from evenflow.core.compile.effects import Chains, Effects
    from evenflow.model.nft import Expression


@dataclass(frozen=True, slots=True)
class KnownTable:
    """What happens to packets of known connections: by interface ("" where the hook has none), then by mark.

    Pairs that are missing are not decided by interface and mark alone.
    """

    by_interface: tuple[tuple[str, tuple[tuple[str, Effects], ...]], ...]


def known_rules(
    table: KnownTable, name: str, before: tuple[Expression, ...], sets: Sets, chains: Chains
) -> list[NftRule]:
    """The rule that looks up the interface and then the mark; `before` are conditions of all of it."""
    columns: dict[tuple[tuple[str, Effects], ...], list[str]] = {}
    for interface, column in table.by_interface:
        if column:
            columns.setdefault(column, []).append(interface)
    elements: list[SetElement] = []
    for number, (column, interfaces) in enumerate(columns.items()):
        lookup = _mark_lookup(f"{name}/{number}", column, sets, chains)
        if interfaces == [""]:
            return [NftRule((*before, *lookup))]
        chain = chains.add(NftChain(f"{name}/{number}", (NftRule(lookup),)))
        elements += [SetElement(ifname(interface), jump(chain)) for interface in interfaces]
    if not elements:
        return []
    sets.named(NftSet(name, KeyType.IFNAME, frozenset(elements), verdicts=True))
    return [NftRule((*before, Meta(MetaKey.IIFNAME), Lookup(name, verdict=True)))]


def _mark_lookup(
    name: str, column: tuple[tuple[str, Effects], ...], sets: Sets, chains: Chains
) -> tuple[Expression, ...]:
    elements = frozenset(
        SetElement(word(chains.numbers.mark(MarkKind.CONNECTION, mark)), chains.verdict(effects))
        for mark, effects in column
    )
    sets.named(NftSet(f"{name}/marks", KeyType.MARK, elements, verdicts=True))
    return (*load_mark(MarkKind.CONNECTION), Lookup(f"{name}/marks", verdict=True))
