"""Loss and round trips of the last seconds, in counters for slices of time.

A result costs the same however long the window is, and memory has a bound whatever the interval: `SLICES` slices of
two counters and at most `MOST_RTTS` round trips each.
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: The window moves on by a twentieth of itself: fine enough that nobody sees the step.
SLICES: Final = 20

#: Round trips kept of a slice: with 20 slices the median is of up to 1280, more than it needs.
MOST_RTTS: Final = 64

#: Fewer results say nothing of a share: of ten, it takes five lost ones to pass 40 %, at 1 % loss once in forty
#: million times.
LEAST_RESULTS: Final = 10


class _Slice:
    """What came in one slice of time."""

    __slots__ = ("answered", "lost", "number", "rtts")

    def __init__(self, number: int) -> None:
        self.number = number
        self.answered = 0
        self.lost = 0
        self.rtts: list[float] = []


class Window:
    """The last `window_s` seconds, to a twentieth. Times must not run backwards.

    Attributes:
        answered, lost: how many there were.
        past_loss: more than `loss_percent` were lost.
        past_latency: the median is more than `latency_ms`; looked at when a slice ends.

    Neither limit is judged before half the window has passed since it was cleared, or on less than `LEAST_RESULTS`.
    """

    __slots__ = ("_began_s", "_latency_ms", "_loss_percent", "_slice_s", "_slices", "_window_s", "answered", "lost",
                 "past_latency", "past_loss")  # fmt: skip

    def __init__(self, window_s: float, loss_percent: int | None, latency_ms: int | None, now_s: float) -> None:
        self._window_s = max(window_s, 0.001)
        self._slice_s = self._window_s / SLICES
        self._loss_percent = loss_percent
        self._latency_ms = latency_ms
        self.clear(now_s)

    def clear(self, now_s: float) -> None:
        """Forget everything."""
        self._began_s = now_s
        self._slices = deque([_Slice(int(now_s / self._slice_s))])
        self.answered = self.lost = 0
        self.past_loss = self.past_latency = False

    def note_answer(self, rtt_ms: float, now_s: float) -> None:
        """An answer came."""
        if int(now_s / self._slice_s) > self._slices[-1].number:
            self.advance(now_s)
        current = self._slices[-1]
        current.answered += 1
        if len(current.rtts) < MOST_RTTS:
            current.rtts.append(rtt_ms)
        self.answered += 1
        if self.lost:
            self._judge_loss(now_s)

    def note_loss(self, now_s: float) -> None:
        """A probe was lost."""
        self.advance(now_s)
        self._slices[-1].lost += 1
        self.lost += 1
        self._judge_loss(now_s)

    def advance(self, now_s: float) -> None:
        """Let go of what is too old."""
        number = int(now_s / self._slice_s)
        if number <= self._slices[-1].number:
            return
        self._slices.append(_Slice(number))
        while self._slices[0].number <= number - SLICES:
            old = self._slices.popleft()
            self.answered -= old.answered
            self.lost -= old.lost
        self._judge_loss(now_s)
        if self._latency_ms is not None:
            median = self.median_ms() if self._may_judge(now_s, self.answered) else None
            self.past_latency = median is not None and median > self._latency_ms

    def covers_s(self, now_s: float) -> float:
        """How far back it looks now."""
        return min(self._window_s, now_s - self._began_s)

    def loss_percent(self) -> float | None:
        """Lost probes in a hundred, None of none."""
        total = self.answered + self.lost
        return 100.0 * self.lost / total if total else None

    def median_ms(self) -> float | None:
        """The median round trip, None of none. Costs a sort of what is kept."""
        rtts = sorted(rtt for part in self._slices for rtt in part.rtts)
        if not rtts:
            return None
        middle = len(rtts) // 2
        return rtts[middle] if len(rtts) % 2 else (rtts[middle - 1] + rtts[middle]) / 2

    def _judge_loss(self, now_s: float) -> None:
        if self._loss_percent is None:
            return
        total = self.answered + self.lost
        self.past_loss = self.lost * 100 > self._loss_percent * total and self._may_judge(now_s, total)

    def _may_judge(self, now_s: float, results: int) -> bool:
        return results >= LEAST_RESULTS and now_s - self._began_s >= self._window_s / 2
