"""Operations on our nft table. A tuple of them is a transaction: everything in it happens at once, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.model.nft import Hook, NftFlowtable, NftRule, NftSet, SetElement


@dataclass(frozen=True, slots=True)
class AddTable:
    """Make our table."""


@dataclass(frozen=True, slots=True)
class DeleteTable:
    """Delete our table with all that is in it."""


@dataclass(frozen=True, slots=True)
class AddChain:
    """Make a chain, empty: its rules come by `AddRule`."""

    name: str
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class FlushChain:
    """Delete the rules of a chain."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteChain:
    """Delete a chain; nothing may refer to it any more."""

    name: str


@dataclass(frozen=True, slots=True)
class AddRule:
    """Append a rule to a chain."""

    chain: str
    rule: NftRule


@dataclass(frozen=True, slots=True)
class AddSet:
    """Make a set, empty: its elements come by `AddElements`."""

    declaration: NftSet


@dataclass(frozen=True, slots=True)
class DeleteSet:
    """Delete a set; nothing may refer to it any more."""

    name: str


@dataclass(frozen=True, slots=True)
class AddElements:
    """Add elements to a set."""

    set_name: str
    elements: tuple[SetElement, ...]


@dataclass(frozen=True, slots=True)
class DeleteElements:
    """Delete elements of a set."""

    set_name: str
    elements: tuple[SetElement, ...]


@dataclass(frozen=True, slots=True)
class AddFlowtable:
    """Make a flowtable."""

    flowtable: NftFlowtable


@dataclass(frozen=True, slots=True)
class DeleteFlowtable:
    """Delete a flowtable; no rule may refer to it any more. Its connections meet all rules again."""

    name: str


NftOperation = (
    AddTable
    | DeleteTable
    | AddChain
    | FlushChain
    | DeleteChain
    | AddRule
    | AddSet
    | DeleteSet
    | AddElements
    | DeleteElements
    | AddFlowtable
    | DeleteFlowtable
)
