"""The book of the probes that are out: each is told once, as answered or as lost."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from evenflow.kernel.probes.probe import Probe


class Ledger:
    """Probes that are out, in the order of their deadlines, and whom to tell.

    Attributes:
        now_s: the clock.
        ignored: how many messages came that were no answer to a probe, by what was wrong with them.
    """

    def __init__(
        self,
        *,
        on_answer: Callable[[int, float, float], None],
        on_lost: Callable[[int, str, float], None],
        clock: Callable[[], float],
        ignored: Counter[str],
    ) -> None:
        """`clock` is the loop's."""
        self._on_answer = on_answer
        self._on_lost = on_lost
        self.now_s = clock
        self.ignored = ignored
        self._out: deque[Probe] = deque()

    def __len__(self) -> int:
        """How many are out, and how many are told but not yet forgotten."""
        return len(self._out)

    def add(self, probe: Probe) -> None:
        """A probe goes out. Its deadline is not before that of any other."""
        self._out.append(probe)

    def answered(self, probe: Probe, arrived_s: float | None) -> None:
        """A right answer arrived at `arrived_s` on the loop's clock: the first one in time counts.

        Where the time is not known, or can't be (before the probe was sent), it is now; and since the probe is not
        given up yet, in time: the loop may have been busy since.
        """
        if arrived_s is None or arrived_s < probe.sent_s:
            arrived_s = min(self.now_s(), probe.deadline_s)
        if probe.done:
            self.ignored["duplicate"] += 1
        elif arrived_s > probe.deadline_s:
            self.ignored["late"] += 1
        else:
            probe.done = True
            self._on_answer(probe.index, (arrived_s - probe.sent_s) * 1000, self.now_s())

    def lost(self, probe: Probe, reason: str) -> None:
        """It is sure that no answer will come."""
        if not probe.done:
            probe.done = True
            self._on_lost(probe.index, reason, self.now_s())

    def not_sent(self, index: int, reason: str) -> None:
        """There was no way to send a probe to a target."""
        self._on_lost(index, reason, self.now_s())

    def ignore(self, what: str) -> None:
        """A message came that is no answer."""
        self.ignored[what] += 1

    def next_deadline_s(self) -> float | None:
        """When the first that is still out will be lost; None when nothing is out."""
        while self._out and self._out[0].done:
            _forget(self._out.popleft())
        return self._out[0].deadline_s if self._out else None

    def expire(self) -> None:
        """Those whose time is over are lost."""
        now_s = self.now_s()
        while (deadline_s := self.next_deadline_s()) is not None and deadline_s <= now_s:
            probe = self._out.popleft()
            _forget(probe)
            self.lost(probe, probe.remark)

    def clear(self) -> None:
        """Nobody is told of those that are out, whatever comes of them."""
        while self._out:
            probe = self._out.popleft()
            probe.done = True
            _forget(probe)


def _forget(probe: Probe) -> None:
    if probe.prober is not None:
        probe.prober.forget(probe)
