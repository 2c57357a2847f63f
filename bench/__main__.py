"""How long things take: reading, applying, failing over, waiting, classifying, simulating.

Each figure is the median of several runs in one process; machines differ, so that only ratios between lines, and the
limits in brackets, mean something elsewhere.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING

from bench import classify, control, daemon, idle, simulate
from bench.scripts import long_script
from evenflow.formats import routeros
from evenflow.kernel.namespaces import enter_private

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5
LINES = 100_000


def median_s(what: Callable[[], object]) -> float:
    """The median time of several runs, in seconds."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        what()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def tell(what: str, seconds: float, limit_s: float) -> bool:
    """Print a figure next to its limit; whether it is within."""
    print(f"{what:<60} {seconds * 1000:8.1f} ms   (limit {limit_s * 1000:.0f} ms)")
    return seconds <= limit_s


def main() -> int:
    """Measure; 1 when a limit is exceeded."""
    enter_private()
    text = long_script(LINES)
    held = tell(f"reading {LINES} lines of script", median_s(lambda: routeros.parse(text, "long.rsc")), 5.0)
    held &= control.measure(tell)
    held &= idle.measure(tell)
    held &= daemon.measure(tell)
    held &= classify.measure()
    held &= simulate.measure(tell)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
