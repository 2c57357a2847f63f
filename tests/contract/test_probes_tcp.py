"""TCP connect: who accepts and who refuses has answered."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract.probing import AF, FAR, NOBODY, Line, in_loop, probing
from evenflow.model.flow import Family
from evenflow.model.health import ProbeMethod, ProbeTarget

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

both_families = pytest.mark.parametrize("family", Family)
PORT = 8080


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@both_families
@in_loop
async def test_accepting_and_refusing_are_answers_and_silence_is_none(line: Line, family: Family) -> None:
    open_port, closed_port = (
        ProbeTarget(ProbeMethod.TCP, FAR[family], PORT),
        ProbeTarget(ProbeMethod.TCP, FAR[family], 9),
    )
    silent = ProbeTarget(ProbeMethod.TCP, NOBODY[family], PORT)
    with closing(line.socket(AF[family], socket.SOCK_STREAM)) as listening:
        listening.bind((str(FAR[family]), PORT))
        listening.listen()
        with probing(line, open_port, closed_port, silent, timeout_ms=100) as (_, told):
            assert 0 < await told.next_answer(0) <= 100
            assert 0 < await told.next_answer(1) <= 100
            assert await told.next_loss(2) == "no answer"
        assert not told.answers[2]
        assert not told.losses[1]


@both_families
@in_loop
async def test_nothing_is_left_of_a_connection(line: Line, family: Family) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path would not be shorter
    silent = ProbeTarget(ProbeMethod.TCP, NOBODY[family], PORT)
    with closing(line.socket(AF[family], socket.SOCK_STREAM)) as listening:
        listening.bind((str(FAR[family]), PORT))
        listening.listen()
        with probing(line, ProbeTarget(ProbeMethod.TCP, FAR[family], PORT), silent) as (_, told):
            await told.until(lambda: len(told.answers[0]) >= 5)
        # A connection that was closed in the usual way would stay here in TIME_WAIT for a minute.
        with (
            line.router.entered(),
            Path("/proc/thread-self/net", "tcp" if family is Family.IPV4 else "tcp6").open() as table,
        ):
            assert len(table.readlines()) == 1
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - see above
