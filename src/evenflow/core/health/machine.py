"""The state machine of one watch: evidence comes in, the table says what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evenflow.core.health.bounds import time_to_notice_s
from evenflow.core.health.evidence import Evidence
from evenflow.core.health.table import NEXT, USABLE, Signal, shown
from evenflow.model.health import HealthState

if TYPE_CHECKING:
    from evenflow.model.health import HealthSettings

#: A loss so soon after a return is flapping, and the line is held longer each time.
FLAPPING_S: Final = 600.0

#: A tick may be a little late, never too early: times of some weeks in seconds are rounded to less than this.
_ROUNDING_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Transition:
    """A line's state as people see it has changed.

    Attributes:
        before, after: never the same.
        reason: in words, as in "3 of 3 targets lost for 0.8 s".
        at_s: as the caller's clock had it.
    """

    before: HealthState
    after: HealthState
    reason: str
    at_s: float

    @property
    def lost(self) -> bool:
        """Whether the line may not be used from now on."""
        return self.before not in _NOT_USED and self.after in _NOT_USED

    @property
    def returned(self) -> bool:
        """Whether the line may be used from now on; a line with no hold goes from DOWN straight to UP."""
        return self.before in _NOT_USED and self.after not in _NOT_USED


_NOT_USED: Final = frozenset({HealthState.DOWN, HealthState.RISING})


class HealthMachine:
    """Whether one line can be used, from what its probes and its link tell.

    It has no clock: `now_s` is any clock of seconds, best one that neither jumps nor stops. Should it jump: backwards,
    time stands still; forwards, only as much counts as it takes to notice silence, because more than that with no
    result at all is no proof that the line was good. Results must be given when they are due, not collected: of the
    losses of one target that come closer together than a quarter of an interval, one counts.

    Attributes:
        drained: somebody said so.
        since_s: when the state as shown was entered.
    """

    __slots__ = ("_evidence", "_hold_s", "_line", "_most_back_s", "_most_step_s", "_now_s", "_returned_s", "_settings",
                 "_signal", "_skipped_s", "drained", "since_s")  # fmt: skip

    def __init__(
        self,
        settings: HealthSettings,
        targets: int,
        *,
        now_s: float,
        was_down: bool = False,
        drained: bool = False,
    ) -> None:
        """Begin.

        Args:
            settings: when the line counts as lost, and as back.
            targets: how many are asked; with none, the link alone decides.
            now_s: the time.
            was_down: the line is not to be used until it is proved good: so it stood before a restart.
            drained: it was drained before a restart.
        """
        self._settings = settings
        self._line = HealthState.DOWN if was_down else HealthState.UNKNOWN
        self._evidence = Evidence(settings, targets, now_s)
        self._signal = Signal.QUIET
        self._hold_s = settings.hold_s
        self._returned_s: float | None = None
        self._now_s = now_s
        self._skipped_s = 0.0
        # With no target there is no silence to notice, and the kernel tells of every change of the link.
        self._most_step_s = time_to_notice_s(settings, targets)
        self._most_back_s = min(self._most_step_s, 1.0)
        self.drained = drained
        self.since_s = now_s

    @property
    def state(self) -> HealthState:
        """As people see it: DRAINED if the line works and is drained."""
        return shown(self._line, drained=self.drained)

    @property
    def usable(self) -> bool:
        """Whether the line works and may carry traffic, drained or not."""
        return self._line in USABLE

    @property
    def targets_lost(self) -> int:
        """How many targets are lost at present."""
        return self._evidence.lost

    @property
    def hold_s(self) -> float:
        """How long the line must be good before it is used again, as things are."""
        return self._hold_s

    def hurry(self, interval_s: float | None) -> None:
        """Probes come at this interval for now; None: as set again."""
        self._evidence.expect_every(interval_s if interval_s is not None else self._settings.interval_ms / 1000)

    def answered(self, target: int, rtt_ms: float, now_s: float) -> Transition | None:
        """A target answered after `rtt_ms`."""
        line_s = self._advance(now_s)
        self._evidence.note_answer(target, rtt_ms, line_s)
        return self._step(line_s, now_s)

    def lost(self, target: int, now_s: float) -> Transition | None:
        """A probe went unanswered for the timeout, or could not be sent."""
        line_s = self._advance(now_s)
        self._evidence.note_loss(target, line_s)
        return self._step(line_s, now_s)

    def link(self, *, problem: str, now_s: float) -> Transition | None:
        """The link can't be used, and why; "" means that it is fine.

        When a problem goes away, all that was known of the targets is forgotten.
        """
        line_s = self._advance(now_s)
        self._evidence.note_link(problem, line_s)
        return self._step(line_s, now_s)

    def tick(self, now_s: float) -> Transition | None:
        """Time has passed: the hold may be over. Cheap, and harmless at any time."""
        return self._step(self._advance(now_s), now_s)

    def drain(self, now_s: float) -> Transition | None:
        """Somebody wants no new connections there. None where nothing changes that is shown (a line that is DOWN)."""
        before, self.drained = self.state, True
        return self._shown(before, "drained by hand", now_s)

    def undrain(self, now_s: float) -> Transition | None:
        """Somebody wants new connections there again."""
        before, self.drained = self.state, False
        return self._shown(before, "undrained by hand", now_s)

    def next_tick_s(self) -> float | None:
        """When `tick` can next matter: the hold is over. None: only an event can change anything.

        It holds until the next event.
        """
        since_s = self._evidence.good_since_s
        if self._line in USABLE or since_s is None or self._signal is Signal.PROVED:
            return None
        over_s = since_s + self._hold_s + self._skipped_s + _ROUNDING_S
        return over_s if over_s > self._now_s else None

    def loss_percent(self, now_s: float) -> float | None:
        """Lost probes in a hundred over the window, those of targets that are lost not counted; None: no result.

        100 where every target is lost.
        """
        if self._evidence.targets and self._evidence.lost == self._evidence.targets:
            return 100.0
        self._evidence.window.advance(self._advance(now_s))
        return self._evidence.window.loss_percent()

    def rtt_ms(self, now_s: float) -> float | None:
        """The median round trip over the window, milliseconds; None: no answer. Costs a sort of what is kept."""
        self._evidence.window.advance(self._advance(now_s))
        return self._evidence.window.median_ms()

    def _advance(self, now_s: float) -> float:
        """The line's own time: the caller's without its jumps."""
        step_s = now_s - self._now_s
        if step_s < 0.0:
            if step_s > -self._most_back_s:
                return self._now_s - self._skipped_s  # events of the same moment in another order
            self._skipped_s += step_s
        elif step_s > self._most_step_s:
            self._skipped_s += step_s - self._most_step_s
        self._now_s = now_s
        return now_s - self._skipped_s

    def _step(self, line_s: float, now_s: float) -> Transition | None:
        """Where the evidence leads."""
        signal = self._evidence.signal(line_s, self._hold_s)
        if signal is self._signal:
            return None  # the same signal again leads nowhere else
        self._signal = signal
        before_line, before = self._line, self.state
        self._line = NEXT[before_line, signal]
        if self._line is before_line:
            return None
        reason = self._evidence.reason(signal, line_s)
        if before_line in USABLE and self._line not in USABLE:
            self._hold_s = self._hold_after_loss(now_s)
        elif before_line not in USABLE and self._line in USABLE:
            self._returned_s = now_s
        return self._shown(before, reason, now_s)

    def _hold_after_loss(self, now_s: float) -> float:
        """Twice as long as before if the line flaps."""
        if self._returned_s is None or now_s - self._returned_s >= FLAPPING_S:
            return self._settings.hold_s
        return min(self._hold_s * 2, max(self._settings.hold_s, self._settings.hold_most_s))

    def _shown(self, before: HealthState, reason: str, now_s: float) -> Transition | None:
        after = self.state
        if after is before:
            return None
        self.since_s = now_s
        return Transition(before, after, reason, now_s)
