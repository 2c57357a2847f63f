"""What a device of the lab takes in, as a pcap file: no program is needed for it.

Source: packet(7); Linux, include/uapi/linux/if_packet.h; draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import IO, TYPE_CHECKING, Final, Self

from evenflow.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

    from evenflow.lab.world import World

#: linux/if_ether.h, linux/if_packet.h and asm-generic/socket.h: Python's socket module lacks them.
_ETH_P_ALL: Final = 3
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 263, 6, 23
_SO_TIMESTAMPNS_NEW: Final = 64

#: A time as the kernel gives it, and the counts of packets that a socket got and lost.
_TIMESPEC: Final = struct.Struct("=qq")
_STATISTICS: Final = struct.Struct("=II")

#: The longest IPv4 packet in a frame. Of anything longer only so much is kept.
_LONGEST_BYTES: Final = 65_549

#: File header: magic number for nanoseconds, version 2.4, time zone, accuracy, longest frame, link type Ethernet.
#: Record header: seconds, nanoseconds, bytes in the file, bytes on the wire.
_FILE_HEADER: Final = struct.pack("<IHHiIII", 0xA1B2_3C4D, 2, 4, 0, 0, _LONGEST_BYTES, 1)
_RECORD_HEADER: Final = struct.Struct("<IIII")

#: The most that the kernel may keep for us; it takes less where the system allows less.
_BUFFER_BYTES: Final = 1 << 24


class Capture:
    """Every frame that a device takes in from `with` to its end, in a classic pcap file (nanoseconds, Ethernet).

    What the device sends is not in it: on the router's LAN that is the answers. The running event loop reads, so the
    `with` must be inside it.

    Attributes:
        frames: how many there are so far.
    """

    def __init__(self, world: World, node: str, interface: str, file: Path) -> None:
        self._world, self._node, self._interface, self._file = world, node, interface, file
        self._buffer = bytearray(_LONGEST_BYTES)
        self.frames = 0

    def __enter__(self) -> Self:
        """Begin. Raises OSError: there is no such device, or the file can't be written."""
        self._loop = asyncio.get_running_loop()
        self._written: IO[bytes] = self._file.open("wb")
        try:
            self._written.write(_FILE_HEADER)
            self._socket = self._open()
        except BaseException:
            self._written.close()
            raise
        self._loop.add_reader(self._socket, self._read)
        return self

    def _open(self) -> socket.socket:
        with self._world.inside(self._node):
            # Protocol 0 hears nothing: else what other devices take in would come before the bind.
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            made.setblocking(False)
            made.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS_NEW, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            made.bind((self._interface, _ETH_P_ALL))
        except BaseException:
            made.close()
            raise
        return made

    def __exit__(self, *_: object) -> None:
        """End; what has come in by now is in the file. Raises LabError when the kernel had no room for a frame."""
        self._loop.remove_reader(self._socket)
        with self._written, self._socket:
            self._read()
            counts = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        _, lost = _STATISTICS.unpack(counts)
        if lost:
            raise LabError(f"the capture of {self._interface} lacks {lost} of {lost + self.frames} frames")

    def _read(self) -> None:
        room = socket.CMSG_SPACE(_TIMESPEC.size)
        while True:
            try:
                length, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], room, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            ((_, _, when),) = ancillary
            frame = self._buffer[:length]
            self._written.write(_RECORD_HEADER.pack(*_TIMESPEC.unpack(when), len(frame), length) + frame)
            self.frames += 1
