"""Tables: CSV (nfdump's among them) and Parquet, read by Polars in batches.

Columns are known by the names that programs give them; `docs/flows.md` has them all. nfdump's are those of nfdump(1),
`-o csv`: sa, da, pr, sp, dp, ibyt, obyt, ts, te.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from evenflow.errors import InputError
from evenflow.formats.flows.cells import Addresses, addresses, numbers, protocols, times
from evenflow.formats.flows.rows import Skips
from evenflow.model.finding import Origin, error
from evenflow.model.flow import TCP, Family
from evenflow.model.flows import FlowBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from evenflow.formats.flows.cells import Rows
    from evenflow.model.flows import Skipped

#: Rows of a batch: some tens of megabytes, with text and without.
_TEXT_ROWS: Final = 1 << 18
_PARQUET_ROWS: Final = 1 << 20

#: Names of each column, in small letters.
COLUMNS: Final = {
    "src": ("src", "source", "sa", "saddr", "srcaddr", "src_addr", "src_ip", "srcip", "ip_src", "source_ip",
            "source address", "sourceaddress", "id.orig_h", "ipv4_src_addr", "ipv6_src_addr", "srcip4", "client"),
    "dst": ("dst", "destination", "da", "daddr", "dstaddr", "dst_addr", "dst_ip", "dstip", "ip_dst", "destination_ip",
            "dest_ip", "destination address", "destinationaddress", "id.resp_h", "ipv4_dst_addr", "ipv6_dst_addr",
            "server"),
    "proto": ("proto", "protocol", "pr", "prot", "ip_proto", "ip_protocol", "l4_proto", "transport"),
    "sport": ("sport", "sp", "src_port", "srcport", "source_port", "source port", "l4_src_port", "id.orig_p"),
    "dport": ("dport", "dp", "dst_port", "dstport", "destination_port", "dest_port", "destination port", "l4_dst_port",
              "id.resp_p"),
    "bytes": ("bytes", "byte", "size", "octets", "length", "size_bytes", "in_bytes", "ibyt", "ibytes", "byt",
              "total_bytes", "orig_bytes"),
    "back": ("obyt", "obytes", "out_bytes", "resp_bytes"),
    "time": ("time", "ts", "start", "first", "firstseen", "timestamp", "start_time", "first_switched", "date"),
    "end": ("end", "te", "last", "lastseen", "end_time", "last_switched"),
    "duration": ("duration", "td", "dur", "duration_s"),
}  # fmt: skip
_NEEDED: Final = ("src", "dst")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column of a table is which; `text` if all are strings."""

    names: dict[str, str]
    text: bool


_WRONG: Final = {"sport": "no source port", "dport": "no destination port", "proto": "no protocol"}

_MOST: Final = {"sport": 0xFFFF, "dport": 0xFFFF, "bytes": 1 << 62, "back": 1 << 62}


@dataclass(frozen=True)
class _Cells:
    """A batch as numbers; `numbers` are those of sport, dport, proto, bytes and back that the table has."""

    source: Addresses
    destination: Addresses
    numbers: dict[str, NDArray[np.integer[Any]]]
    start_s: NDArray[np.float64] | None
    end_s: NDArray[np.float64] | None

    @property
    def all_right(self) -> bool:
        """Whether all rows are flows of IPv4, as can be said of numbers that are unsigned."""
        addresses_are = self.source.version is None is self.destination.version
        return addresses_are and all(column.dtype.kind == "u" for column in self.numbers.values())

    def block(self, family: Family, rows: Rows) -> FlowBlock:
        """Some rows, all of one family."""
        count = len(self.source.ipv4[rows])
        protocol = self._column("proto", rows, count, np.uint8, TCP)
        sizes = [
            self.numbers[name][rows].astype(np.uint64, copy=False) for name in ("bytes", "back") if name in self.numbers
        ]
        return FlowBlock(
            family,
            self.source.words(family, rows),
            self.destination.words(family, rows),
            protocol,
            self._column("sport", rows, count, np.uint16, 0),
            self._column("dport", rows, count, np.uint16, 0),
            sum(sizes[1:], start=sizes[0]) if sizes else None,
            None if self.start_s is None else self.start_s[rows],
            None if self.end_s is None else self.end_s[rows],
        )

    def _column(self, name: str, rows: Rows, count: int, dtype: Any, otherwise: int) -> NDArray[Any]:  # noqa: ANN401, PLR0913 - NumPy's own
        found = self.numbers.get(name)
        return np.full(count, otherwise, dtype) if found is None else found[rows].astype(dtype, copy=False)


def _cells(batch: pl.DataFrame) -> _Cells:
    found = {name: numbers(batch[name], most) for name, most in _MOST.items() if name in batch.columns}
    if "proto" in batch.columns:
        found["proto"] = protocols(batch["proto"])
    start = times(batch["time"]) if "time" in batch.columns else None
    end = times(batch["end"]) if "end" in batch.columns else None
    if end is None and start is not None and "duration" in batch.columns:
        end = start + times(batch["duration"])
    return _Cells(addresses(batch["src"]), addresses(batch["dst"]), found, start, end)


class Table:
    """See `FlowSource`."""

    def __init__(self, what: str, frame: pl.LazyFrame, layout: Layout, rows: int | None) -> None:
        self.what = what
        self.unit = "line" if layout.text else "row"
        self._frame, self._layout, self.rows = frame, layout, rows
        self._skips = Skips()
        self._read = 0

    def blocks(self) -> Iterator[FlowBlock]:
        """See `FlowSource`."""
        wanted = [pl.col(name).alias(column) for column, name in self._layout.names.items()]
        rows = _TEXT_ROWS if self._layout.text else _PARQUET_ROWS
        batches = self._frame.select(wanted).collect_batches(chunk_size=rows, maintain_order=True)
        while (batch := self._next(batches)) is not None:
            yield from self._blocks_of(batch)
            self._read += len(batch)
        if self._skips.rows * 2 > self._read:
            first = self._skips.all()[0]
            why = f"{self._skips.rows:,} of {self._read:,} rows are no flows; the first: {self.unit} {first.first}, "
            raise InputError([error("flows-unusable", Origin(), f"{why}{first.reason}: {first.example}")])

    def _next(self, batches: Iterator[pl.DataFrame]) -> pl.DataFrame | None:
        try:
            return next(batches, None)
        except pl.exceptions.PolarsError as problem:
            raise _unreadable(self.what, "", problem) from problem

    def _blocks_of(self, batch: pl.DataFrame) -> Iterator[FlowBlock]:
        cells = _cells(batch)
        if cells.all_right:
            yield cells.block(Family.IPV4, slice(None))
            return
        good, version = self._checked(batch, cells), cells.source.versions()
        for family in Family:
            of_it = good & (version == (4 if family is Family.IPV4 else 6))
            rows = slice(None) if of_it.all() else np.flatnonzero(of_it)
            if isinstance(rows, slice) or len(rows):
                yield cells.block(family, rows)

    def _checked(self, batch: pl.DataFrame, cells: _Cells) -> NDArray[np.bool_]:
        """The rows that are flows; the others are counted."""
        good = np.ones(len(batch), np.bool_)
        source, destination = cells.source.versions(), cells.destination.versions()
        good = self._without(source == 0, good, "no source address", batch["src"])
        good = self._without(destination == 0, good, "no destination address", batch["dst"])
        good = self._without(source != destination, good, "addresses of two families", batch["dst"])
        for name, column in cells.numbers.items():
            if column.dtype.kind == "i":  # what is unsigned has been read whole
                what = _WRONG.get(name, f"{self._layout.names[name]} is no number of bytes")
                good = self._without(column < 0, good, what, batch[name])
        return good

    def _without(
        self, wrong: NDArray[np.bool_], good: NDArray[np.bool_], reason: str, column: pl.Series
    ) -> NDArray[np.bool_]:
        if not wrong.any():
            return good
        bad = np.flatnonzero(wrong & good)
        if len(bad):
            # Lines are counted from 1, and the first one has the names.
            place = self._read + int(bad[0]) + (2 if self._layout.text else 1)
            self._skips.add(reason, place, str(column[int(bad[0])]), len(bad))
        return good & ~wrong

    def skipped(self) -> tuple[Skipped, ...]:
        """See `FlowSource`."""
        return self._skips.all()

    def part_read(self) -> float | None:
        """See `FlowSource`."""
        return self._read / self.rows if self.rows else None


def csv_table(path: str, head: bytes) -> Table:
    """A CSV file; `head` is how it begins.

    Raises:
        InputError: a column that is needed is not there.
    """
    line = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = max(",;\t|", key=line.count)
    frame = pl.scan_csv(
        path, separator=separator, infer_schema=False, truncate_ragged_lines=True, encoding="utf8-lossy", quote_char='"'
    )
    try:
        names = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise _unreadable("CSV", path, problem) from problem
    layout = layout_of(names, text=True)
    what = "nfdump CSV" if {"sa", "da", "ibyt"} <= set(names) else "CSV"
    return Table(what, frame, layout, None)


def parquet_table(path: str) -> Table:
    """A Parquet file.

    Raises:
        InputError: it can't be read, or a column that is needed is not there.
    """
    try:
        frame = pl.scan_parquet(path)
        layout = layout_of(frame.collect_schema().names(), text=False)
        rows = int(frame.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as problem:
        first = str(problem).splitlines()[0]
        raise InputError(
            [error("flows-unreadable", Origin(path), f"is no Parquet file that can be read: {first}")]
        ) from problem
    return Table("Parquet", frame, layout, rows)


def _unreadable(what: str, path: str, problem: Exception) -> InputError:
    first = next(iter(str(problem).splitlines()), type(problem).__name__)
    return InputError([error("flows-unreadable", Origin(path), f"is no {what} file that can be read: {first}")])


def layout_of(names: Sequence[str], *, text: bool) -> Layout:
    """Which column is which.

    Raises:
        InputError: a column that is needed is not there.
    """
    known = {alias: column for column, aliases in COLUMNS.items() for alias in aliases}
    found: dict[str, str] = {}
    for name in names:
        column = known.get(name.strip().lower())
        if column is not None:
            found.setdefault(column, name)
    missing = [column for column in _NEEDED if column not in found]
    if missing:
        close = [hint for column in missing for hint in get_close_matches(column, names, n=1)]
        hint = f"; is it {close[0]}? Rename it" if close else ""
        message = f"has no column {' and no column '.join(missing)}; there are: {', '.join(names[:20])}{hint}"
        raise InputError([error("flows-columns", Origin(), message)])
    return Layout(found, text)
