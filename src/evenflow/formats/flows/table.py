"""Tables: CSV (nfdump's among them) and Parquet, read by Polars in batches.

Columns are known by the names that programs give them; `docs/flows.md` has them all. nfdump's are those of nfdump(1),
`-o csv`: sa, da, pr, sp, dp, ibyt, obyt, ts, te.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from evenflow.errors import InputError
from evenflow.formats.flows.cells import Addresses, addresses, numbers, protocols, times
from evenflow.formats.flows.rows import Skips
from evenflow.model.finding import Origin, error
from evenflow.model.flow import PORT_PROTOCOLS, Family
from evenflow.model.flows import FlowBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from evenflow.model.flows import Skipped

#: Rows of a batch: some tens of megabytes, with text.
_BATCH_ROWS: Final = 1 << 18

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


class Table:
    """See `FlowSource`."""

    def __init__(self, what: str, frame: pl.LazyFrame, layout: Layout, rows: int | None) -> None:
        self.what = what
        self.unit = "line" if layout.text else "row"
        self._frame, self._layout, self._rows = frame, layout, rows
        self._skips = Skips()
        self._read = 0

    def blocks(self) -> Iterator[FlowBlock]:
        """See `FlowSource`."""
        wanted = [pl.col(name).alias(column) for column, name in self._layout.names.items()]
        batches = self._frame.select(wanted).collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
        for batch in batches:
            yield from self._blocks_of(batch)
            self._read += len(batch)
        if self._skips.rows * 2 > self._read:
            first = self._skips.all()[0]
            why = f"{self._skips.rows:,} of {self._read:,} rows are no flows; the first: {self.unit} {first.first}, "
            raise InputError([error("flows-unusable", Origin(), f"{why}{first.reason}: {first.example}")])

    def _blocks_of(self, batch: pl.DataFrame) -> Iterator[FlowBlock]:
        ends = [addresses(batch[name]) for name in ("src", "dst")]
        good = self._checked(batch, ends)
        for family in Family:
            rows = np.flatnonzero(good & (ends[0].version == (4 if family is Family.IPV4 else 6)))
            if len(rows):
                yield self._block(batch, family, ends, rows)

    def _checked(self, batch: pl.DataFrame, ends: Sequence[Addresses]) -> NDArray[np.bool_]:
        """The rows that are flows; the others are counted."""
        good = np.ones(len(batch), np.bool_)
        source, destination = ends
        good = self._without(source.version == 0, good, "no source address", batch["src"])
        good = self._without(destination.version == 0, good, "no destination address", batch["dst"])
        good = self._without(source.version != destination.version, good, "addresses of two families", batch["dst"])
        for column, most in (("sport", 0xFFFF), ("dport", 0xFFFF)):
            if column in batch.columns:
                wrong = numbers(batch[column], most) < 0
                good = self._without(wrong, good, f"{column} is no port", batch[column])
        if "proto" in batch.columns:
            good = self._without(protocols(batch["proto"]) < 0, good, "proto is no protocol", batch["proto"])
        for column in ("bytes", "back"):
            if column in batch.columns:
                wrong = numbers(batch[column], 1 << 62) < 0
                good = self._without(wrong, good, f"{self._layout.names[column]} is no number of bytes", batch[column])
        return good

    def _without(
        self, wrong: NDArray[np.bool_], good: NDArray[np.bool_], reason: str, column: pl.Series
    ) -> NDArray[np.bool_]:
        bad = np.flatnonzero(wrong & good)
        if len(bad):
            # Lines are counted from 1, and the first one has the names.
            place = self._read + int(bad[0]) + (2 if self._layout.text else 1)
            self._skips.add(reason, place, str(column[int(bad[0])]), len(bad))
        return good & ~wrong

    def _block(
        self, batch: pl.DataFrame, family: Family, ends: Sequence[Addresses], rows: NDArray[np.intp]
    ) -> FlowBlock:
        def column(name: str) -> pl.Series | None:
            return batch[name] if name in batch.columns else None

        proto = column("proto")
        protocol = protocols(proto)[rows].astype(np.uint8) if proto is not None else np.full(len(rows), 6, np.uint8)
        ported = np.isin(protocol, list(PORT_PROTOCOLS))
        ports = [
            np.where(ported, numbers(one, 0xFFFF)[rows], 0).astype(np.uint16)
            if (one := column(name)) is not None
            else np.zeros(len(rows), np.uint16)
            for name in ("sport", "dport")
        ]
        sizes = [numbers(one, 1 << 62)[rows] for name in ("bytes", "back") if (one := column(name)) is not None]
        start = times(one)[rows] if (one := column("time")) is not None else None
        end = times(one)[rows] if (one := column("end")) is not None else None
        if end is None and start is not None and (lasted := column("duration")) is not None:
            end = start + times(lasted)[rows]
        words = [one.words(family, rows) for one in ends]
        return FlowBlock(
            family, words[0], words[1], protocol, ports[0], ports[1],
            np.sum(sizes, axis=0).astype(np.uint64) if sizes else None, start, end,
        )  # fmt: skip

    def skipped(self) -> tuple[Skipped, ...]:
        """See `FlowSource`."""
        return self._skips.all()

    def part_read(self) -> float | None:
        """See `FlowSource`."""
        return self._read / self._rows if self._rows else None


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
    names = frame.collect_schema().names()
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
