"""What a rule does to a packet's marks, as chains that maps of verdicts can point to.

`ct mark & a | b` with `b` from a map needs kernels and tools that not everybody has; a map of verdicts to small
chains, each setting its marks, works everywhere and costs one jump.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import MARK_MASKS, Condition, mark_bits, word
from evenflow.core.compile.names import fitting, safe_name
from evenflow.model.matcher import MarkKind
from evenflow.model.nft import (
    ACCEPT,
    Act,
    Bitwise,
    Ct,
    CtKey,
    CtSet,
    Expression,
    Meta,
    MetaKey,
    MetaSet,
    NftChain,
    NftRule,
    Verdict,
    goto,
)

if TYPE_CHECKING:
    from evenflow.core.numbering import Numbers

#: Stands for no-mark in the names of chains; "." makes it a name that no mark can have.
NO_MARK = ".no-mark"


@dataclass(frozen=True, slots=True)
class Effects:
    """Marks to set (at most one of each kind), and whether the hook ends there.

    `whole`: worked out for packets that have a connection mark. One without an entry in connection tracking, which can
    have none, is to meet none of it, and goes on with the next rule.
    """

    marks: tuple[tuple[MarkKind, str | None], ...] = ()
    accept: bool = False
    whole: bool = False

    @property
    def is_apart(self) -> bool:
        """Whether the hook ends for any packet, also one that can have no connection mark: `passthrough=no`."""
        return self.accept and not self.whole and any(kind is MarkKind.CONNECTION for kind, _ in self.marks)


def set_mark(kind: MarkKind, number: int) -> Condition:
    """Set our bits of a mark, leaving the others' as they are."""
    mask = MARK_MASKS[kind]
    keep = Bitwise(word(~mask & 0xFFFF_FFFF), word(mark_bits(kind, number)))
    load: Expression
    store: Expression
    if kind is MarkKind.CONNECTION:
        load, store = Ct(CtKey.MARK), CtSet(CtKey.MARK)
    else:
        load, store = Meta(MetaKey.MARK), MetaSet(MetaKey.MARK)
    return (load, keep, store)


@dataclass
class Chains:
    """The chains of the table, made as they are needed."""

    numbers: Numbers
    made: dict[str, NftChain] = field(default_factory=dict)

    def add(self, chain: NftChain) -> str:
        """Add a chain; its name."""
        self.made[chain.name] = chain
        return chain.name

    def expressions(self, effects: Effects) -> tuple[Expression, ...]:
        """The effects, in line. Loading the mark of a packet without a connection ends the rule (Linux, nft_ct)."""
        if effects.is_apart:
            return (Act(self.verdict(effects)),)
        return self._in_line(effects)

    def _in_line(self, effects: Effects) -> tuple[Expression, ...]:
        found: list[Expression] = []
        for kind, mark in effects.marks:
            found.extend(set_mark(kind, self.numbers.mark(kind, mark)))
        if effects.accept:
            found.append(Act(ACCEPT))
        return tuple(found)

    def verdict(self, effects: Effects) -> Verdict:
        """A verdict that has the effects and then, unless they end the hook, returns to the caller's caller."""
        if not effects.marks:
            assert effects.accept
            return ACCEPT
        return goto(self._effect_chain(effects))

    def _effect_chain(self, effects: Effects) -> str:
        parts = [f"{kind.value}/{safe_name(mark) if mark is not None else NO_MARK}" for kind, mark in effects.marks]
        if effects.is_apart:
            name = fitting("/".join(["set", *parts, "any", "accept"]))
            setting = NftRule(self._in_line(Effects(effects.marks)))
            return self.add(NftChain(name, (setting, NftRule((Act(ACCEPT),)))))
        name = fitting("/".join(["set", *parts, *(["accept"] if effects.accept else [])]))
        return self.add(NftChain(name, (NftRule(self._in_line(effects)),)))
