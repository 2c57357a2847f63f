"""Instructions that this thread has a CPU carry out, where the machine counts them: perf_event_open(2).

Most virtual machines don't.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

# <asm/unistd.h>; linux/perf_event.h: the first 64 bytes of struct perf_event_attr (PERF_ATTR_SIZE_VER0) begin with the
# kind of the counter, the size, and the number of the counter.
_SYSCALL_NUMBERS: Final = {"x86_64": 298, "aarch64": 241}
_ATTRIBUTES: Final = struct.Struct("=IIQ48x")
_HARDWARE, _INSTRUCTIONS = 0, 1

_libc = ctypes.CDLL(None, use_errno=True)


class Counter:
    """One counter of this thread, the kernel's work for it included. Use it as a context manager."""

    def __init__(self, kind: int = _HARDWARE, number: int = _INSTRUCTIONS) -> None:
        """Open it.

        Raises:
            OSError: this machine does not count that, or not for this user.
        """
        attributes = _ATTRIBUTES.pack(kind, _ATTRIBUTES.size, number)
        number_of_call = _SYSCALL_NUMBERS.get(platform.machine(), -1)
        self._descriptor = _libc.syscall(number_of_call, attributes, 0, -1, -1, 0)
        if self._descriptor < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), "perf_event_open")

    def read(self) -> int:
        """What it has counted so far."""
        return int.from_bytes(os.read(self._descriptor, 8), "little")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


@contextlib.contextmanager
def instructions() -> Iterator[Counter | None]:
    """The counter of instructions, or None where the machine has none."""
    try:
        counter: Counter | None = Counter()
    except OSError:
        counter = None
    with counter or contextlib.nullcontext():
        yield counter
