"""What evenflow must remember, kept in its nft table: there is no state file.

Sysctls as they were before evenflow, so that `down` can put them back; and the watches that do not stand as usual, so
that a restarted daemon begins where the last one ended. Each stands as comments of the elements of one set, where
`nft list` shows them.
"""

from __future__ import annotations

import re
import struct
import sys
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
    """What the set `name` of a table keeps; {} when there is no table or no such set.

    Whoever may write nft tables can have written anything there. Of two values for one name the first counts, and what
    is no setting of the network, or no number, is left out: `down` runs as root and must write nothing else.
    """
    kept = table.sets.get(name) if table else None
    found: dict[str, str] = {}
    for element in sorted(kept.elements, key=_number) if kept else ():
        key, separator, value = element.comment.rpartition("=")
        if separator and (name != SAVED_SET or (_SETTING.fullmatch(key) and _VALUE.fullmatch(value))):
            found.setdefault(key, value)
    return found


#: Names under /proc/sys as we save them. The name of a device has neither slashes nor blanks, and is not "..".
_SETTING = re.compile(r"net/ipv[46]/(?:[a-z_0-9]+|conf/(?!\.{1,2}/)[^/\s]+/[a-z_0-9]+)", re.ASCII)
_VALUE = re.compile(r"-?[0-9]{1,9}", re.ASCII)


def _number(element: SetElement) -> int:
    return int.from_bytes(element.key, sys.byteorder)


def without_kept(table: NftTable | None) -> NftTable | None:
    """A table without the sets that only keep something.

    One that somebody else has changed (emptied, for one) stays: it is a difference to what is to be.
    """
    if table is None:
        return None
    ours = {
        name
        for name in (SAVED_SET, STANDING_SET)
        if name in table.sets and (kept := from_table(table, name)) and to_set(name, kept) == table.sets[name]
    }
    return replace(table, sets={k: held for k, held in table.sets.items() if k not in ours}) if ours else table


def with_kept(table: NftTable | None, dataplane: Dataplane) -> NftTable | None:
    """A table with what `dataplane` has to keep; where somebody has changed that, with what is there."""
    kept = {SAVED_SET: dataplane.saved, STANDING_SET: dataplane.standing}
    if table is None:
        return None
    sets = {name: to_set(name, values) for name, values in kept.items() if values and name not in table.sets}
    return replace(table, sets={**table.sets, **sets}) if sets else table


def tampered(dataplane: Dataplane) -> bool:
    """Whether somebody has changed, or deleted with the whole table, what keeps the settings from before evenflow."""
    if dataplane.table is None:
        return bool(dataplane.routes or dataplane.rules)
    return SAVED_SET in dataplane.table.sets
