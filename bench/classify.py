"""How many flows a second one core classifies: IPv4, both addresses and both ports, of protocols with ports.

Next to the engines stands a loop in C over the same columns, compiled here by gcc, where there is one. It takes for
granted that every flow has ports; the engines look. Numba compiles for the processor at hand, so one of the two loops
in C is, too (-march=native). All take turns, so that what else the machine does meets all alike; what is told is the
median, with the quarters around it, and as a ratio to C.
"""

from __future__ import annotations

import ctypes
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.columns import engine
from evenflow.core.columns_numpy import NumpyEngine
from evenflow.model.flow import Family
from evenflow.model.flows import FlowBlock
from evenflow.model.matcher import Classifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from evenflow.core.columns import Engine

    Run = Callable[[], NDArray[np.uint32]]

ROWS = 1 << 22
TURNS = 61
MODULUS = 12
SEED = 0x5EED

#: What the engines are to reach: flows a second without Numba, and with it the part of C's.
NUMPY_FLOWS_A_SECOND = 100e6
NUMBA_PART_OF_C = 0.8

SOURCE = """
#include <stddef.h>
#include <stdint.h>

#define ROTATED(x, n) ((x) << (n) | (x) >> (32 - (n)))

void buckets(const uint32_t *restrict source, const uint32_t *restrict destination,
             const uint16_t *restrict source_port, const uint16_t *restrict destination_port,
             size_t rows, uint32_t modulus, uint32_t seed, uint32_t *restrict out)
{
    const uint32_t initial = 0xdeadbeef + 12 + seed;
    for (size_t row = 0; row < rows; row++) {
        uint32_t a = initial + __builtin_bswap32(source[row]);
        uint32_t b = initial + __builtin_bswap32(destination[row]);
        uint32_t c = initial + __builtin_bswap32((uint32_t)source_port[row] << 16 | destination_port[row]);
        c ^= b; c -= ROTATED(b, 14);
        a ^= c; a -= ROTATED(c, 11);
        b ^= a; b -= ROTATED(a, 25);
        c ^= b; c -= ROTATED(b, 16);
        a ^= c; a -= ROTATED(c, 4);
        b ^= a; b -= ROTATED(a, 14);
        c ^= b; c -= ROTATED(b, 24);
        out[row] = (uint32_t)((uint64_t)c * modulus >> 32);
    }
}
"""


def flows() -> FlowBlock:
    """TCP and UDP by chance."""
    random = np.random.default_rng(1)

    def words() -> NDArray[np.uint32]:
        return random.integers(0, 1 << 32, ROWS, np.uint32)

    def ports() -> NDArray[np.uint16]:
        return random.integers(0, 1 << 16, ROWS, np.uint16)

    protocol = random.choice(np.array([6, 17], np.uint8), ROWS)
    return FlowBlock(Family.IPV4, words(), words(), protocol, ports(), ports())


def loop_in_c(compiler: str, options: list[str], folder: Path, block: FlowBlock) -> Run:
    """The loop, compiled with these options."""
    library, text = folder / f"{'-'.join(['classify', *options])}.so", folder / "classify.c"
    text.write_text(SOURCE)
    command = [compiler, *options, "-shared", "-fPIC", "-o", str(library), str(text)]
    subprocess.run(command, check=True)  # noqa: S603 -- our own source and options
    compiled = ctypes.CDLL(str(library)).buckets
    columns = (block.source, block.destination, block.source_port, block.destination_port)
    pointers = [ctypes.c_void_p(column.ctypes.data) for column in columns]
    out = np.empty(len(block), np.uint32)

    def run() -> NDArray[np.uint32]:
        rest = (ctypes.c_size_t(len(block)), ctypes.c_uint32(MODULUS), ctypes.c_uint32(SEED))
        compiled(*pointers, *rest, ctypes.c_void_p(out.ctypes.data))
        return out

    return run


def loops_in_c(folder: Path, block: FlowBlock) -> dict[str, Run]:
    """Both loops in C; none where there is no compiler."""
    compiler = shutil.which("gcc")
    if compiler is None:
        print("classifying: there is no gcc here, so nothing to compare with")
        return {}
    return {
        f"C, gcc {' '.join(options)}": loop_in_c(compiler, options, folder, block)
        for options in (["-O3"], ["-O3", "-march=native"])
    }


def run_of(one: Engine, block: FlowBlock) -> Run:
    """That engine on the flows; it writes to the same column each time, as a program would that has many blocks."""
    out = np.empty(len(block), np.uint32)
    return lambda: one.buckets(block, Classifier.BOTH_ADDRESSES_AND_PORTS, MODULUS, SEED, out)


def rates(runs: dict[str, Run], rows: int) -> dict[str, list[float]]:
    """Rows a second of each run in each turn."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(TURNS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            found[name].append(rows / (time.perf_counter() - start))
    return found


def part(of_one: list[float], of_other: list[float]) -> float:
    """The median of the ratios within each turn: what slows down a whole turn is not in it."""
    return statistics.median(one / other for one, other in zip(of_one, of_other, strict=True))


def measure() -> bool:
    """Measure and tell; whether the engines reach what they are to reach (next to C only where there is a gcc)."""
    block = flows()
    engines = {"Numba": engine("numba"), "NumPy": engine("numpy"), "NumPy, all rows at once": NumpyEngine(len(block))}
    with tempfile.TemporaryDirectory() as folder:
        in_c = loops_in_c(Path(folder), block)
        runs = in_c | {name: run_of(one, block) for name, one in engines.items()}
        answers = [run() for run in runs.values()]  # a turn that does not count: Numba compiles in it
        assert all(np.array_equal(answer, answers[0]) for answer in answers)
        seen = rates(runs, len(block))
    for name, turns in seen.items():
        low, middle, high = statistics.quantiles(turns, n=4)
        beside = "".join(f"  {part(turns, seen[other]):5.2f} of {other}" for other in in_c if other != name)
        print(f"{f'classifying: {name}':<60} {middle / 1e6:8.0f} M/s  ({low / 1e6:.0f}–{high / 1e6:.0f}){beside}")
    print(f"{'  (limits: NumPy, Numba)':<60} {NUMPY_FLOWS_A_SECOND / 1e6:8.0f} M/s, {NUMBA_PART_OF_C} of C")
    beside_c = all(part(seen["Numba"], seen[name]) >= NUMBA_PART_OF_C for name in in_c)
    return beside_c and statistics.median(seen["NumPy"]) >= NUMPY_FLOWS_A_SECOND


if __name__ == "__main__":
    sys.exit(0 if measure() else 1)
