"""The health of one line: limits, results out of order, clocks that jump, and worst cases."""

from __future__ import annotations

import math

import pytest

from evenflow.core.health import time_to_notice_s, time_to_return_s
from evenflow.core.health.window import LEAST_RESULTS, MOST_RTTS, SLICES, Window
from evenflow.model.health import FAST, ROUTEROS, HealthSettings
from unit.health_line import DEFAULTS, DOWN, FALLING, PLAIN, RISING, UP, Line, down

# --- limits ----------------------------------------------------------------------------------------------------

#: Half of the probes lost, never two in a row.
HALF = ("a-a", "-a-")


def test_loss_past_its_limit() -> None:
    line = Line(HealthSettings(window_s=4))
    line.rounds(4, "aaa")
    line.rounds_while(UP, HALF)
    assert line.reasons[-1] == "42 % of probes lost over 4 s (limit 40 %)"
    assert 3.0 < line.now_s - 1004 < 4.0


def test_loss_within_its_limit() -> None:
    line = Line(HealthSettings(loss_percent=55))
    for _ in range(100):
        line.round(HALF[0])
        line.round(HALF[1])
    assert line.way == [UP]
    assert line.machine.loss_percent(line.now_s) == pytest.approx(50, abs=1)


def test_a_lossy_line_stays_down_until_the_window_is_good_and_the_hold_is_over() -> None:
    line = Line()
    for _ in range(100):
        line.round(HALF[0])
        line.round(HALF[1])
    assert line.way == [UP, DOWN]  # quietly: it does not rise and fall all the time
    began_s = line.now_s
    line.rounds(3, "aaa")
    assert line.machine.state is RISING
    line.rounds_while(RISING, ("aaa",))
    assert line.machine.state is UP
    assert 11.0 < line.now_s - began_s < 13.0


def test_losses_from_the_silence_do_not_count_afterwards() -> None:
    line = down()
    line.rounds(60, "---")
    assert line.machine.loss_percent(line.now_s) == 100.0
    line.rounds(1, "aaa")
    assert line.machine.state is RISING
    assert line.machine.loss_percent(line.now_s) == 0.0


def test_probes_still_on_their_way_when_the_silence_ends_do_not_count_either() -> None:
    line = down(HealthSettings(timeout_ms=1000, window_s=1, loss_percent=1))
    line.rounds(5, "---")
    for _ in range(5):
        line.round("aaa")
        for target in range(3):
            line.note(line.machine.lost(target, line.now_s + 0.1))
    assert line.machine.loss_percent(line.now_s + 0.1) == 0.0


def test_latency_past_its_limit_and_back() -> None:
    line = Line(HealthSettings(latency_ms=100))
    line.rounds(20, "aaa", rtt_ms=50)
    line.rounds_while(UP, ("aaa",), rtt_ms=120)
    assert line.now_s - 1020 == pytest.approx(5, abs=1)
    assert line.reasons[-1] == "median 120 ms over 10 s (limit 100 ms)"
    line.rounds(60, "aaa", rtt_ms=120)
    assert line.way == [UP, DOWN]
    assert line.machine.rtt_ms(line.now_s) == 120
    line.rounds(17, "aaa", rtt_ms=50)
    assert line.way == [UP, DOWN, RISING, UP]


def test_a_short_spike_of_latency_is_forgiven() -> None:
    line = Line(HealthSettings(latency_ms=100))
    line.rounds(20, "aaa", rtt_ms=50)
    line.rounds(4, "aaa", rtt_ms=250)
    line.rounds(20, "aaa", rtt_ms=50)
    assert line.way == [UP]


# --- the window ------------------------------------------------------------------------------------------------


def test_the_window_has_a_bound_whatever_the_interval() -> None:
    window = Window(10.0, 40, 300, 0.0)
    for number in range(100_000):
        window.note_answer(1.0, number / 5000)
    assert len(window._slices) == SLICES
    assert all(len(part.rtts) <= MOST_RTTS for part in window._slices)
    assert window.answered == pytest.approx(50_000, rel=0.06)


def test_the_window_judges_neither_too_soon_nor_on_too_little() -> None:
    window = Window(10.0, 40, None, 0.0)
    for number in range(LEAST_RESULTS):
        assert not window.past_loss
        window.note_loss(5.0 + number / 10)
    assert window.past_loss
    window.clear(100.0)
    for number in range(50):
        window.note_loss(100 + number / 10)
        assert not window.past_loss
    window.note_loss(105.0)
    assert window.past_loss
    window.advance(120.0)
    assert (window.past_loss, window.loss_percent()) == (False, None)


def test_the_median_of_few() -> None:
    window = Window(10.0, None, None, 0.0)
    assert window.median_ms() is None
    for rtt_ms in (30.0, 10.0, 20.0):
        window.note_answer(rtt_ms, 0.0)
    assert window.median_ms() == 20.0
    window.note_answer(22.0, 1.0)
    assert window.median_ms() == 21.0


# --- results that are late, twice, or of another order ---------------------------------------------------------


def test_an_answer_after_the_timeout_is_none() -> None:
    line = down()
    for _ in range(50):
        line.round("aaa", rtt_ms=301)
        line.round("aaa", rtt_ms=math.nan)
        line.round("aaa", rtt_ms=math.inf)
    assert line.told == []


def test_an_answer_that_comes_twice_counts_once() -> None:
    settings = HealthSettings(hold_s=0)
    line = down(settings, 1)
    for delay_ms in range(200):
        assert line.machine.answered(0, 10.0 + delay_ms, line.now_s + delay_ms / 1000) is None
    assert line.machine.loss_percent(line.now_s + 0.2) == 0.0
    line.now_s += 0.2
    line.rounds(0.8, "a")
    assert line.way == [UP]


def test_a_loss_that_is_told_twice_counts_once() -> None:
    line = Line(PLAIN, 1)
    line.round("a")
    for _ in range(10):
        line.note(line.machine.lost(0, line.now_s))
    assert line.way == [UP, FALLING]


def test_losses_that_later_answers_overtook_are_not_in_a_row() -> None:
    line = Line(PLAIN, 1)
    line.round("a")
    for _ in range(50):
        line.round("a")
        line.note(line.machine.lost(0, line.now_s + 0.09))  # sent before that answer's probe, given up only now
    assert DOWN not in line.way


def test_what_was_overdue_while_the_program_stood_still_counts_as_one_loss() -> None:
    line = Line(HealthSettings(timeout_ms=2000))
    line.rounds(5, "aaa")
    line.now_s += 30
    for number in range(10):
        for target in range(3):
            line.note(line.machine.lost(target, line.now_s + number / 10_000))
    assert line.way == [UP, FALLING]
    line.rounds(1, "aaa")
    assert line.way == [UP, FALLING, UP]


# --- clocks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 1e9, -1e9])
def test_a_clock_that_jumps_proves_nothing(jump_s: float) -> None:
    line = down()
    line.rounds(5, "aaa")
    line.now_s += jump_s
    line.round("aaa")
    line.note(line.machine.tick(line.now_s))
    assert line.way == [RISING]
    line.rounds(3.8, "aaa")
    assert line.way == [RISING]
    line.rounds(2, "aaa")
    assert line.way == [RISING, UP]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_the_end_of_the_hold_moves_with_a_jump(jump_s: float) -> None:
    line = down()
    line.rounds(5, "aaa")
    line.now_s += jump_s
    line.round("aaa")
    due = line.machine.next_tick_s()
    assert due is not None
    assert 4 < due - line.now_s < 6
    line.rounds(due - line.now_s - 0.3, "aaa")
    assert line.machine.next_tick_s() == pytest.approx(due)
    assert line.machine.tick(due - 0.01) is None
    assert line.machine.tick(due) is not None
    assert line.machine.state is UP


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_silence_is_noticed_after_a_jump(jump_s: float) -> None:
    line = Line()
    line.rounds(1, "aaa")
    line.now_s += jump_s
    line.rounds(1, "---")
    assert line.way == [UP, FALLING, DOWN]
    assert line.machine.next_tick_s() is None


def test_events_of_one_moment_in_another_order_are_no_jump() -> None:
    line = down()
    while line.machine.state is not UP and line.now_s < 1020:
        line.round("aaa")
        line.note(line.machine.tick(line.now_s - 0.05))
    assert line.now_s == pytest.approx(1010.8, abs=0.3)


# --- bounds ----------------------------------------------------------------------------------------------------


def test_bounds_of_the_ready_made_settings() -> None:
    assert time_to_notice_s(DEFAULTS, 3) == 0.9
    assert time_to_notice_s(FAST, 3) == 0.065
    assert time_to_notice_s(ROUTEROS, 1) == 30.0
    assert time_to_return_s(DEFAULTS, 3) == 10.5
    assert time_to_return_s(FAST, 3) == 5.035
    assert time_to_return_s(ROUTEROS, 1) == 20.0
    assert time_to_return_s(HealthSettings(hold_s=0), 1) == 1.3


def test_bounds_without_targets() -> None:
    assert time_to_notice_s(DEFAULTS, 0) == math.inf
    assert time_to_return_s(DEFAULTS, 0) == 10.0
