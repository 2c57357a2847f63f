"""What a rule does to a packet's marks, as chains that maps of verdicts can point to.

`ct mark & a | b` with `b` from a map needs kernels and tools that not everybody has; a map of verdicts to small
chains, each setting its marks, works everywhere and costs one jump.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import MARK_MASKS, Condition, mark_bits, safe_name, word
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


#: The user's comments stand at the rules; nft takes and shows up to 128 bytes.
_COMMENT_BYTES = 120


def rule_comment(text: str) -> str:
    """A user's comment as a rule can carry it: one line, not too long, cut between characters."""
    line = " ".join(text.replace("\0", " ").split())
    return line.encode()[:_COMMENT_BYTES].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Effects:
    """Marks to set (at most one of each kind), and whether the hook ends there."""

    marks: tuple[tuple[MarkKind, str | None], ...] = ()
    accept: bool = False


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
        """The effects, in line."""
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
        name = "/".join(["set", *parts, *(["accept"] if effects.accept else [])])
        return self.add(NftChain(name, (NftRule(self.expressions(effects)),)))
