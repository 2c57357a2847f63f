"""Flow files: captures, tables and conntrack's list, recognised by their content.

    source = open_flows(file, path, size_bytes)      # a binary file that can be sought, or its beginning and the rest
    for block in source.blocks(): …
    source.skipped()

docs/flows.md has the formats and what is counted as a flow.
"""

from __future__ import annotations

import enum
from typing import IO, TYPE_CHECKING

from evenflow.errors import InputError
from evenflow.formats.flows.capture import PCAP_MAGICS, PCAPNG_MAGIC, Capture
from evenflow.formats.flows.conntrack import STARTS, ConntrackText
from evenflow.model.finding import Finding, Origin, error

if TYPE_CHECKING:
    from evenflow.model.flows import FlowSource

__all__ = ["FileKind", "open_flows", "recognise"]

#: So much of a file tells what it is.
HEAD_BYTES = 4096

_PARQUET = b"PAR1"
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}


class FileKind(enum.Enum):
    """What a flow file can be."""

    PCAP = "pcap"
    PCAPNG = "pcapng"
    PARQUET = "Parquet"
    CSV = "CSV"
    CONNTRACK = "conntrack -L"


def recognise(head: bytes, file: str = "") -> FileKind | Finding:
    """What a file is, from how it begins; a finding if it is nothing that is read."""
    where = Origin(file)
    if not head:
        return error("flows-empty", where, "is empty; there is no flow in it")
    if head[:4] in PCAP_MAGICS:
        return FileKind.PCAP
    if head[:4] == PCAPNG_MAGIC:
        return FileKind.PCAPNG
    if head[:4] == _PARQUET:
        return FileKind.PARQUET
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            return error("flows-compressed", where, f"is compressed ({name}); unpack it first")
    if b"\0" in head:
        what = "is binary, and neither pcap, pcapng nor Parquet"
        return error("flows-unknown", where, f"{what}; give one of these, CSV, or what `conntrack -L` prints")
    lines = [line for line in head.splitlines() if line.strip()]
    if any(STARTS.match(line) for line in lines[:3]):
        return FileKind.CONNTRACK
    if any(separator in lines[0] for separator in (b",", b";", b"\t", b"|")) if lines else False:
        return FileKind.CSV
    what = "is text, but neither CSV with the names of its columns in the first line nor what `conntrack -L` prints"
    return error("flows-unknown", where, what)


def open_flows(content: IO[bytes], path: str, size_bytes: int | None) -> FlowSource:
    """The flows of a file that is open at its beginning; tables are read by `path`. It is closed when it is read.

    Raises:
        InputError: it is no flow file, or lacks columns.
    """
    head = content.read(HEAD_BYTES)
    content.seek(0)
    kind = recognise(head, path)
    if isinstance(kind, Finding):
        raise InputError([kind])
    match kind:
        case FileKind.PCAP | FileKind.PCAPNG:
            return Capture(content, size_bytes, next_generation=kind is FileKind.PCAPNG)
        case FileKind.CONNTRACK:
            return ConntrackText(content, size_bytes)
        case FileKind.CSV | FileKind.PARQUET:
            content.close()
            from evenflow.formats.flows.table import csv_table, parquet_table  # noqa: PLC0415 - Polars is loaded for tables only

            return csv_table(path, head) if kind is FileKind.CSV else parquet_table(path)
