"""Which of some names a misspelt one means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_JOINTS = re.compile(r"[-_. ]")
_DIGITS = re.compile(r"[0-9]")

#: So many slips of a finger, of the four kinds: a letter too many, missing, another, or two that changed places.
_MOST_SLIPS = 1

#: Names of fewer letters are too near to each other for that.
_SHORTEST = 4


def meant(name: str, known: Iterable[str]) -> str | None:
    """The only known name that `name` can be a slip of; None if there is none, or more than one.

    The same but for capitals, hyphens and the like comes first, then one slip. Another digit is another name: `isp3`
    is no slip of `isp2`.
    """
    known = tuple(dict.fromkeys(known))
    alike = [other for other in known if _plain(other) == _plain(name)]
    if not alike:
        alike = [other for other in known if _one_slip(name, other)]
    return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    return _JOINTS.sub("", name).casefold()


def _one_slip(name: str, other: str) -> bool:
    if min(len(name), len(other)) < _SHORTEST or _DIGITS.findall(name) != _DIGITS.findall(other):
        return False
    return _slips(name, other) <= _MOST_SLIPS


def _slips(one: str, other: str) -> int:
    """Damerau's distance: letters to insert, leave out, replace, or change with the next one."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, sign in enumerate(one):
        older, before, row = before, row, [place + 1]
        for at, letter in enumerate(other):
            cost = min(before[at] + (sign != letter), before[at + 1] + 1, row[at] + 1)
            if place and at and sign == other[at - 1] and one[place - 1] == letter:
                cost = min(cost, older[at - 1] + 1)
            row.append(cost)
    return row[-1]
