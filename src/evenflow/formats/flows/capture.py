"""Captures: pcap and pcapng.

Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng. Both orders of bytes, microseconds and nanoseconds, several
interfaces with resolutions and link types of their own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from evenflow.formats.flows.connections import Connections
from evenflow.formats.flows.packets import NoFlow, packet
from evenflow.formats.flows.rows import Skips

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flows import FlowBlock, Skipped

#: The magic number of a pcap as its file has it: order of bytes, and units of its times in a second.
PCAP_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"

#: A packet that is said to be longer than this is none: the file is damaged there (libpcap's MAXIMUM_SNAPLEN).
_LONGEST: Final = 262_144
_LONGEST_BLOCK: Final = 1 << 24

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_IF_TSRESOL, _IF_TSOFFSET = 9, 14


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet as it was captured, with the frame of its link."""

    link_type: int
    data: bytes
    when_s: float


class DamagedError(Exception):
    """The capture can't be read further; the argument says why."""


class Capture:
    """See `FlowSource`."""

    unit = "packet"
    rows = None

    def __init__(self, content: IO[bytes], size_bytes: int | None, *, next_generation: bool) -> None:
        self.what = "pcapng" if next_generation else "pcap"
        self._frames = _pcapng(content) if next_generation else _pcap(content)
        self._content, self._size_bytes = content, size_bytes
        self._skips = Skips()
        self._read_bytes = 0

    def blocks(self) -> Iterator[FlowBlock]:
        """See `FlowSource`."""
        connections = Connections(self._skips)
        number = 0
        with self._content:
            try:
                for number, frame in enumerate(self._frames, start=1):
                    yield from self._add(frame, number, connections)
            except DamagedError as problem:
                self._skips.add(f"{problem}, and what follows", number + 1)
        yield from connections.rest()

    def _add(self, frame: Frame, number: int, connections: Connections) -> Iterator[FlowBlock]:
        self._read_bytes += len(frame.data) + 16
        try:
            seen = packet(frame.link_type, frame.data)
        except NoFlow as problem:
            self._skips.add(str(problem), number)
            return
        yield from connections.add(seen, frame.when_s, number)

    def skipped(self) -> tuple[Skipped, ...]:
        """See `FlowSource`."""
        return self._skips.all()

    def part_read(self) -> float | None:
        """See `FlowSource`."""
        return min(1.0, self._read_bytes / self._size_bytes) if self._size_bytes else None


def _exactly(content: IO[bytes], count: int) -> bytes:
    data = content.read(count)
    if len(data) < count:
        raise DamagedError("the capture is cut short")
    return data


# --- pcap ------------------------------------------------------------------------------------------------------------


def _pcap(content: IO[bytes]) -> Iterator[Frame]:
    header = _exactly(content, 24)
    order, units = PCAP_MAGICS[header[:4]]
    (link_type,) = struct.unpack_from(f"{order}I", header, 20)
    record = struct.Struct(f"{order}IIII")
    while head := content.read(record.size):
        if len(head) < record.size:
            raise DamagedError("the capture is cut short")
        seconds, fraction, length, _ = record.unpack(head)
        if length > _LONGEST:
            raise DamagedError(f"a packet of {length} bytes, which can't be: the capture is damaged")
        yield Frame(link_type & 0xFFFF, _exactly(content, length), seconds + fraction / units)


# --- pcapng ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    units: int = 1_000_000
    offset_s: int = 0


def _pcapng(content: IO[bytes]) -> Iterator[Frame]:
    order = "<"
    interfaces: list[_Interface] = []
    while head := content.read(8):
        if len(head) < 8:
            raise DamagedError("the capture is cut short")
        if head[:4] == PCAPNG_MAGIC:
            magic = _exactly(content, 4)
            order = "<" if magic == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
            _rest(content, order, head, taken=12)
            continue
        (kind,) = struct.unpack_from(f"{order}I", head)
        body = _rest(content, order, head, taken=8)
        try:
            if kind == _INTERFACE:
                interfaces.append(_interface(order, body))
            elif kind in (_ENHANCED, _PACKET, _SIMPLE):
                yield _frame(order, kind, body, interfaces)
        except (struct.error, IndexError):
            raise DamagedError("a block that can't be: the capture is damaged") from None


def _rest(content: IO[bytes], order: str, head: bytes, *, taken: int) -> bytes:
    """What is left of a block of which `taken` bytes were read, without its closing length."""
    (length,) = struct.unpack_from(f"{order}I", head, 4)
    if length < taken + 4 or length > _LONGEST_BLOCK or length % 4:
        raise DamagedError(f"a block of {length} bytes, which can't be: the capture is damaged")
    return _exactly(content, length - taken)[:-4]


def _interface(order: str, body: bytes) -> _Interface:
    (link_type,) = struct.unpack_from(f"{order}H", body)
    units, offset_s, place = 1_000_000, 0, 8
    while place + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, place)
        value = body[place + 4 : place + 4 + length]
        if code == 0:
            break
        if code == _IF_TSRESOL and value:
            units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _IF_TSOFFSET and length == 8:
            (offset_s,) = struct.unpack(f"{order}q", value)
        place += 4 + -(-length // 4) * 4
    return _Interface(link_type, units, offset_s)


def _frame(order: str, kind: int, body: bytes, interfaces: list[_Interface]) -> Frame:
    if kind == _SIMPLE:
        (length,) = struct.unpack_from(f"{order}I", body)
        return Frame(interfaces[0].link_type, body[4 : 4 + length], float("nan"))
    number, high, low, length = struct.unpack_from(f"{order}{'I' if kind == _ENHANCED else 'H2x'}III", body)
    interface = interfaces[number]
    when_s = (high << 32 | low) / interface.units + interface.offset_s
    return Frame(interface.link_type, body[20 : 20 + length], when_s)
