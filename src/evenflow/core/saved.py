"""What evenflow must remember, kept in its nft table: there is no state file.

Sysctls as they were before evenflow, so that `down` can put them back; and the watches that do not stand as usual, so
that a restarted daemon begins where the last one ended. Each stands as comments of the elements of one set, where
`nft list` shows them.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.model.nft import KeyType, NftSet, NftTable, SetElement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.dataplane import Dataplane

SAVED_SET = "sysctls_before"
STANDING_SET = "standing"


def to_set(name: str, kept: Mapping[str, str]) -> NftSet:
    """The set `name` that keeps names and values; the keys only number the elements."""
    elements = frozenset(
        SetElement(struct.pack("=I", number), comment=f"{key}={value}")
        for number, (key, value) in enumerate(sorted(kept.items()))
    )
    return NftSet(name, KeyType.MARK, elements)


def from_table(table: NftTable | None, name: str) -> dict[str, str]:
    """What the set `name` of a table keeps; {} when there is no table or no such set."""
    kept = table.sets.get(name) if table else None
    if kept is None:
        return {}
    pairs = (element.comment.rpartition("=") for element in kept.elements)
    return {key: value for key, separator, value in pairs if separator}


def without_kept(table: NftTable | None) -> NftTable | None:
    """A table without the sets that only keep something."""
    if table is None or not {SAVED_SET, STANDING_SET} & table.sets.keys():
        return table
    return replace(table, sets={k: held for k, held in table.sets.items() if k not in (SAVED_SET, STANDING_SET)})


def with_kept(table: NftTable | None, dataplane: Dataplane) -> NftTable | None:
    """A table with what `dataplane` has to keep."""
    kept = {SAVED_SET: dataplane.saved, STANDING_SET: dataplane.standing}
    sets = {name: to_set(name, values) for name, values in kept.items() if values}
    if table is None or not sets:
        return table
    return NftTable(table.chains, {**table.sets, **sets})
