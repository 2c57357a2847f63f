"""What is known of a line, from its probes and its link: as one signal, and in words.

"In a row" is meant in the order in which results become known. That a probe is lost is known only after the timeout,
when a later one may have been answered: that answer ends a row of losses, as the loss ends a row of answers. So `fall`
losses in a row are also that long a time without any answer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from evenflow.core.health.table import Signal
from evenflow.core.health.window import Window

if TYPE_CHECKING:
    from evenflow.model.health import HealthSettings

#: Answers to probes of the same target sent less than this apart are one answer, come twice: intervals are whole
#: milliseconds, and half of the shortest is far more than rounding.
SAME_PROBE_S: Final = 0.0005


class _Target:
    """What is known of one target.

    `run` is how many of its last probes in a row were answered, or, below zero, lost; 0 is nothing known.
    """

    __slots__ = ("last_loss_s", "run", "sent_s")

    def __init__(self) -> None:
        self.run = 0
        self.sent_s = -math.inf  # when the newest probe that was answered had been sent
        self.last_loss_s = -math.inf


class Evidence:
    """All that is known of one line. Times must not run backwards.

    Attributes:
        targets: how many there are.
        quorum: how many must answer; never more than there are.
        problem: what ails the link, "" if nothing.
        lost: targets whose last `fall` probes were lost.
        failing: targets whose last probe was lost.
        answering: targets whose last probe was answered.
        risen: targets whose last `rise` probes were answered.
        good_since_s: since when nothing was wrong, from a moment on when enough answered; None if something is.
        answered_s: when the last answer came that left enough answering; at first, when all this began.
        window: loss and latency. A lost target's probes are not counted: the quorum tells what it means. A quorum of
            one of three would mean nothing if two dead targets were two thirds lost probes.
    """

    __slots__ = ("_all", "_counts_from_s", "_fall", "_patience_s", "_rise", "_settings", "_timeout_ms", "answered_s",
                 "answering", "failing", "good_since_s", "lost", "problem", "quorum", "risen", "targets",
                 "window")  # fmt: skip

    def __init__(self, settings: HealthSettings, targets: int, now_s: float) -> None:
        self._settings = settings
        self._timeout_ms = settings.timeout_ms
        self._fall = max(1, settings.fall)
        self._rise = max(1, settings.rise)
        self.expect_every(settings.interval_ms / 1000)
        self.targets = targets
        self.quorum = min(max(1, settings.quorum), targets)
        self.problem = ""
        self.window = Window(settings.window_s, settings.loss_percent, settings.latency_ms, now_s)
        self.forget(now_s)

    def expect_every(self, interval_s: float) -> None:
        """So often each target is asked.

        Losses of one target that come closer together than a quarter of that are one. They do when the program was
        stopped for a while and finds many probes overdue: that says nothing about the line.
        """
        self._patience_s = interval_s / 4

    def forget(self, now_s: float) -> None:
        """Begin anew: nothing is known of any target."""
        self._all = [_Target() for _ in range(self.targets)]
        self.lost = self.failing = self.answering = self.risen = 0
        self.good_since_s: float | None = None
        self.answered_s = now_s
        self._clear_window(now_s)

    def note_answer(self, target: int, rtt_ms: float, now_s: float) -> None:
        """An answer. One that is too late, or was there already, is none.

        Raises:
            IndexError: there is no such target.
        """
        one = self._all[target]
        if not rtt_ms <= self._timeout_ms:
            return
        sent_s = now_s - rtt_ms / 1000 if rtt_ms > 0 else now_s
        if sent_s <= one.sent_s + SAME_PROBE_S:
            return
        one.sent_s = sent_s
        run = one.run
        if run <= 0:
            self.answering += 1
            if run < 0:
                self.failing -= 1
                if run <= -self._fall:
                    self._comes_back(now_s)
            run = 0
        one.run = run = run + 1
        if run == self._rise:
            self.risen += 1
        if self.answering >= self.quorum:
            self.answered_s = now_s
        self.window.note_answer(rtt_ms, now_s)

    def note_loss(self, target: int, now_s: float) -> None:
        """A probe is lost.

        Raises:
            IndexError: there is no such target.
        """
        one = self._all[target]
        if now_s - one.last_loss_s < self._patience_s:
            return
        one.last_loss_s = now_s
        run = one.run
        if run >= self._rise:
            self.risen -= 1
        if run >= 0:
            self.failing += 1
            if run > 0:
                self.answering -= 1
            run = 0
        one.run = run = run - 1
        if run == -self._fall:
            self.lost += 1
        if run >= -self._fall and now_s > self._counts_from_s:
            self.window.note_loss(now_s)

    def note_link(self, problem: str, now_s: float) -> None:
        """The link has that problem, or none: ""."""
        if self.problem and not problem:
            self.forget(now_s)
        self.problem = problem

    def signal(self, now_s: float, hold_s: float) -> Signal:
        """What all this means, for a line that is held for `hold_s`."""
        signal = self._bad()
        if signal is not None:
            self.good_since_s = None
            return signal
        if self.targets - self.failing < self.quorum:
            return Signal.DOUBTED
        if self.answering < self.quorum:
            return Signal.QUIET
        since_s = self.good_since_s
        if since_s is None:
            self.good_since_s = since_s = now_s
        if self.risen < self.quorum:
            return Signal.ANSWERING
        return Signal.PROVED if now_s - since_s >= hold_s else Signal.RISEN

    def _comes_back(self, now_s: float) -> None:
        self.lost -= 1
        if self.targets - self.lost == self.quorum:
            self._clear_window(now_s)

    def _clear_window(self, now_s: float) -> None:
        """What was lost up to now says nothing of the line from now on; nor do probes that are on their way."""
        self.window.clear(now_s)
        self._counts_from_s = now_s + self._timeout_ms / 1000

    def _bad(self) -> Signal | None:
        if self.problem:
            return Signal.BROKEN
        if self.targets - self.lost < self.quorum:
            return Signal.SILENT
        if self.window.past_loss or self.window.past_latency:
            return Signal.PAST_LIMIT
        return None

    def reason(self, signal: Signal, now_s: float) -> str:
        """The signal in words, with figures."""
        of = f"of {self.targets} {'target' if self.targets == 1 else 'targets'}"
        good_s = now_s - self.good_since_s if self.good_since_s is not None else 0.0
        match signal:
            case Signal.BROKEN:
                return self.problem
            case Signal.SILENT:
                return f"{self.lost} {of} lost for {seconds(now_s - self.answered_s)}"
            case Signal.PAST_LIMIT:
                return self._limit_in_words(now_s)
            case Signal.DOUBTED:
                return f"{self.failing} {of} did not answer"
            case Signal.QUIET:
                return "nothing is known yet"
            case _ if not self.targets:
                return f"the link has been fine for {seconds(good_s)}" if good_s else "the link is fine"
            case Signal.ANSWERING:
                return f"{self.answering} {of} answered"
            case Signal.PROVED if good_s:
                return f"answered for {seconds(good_s)}"
            case Signal.RISEN | Signal.PROVED:
                return f"answered {self._rise} probes in a row" if self._rise > 1 else "answered"

    def _limit_in_words(self, now_s: float) -> str:
        over = f"over {seconds(self.window.covers_s(now_s))}"
        if self.window.past_loss:
            lost = math.ceil(self.window.loss_percent() or 0.0)
            return f"{lost} % of probes lost {over} (limit {self._settings.loss_percent} %)"
        return f"median {self.window.median_ms() or 0.0:.0f} ms {over} (limit {self._settings.latency_ms} ms)"


def seconds(number: float) -> str:
    """As in "0.8 s" and "10 s"."""
    return f"{number:.1f}".removesuffix(".0") + " s"
