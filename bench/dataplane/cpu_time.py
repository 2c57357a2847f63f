"""What a CPU spends on the packets that this thread sends: time, and instructions where the machine counts them.

Most of it is time of this thread. When the scheduler wants the CPU back the kernel leaves what is received to a thread
of its own, ksoftirqd (Linux, kernel/softirq.c): its time counts, too, where it can be seen.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.dataplane.counters import Counter


def stay_on_one_cpu() -> int:
    """Keep this process on the last CPU that it may use, since the first has the most interrupts; its number."""
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    return cpu


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a CPU, and instructions; None where the machine does not count them."""

    seconds: float
    instructions: float | None = None

    def since(self, before: Spent) -> Spent:
        """What has been spent in between."""
        seconds = self.seconds - before.seconds
        if self.instructions is None or before.instructions is None:
            return Spent(seconds)
        return Spent(seconds, self.instructions - before.instructions)

    def divided(self, parts: int) -> Spent:
        """What each of so many has taken."""
        instructions = None if self.instructions is None else self.instructions / parts
        return Spent(self.seconds / parts, instructions)


class CpuClock:
    """What this thread has spent, with the time of the kernel's for softirqs on that CPU, if one is given."""

    def __init__(self, cpu: int | None = None, counter: Counter | None = None) -> None:
        self._softirqs = None if cpu is None else _softirq_thread(cpu)
        self._counter = counter

    def now(self) -> Spent:
        """Since whenever: differences count."""
        seconds = time.thread_time() + self._softirqs_s()
        return Spent(seconds, self._counter.read() if self._counter else None)

    def _softirqs_s(self) -> float:
        # The first number of schedstat is time on the CPU, in nanoseconds (Linux, Documentation/scheduler/sched-stats).
        return int(self._softirqs.read_text(encoding="ascii").split()[0]) / 1e9 if self._softirqs else 0.0


def _softirq_thread(cpu: int) -> Path | None:
    """Where its times stand; None in a container, which does not show it."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text(encoding="utf-8").strip() == f"ksoftirqd/{cpu}":
                found = process / "schedstat"
                return found if found.exists() else None
    return None
