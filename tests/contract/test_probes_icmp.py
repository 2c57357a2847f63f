"""ICMP echo through an uplink: what counts as an answer, and what does not."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any

import pytest

from contract.probing import ELSEWHERE, FAR, NOBODY, Echo, EchoServer, Line, in_loop, probing
from evenflow.errors import NotPermittedError
from evenflow.kernel.probes import ProbeRunner
from evenflow.kernel.probes.way import Way
from evenflow.model.flow import Family, family_of
from evenflow.model.health import ProbeMethod, ProbeTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

both_families = pytest.mark.parametrize("family", Family)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


def icmp(family: Family) -> ProbeTarget:
    return ProbeTarget(ProbeMethod.ICMP, FAR[family])


@both_families
@in_loop
async def test_who_answers_is_heard(line: Line, family: Family) -> None:
    with probing(line, icmp(family), ProbeTarget(ProbeMethod.ICMP, NOBODY[family]), timeout_ms=200) as (runner, told):
        assert 0 < await told.next_answer(0) < 200
        assert await told.next_loss(1) == "no answer"
    assert not told.answers[1]
    assert not runner.ignored


FAULTS: dict[str, tuple[Callable[[Echo], list[Echo]], str | None]] = {
    "wrong id": (lambda right: [right.with_(ident=right.ident ^ 1)], None),
    "wrong address": (lambda right: [right.with_(source=ELSEWHERE[family_of(right.source)])], "wrong address"),
    "wrong sequence": (lambda right: [right.with_(sequence=right.sequence + 40 & 0xFFFF)], "late or never asked"),
    "wrong token": (lambda right: [right.with_(payload=bytes(len(right.payload)))], "wrong token"),
    "longer token": (lambda right: [right.with_(payload=right.payload + b"x")], "wrong token"),
    "truncated": (lambda right: [right.with_(payload=right.payload[:-1])], "truncated"),
    "no token": (lambda right: [right.with_(payload=b"")], "truncated"),
}


@both_families
@pytest.mark.parametrize("fault", FAULTS)
@in_loop
async def test_a_wrong_reply_is_none(line: Line, family: Family, fault: str) -> None:
    answer, counted = FAULTS[fault]
    with closing(EchoServer(line, family)) as server, probing(line, icmp(family), timeout_ms=60) as (runner, told):
        server.answer = answer
        for _ in range(3):
            assert await told.next_loss() == "no answer"
        assert not told.answers[0]
        assert runner.ignored[counted] >= 1 if counted else not runner.ignored
        server.answer = lambda right: [*answer(right), right]
        await told.next_answer()


@both_families
@in_loop
async def test_a_duplicate_counts_once(line: Line, family: Family) -> None:
    with closing(EchoServer(line, family)) as server, probing(line, icmp(family)) as (runner, told):
        server.answer = lambda right: [right, right, right]
        # What comes twice lies there when the next probe's answer is awaited.
        await told.until(lambda: runner.ignored.total() >= 4)
        assert set(runner.ignored) <= {"duplicate", "late or never asked"}
        assert told.count <= server.asked
        assert not told.losses[0]


@both_families
@in_loop
async def test_a_late_reply_is_none(line: Line, family: Family) -> None:
    held: list[Echo] = []
    with closing(EchoServer(line, family)) as server, probing(line, icmp(family), timeout_ms=50) as (runner, told):
        server.answer = lambda right: held.append(right) or []  # type: ignore[func-returns-value]
        await told.until(lambda: len(told.losses[0]) == 2)
        late = tuple(held[:2])
        server.answer = lambda right: [*late, right]
        await told.next_answer()
        assert runner.ignored["late or never asked"] >= 2
        assert told.count <= server.asked


@both_families
@in_loop
async def test_each_probe_is_told_once(line: Line, family: Family) -> None:
    last: list[Echo] = []

    def confused(right: Echo) -> list[Echo]:
        last.append(right)
        match server.asked % 5:
            case 0:
                return []
            case 1:
                return [right, right]
            case 2:
                return last[-3:]
            case 3:
                return [right.with_(source=ELSEWHERE[family]), right]
            case _:
                return [right.with_(payload=os.urandom(16))]

    with closing(EchoServer(line, family)) as server, probing(line, icmp(family), timeout_ms=45) as (runner, told):
        server.answer = confused
        await told.until(lambda: told.count >= 50)
        assert told.count <= server.asked <= told.count + 6
        assert told.answers[0]
        assert told.losses[0]
        runner.stop()
        before = told.count
        for _ in range(20):
            await asyncio.sleep(0)
        assert told.count == before


@both_families
@in_loop
async def test_with_a_long_interval_the_answer_is_told_when_it_comes(line: Line, family: Family) -> None:
    with probing(line, icmp(family), interval_ms=60_000) as (runner, told):
        start_s = time.monotonic()
        runner.probe_now()
        await told.next_answer()
        assert time.monotonic() - start_s < 0.9  # the first round would have come within a second, this is none
        runner.probe_now()
        runner.probe_now()
        await told.next_answer()
        assert told.count == 2


@both_families
@in_loop
async def test_what_came_in_time_is_no_loss_when_the_loop_was_busy(line: Line, family: Family) -> None:
    loop = asyncio.get_running_loop()
    with probing(line, icmp(family), timeout_ms=30) as (_, told):
        await told.next_answer()
        for _ in range(5):
            seen, lost = len(told.answers[0]), len(told.losses[0])
            busy_until_s = loop.time() + 0.1
            while loop.time() < busy_until_s:
                pass
            await told.until(lambda seen=seen: len(told.answers[0]) > seen + 1)  # type: ignore[misc]
            assert len(told.losses[0]) == lost
    assert max(told.answers[0]) < 30


@both_families
@in_loop
async def test_nothing_is_told_of_what_was_out_when_it_was_disregarded(line: Line, family: Family) -> None:
    with closing(EchoServer(line, family)) as server, probing(line, icmp(family), timeout_ms=300) as (runner, told):
        await told.next_answer()
        server.answer = lambda _: []
        await told.next_loss()
        lost, asked = len(told.losses[0]), server.asked
        server.answer = lambda right: [right]
        runner.disregard()
        # Those that were out would have been lost by now: the server was asked again and again for longer than 300 ms.
        seen = len(told.answers[0])
        await told.until(lambda: len(told.answers[0]) >= seen + 25)
        assert len(told.losses[0]) == lost
        assert server.asked >= asked + 20


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
@both_families
@in_loop
async def test_a_clock_that_jumps_harms_nothing(
    line: Line, family: Family, jump_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with probing(line, icmp(family)) as (_, told):
        await told.next_answer()
        true_ns = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: true_ns() + int(jump_s * 1e9))
        for _ in range(3):
            assert 0 <= await told.next_answer() <= 2000
        assert not told.losses[0]


@in_loop
async def test_the_gateway_is_what_it_is_at_the_moment(line: Line) -> None:
    with probing(line, ProbeTarget(ProbeMethod.ICMP, None), timeout_ms=60) as (runner, told):
        assert await told.next_loss() == "no gateway known"
        runner.gateways = {Family.IPV6: NOBODY[Family.IPV6]}
        await told.until(lambda: told.losses[0][-1] == "no answer")
        runner.gateways = {Family.IPV6: FAR[Family.IPV6]}
        await told.next_answer()
        runner.gateways = {Family.IPV6: FAR[Family.IPV6], Family.IPV4: NOBODY[Family.IPV4]}
        await told.next_loss()


@in_loop
async def test_a_link_local_gateway_is_reached_by_its_interface(line: Line) -> None:
    (words,) = [
        row for row in line.far.run(["ip", "-o", "address", "show", "dev", "isp"]).splitlines() if "fe80" in row
    ]
    address = IPv6Address(words.split("inet6 ")[1].split("/")[0])
    with probing(line, ProbeTarget(ProbeMethod.ICMP, address)) as (_, told):
        await told.next_answer()
    with probing(line, ProbeTarget(ProbeMethod.ICMP, IPv6Address(f"{address}%wan")), interface=None) as (_, told):
        await told.next_answer()


@both_families
@in_loop
async def test_stopping_is_final_and_leaves_nothing_open(line: Line, family: Family) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path would not be shorter
    with probing(line, icmp(family), icmp(family)) as (runner, told):
        runner.start()
        told.whenever = runner.stop
        await told.next_answer()
        runner.stop()
        runner.probe_now()
        assert told.count == 1
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - see above
    with probing(line) as (runner, told):
        runner.probe_now()
        assert told.count == 0


def test_a_missing_capability_is_said(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    async def start() -> None:
        nothing = {"on_answer": lambda *_: None, "on_lost": lambda *_: None}
        runner = ProbeRunner(
            interface="wan", mark=0, targets=[icmp(Family.IPV4)], interval_ms=100, timeout_ms=100, **nothing
        )
        with line.router.entered(), pytest.raises(NotPermittedError, match="CAP_NET_RAW"):
            runner.start()
        runner.stop()

    monkeypatch.setattr(Way, "open", refuse)
    asyncio.run(start())
