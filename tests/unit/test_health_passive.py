"""What traffic tells: when a line that is asked seldom is asked at once."""

from __future__ import annotations

from evenflow.core.health import HealthMachine, OneWay
from evenflow.core.health.passive import LEAST_SENT, PAUSE_S, QUIET_S
from evenflow.model.health import HealthSettings, HealthState


def test_a_line_that_sends_and_receives_nothing_is_to_be_asked() -> None:
    line = OneWay()
    assert not line.seen(100, 50, 0.0)
    assert not line.seen(200, 50, QUIET_S / 2)
    assert line.seen(300, 50, QUIET_S)


def test_one_packet_that_comes_back_is_enough() -> None:
    line = OneWay()
    assert not line.seen(100, 50, 0.0)
    assert not line.seen(1000, 51, QUIET_S)
    assert not line.seen(2000, 51, QUIET_S * 1.9)
    assert line.seen(2000, 51, QUIET_S * 2)


def test_a_few_packets_are_no_traffic_and_no_packets_no_silence() -> None:
    line = OneWay()
    assert not line.seen(100, 50, 0.0)
    assert not line.seen(100, 50, 1000.0)
    assert not line.seen(100 + LEAST_SENT - 1, 50, 2000.0)
    assert line.seen(100 + LEAST_SENT, 50, 3000.0)


def test_traffic_that_wants_no_answer_is_asked_about_now_and_then() -> None:
    line = OneWay()
    asked = [now_s for now_s in range(100) if line.seen(1000 * now_s, 50 if now_s < 40 else 51, float(now_s))]
    assert asked == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91]
    assert PAUSE_S == 10


def test_another_link_of_the_same_name_begins_anew() -> None:
    line = OneWay()
    assert not line.seen(1000, 50, 0.0)
    assert not line.seen(10, 50, QUIET_S)
    assert not line.seen(40, 50, QUIET_S * 1.5)
    assert line.seen(40, 50, QUIET_S * 2)


def test_in_a_hurry_losses_close_together_count_each() -> None:
    settings = HealthSettings(interval_ms=60_000, timeout_ms=500)
    patient, hurried = (HealthMachine(settings, 1, now_s=0.0) for _ in range(2))
    hurried.hurry(0.2)
    for machine in (patient, hurried):
        for n in range(settings.fall):
            machine.lost(0, 100.0 + n * 0.2)
    assert (patient.state, hurried.state) == (HealthState.FALLING, HealthState.DOWN)


def test_after_the_hurry_a_stopped_program_is_no_loss_again() -> None:
    settings = HealthSettings(interval_ms=60_000, timeout_ms=500)
    machine = HealthMachine(settings, 1, now_s=0.0)
    machine.hurry(0.2)
    machine.hurry(None)
    for n in range(settings.fall):
        machine.lost(0, 100.0 + n * 0.2)
    assert machine.state is HealthState.FALLING
