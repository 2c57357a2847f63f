"""Sysctls as they were before evenflow, kept in our nft table so that `down` can put them back.

There is no state file: the values stand as comments of the elements of one set, where `nft list` shows them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from evenflow.model.nft import KeyType, NftSet, NftTable, SetElement

if TYPE_CHECKING:
    from collections.abc import Mapping

SAVED_SET = "sysctls_before"


def to_set(saved: Mapping[str, str]) -> NftSet:
    """The set that keeps `saved`; the keys only number the elements."""
    elements = frozenset(
        SetElement(struct.pack("=I", number), comment=f"{name}={value}")
        for number, (name, value) in enumerate(sorted(saved.items()))
    )
    return NftSet(SAVED_SET, KeyType.MARK, elements)


def from_table(table: NftTable | None) -> dict[str, str]:
    """What a table keeps; {} when there is no table or no such set."""
    kept = table.sets.get(SAVED_SET) if table else None
    if kept is None:
        return {}
    pairs = (element.comment.partition("=") for element in kept.elements)
    return {name: value for name, separator, value in pairs if separator}
