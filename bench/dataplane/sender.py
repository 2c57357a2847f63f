"""Sends prepared frames as fast as the kernel takes them: packet sockets, sendmmsg(2), no queueing discipline.

A frame that goes into a veth pair is received at the other end before sendmmsg comes to the next: the whole way
through the router is walked in the softirq of the sending thread, and counts as its CPU time. Sources: packet(7);
Linux, drivers/net/veth.c and net/core/dev.c.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

# linux/socket.h, linux/if_packet.h: struct sockaddr_ll, whose hardware address is not looked at here.
_SOL_PACKET, _PACKET_QDISC_BYPASS = 263, 20
_ADDRESS = struct.Struct("=HHiHBB8x")

#: sendmmsg takes no more at once (UIO_MAXIOV).
_MOST_AT_ONCE = 1024

_libc = ctypes.CDLL(None, use_errno=True)


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr of <sys/socket.h>."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_IoVector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr of <sys/socket.h>."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class Batch:
    """Frames, each with the index of the device that it leaves by, laid out for sendmmsg."""

    def __init__(self, frames: Sequence[bytes], devices: Sequence[int]) -> None:
        self._held = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
        self._vectors = (_IoVector * len(frames))(*(_IoVector(ctypes.addressof(one), len(one)) for one in self._held))
        # Of several frames by one device the address is the same.
        addresses = {device: ctypes.create_string_buffer(_address(device), _ADDRESS.size) for device in {*devices}}
        self._addresses = addresses
        self.messages = (_Message * len(frames))()
        for message, vector, device in zip(self.messages, self._vectors, devices, strict=True):
            name = ctypes.addressof(addresses[device])
            message.header = _Header(name, _ADDRESS.size, ctypes.pointer(vector), 1)

    def __len__(self) -> int:
        return len(self._held)


def _address(device: int) -> bytes:
    return _ADDRESS.pack(socket.AF_PACKET, 0, device, 0, 0, 0)


class Sender:
    """A socket that sends in the namespace that the thread is in when this is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)

    def send(self, batch: Batch) -> int:
        """Send all of it; how many calls that took.

        Raises:
            OSError: the kernel did not take a frame.
        """
        place = calls = 0
        while place < len(batch):
            first = ctypes.byref(batch.messages, place * ctypes.sizeof(_Message))
            sent = _libc.sendmmsg(self._socket.fileno(), first, min(_MOST_AT_ONCE, len(batch) - place), 0)
            if sent < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), "sendmmsg")
            place += sent
            calls += 1
        return calls

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
