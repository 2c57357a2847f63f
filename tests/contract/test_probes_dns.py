"""DNS queries: answers count, lies do not."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from contract.probing import AF, ELSEWHERE, FAR, Line, in_loop, probing
from evenflow.model.flow import Family
from evenflow.model.health import ProbeMethod, ProbeTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.kernel

both_families = pytest.mark.parametrize("family", Family)
PORT = 5353
NAME = "www.example.com"


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


class Server:
    """Answers queries as a test says.

    Attributes:
        answer: what to send back, given the query as it came.
    """

    def __init__(self, line: Line, family: Family) -> None:
        self._sockets = [line.socket(AF[family], socket.SOCK_DGRAM) for _ in range(3)]
        self._sockets[0].bind((str(FAR[family]), PORT))
        self._sockets[1].bind((str(ELSEWHERE[family]), PORT))
        self._sockets[2].bind((str(FAR[family]), PORT + 1))
        self.answer: Callable[[bytes], Sequence[bytes]] = lambda query: [right(query)]
        self.speaker = 0
        self.asked: list[bytes] = []
        asyncio.get_running_loop().add_reader(self._sockets[0], self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sockets[0])
        for made in self._sockets:
            made.close()

    def _read(self) -> None:
        query, sender = self._sockets[0].recvfrom(4096)
        self.asked.append(query)
        for wire in self.answer(query):
            self._sockets[self.speaker].sendto(wire, sender)


def right(query: bytes, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, flags: int = 0) -> bytes:
    answer = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    answer.set_rcode(rcode)
    answer.flags |= flags
    if rcode == dns.rcode.NOERROR:
        answer.answer.append(dns.rrset.from_text(answer.question[0].name, 300, "IN", "TXT", "as you like"))
    return answer.to_wire()


def target(family: Family, name: str = NAME) -> ProbeTarget:
    return ProbeTarget(ProbeMethod.DNS, FAR[family], PORT, name)


def with_other_id(query: bytes) -> bytes:
    wire = right(query)
    return bytes((wire[0] ^ 1,)) + wire[1:]


def with_other_question(query: bytes) -> bytes:
    asked = dns.message.from_wire(query)
    other = dns.message.make_query("www.example.org", "A", id=asked.id)
    return right(other.to_wire())


@both_families
@pytest.mark.parametrize("name", [NAME, ""])
@in_loop
async def test_a_server_that_answers_is_heard(line: Line, family: Family, name: str) -> None:
    with closing(Server(line, family)) as server, probing(line, target(family, name)) as (runner, told):
        assert 0 < await told.next_answer() <= 2000
        server.answer = lambda query: [right(query, dns.rcode.NXDOMAIN)]
        await told.next_answer()
        server.answer = lambda query: [right(query, flags=dns.flags.TC)]
        await told.next_answer()
        assert not runner.ignored
        assert not told.losses[0]
        asked = {str(dns.message.from_wire(wire).question[0]) for wire in server.asked}
        assert asked == ({f"{NAME}. IN A"} if name else {". IN NS"})


LIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "other id": (with_other_id, "wrong id"),
    "other question": (with_other_question, "wrong question"),
    "the query": (lambda query: query, "not an answer"),
    "SERVFAIL": (lambda query: right(query, dns.rcode.SERVFAIL), "SERVFAIL"),
    "REFUSED": (lambda query: right(query, dns.rcode.REFUSED), "REFUSED"),
    "truncated": (lambda query: right(query)[:-3], "not readable"),
    "header alone": (lambda query: right(query)[:12], "not readable"),
    "nothing": (lambda _: b"", "not readable"),
    "noise": (lambda query: query[:2] + os.urandom(40), "not"),
}


@both_families
@pytest.mark.parametrize("lie", LIES)
@in_loop
async def test_a_lie_is_no_answer_and_the_truth_may_follow(line: Line, family: Family, lie: str) -> None:
    tell, fault = LIES[lie]
    with closing(Server(line, family)) as server, probing(line, target(family), timeout_ms=60) as (runner, told):
        server.answer = lambda query: [tell(query)]
        assert (await told.next_loss()).startswith(f"wrong answer: {fault}")
        assert not told.answers[0]
        assert any(counted.startswith(fault) for counted in runner.ignored)
        server.answer = lambda query: [tell(query), right(query)]
        await told.next_answer()
        server.answer = lambda query: [tell(query)] * 20  # more lies than are worth reading
        await told.next_loss()
        server.answer = lambda _: []
        await told.until(lambda: told.losses[0][-2:] == ["no answer"] * 2)


@both_families
@pytest.mark.parametrize("speaker", [1, 2])
@in_loop
async def test_an_answer_from_another_address_or_port_is_none(line: Line, family: Family, speaker: int) -> None:
    with closing(Server(line, family)) as server, probing(line, target(family), timeout_ms=60) as (runner, told):
        server.speaker = speaker
        assert await told.next_loss() == "no answer"
        assert not runner.ignored
        server.speaker = 0
        await told.next_answer()


@both_families
@in_loop
async def test_a_late_answer_is_none(line: Line, family: Family) -> None:
    held: list[bytes] = []
    with closing(Server(line, family)) as server, probing(line, target(family), timeout_ms=50) as (_, told):
        server.answer = lambda query: held.append(right(query)) or []  # type: ignore[func-returns-value]
        await told.until(lambda: len(told.losses[0]) >= 2)
        server.answer = lambda _: held
        await told.until(lambda: len(told.losses[0]) >= 5)
        assert not told.answers[0]


@both_families
@in_loop
async def test_a_server_that_is_not_there_says_so(line: Line, family: Family) -> None:
    with probing(line, target(family), timeout_ms=60_000) as (_, told):
        assert await told.next_loss() == "connection refused"


@in_loop
async def test_each_query_has_another_id_and_port(line: Line) -> None:
    with closing(Server(line, Family.IPV4)) as server, probing(line, target(Family.IPV4)) as (_, told):
        await told.until(lambda: len(told.answers[0]) >= 8)
        assert len({query[:2] for query in server.asked}) >= 7
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path would not be shorter
    with probing(line, target(Family.IPV4)) as (_, told):
        await told.next_loss()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - see above


@in_loop
async def test_a_name_that_can_not_be_is_lost_not_raised(line: Line) -> None:
    with probing(line, target(Family.IPV4, "a" * 64)) as (_, told):
        assert await told.next_loss() == "invalid argument"
