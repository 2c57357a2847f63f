"""Filters in the kernel: what nobody waits for does not wake the daemon.

Classic BPF programs, four fields an instruction. Format: Linux, include/uapi/linux/filter.h and bpf_common.h.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_INSTRUCTION: Final = struct.Struct("=HBBI")

_LOAD_HALF, _LOAD_HALF_FROM_X, _X_IS_IP_HEADER_LENGTH, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x48, 0xB1, 0x15, 0x06
_ALL: Final = 0xFFFF_FFFF


def attach(to: socket.socket, program: bytes) -> None:
    """From now on only what the program lets through is received.

    Raises:
        OSError: the kernel does not take it.
    """
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(held))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def half_equals(offset: int, value: int, *, after_ip_header: bool = False) -> bytes:
    """A program: the two bytes at `offset`, or that far behind an IPv4 header, are `value` (network order)."""
    load = ((_X_IS_IP_HEADER_LENGTH, 0, 0, 0), (_LOAD_HALF_FROM_X, 0, 0, offset))
    instructions = (
        *(load if after_ip_header else ((_LOAD_HALF, 0, 0, offset),)),
        (_JUMP_IF_EQUAL, 0, 1, value),
        (_RETURN, 0, 0, _ALL),
        (_RETURN, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions)
