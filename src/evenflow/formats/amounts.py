"""Amounts in words: counts, bytes, rates, parts and times, as they stand in tables for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

#: Decimal steps, as lines are sold and disks are counted.
_STEPS = ("", "k", "M", "G", "T", "P", "E")

#: Times before this are no dates but seconds of a clock that began at 0: the 3rd of March 1973.
_FIRST_DATE_S = 100_000_000


def counted(number: int, one: str, many: str = "") -> str:
    """`1 flow`, `1,204 flows`; the plural of `one` is with an s unless `many` is given."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def size(number: float) -> str:
    """Bytes with three digits: `812 GB`, `1.24 MB`, `17 B`."""
    return _scaled(number, "B")


def rate(bits_per_second: float) -> str:
    """Bits a second with three digits: `27.3 Mbit/s`, `30 Mbit/s`."""
    return _scaled(bits_per_second, "bit/s")


def _scaled(number: float, unit: str) -> str:
    step, value = 0, float(number)
    while value >= 999.5 and step < len(_STEPS) - 1:
        step, value = step + 1, value / 1000
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text} {_STEPS[step]}{unit}"


def percent(part: float) -> str:
    """A part of 1: `66.7 %`."""
    return f"{100 * part:.1f} %"


def percent_range(low: float, high: float) -> str:
    """Two parts of 1: `65.1–68.2 %`."""
    return f"{100 * low:.1f}–{100 * high:.1f} %"


def clock(at_s: float, *, day: bool = False) -> str:
    """A moment in UTC, `20:14` or with its `day` `2026-11-20 20:14`; of a clock that began at 0 `1:02:33`."""
    if at_s < _FIRST_DATE_S:
        return str(timedelta(seconds=int(at_s)))
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M" if day else "%H:%M")


def span(length_s: float) -> str:
    """A length of time: `45 s`, `15 min`, `2 h`, `1.5 days`."""
    for unit, word in ((86400, "days"), (3600, "h"), (60, "min")):
        if length_s >= unit:
            number = length_s / unit
            return f"{number:g} {word}" if number == round(number, 1) else f"{number:.1f} {word}"
    return f"{length_s:g} s"
