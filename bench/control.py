"""The control plane: applying much, moving the buckets of a dead uplink, deleting its connections.

The machine may do other things, too: each time is the median of several.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from bench.scripts import build_links, script
from evenflow.core.failover import Standing
from evenflow.core.lower import lower
from evenflow.daemon.balancer import Balancer
from evenflow.formats import routeros
from evenflow.kernel.conntrack import Conntrack
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.reconcile import carry_out, look_ahead, look_at_down
from evenflow.lab.entries import EntryMaker
from evenflow.model.dataplane import NftTransaction
from evenflow.model.policy import Balance, Policy, Uplink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenflow.model.dataplane import Operation

    Tell = Callable[[str, float, float], bool]

RUNS = 5
_FLUSHED = 100_000

#: Uplinks and mangle rules; seconds for all of it, verified.
_SIZES = ((32, 500, 0.5), (128, 5000, 5.0))

#: Buckets; seconds for the transaction that gives those of one of eight uplinks to the others.
_BUCKETS = ((4096, 0.020), (65_536, 0.2))
_POOL = 8


def measure(tell: Tell) -> bool:
    """Measure and tell; whether all was within its limits."""
    held = [_applying(tell, *size) for size in _SIZES]
    held += [_failing_over(tell, *size) for size in _BUCKETS]
    return all([*held, _flushing(tell)])


def _applying(tell: Tell, uplinks: int, rules: int, limit_s: float) -> bool:
    router = routeros.parse(script(uplinks, rules), "large.rsc").router
    with _machine(uplinks) as kernel:
        machine = kernel.read_machine()

        def apply() -> None:
            carry_out(kernel, look_ahead(kernel, router, machine, seed=1))

        first, again = [], []
        for _ in range(RUNS):
            first.append(_seconds(apply))
            again.append(_seconds(apply))
            carry_out(kernel, look_at_down(kernel))
    held = tell(f"applying {uplinks} uplinks and {rules} rules, verified", statistics.median(first), limit_s)
    return held & tell("  the same once more, with nothing to do", statistics.median(again), limit_s)


@dataclass
class _Timed:
    """A kernel that notes how long each nft transaction takes."""

    kernel: LinuxKernel
    seconds: float = 0.0

    def execute(self, operation: Operation) -> None:
        """See `Kernel.execute`."""
        took_s = _seconds(lambda: self.kernel.execute(operation))
        if isinstance(operation, NftTransaction):
            self.seconds += took_s

    def __getattr__(self, name: str) -> object:
        return getattr(self.kernel, name)


def _failing_over(tell: Tell, buckets: int, limit_s: float) -> bool:
    uplinks = tuple(Uplink(f"isp{n}", f"wan{n}", (ip_address(f"100.64.{n}.1"),)) for n in range(_POOL))
    policy = Policy(("lan0",), uplinks, Balance(buckets=buckets))
    transactions, passes = [], []
    with _machine(_POOL) as kernel, Conntrack() as conntrack:
        timed = _Timed(kernel)
        balancer = Balancer(timed, conntrack, lower(policy), seed=1)  # type: ignore[arg-type]  # all of it, by __getattr__
        balancer.bring_up()
        for turn in range(2 * RUNS):
            balancer.standing = Standing(down=frozenset({"isp3"}) if turn % 2 == 0 else frozenset())
            timed.seconds = 0.0
            passes.append(_seconds(lambda: _pass(balancer)))
            transactions.append(timed.seconds)
    held = tell(
        f"an uplink of {_POOL} dies or returns, {buckets} buckets: new owners", statistics.median(transactions), limit_s
    )
    tell("  the whole pass, read and verified", statistics.median(passes), 5 * limit_s)
    return held


def _pass(balancer: Balancer) -> None:
    done = balancer.reconcile()
    assert done.in_sync
    assert done.operations


def _flushing(tell: Tell) -> bool:
    """As many entries as the system allows a namespace to have, up to a million."""
    room = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text(encoding="ascii"))
    others = min(1_000_000, room * 9 // 10) - _FLUSHED
    with NetworkNamespace.create() as namespace, namespace.entered(), Conntrack() as conntrack, EntryMaker() as maker:
        maker.add_many(others, "10.0.0.0", 0x10002)
        taken = []
        for _ in range(3):
            maker.add_many(_FLUSHED, "11.0.0.0", 0x10001)

            def flush() -> None:
                conntrack.delete_marked(1, 0xFFFF)
                assert next(conntrack.entries(1, 0xFFFF), None) is None

            taken.append(_seconds(flush))
            assert conntrack.count() == others
    return tell(f"deleting {_FLUSHED:,} of {others + _FLUSHED:,} connections, read back", statistics.median(taken), 1.0)


@contextlib.contextmanager
def _machine(uplinks: int) -> Iterator[LinuxKernel]:
    with NetworkNamespace.create() as namespace:
        build_links(namespace, uplinks)
        with namespace.entered(), LinuxKernel() as kernel:
            yield kernel


def _seconds(what: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    what()
    return time.perf_counter() - began_s
