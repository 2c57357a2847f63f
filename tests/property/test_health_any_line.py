"""The health of any line: no sequence of results, links and clocks leads astray, and bounds hold on the schedule."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.core.health import NEXT, USABLE, HealthMachine, Signal, Transition, time_to_notice_s, time_to_return_s
from evenflow.core.health.table import shown
from evenflow.core.health.window import LEAST_RESULTS, SLICES, Window
from evenflow.model.health import FAST, HealthSettings, HealthState
from property.health_simulation import DEFAULTS, Simulation, good, lossy, silent, simulation

if TYPE_CHECKING:
    from evenflow.core.health.evidence import Evidence

DOWN, RISING, UP, FALLING = HealthState.DOWN, HealthState.RISING, HealthState.UP, HealthState.FALLING


@st.composite
def any_settings(draw: st.DrawFn) -> HealthSettings:
    interval_ms = draw(st.integers(5, 3000))
    return HealthSettings(
        interval_ms=interval_ms,
        timeout_ms=draw(st.integers(1, 3 * interval_ms)),
        fall=draw(st.integers(1, 6)),
        rise=draw(st.integers(1, 8)),
        quorum=draw(st.integers(1, 5)),
        loss_percent=draw(st.none() | st.integers(1, 99)),
        latency_ms=draw(st.none() | st.integers(1, 500)),
        window_s=draw(st.floats(0.1, 60.0)),
        hold_s=draw(st.sampled_from([0.0, 0.3, 2.0, 10.0])),
        hold_most_s=draw(st.sampled_from([1.0, 30.0])),
    )


# --- any sequence of events ------------------------------------------------------------------------------------

#: Steps of the clock: those of a schedule, none, slightly back, and jumps.
steps_s = st.sampled_from([0.0, 0.01, 0.07, 0.2, 0.2, 0.2, 1.0, -0.01, -0.4, 30.0, 900.0, 1e7, -900.0, -1e7])
events = st.tuples(
    st.sampled_from([*("answered", "lost") * 2, "answered all", "lost all",
            "link", "tick", "drain", "undrain", "read"]),
    st.integers(0, 4),
    st.floats(-10, 400) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 10.0, 10.0]),
    st.sampled_from(["", "", "no carrier", "interface eth1 is missing"]),
    steps_s,
)  # fmt: skip
Event = tuple[str, int, float, str, float]


def give(machine: HealthMachine, targets: int, event: Event, now_s: float) -> list[Transition]:
    kind, target, rtt_ms, problem, _ = event
    told: list[Transition | None] = []
    match kind:
        case "answered" if targets:
            told = [machine.answered(target % targets, rtt_ms, now_s)]
        case "lost" if targets:
            told = [machine.lost(target % targets, now_s)]
        case "answered all":
            told = [machine.answered(number, rtt_ms, now_s) for number in range(targets)]
        case "lost all":
            told = [machine.lost(number, now_s) for number in range(targets)]
        case "link":
            told = [machine.link(problem=problem, now_s=now_s)]
        case "drain":
            told = [machine.drain(now_s)]
        case "undrain":
            told = [machine.undrain(now_s)]
        case "read":
            loss, rtt = machine.loss_percent(now_s), machine.rtt_ms(now_s)
            assert loss is None or 0 <= loss <= 100
            assert rtt is None or rtt <= machine._settings.timeout_ms
        case _:
            told = [machine.tick(now_s)]
    return [transition for transition in told if transition is not None]


def recounted(evidence: Evidence) -> list[int]:
    runs = [one.run for one in evidence._all]
    return [
        sum(run <= -evidence._fall for run in runs),
        sum(run < 0 for run in runs),
        sum(run > 0 for run in runs),
        sum(run >= evidence._rise for run in runs),
    ]


@settings(max_examples=200, deadline=None)
@given(any_settings(), st.integers(0, 5), st.sets(st.sampled_from(["down", "drained"])), st.lists(events, max_size=60))
def test_whatever_comes_the_table_alone_moves_a_line(
    asked: HealthSettings, targets: int, before: set[str], sequence: list[Event]
) -> None:
    now_s = 5000.0
    machine = HealthMachine(asked, targets, now_s=now_s, was_down="down" in before, drained="drained" in before)
    assert machine.usable is ("down" not in before)
    for event in sequence:
        now_s += event[-1]
        line, state, usable, hold_s = machine._line, machine.state, machine.usable, machine.hold_s
        told = give(machine, targets, event, now_s)
        several = event[0].endswith(" all")
        for transition in told:
            assert transition.before is state
            assert transition.after is not state
            assert transition.lost == (usable and transition.after in (DOWN, RISING))
            assert transition.returned == (not usable and transition.after not in (DOWN, RISING))
            assert transition.reason
            assert transition.at_s == machine.since_s == now_s
            state, usable = transition.after, transition.after not in (DOWN, RISING)
        assert machine.state is state is shown(machine._line, drained=machine.drained)
        assert machine.usable is usable is (machine._line in USABLE)
        if machine._line is not line:
            steps = [NEXT[line, signal] for signal in Signal]
            assert machine._line in steps or several
        evidence = machine._evidence
        assert [evidence.lost, evidence.failing, evidence.answering, evidence.risen] == recounted(evidence)
        assert machine.targets_lost == evidence.lost <= targets
        assert asked.hold_s <= machine.hold_s <= max(asked.hold_s, asked.hold_most_s)
        assert machine.hold_s == hold_s or machine.state is DOWN or several
        due_s = machine.next_tick_s()
        assert due_s is None or (not usable and due_s > machine._now_s)
        if evidence.problem:
            assert machine.state is DOWN


@settings(max_examples=150, deadline=None)
@given(any_settings(), st.integers(1, 4), st.lists(events, max_size=60))
def test_no_clock_brings_a_line_back_without_the_answers_that_it_takes(
    asked: HealthSettings, targets: int, sequence: list[Event]
) -> None:
    """However the clock jumps, each step counts at most as the time to notice silence."""
    now_s, credit_s, answers = 5000.0, 0.0, 0
    machine = HealthMachine(asked, targets, now_s=now_s, was_down=True)
    for event in sequence:
        now_s += event[-1]
        credit_s += min(max(event[-1], 0.0), time_to_notice_s(asked, targets))
        answers += targets if event[0] == "answered all" else event[0] == "answered"
        for transition in give(machine, targets, event, now_s):
            if transition.returned:
                assert answers >= min(asked.quorum, targets) * asked.rise
                assert credit_s >= machine.hold_s - 1e-3
                answers, credit_s = 0, 0.0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4), st.lists(steps_s, max_size=80))
def test_no_clock_takes_down_a_line_that_answers(targets: int, steps: list[float]) -> None:
    """With every step all answer, and all that was overdue is told lost at once."""
    machine = HealthMachine(replace(DEFAULTS, loss_percent=None), targets, now_s=0.0)
    now_s = 0.0
    for step_s in steps:
        now_s += step_s
        for target in range(targets):
            for _ in range(4 if abs(step_s) > 0.5 else 0):
                machine.lost(target, now_s)
            machine.answered(target, 10.0, now_s)
        assert machine.usable


# --- bounds on the schedule ------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(any_settings(), st.integers(1, 5), st.data())
def test_silence_is_noticed_in_time(asked: HealthSettings, targets: int, data: st.DataObject) -> None:
    interval_s = asked.interval_ms / 1000
    phases = [data.draw(st.floats(0, interval_s)) for _ in range(targets)]
    rtts = [data.draw(st.floats(0, asked.timeout_ms)) for _ in range(targets)]
    ends_s = data.draw(st.floats(0, 15 * interval_s))
    asked = replace(asked, latency_ms=None)
    line = Simulation(HealthMachine(asked, targets, now_s=0.0), asked, phases)
    line.run(ends_s, lambda target, _sent_s: rtts[target])
    assert DOWN not in line.way
    notice_s = time_to_notice_s(asked, targets)
    line.run(ends_s + notice_s + interval_s, silent)
    assert line.way[-1] is DOWN
    # Before the first answer the first probe may be a whole interval away, which is within the bound too.
    assert line.told[-1].at_s <= ends_s + notice_s + 1e-6
    assert line.told[-1].reason.endswith(" s") or "%" in line.told[-1].reason


@settings(max_examples=120, deadline=None)
@given(any_settings(), st.integers(1, 5), st.data())
def test_a_return_takes_the_hold_and_not_longer_than_promised(
    asked: HealthSettings, targets: int, data: st.DataObject
) -> None:
    interval_s = asked.interval_ms / 1000
    phases = [data.draw(st.floats(0, interval_s)) for _ in range(targets)]
    rtts = [data.draw(st.floats(0, asked.timeout_ms)) for _ in range(targets)]
    asked = replace(asked, latency_ms=None)
    line = Simulation(HealthMachine(asked, targets, now_s=0.0), asked, phases)
    silent_s = time_to_notice_s(asked, targets) + data.draw(st.floats(interval_s, 10 * interval_s))
    line.run(silent_s, silent)
    assert line.machine.state is DOWN
    line.run(silent_s + time_to_return_s(asked, targets) + 1e-3, lambda target, _sent_s: rtts[target])
    assert line.machine.state is UP
    returned = next(transition for transition in line.told if transition.returned)
    assert returned.at_s >= silent_s + asked.hold_s


@settings(max_examples=50, deadline=None)
@given(any_settings(), st.integers(0, 3), st.lists(st.booleans(), min_size=1, max_size=30))
def test_never_back_before_the_hold_is_over(asked: HealthSettings, targets: int, blinks: list[bool]) -> None:
    """The link goes and comes; whatever the targets say, between a loss and the return lies the hold."""
    line = simulation(asked, targets) if targets else None
    machine = line.machine if line else HealthMachine(asked, 0, now_s=0.0)
    told = line.told if line else []
    bad_s = -math.inf
    for number, fine in enumerate(blinks):
        now_s = number * 1.7
        if line:
            line.run(now_s, good)
        for transition in (machine.link(problem="" if fine else "no carrier", now_s=now_s), machine.tick(now_s)):
            told += [transition] if transition is not None else []
        for transition in told:
            if transition.lost:
                bad_s = transition.at_s
            if transition.returned:
                assert transition.at_s >= bad_s + asked.hold_s
        told.clear()


# --- the window ------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0.1, 60.0),
    st.integers(1, 99),
    st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=150),
)
def test_the_window_counts_as_a_list_of_everything_would(
    window_s: float, limit: int, results: list[tuple[float, bool]]
) -> None:
    window, now_s, slice_s = Window(window_s, limit, None, 0.0), 0.0, max(window_s, 0.001) / SLICES
    seen: list[tuple[int, bool]] = []
    for step_s, answered in results:
        now_s += step_s
        seen.append((int(now_s / slice_s), answered))
        if answered:
            window.note_answer(1.0, now_s)
        else:
            window.note_loss(now_s)
        held = [answered for number, answered in seen if number > int(now_s / slice_s) - SLICES]
        lost = held.count(False)
        assert [window.answered, window.lost] == [len(held) - lost, lost]
        enough = len(held) >= LEAST_RESULTS and now_s >= window_s / 2
        assert window.past_loss == (enough and lost * 100 > limit * len(held))


# --- lines as there are ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_one_lost_probe_in_a_hundred_for_an_hour_is_nothing(seed: int) -> None:
    line = simulation()
    line.run(3600, lossy(0.01, seed))
    assert line.way == [UP]


def test_one_in_a_hundred_with_one_target_is_doubt_and_no_more() -> None:
    line = simulation(targets=1)
    line.run(3600, lossy(0.01, 1))
    assert set(line.way) == {UP, FALLING}
    assert 120 < line.way.count(FALLING) < 240  # each of the 180 lost probes, until the next is answered


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([50, 200, 500, 1000]), st.integers(2, 5))
def test_one_in_a_hundred_never_takes_a_line_down(seed: int, interval_ms: int, targets: int) -> None:
    asked = replace(DEFAULTS, interval_ms=interval_ms)
    line = simulation(asked, targets)
    line.run(interval_ms * 2000 / 1000, lossy(0.01, seed))
    assert DOWN not in line.way


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("seed", range(10))
def test_four_in_five_lost_is_noticed(seed: int, targets: int) -> None:
    line = simulation(targets=targets)
    line.run(30, good)
    line.run(90, lossy(0.8, seed))
    first = next(transition for transition in line.told if transition.lost)
    assert first.at_s - 30 < 8
    # And is not followed up and down: it is held while it goes on.
    line.run(930, lossy(0.8, seed + 100))
    assert not any(transition.returned for transition in line.told)


@pytest.mark.parametrize("seed", range(5))
def test_half_lost_is_noticed_by_the_limit(seed: int) -> None:
    line = simulation(replace(DEFAULTS, fall=10))
    line.run(30, good)
    line.run(90, lossy(0.5, seed))
    first = next(transition for transition in line.told if transition.lost)
    assert "% of probes lost over 10 s (limit 40 %)" in first.reason
    assert first.at_s - 30 < 15


def test_five_seconds_up_and_five_down_stays_down_after_its_first_loss() -> None:
    line = simulation()
    line.run(605, lambda _target, sent_s: 20.0 if sent_s % 10 < 5 else None)
    first = line.way.index(DOWN)
    assert line.told[first].at_s < 6
    assert set(line.way[first:]) == {DOWN, RISING}


def test_a_line_up_for_a_minute_and_down_for_a_minute_is_held_longer_each_time() -> None:
    line = simulation()
    line.run(3600, lambda _target, sent_s: 20.0 if sent_s % 120 < 60 else None)
    returns = [transition for transition in line.told if transition.returned]
    assert [transition.reason for transition in returns] == [f"answered for {hold} s" for hold in (10, 20, 40)]
    assert line.machine.hold_s == 80.0


@pytest.mark.parametrize("factor", [1, 10])
def test_ten_times_the_latency(factor: int) -> None:
    line = simulation(replace(DEFAULTS, latency_ms=150, timeout_ms=1000))
    line.run(30, good)
    line.run(60, lambda _target, _sent_s: 20.0 * factor)
    if factor == 1:
        assert line.way == [UP]
        return
    assert line.way == [UP, DOWN]
    assert line.told[-1].reason == "median 200 ms over 10 s (limit 150 ms)"
    assert 4 < line.told[-1].at_s - 30 < 6


def test_the_fast_settings_notice_within_a_tenth_of_a_second() -> None:
    line = simulation(FAST)
    line.run(5, good)
    line.run(6, silent)
    assert line.way[-1] is DOWN
    assert line.told[-1].at_s - 5 <= 0.1
