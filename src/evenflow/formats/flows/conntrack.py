"""What `conntrack -L` prints, with `-o extended` or without, and /proc/net/nf_conntrack: one connection a line.

    tcp 6 431999 ESTABLISHED src=192.168.1.2 dst=1.1.1.1 sport=4000 dport=443 packets=5 bytes=600 src=… [ASSURED]

Source: conntrack(8); libnetfilter_conntrack, snprintf_default.c. The first tuple is that of the connection's first
packet. Bytes are there when `net.netfilter.nf_conntrack_acct` is on.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import IO, TYPE_CHECKING

from evenflow.formats.flows.rows import FlowRow, RowsToBlocks, Skips
from evenflow.model.flow import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flows import FlowBlock, Skipped

_LINE = re.compile(
    r"^\s*(?:\[\s*\w+\s*\]\s+)?(?:ipv[46]\s+\d+\s+)?(?P<proto>[\w-]+)\s+(?P<number>\d+)\s.*?"
    r"src=(?P<src>\S+) dst=(?P<dst>\S+)(?: sport=(?P<sport>\d+) dport=(?P<dport>\d+))?"
)
_BYTES = re.compile(r"\bbytes=(\d+)")

#: The first words of a line that is one.
STARTS = re.compile(rb"^\s*(?:\[\s*\w+\s*\]\s+)?(?:ipv[46]\s+\d+\s+)?[\w-]+\s+\d+\s.*\bsrc=\S+ dst=")


class ConntrackText:
    """See `FlowSource`."""

    what, unit, rows = "conntrack -L", "line", None

    def __init__(self, content: IO[bytes], size_bytes: int | None) -> None:
        self._content, self._size_bytes = content, size_bytes
        self._skips = Skips()
        self._read_bytes = 0

    def blocks(self) -> Iterator[FlowBlock]:
        """See `FlowSource`."""
        collected = RowsToBlocks()
        with self._content:
            for number, raw in enumerate(self._content, start=1):
                self._read_bytes += len(raw)
                line = raw.decode("utf-8", "replace").rstrip()
                if not line or line.startswith("conntrack v"):
                    continue  # conntrack's own summary comes on standard error, and into many a file
                row = self._row(line, number)
                if row is not None:
                    yield from collected.add(row)
        yield from collected.rest()

    def _row(self, line: str, number: int) -> FlowRow | None:
        found = _LINE.match(line)
        if found is None:
            self._skips.add("no connection", number, line)
            return None
        try:
            source, destination = ip_address(found["src"]), ip_address(found["dst"])
        except ValueError:
            self._skips.add("no address", number, line)
            return None
        ports = int(found["sport"] or 0), int(found["dport"] or 0)
        protocol = int(found["number"])
        if source.version != destination.version or max(ports) > 0xFFFF or protocol > 0xFF:
            self._skips.add("a port, protocol or address that can't be", number, line)
            return None
        sizes = [int(size) for size in _BYTES.findall(line)]
        family = family_of(source)
        return FlowRow(family, int(source), int(destination), protocol, *ports, sum(sizes) if sizes else None)

    def skipped(self) -> tuple[Skipped, ...]:
        """See `FlowSource`."""
        return self._skips.all()

    def part_read(self) -> float | None:
        """See `FlowSource`."""
        return self._read_bytes / self._size_bytes if self._size_bytes else None
