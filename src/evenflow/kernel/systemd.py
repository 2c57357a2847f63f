"""What systemd is told: that the daemon is ready, reloads, stops, and is still alive.

Format: sd_notify(3) and sd_watchdog_enabled(3): lines of KEY=value in one datagram to the socket that NOTIFY_SOCKET
names. Without that variable nothing is sent. That nobody reads it is no error: the daemon runs all the same.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Tells systemd, if it wants to be told.

    Attributes:
        watchdog_s: `alive` must be called more often than this, in seconds; None when nobody waits for it.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Look up in `environment` whom to tell."""
        address = environment.get("NOTIFY_SOCKET", "")
        # An abstract address is written with "@" for its first byte. Others (vsock of a virtual machine) are not ours.
        self._address = "\0" + address[1:] if address.startswith("@") else address if address.startswith("/") else ""
        self.watchdog_s = _watchdog_s(environment) if self._address else None

    def ready(self, status: str = "") -> None:
        """Starting, or reloading, is done."""
        self._send("READY=1", f"STATUS={_in_one_line(status)}")

    def status(self, status: str) -> None:
        """What `systemctl status` shows."""
        self._send(f"STATUS={_in_one_line(status)}")

    def reloading(self) -> None:
        """The configuration is being read anew; `ready` must follow."""
        # With the time, systemd can tell this reload from one that it asks for a moment later (Type=notify-reload).
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The daemon ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The daemon is not stuck."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # Not worth waiting for: a lost WATCHDOG=1 is followed by the next.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sending,
        ):
            sending.sendto("\n".join(lines).encode(errors="replace"), self._address)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """The interval, where it is meant for this process and not for one that started it."""
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (usec.isdecimal() and int(usec)) or pid not in ("", str(os.getpid())):
        return None
    return int(usec) / 1_000_000


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
