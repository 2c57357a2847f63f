"""A line with a clock, step by step: what the tests of health share."""

from __future__ import annotations

from evenflow.core.health import HealthMachine, Transition
from evenflow.model.health import HealthSettings, HealthState

UNKNOWN, RISING, UP, FALLING, DOWN, DRAINED = (
    HealthState.UNKNOWN,
    HealthState.RISING,
    HealthState.UP,
    HealthState.FALLING,
    HealthState.DOWN,
    HealthState.DRAINED,
)

DEFAULTS = HealthSettings()
#: One target, no limits: what happens is then easy to count.
PLAIN = HealthSettings(loss_percent=None)


class Line:
    """A machine with a clock, whose targets are all asked at the same moments."""

    def __init__(self, settings: HealthSettings = DEFAULTS, targets: int = 3, *, was_down: bool = False) -> None:
        self.settings = settings
        self.targets = targets
        self.now_s = 1000.0
        self.machine = HealthMachine(settings, targets, now_s=self.now_s, was_down=was_down)
        self.told: list[Transition] = []

    def note(self, transition: Transition | None) -> None:
        if transition is not None:
            self.told.append(transition)

    def round(self, answers: str, rtt_ms: float = 10.0) -> None:
        """One interval; for each target "a" (answered), "-" (lost) or " " (nothing)."""
        self.now_s += self.settings.interval_ms / 1000
        for target, answer in enumerate(answers):
            if answer == "a":
                self.note(self.machine.answered(target, rtt_ms, self.now_s))
            elif answer == "-":
                self.note(self.machine.lost(target, self.now_s))
        due = self.machine.next_tick_s()
        if due is not None and due <= self.now_s:
            self.note(self.machine.tick(self.now_s))

    def rounds(self, seconds: float, answers: str, rtt_ms: float = 10.0) -> None:
        for _ in range(round(seconds * 1000 / self.settings.interval_ms)):
            self.round(answers, rtt_ms)

    def rounds_while(self, state: HealthState, answers: tuple[str, ...], rtt_ms: float = 10.0) -> None:
        """Until that state is left, which must happen within two minutes."""
        end_s = self.now_s + 120
        while self.machine.state is state:
            assert self.now_s < end_s
            for each in answers:
                self.round(each, rtt_ms)

    def link(self, problem: str) -> None:
        self.note(self.machine.link(problem=problem, now_s=self.now_s))

    @property
    def way(self) -> list[HealthState]:
        return [transition.after for transition in self.told]

    @property
    def reasons(self) -> list[str]:
        return [transition.reason for transition in self.told]


def down(settings: HealthSettings = DEFAULTS, targets: int = 3) -> Line:
    line = Line(settings, targets)
    line.round("a" * targets)
    line.rounds(settings.fall * settings.interval_ms / 1000, "-" * targets)
    assert line.machine.state is DOWN
    line.told.clear()
    return line
