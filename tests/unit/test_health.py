"""The health of one line, step by step: silence, return, hold, link, drain."""

from __future__ import annotations

from itertools import product

import pytest

from evenflow.core.health import NEXT, USABLE, HealthMachine, Signal, Transition
from evenflow.core.health.table import shown
from evenflow.model.health import ROUTEROS, HealthSettings, HealthState
from unit.health_line import DEFAULTS, DOWN, DRAINED, FALLING, PLAIN, RISING, UNKNOWN, UP, Line, down

LINES = (UNKNOWN, UP, FALLING, DOWN, RISING)


# --- the table -------------------------------------------------------------------------------------------------


def test_every_pair_of_state_and_signal_is_in_the_table() -> None:
    assert set(NEXT) == set(product(LINES, Signal))


@pytest.mark.parametrize(("line", "signal"), list(product(LINES, Signal)))
def test_the_same_signal_again_leads_nowhere_else(line: HealthState, signal: Signal) -> None:
    after = NEXT[line, signal]
    assert NEXT[after, signal] is after


def test_only_what_is_bad_makes_a_line_unusable_and_only_proof_brings_it_back() -> None:
    bad = {Signal.BROKEN, Signal.SILENT, Signal.PAST_LIMIT}
    for (line, signal), after in NEXT.items():
        if line in USABLE:
            assert (after not in USABLE) == (signal in bad)
        else:
            assert (after in USABLE) == (signal is Signal.PROVED)


def test_drained_is_shown_of_lines_that_work() -> None:
    assert {line: shown(line, drained=True) for line in LINES} == {
        UNKNOWN: DRAINED, UP: DRAINED, FALLING: DRAINED, DOWN: DOWN, RISING: RISING
    }  # fmt: skip
    assert [shown(line, drained=False) for line in LINES] == list(LINES)


# --- silence ---------------------------------------------------------------------------------------------------


def test_a_new_line_is_used_and_up_with_the_first_answer() -> None:
    line = Line()
    assert (line.machine.state, line.machine.usable, line.machine.since_s) == (UNKNOWN, True, 1000.0)
    line.round("a")
    assert line.told == [Transition(UNKNOWN, UP, "1 of 3 targets answered", 1000.2)]
    assert line.machine.since_s == 1000.2


def test_silence_makes_it_doubted_and_then_down() -> None:
    line = Line()
    line.round("aaa")
    line.round("---")
    assert (line.machine.state, line.machine.usable, line.machine.targets_lost) == (FALLING, True, 0)
    line.round("---")
    line.round("---")
    assert line.way == [UP, FALLING, DOWN]
    assert line.reasons[1:] == ["3 of 3 targets did not answer", "3 of 3 targets lost for 0.6 s"]
    assert (line.machine.usable, line.machine.targets_lost) == (False, 3)
    assert line.told[-1].lost
    assert not line.told[-1].returned


def test_the_reason_tells_for_how_long_there_were_too_few() -> None:
    line = Line(HealthSettings(quorum=2))
    line.round("aaa")
    line.rounds(0.4, "a--")
    line.round("-a-")
    line.rounds(0.6, "---")
    assert line.reasons[-1] == "2 of 3 targets lost for 0.8 s"


def test_a_line_that_never_answered_goes_down() -> None:
    line = Line()
    line.rounds(0.6, "---")
    assert line.way == [FALLING, DOWN]
    assert line.reasons[-1] == "3 of 3 targets lost for 0.6 s"


def test_one_answer_ends_the_doubt() -> None:
    line = Line()
    line.round("aaa")
    line.round("---")
    line.round("a--")
    line.round("aa-")
    assert line.way == [UP, FALLING, UP]
    assert line.reasons[-1] == "1 of 3 targets answered"


@pytest.mark.parametrize(("quorum", "answers", "state"), [
    (1, "a--", UP), (2, "a--", DOWN), (2, "aa-", UP), (3, "aa-", DOWN), (3, "aaa", UP),
    (9, "aaa", UP), (9, "aa-", DOWN), (0, "a--", UP), (0, "---", DOWN),
])  # fmt: skip
def test_the_quorum_says_how_many_targets_must_answer(quorum: int, answers: str, state: HealthState) -> None:
    line = Line(HealthSettings(quorum=quorum))
    line.round("aaa")
    line.rounds(2, answers)
    assert line.machine.state is state


def test_dead_targets_are_not_lost_probes() -> None:
    line = Line()
    line.rounds(60, "a--")
    assert line.machine.state is UP
    assert line.machine.loss_percent(line.now_s) == 0.0
    assert line.machine.targets_lost == 2


def test_a_fall_of_one_is_down_at_the_first_loss() -> None:
    line = Line(HealthSettings(fall=1), 1)
    line.round("a")
    line.round("-")
    assert line.way == [UP, DOWN]
    assert line.reasons[-1] == "1 of 1 target lost for 0.2 s"


def test_a_target_that_is_not_there_is_refused() -> None:
    machine = HealthMachine(DEFAULTS, 1, now_s=0.0)
    with pytest.raises(IndexError):
        machine.answered(1, 1.0, 0.0)
    with pytest.raises(IndexError):
        machine.lost(1, 0.0)


# --- return ----------------------------------------------------------------------------------------------------


def test_it_is_back_when_it_answered_for_the_hold() -> None:
    line = down()
    line.rounds(0.8, "aaa")
    assert line.told == []
    line.round("aaa")
    assert line.reasons == ["answered 5 probes in a row"]
    assert line.machine.next_tick_s() == pytest.approx(line.now_s - 0.8 + 10)
    line.rounds(9.0, "aaa")
    assert line.way == [RISING]
    line.round("aaa")
    line.round("aaa")
    assert line.way == [RISING, UP]
    assert line.reasons[-1] == "answered for 10 s"
    assert line.told[-1].returned
    assert line.machine.next_tick_s() is None


def test_the_tick_alone_ends_the_hold() -> None:
    line = down(PLAIN)
    line.rounds(9.8, "aaa")
    due = line.machine.next_tick_s()
    assert due is not None
    assert line.machine.tick(due - 0.01) is None
    assert line.machine.tick(due) == Transition(RISING, UP, "answered for 10 s", due)


def test_a_doubtful_round_does_not_begin_the_hold_anew() -> None:
    line = down()
    line.rounds(5, "aaa")
    line.round("---")
    assert line.way == [RISING]
    line.rounds(5, "aaa")
    assert line.way == [RISING, UP]


def test_it_is_not_back_before_enough_probes_in_a_row() -> None:
    line = down()
    line.rounds(9.8, "aaa")
    line.round("---")
    line.rounds(0.8, "aaa")
    assert line.way == [RISING]
    assert line.machine.next_tick_s() is None
    line.round("aaa")
    assert line.way == [RISING, UP]


def test_silence_sends_it_back() -> None:
    line = down()
    line.rounds(9, "aaa")
    line.rounds(0.6, "---")
    assert line.way == [RISING, DOWN]
    assert not line.told[-1].lost
    assert line.machine.hold_s == 10.0
    line.rounds(9.8, "aaa")
    assert line.way == [RISING, DOWN, RISING]


def test_before_a_restart_it_was_down_so_it_must_be_proved() -> None:
    line = Line(was_down=True)
    assert (line.machine.state, line.machine.usable) == (DOWN, False)
    line.rounds(1, "aaa")
    assert line.way == [RISING]
    line.rounds(10, "aaa")
    assert line.way == [RISING, UP]


def test_without_a_hold_it_is_back_at_once() -> None:
    line = down(ROUTEROS, 1)
    line.round("a")
    assert line.told == [Transition(DOWN, UP, "answered", line.now_s)]
    assert line.told[0].returned


# --- hold ------------------------------------------------------------------------------------------------------


def flap(line: Line, up_s: float) -> None:
    """Back, used for that long, and lost."""
    line.rounds(line.machine.hold_s + 1, "aaa")
    assert line.machine.state is UP
    line.rounds(up_s, "aaa")
    line.rounds(0.6, "---")
    assert line.machine.state is DOWN


def test_the_hold_doubles_with_each_loss_soon_after_a_return() -> None:
    line = down()
    assert line.machine.hold_s == 10.0
    held = []
    for _ in range(6):
        flap(line, 60)
        held.append(line.machine.hold_s)
    assert held == [20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    flap(line, 600)
    assert line.machine.hold_s == 10.0


def test_the_hold_is_never_less_than_the_basic_one() -> None:
    line = down(HealthSettings(hold_s=10, hold_most_s=5))
    flap(line, 1)
    assert line.machine.hold_s == 10.0


def test_five_seconds_up_and_five_down_is_not_followed() -> None:
    line = Line()
    for _ in range(60):
        line.rounds(5, "aaa")
        line.rounds(5, "---")
    first = line.way.index(DOWN)
    assert set(line.way[first:]) == {DOWN, RISING}


# --- the link --------------------------------------------------------------------------------------------------


def test_a_dead_link_is_down_at_once_and_must_be_proved() -> None:
    line = Line()
    line.rounds(1, "aaa")
    line.link("no carrier")
    assert line.reasons[-1] == "no carrier"
    assert line.machine.state is DOWN
    line.rounds(20, "aaa")
    assert line.machine.state is DOWN
    line.link("interface eth1 is missing")
    line.link("")
    line.rounds(0.8, "aaa")
    assert line.machine.state is DOWN
    line.rounds(9.4, "aaa")
    assert line.way == [UP, DOWN, RISING, UP]


def test_without_targets_the_link_decides() -> None:
    machine = HealthMachine(DEFAULTS, 0, now_s=0.0)
    assert machine.tick(0.0) == Transition(UNKNOWN, UP, "the link is fine", 0.0)
    assert machine.next_tick_s() is None
    assert machine.link(problem="no carrier", now_s=500.0) == Transition(UP, DOWN, "no carrier", 500.0)
    assert machine.next_tick_s() is None
    assert machine.link(problem="", now_s=700.0) == Transition(DOWN, RISING, "the link is fine", 700.0)
    due = machine.next_tick_s()
    assert due is not None
    assert due == pytest.approx(710.0, abs=1e-3)
    assert machine.tick(709.9) is None
    assert machine.tick(due) == Transition(RISING, UP, "the link has been fine for 10 s", due)
    assert machine.loss_percent(due) is None
    assert machine.rtt_ms(due) is None


def test_without_targets_it_was_down_before_a_restart() -> None:
    machine = HealthMachine(DEFAULTS, 0, now_s=0.0, was_down=True)
    assert machine.tick(0.0) == Transition(DOWN, RISING, "the link is fine", 0.0)
    assert machine.next_tick_s() == pytest.approx(10.0, abs=1e-3)


# --- drain -----------------------------------------------------------------------------------------------------


def test_a_drained_line_is_drained_whatever_its_targets_say_until_it_is_lost() -> None:
    line = Line()
    line.round("aaa")
    line.note(line.machine.drain(line.now_s))
    assert line.told[-1] == Transition(UP, DRAINED, "drained by hand", line.now_s)
    assert not line.told[-1].lost
    assert line.machine.drain(line.now_s) is None
    assert (line.machine.usable, line.machine.drained) == (True, True)
    line.round("---")
    line.round("aaa")
    assert line.machine.state is DRAINED
    line.rounds(0.6, "---")
    assert line.told[-1].before is DRAINED
    assert (line.machine.state, line.machine.usable, line.machine.drained) == (DOWN, False, True)
    line.rounds(11, "aaa")
    assert line.way == [UP, DRAINED, DOWN, RISING, DRAINED]
    assert line.told[-1].returned
    line.note(line.machine.undrain(line.now_s))
    assert line.told[-1] == Transition(DRAINED, UP, "undrained by hand", line.now_s)
    assert line.machine.undrain(line.now_s) is None


def test_draining_a_line_that_is_down_shows_later() -> None:
    line = down()
    assert line.machine.drain(line.now_s) is None
    assert line.machine.drained
    line.rounds(11, "aaa")
    assert line.way == [RISING, DRAINED]


def test_it_was_drained_before_a_restart() -> None:
    assert HealthMachine(DEFAULTS, 3, now_s=0.0, drained=True).state is DRAINED
    assert HealthMachine(DEFAULTS, 3, now_s=0.0, drained=True, was_down=True).state is DOWN
