"""What it takes to simulate a Parquet file of flows, beside merely reading its columns; and one trace as a process.

Reading and simulating take turns, so that what else the machine does meets both alike; what is told is the median of
the ratios of a turn. The file has clients and servers by chance, sizes of a heavy tail (Pareto, as bytes of flows are:
Crovella and Bestavros, "Self-similarity in World Wide Web traffic", 1997), and a day of times.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

import evenflow
from evenflow.core.columns import engine
from evenflow.core.simulate import Simulated, Simulation
from evenflow.core.supposed import supposed_machine
from evenflow.kernel.ahead import read_ahead
from evenflow.kernel.files import open_flows, read_configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenflow.core.columns import EngineName

#: 100 million with EVENFLOW_BENCH_ROWS=100000000: some 2 GB of disk.
ROWS = int(os.environ.get("EVENFLOW_BENCH_ROWS", "20000000"))
TURNS = 5

#: What is to be reached: the time of reading alone, twice; memory; a process.
MOST_OF_READING = 2.0
MOST_MB = 1024
MOST_TRACE_S = 0.15

_POLICY = Path(evenflow.__file__).parent / "examples" / "seed.toml"
_TRACE = [
    "trace",
    str(_POLICY),
    "--in",
    "USER_01",
    "--src",
    "10.10.0.9",
    "--dst",
    "198.51.100.7",
    "--machine",
    "supposed",
]


def write_flows(file: Path, rows: int) -> None:
    """A file of flows, in parts so that it takes no more memory than one of them."""
    random = np.random.default_rng(1)
    part_rows = 1_000_000
    parts = []
    for number in range(-(-rows // part_rows)):
        count = min(part_rows, rows - number * part_rows)
        frame = pl.DataFrame(
            {
                "src": ((10 << 24) + random.integers(0, 60_000, count)).astype(np.uint32),
                "dst": random.integers(1 << 24, 223 << 24, count).astype(np.uint32),
                "proto": random.choice(np.array([6, 17], np.uint8), count),
                "sport": random.integers(1024, 65535, count).astype(np.uint16),
                "dport": random.choice(np.array([443, 80, 53], np.uint16), count),
                "bytes": (random.pareto(1.2, count) * 1000).astype(np.uint64),
                "time": 1.7e9 + 86_400 * (number * part_rows + np.arange(count)) / rows,
            }
        )
        parts.append(file.with_suffix(f".{number}"))
        frame.write_parquet(parts[-1])
    pl.scan_parquet(parts).sink_parquet(file)
    for part in parts:
        part.unlink()


def read(file: Path) -> None:
    """All columns, with the same reader."""
    for batch in pl.scan_parquet(file).collect_batches(chunk_size=1 << 18, maintain_order=True):
        len(batch)


def simulate(file: Path, name: EngineName) -> None:
    """The whole answer."""
    router = read_configuration(str(_POLICY), look_over=False).router
    assert router is not None
    simulation = Simulation(Simulated(router, supposed_machine(router).machine, 7), engine(name))
    for block in read_ahead(open_flows(str(file)).blocks()):
        simulation.add(block)
    assert simulation.load().flows == ROWS


def _seconds(what: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    what()
    return time.perf_counter() - began_s


def measure(tell: Callable[[str, float, float], bool]) -> bool:
    """Measure and tell; whether all was within its limit."""
    held = True
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "flows.parquet")
        write_flows(file, ROWS)
        engines: tuple[EngineName, ...] = ("numpy", "numba")
        for name in engines:
            simulate(file, name)  # compiled and warm
            ratios = []
            for _ in range(TURNS):
                alone_s = _seconds(partial(read, file))
                ratios.append(_seconds(partial(simulate, file, name)) / alone_s)
            middle = statistics.median(ratios)
            what = f"simulating {ROWS:,} flows, beside reading them, {name}"
            print(f"{what:<60} {middle:8.1f}      (limit {MOST_OF_READING:g}; {min(ratios):.1f} to {max(ratios):.1f})")
            held &= middle <= MOST_OF_READING
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  memory {memory_mb:60.0f} MB   (limit {MOST_MB} MB)")
    return held & (memory_mb <= MOST_MB) & tell("one trace as a process", _trace_s(), MOST_TRACE_S)


def _trace_s() -> float:
    command = [sys.executable, "-m", "evenflow.cli", *_TRACE]
    # As it is where it is installed: what has been compiled to bytecode is kept.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken = []
    for _ in range(9):
        began_s = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 - our own program, with fixed arguments
        taken.append(time.perf_counter() - began_s)
    return statistics.median(taken)
