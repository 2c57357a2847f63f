"""Probe all targets of one watch, side by side."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from evenflow.errors import SystemRefusedError
from evenflow.kernel.probes.ledger import Ledger
from evenflow.kernel.probes.probers import prepare
from evenflow.kernel.probes.rounds import Rounds
from evenflow.kernel.probes.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evenflow.model.flow import Address, Family
    from evenflow.model.health import ProbeTarget


class ProbeRunner:
    """Probes all targets of one watch every interval, in the running asyncio loop.

    Every probe is told exactly once: answered, or lost when its time is over, or at once when it could not be sent or
    the target refused it; but for those that `disregard` is called about. Messages that are no answer to a probe are
    ignored and counted. An interface that is not there, has no address, or is made anew under its name is no error:
    probes are lost until it is there again.

    With intervals up to half a second, answers to ICMP and neighbour probes are told when the next round begins or
    when a probe's time is over. That saves most of the cost; the round trip is by the kernel's own stamps all the same.

    Attributes:
        gateways: what a target without an address means, by family; IPv4 first. May be set at any time.
        ignored: how many messages were ignored, by what was wrong with them. (Echo replies with another identifier
            than ours are dropped in the kernel, uncounted.)
    """

    def __init__(
        self,
        *,
        interface: str | None,
        mark: int,
        targets: Sequence[ProbeTarget],
        interval_ms: int,
        timeout_ms: int,
        on_answer: Callable[[int, float, float], None],
        on_lost: Callable[[int, str, float], None],
    ) -> None:
        """Nothing is opened yet; what the methods need is imported (DNS: some 50 ms, the first time).

        Args:
            interface: probes leave by it and answers must come in by it; None: as the router's own packets go.
            mark: the packet mark of probes; 0 is none.
            targets: whom to ask, and how.
            interval_ms: between two probes of one target.
            timeout_ms: an answer that comes later is none. May be longer than the interval.
            on_answer: is told the target's index, the round trip in ms, and the loop's time in s.
            on_lost: is told the target's index, why, in words, and the loop's time in s.
        """
        self.gateways: Mapping[Family, Address] = {}
        self.ignored: Counter[str] = Counter()
        self._interface = interface
        self._mark = mark
        self._targets = tuple(targets)
        self._interval_s = interval_ms / 1000
        self._timeout_s = timeout_ms / 1000
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._rounds: Rounds | None = None
        prepare(target.method for target in self._targets)

    def start(self) -> None:
        """Begin. The sockets are of the network namespace that the thread is in now. Once started, it does nothing.

        Raises:
            NotPermittedError: CAP_NET_RAW is missing.
            SystemRefusedError: no socket can be made at all.
        """
        if self._rounds is not None or not self._targets:
            return
        loop = asyncio.get_running_loop()
        try:
            way = Way(self._interface, self._mark)
        except OSError as problem:
            raise SystemRefusedError(f"could not open a socket for probes: {problem}") from problem
        ledger = Ledger(on_answer=self._on_answer, on_lost=self._on_lost, clock=loop.time, ignored=self.ignored)
        rounds = Rounds(
            loop,
            way,
            ledger,
            self._targets,
            lambda: self.gateways,
            interval_s=self._interval_s,
            timeout_s=self._timeout_s,
        )
        try:
            rounds.start()
        except BaseException:
            rounds.stop()
            raise
        self._rounds = rounds

    def stop(self) -> None:
        """Close and cancel all; nothing more is told. May be called at any time, and again."""
        if self._rounds is not None:
            self._rounds.stop()
            self._rounds = None

    def probe_now(self) -> None:
        """Probe all targets now, not at the end of the interval; no more than 50 times a second."""
        if self._rounds is not None:
            self._rounds.hurry()

    def disregard(self) -> None:
        """Whatever comes of the probes that are out now is not told: the way that they took was not the right one."""
        if self._rounds is not None:
            self._rounds.disregard()
