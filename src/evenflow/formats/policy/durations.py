"""Spans of time as a policy writes them: "200ms", "1.5s", "5m"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from evenflow.formats.policy.values import Refusal

if TYPE_CHECKING:
    from evenflow.formats.policy.document import Table

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)", re.ASCII)
_HOW_TO_WRITE = 'write a number and ms, s, m or h, like "200ms" or "1.5s"'


@dataclass(frozen=True, slots=True)
class Limits:
    """The shortest and the longest span that a key takes, in milliseconds."""

    least_ms: int
    most_ms: int


def duration_ms(text: str) -> int | Refusal:
    """Whole milliseconds from "200ms", "1.5s", "5m", "1h"."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return Refusal(f'"{text}" is not understood; {_HOW_TO_WRITE}')
    exact = Fraction(match[1]) * _UNITS_MS[match[2]]
    if exact.denominator != 1:
        return Refusal(f'"{text}" is not a whole number of milliseconds; leave out some digits')
    return int(exact)


def duration_text(ms: int) -> str:
    """The shortest notation that `duration_ms` reads back as the same span."""
    unit = next(unit for unit in ("h", "m", "s", "ms") if ms % _UNITS_MS[unit] == 0 or unit == "ms")
    return f"{ms // _UNITS_MS[unit]}{unit}" if ms else "0s"


def read_duration(table: Table, key: str, limits: Limits, example: str) -> int | None:
    """The span at `key` in milliseconds; None when there is none, or it can't be used (a finding then)."""
    text = table.string(key, f'{key} = "{example}"')
    if text is None:
        return None
    found = duration_ms(text)
    if isinstance(found, Refusal):
        table.refuse(key, f"{key} {found.reason}")
        return None
    if not limits.least_ms <= found <= limits.most_ms:
        least, most = duration_text(limits.least_ms), duration_text(limits.most_ms)
        table.refuse(key, f'{key} is "{text}"; from "{least}" to "{most}" are possible')
        return None
    return found
