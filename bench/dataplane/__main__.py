"""What a packet costs by each layout: `python -m bench.dataplane --help`.

Each layout stands in a router of its own, in network namespaces, is checked to balance really, and is then measured in
turn with the others. Nothing outside the namespaces is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from bench.dataplane import plot
from bench.dataplane.balance import check, check_diversions
from bench.dataplane.counters import instructions
from bench.dataplane.cpu_time import CpuClock, stay_on_one_cpu
from bench.dataplane.figures import Case, figures
from bench.dataplane.layouts import LAYOUTS, LIMIT
from bench.dataplane.report import Machine, Result, summary, to_json, to_markdown
from bench.dataplane.rig import Rig
from bench.dataplane.rounds import Bench
from bench.dataplane.serving import Hosts
from bench.dataplane.site import make_site
from evenflow.errors import LabError, SystemRefusedError
from evenflow.kernel.namespaces import enter_private
from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.dataplane.figures import Figure
    from bench.dataplane.layouts import Layout
    from bench.dataplane.site import Site

_UPLINKS, _RULES, _ROUNDS = (2, 8, 32, 128), (1, 100, 1000), 9
_QUICK_UPLINKS, _QUICK_RULES = (2, 32), (1, 100)

#: Of the draws of flows and orders. What the layouts draw themselves is drawn anew in each run.
_SEED = 1


def main() -> int:
    """Measure; 1 when a layout does not do what it is measured for."""
    asked = _arguments()
    enter_private()
    cpu = stay_on_one_cpu()
    with instructions() as counter:
        run = _Run(CpuClock(cpu, counter), asked.rounds, Random(_SEED))  # noqa: S311 - not for secrets
        for uplinks in asked.uplinks:
            for rules in asked.rules:
                run.measure(make_site(uplinks, rules), with_tcp=rules == asked.rules[0])
        machine = Machine(_processor(), os.cpu_count() or 1, platform.release(), counter is not None)
    sources = {layout.name: layout.source for layout in LAYOUTS if layout.name not in run.left_out}
    result = Result(machine, asked.rounds, LIMIT.name, sources, run.left_out, tuple(run.found))
    print(to_markdown(result), end="")
    if asked.out is not None:
        _write(result, asked.out)
    for failure in run.failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if run.failures else 0


class _Run:
    """What has been found so far.

    Attributes:
        found: the figures.
        left_out: layouts that can't be loaded here, and why.
        failures: layouts that were loaded and do something else than balance.
    """

    def __init__(self, clock: CpuClock, rounds: int, rng: Random) -> None:
        self._clock, self._rounds, self._rng = clock, rounds, rng
        self.found: list[Figure] = []
        self.failures: list[str] = []
        self.left_out: dict[str, str] = {}
        for layout in LAYOUTS:
            if missing := layout.missing():
                self._leave_out(layout, f"it needs {' and '.join(missing)}")

    def measure(self, site: Site, *, with_tcp: bool) -> None:
        """All layouts at one site, by both families; by TCP, too, if asked."""
        where = f"{len(site.uplinks)} uplinks, {len(site.diversions)} rules"
        _tell(f"{where}: building and checking")
        with contextlib.ExitStack() as stack:
            rigs = dict(self._build(site, stack))
            for family in BOTH_FAMILIES:
                some = {one.name: rigs[one] for one in rigs if family in one.families}
                bench = Bench(some, self._clock, self._rng, self._rounds)
                for what, measured in (("known", bench.known), ("answers", bench.answers), ("new", bench.new)):
                    self._note(where, figures(_case(site, family, what), measured(family), LIMIT.name))
            if with_tcp:
                self._measure_tcp(where, site, {one.name: rig for one, rig in rigs.items()}, stack)

    def _measure_tcp(self, where: str, site: Site, rigs: dict[str, Rig], stack: contextlib.ExitStack) -> None:
        hosts = {name: Hosts(rig, stack) for name, rig in rigs.items()}
        bench = Bench(rigs, self._clock, self._rng, self._rounds)
        for what, measured in (("connect", bench.connect), ("download", bench.download)):
            self._note(where, figures(_case(site, Family.IPV4, what), measured(hosts), LIMIT.name))

    def _build(self, site: Site, stack: contextlib.ExitStack) -> Iterator[tuple[Layout, Rig]]:
        for layout in LAYOUTS:
            if layout.name in self.left_out:
                continue
            rig = stack.enter_context(Rig(site))
            try:
                layout.install(rig.router, site)
            except SystemRefusedError as problem:
                self._leave_out(layout, str(problem).splitlines()[0])
                continue
            if self._holds(layout, rig):
                yield layout, rig

    def _holds(self, layout: Layout, rig: Rig) -> bool:
        """Whether it does what it is measured for. Without the limit there is nothing to compare with.

        Raises:
            LabError: the limit does not.
        """
        try:
            for family in layout.families:
                check(rig, family, self._rng)
                if layout.diverts:
                    check_diversions(rig, family, self._rng)
        except LabError as problem:
            if layout is LIMIT:
                raise
            site = rig.site
            self.failures.append(f"{layout.name}, {len(site.uplinks)} uplinks, {len(site.diversions)} rules: {problem}")
            _tell(self.failures[-1])
            return False
        return True

    def _leave_out(self, layout: Layout, reason: str) -> None:
        self.left_out[layout.name] = reason
        _tell(f"{layout.name} is not measured: {reason}")

    def _note(self, where: str, made: list[Figure]) -> None:
        case = made[0].case
        _tell(f"{where}: {case.family.name.replace('IPV', 'IPv')}, {case.what}")
        for line in summary(made):
            _tell(line)
        self.found += made


def _case(site: Site, family: Family, what: str) -> Case:
    return Case(len(site.uplinks), len(site.diversions), family, what)


def _write(result: Result, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataplane.md").write_text(to_markdown(result), encoding="utf-8")
    (folder / "dataplane.json").write_text(json.dumps(to_json(result), indent=1) + "\n", encoding="utf-8")
    plot.draw(result, folder / "dataplane.png")


def _processor() -> str:
    """As /proc/cpuinfo has it (proc(5)); not every architecture names a model."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


_BEGAN_S = time.monotonic()


def _tell(line: str) -> None:
    print(f"{time.monotonic() - _BEGAN_S:5.0f} s  {line}", file=sys.stderr, flush=True)


def _numbers(text: str) -> Sequence[int]:
    return tuple(int(part) for part in text.split(","))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.dataplane", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer uplinks and rules: two minutes")
    parser.add_argument("--uplinks", type=_numbers, metavar="N,…", help="numbers of uplinks")
    parser.add_argument("--rules", type=_numbers, metavar="N,…", help="numbers of rules before the balance")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="of each measurement (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write dataplane.md, .json and .png into this folder")
    asked = parser.parse_args()
    asked.uplinks = asked.uplinks or (_QUICK_UPLINKS if asked.quick else _UPLINKS)
    asked.rules = asked.rules or (_QUICK_RULES if asked.quick else _RULES)
    if asked.rounds < 2:
        parser.error("--rounds: a spread takes at least 2")
    return asked


if __name__ == "__main__":
    sys.exit(main())
