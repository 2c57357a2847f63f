"""The book of the probes: each is told once."""

from __future__ import annotations

from collections import Counter, deque
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.kernel.probes.ledger import Ledger
from evenflow.kernel.probes.probe import Probe
from evenflow.model.health import ProbeMethod, ProbeTarget

ADDRESS = ip_address("192.0.2.1")
TARGET = ProbeTarget(ProbeMethod.ICMP, ADDRESS)


class Desk:
    """A ledger with a clock that stands still, and what it tells."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.told: list[tuple[int, float | str]] = []
        self.ignored: Counter[str] = Counter()
        self.ledger = Ledger(
            on_answer=lambda index, rtt_ms, _: self.told.append((index, round(rtt_ms, 6))),
            on_lost=lambda index, reason, _: self.told.append((index, reason)),
            clock=lambda: self.now_s,
            ignored=self.ignored,
        )

    def send(self, index: int = 0, timeout_s: float = 1.0) -> Probe:
        probe = Probe(index, TARGET, ADDRESS, self.now_s, self.now_s + timeout_s)
        self.ledger.add(probe)
        return probe


def test_an_answer_in_time_is_told_with_its_round_trip() -> None:
    desk = Desk()
    probe = desk.send()
    desk.now_s = 100.9
    desk.ledger.answered(probe, 100.25)
    assert desk.told == [(0, 250.0)]


def test_what_arrived_in_time_counts_however_late_it_is_read() -> None:
    desk = Desk()
    probe = desk.send()
    desk.now_s = 105.0
    desk.ledger.answered(probe, 100.25)
    desk.ledger.expire()
    assert desk.told == [(0, 250.0)]


@pytest.mark.parametrize("arrived_s", [None, 3.0])
def test_an_unknown_time_of_arrival_is_now_and_in_time(arrived_s: float | None) -> None:
    desk = Desk()
    first, second = desk.send(0), desk.send(1)
    desk.now_s = 100.5
    desk.ledger.answered(first, arrived_s)
    desk.now_s = 103.0
    desk.ledger.answered(second, arrived_s)
    assert desk.told == [(0, 500.0), (1, 1000.0)]


def test_a_late_answer_is_ignored_and_the_probe_is_lost() -> None:
    desk = Desk()
    probe = desk.send()
    probe.remark = "wrong answer: SERVFAIL"
    desk.now_s = 101.5
    desk.ledger.answered(probe, 101.2)
    desk.ledger.expire()
    assert desk.told == [(0, "wrong answer: SERVFAIL")]
    assert desk.ignored == {"late": 1}


def test_who_is_told_may_end_it_all() -> None:
    desk = Desk()

    def end(index: int, reason: str, _: float) -> None:
        desk.told.append((index, reason))
        desk.ledger.clear()

    desk.ledger = Ledger(on_answer=lambda *_: None, on_lost=end, clock=lambda: desk.now_s, ignored=desk.ignored)
    probes = [desk.send() for _ in range(3)]
    desk.now_s = 200.0
    desk.ledger.expire()
    assert desk.told == [(0, "no answer")]
    assert all(probe.done for probe in probes)


@given(st.lists(st.tuples(st.sampled_from(["send", "answer", "twice", "lose", "wait", "expire"]), st.integers(0, 5))))
def test_each_probe_is_told_exactly_once_and_by_its_deadline(steps: list[tuple[str, int]]) -> None:
    desk = Desk()
    sent: deque[Probe] = deque()
    for step, number in steps:
        probe = sent[number % len(sent)] if sent else None
        match step, probe:
            case "send", _:
                sent.append(desk.send(len(sent)))
            case "answer", Probe():
                desk.ledger.answered(probe, desk.now_s)
            case "twice", Probe():
                desk.ledger.answered(probe, desk.now_s)
                desk.ledger.answered(probe, desk.now_s)
            case "lose", Probe():
                desk.ledger.lost(probe, "connection refused")
            case "wait", _:
                desk.now_s += number / 10
            case "expire", _:
                desk.ledger.expire()
                assert all(probe.done or probe.deadline_s > desk.now_s for probe in sent)
                deadline_s = desk.ledger.next_deadline_s()
                assert deadline_s == min((probe.deadline_s for probe in sent if not probe.done), default=None)
    desk.now_s += 10
    desk.ledger.expire()
    assert Counter(index for index, _ in desk.told) == Counter(range(len(sent)))
    assert len(desk.ledger) == 0
