"""What a packet costs beside the rivals, how even shares come out, and how long things take.

    python -m bench [--quick] [--out DIR]

`bench.dataplane` and `bench.balance` print tables, and can be run by themselves. The rest are single figures: medians
of several runs in one process. Machines differ, so that only ratios, and the limits in brackets, mean something
elsewhere.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench import balance, classify, control, daemon, idle, reload, simulate
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
    """Measure; 1 when a limit is exceeded, or a layout does not do what it is measured for."""
    asked = _arguments()
    # A process of its own: it stays on one processor, and counts what that does.
    options = [*(["--quick"] if asked.quick else []), *(["--out", asked.out] if asked.out else [])]
    command = [sys.executable, "-m", "bench.dataplane", *options]
    held = subprocess.run(command, check=False).returncode == 0  # noqa: S603 - our own program
    print(f"\n{balance.table(balance.qualities(2 if asked.quick else balance.SEEDS))}\n", flush=True)
    enter_private()
    if asked.quick:
        return 0 if held & control.measure(tell) & reload.measure() else 1
    return 0 if held & _single_figures() else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure: twelve minutes, all in namespaces.")
    parser.add_argument(
        "--quick", action="store_true", help="the tables, smaller, and the control plane: three minutes"
    )
    parser.add_argument("--out", metavar="DIR", help="write dataplane.md, .json and .png into this folder")
    return parser.parse_args()


def _single_figures() -> bool:
    text = long_script(LINES)
    held = tell(f"reading {LINES} lines of script", median_s(lambda: routeros.parse(text, "long.rsc")), 5.0)
    held &= control.measure(tell)
    held &= reload.measure()
    held &= idle.measure(tell)
    held &= daemon.measure(tell)
    held &= classify.measure()
    return held & simulate.measure(tell)


if __name__ == "__main__":
    sys.exit(main())
