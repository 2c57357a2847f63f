"""Cells of a table as columns of numbers; what can't be read is -1, NaN, or of no family."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evenflow.formats.flows.rows import words_of
from evenflow.model.flow import Family
from evenflow.model.protocols import PROTOCOLS

#: Epoch times above these are milliseconds, microseconds, nanoseconds: 1e11 s is the year 5138.
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


#: Some rows of a column, or all.
Rows = slice | NDArray[np.intp]


#: Of a date with a time to microseconds, as ISO 8601 writes it; what follows is a zone, and taken for UTC.
_DATE_LETTERS: Final = 26


@dataclass(frozen=True)
class Addresses:
    """A column of addresses of both families.

    Attributes:
        version: 4 or 6 for each row, 0 for none; uint8, shape (n,). None: all are IPv4.
        ipv4: numbers of those of IPv4; uint32, shape (n,).
        ipv6: numbers of those of IPv6 by row.
    """

    version: NDArray[np.uint8] | None
    ipv4: NDArray[np.uint32]
    ipv6: dict[int, int]

    def versions(self) -> NDArray[np.uint8]:
        """`version`, also where all are IPv4."""
        return np.full(len(self.ipv4), 4, np.uint8) if self.version is None else self.version

    def words(self, family: Family, rows: Rows) -> NDArray[np.uint32]:
        """The addresses of these rows, as in a `FlowBlock`."""
        if family is Family.IPV4:
            return self.ipv4[rows]
        return words_of([self.ipv6[row] for row in np.arange(len(self.ipv4))[rows].tolist()], family)


def addresses(column: pl.Series) -> Addresses:
    """Addresses from strings, from unsigned numbers (IPv4), or from 4 or 16 bytes."""
    if column.dtype == pl.UInt32 and not column.null_count():
        return Addresses(None, column.to_numpy(), {})
    if column.dtype.is_integer():
        good = column.is_between(0, 0xFFFF_FFFF).fill_null(value=False).to_numpy()
        words = column.cast(pl.UInt32, strict=False).fill_null(0).to_numpy()
        return Addresses(np.where(good, 4, 0).astype(np.uint8), words, {})
    if column.dtype == pl.Binary:
        column = pl.Series([_from_bytes(one) for one in column.to_list()], dtype=pl.String)
    return _from_text(column.cast(pl.String).str.strip_chars())


def _from_bytes(packed: bytes | None) -> str | None:
    return str(ip_address(packed)) if packed is not None and len(packed) in (4, 16) else None


def _from_text(column: pl.Series) -> Addresses:
    parts = column.str.split_exact(".", 3).struct.unnest()
    octets = [parts[f"field_{number}"].cast(pl.UInt8, strict=False) for number in range(4)]
    good = np.logical_and.reduce([octet.is_not_null().to_numpy() for octet in octets])
    good &= (column.str.count_matches(".", literal=True) == 3).fill_null(value=False).to_numpy()
    numbers = [octet.fill_null(0).to_numpy().astype(np.uint32) for octet in octets]
    ipv4 = numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3]
    version = np.where(good, 4, 0).astype(np.uint8)
    ipv6: dict[int, int] = {}
    others = np.flatnonzero(column.str.contains(":", literal=True).fill_null(value=False).to_numpy())
    texts = column.gather(others).to_list()
    known = {text: _ipv6(text) for text in set(texts)}
    for row, text in zip(others.tolist(), texts, strict=True):
        number = known[text]
        if number is not None:
            version[row], ipv6[row] = 6, number
    return Addresses(None if good.all() else version, ipv4.astype(np.uint32, copy=False), ipv6)


def _ipv6(text: str) -> int | None:
    try:
        return int(IPv6Address(text.partition("%")[0]))
    except ValueError:
        return None


def numbers(column: pl.Series, most: int) -> NDArray[np.integer[Any]]:
    """Whole numbers from 0 to `most`; -1 for what is none (which an unsigned answer says there is not)."""
    dtype = column.dtype
    if dtype.is_unsigned_integer() and not column.null_count() and _UNSIGNED[dtype.base_type()] <= most:
        return column.to_numpy()
    if dtype == pl.String:
        column = column.str.strip_chars().cast(pl.Float64, strict=False)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    found = column.cast(pl.Int64, strict=False)
    good = found.is_between(0, most).fill_null(value=False)
    return np.where(good.to_numpy(), found.fill_null(0).to_numpy(), -1)


#: The largest number of each type; one of 8 bytes is never negative, and no flow has as many bytes as it can say.
_UNSIGNED: Final[dict[Any, int]] = {pl.UInt8: 0xFF, pl.UInt16: 0xFFFF, pl.UInt32: 0xFFFF_FFFF, pl.UInt64: 1 << 62}


def protocols(column: pl.Series) -> NDArray[np.integer[Any]]:
    """Protocol numbers from numbers or names; -1 for what is neither."""
    if column.dtype != pl.String:
        return numbers(column, 0xFF)
    words = column.str.strip_chars().str.to_lowercase()
    found = {word: _protocol(word) for word in words.unique().to_list()}
    return np.array([found[word] for word in words.to_list()], np.int64)


def _protocol(word: str | None) -> int:
    if word is None:
        return -1
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    aliases = {"icmp6": 58, "ipv6-icmp": 58, "udplite": 136, "esp": 50, "ah": 51}
    if word in aliases:
        return aliases[word]
    return int(word) if word.isascii() and word.isdecimal() and len(word) <= 3 and int(word) <= 0xFF else -1


def times(column: pl.Series) -> NDArray[np.float64]:
    """Seconds since the epoch, or of a duration; NaN for what is no time."""
    if column.dtype == pl.Duration:
        return (column.dt.total_microseconds() / 1e6).cast(pl.Float64).fill_null(np.nan).to_numpy()
    if column.dtype == pl.Datetime:
        return (column.dt.epoch("us") / 1e6).cast(pl.Float64).fill_null(np.nan).to_numpy()
    text = column.dtype == pl.String
    seconds = (column.str.strip_chars() if text else column).cast(pl.Float64, strict=False)
    if text and seconds.null_count():
        dates = (
            column.str.strip_chars()
            .str.replace("T", " ", literal=True)
            .str.slice(0, _DATE_LETTERS)
            .str.strip_chars("Z")
        )
        parsed = dates.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False).dt.epoch("us") / 1e6
        seconds = seconds.zip_with(seconds.is_not_null(), parsed)
    found = seconds.fill_null(np.nan).to_numpy()
    if len(found) and float(np.fmax.reduce(found)) > _UNITS[-1][0]:
        for above, unit in _UNITS:
            found = np.where(found > above, found / unit, found)
    return found
