"""HTTP and HTTPS GET: a good status counts; certificates are checked."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from contract.probing import AF, FAR, NOBODY, Line, in_loop, probing
from contract.worlds import need_program
from evenflow.kernel.namespaces import run
from evenflow.kernel.probes.http_get import default_tls
from evenflow.model.flow import Family
from evenflow.model.health import ProbeMethod, ProbeTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel

both_families = pytest.mark.parametrize("family", Family)
PORT = 8080
NAME = "probe.example"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


class Server:
    """Answers each request with the same bytes, and then hangs up, or not.

    Attributes:
        answer: the bytes; None: silence.
        hangs_up: whether the connection is closed then.
        asks: after how many bytes; 0: after a request.
        asked: what came.
    """

    def __init__(self) -> None:
        self.answer: bytes | None = OK
        self.hangs_up = False
        self.asks = 0
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await (reader.read(self.asks) if self.asks else reader.readuntil(b"\r\n\r\n")))
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
            if not self.hangs_up:
                await reader.read()
        except (OSError, EOFError):  # the other end has what it wants, and is gone
            pass
        finally:
            writer.transport.abort() if not self.hangs_up else writer.close()


@asynccontextmanager
async def serving(line: Line, family: Family, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = Server()
    listening = line.socket(AF[family], socket.SOCK_STREAM)
    listening.bind((str(FAR[family]), PORT))
    async with await asyncio.start_server(made.serve, sock=listening, ssl=tls):
        yield made


def target(family: Family, method: ProbeMethod = ProbeMethod.HTTP, name: str = "", path: str = "/") -> ProbeTarget:
    return ProbeTarget(method, FAR[family], PORT, name, path)


@both_families
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "399 What"])
@in_loop
async def test_a_good_status_is_an_answer(line: Line, family: Family, status: str) -> None:
    async with serving(line, family) as server:
        server.answer = (
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 " + status.encode() + b"\r\nContent-Length: 9\r\n\r\n"
        )
        with probing(line, target(family, name=NAME, path="/generate_204?x")) as (_, told):
            assert 0 < await told.next_answer() <= 2000
            assert not told.losses[0]
        head, *fields = server.asked[0].decode().split("\r\n")
        assert head == "GET /generate_204?x HTTP/1.1"
        assert f"Host: {NAME}:{PORT}" in fields
        assert "Connection: close" in fields


@both_families
@in_loop
async def test_without_a_name_the_host_is_the_address(line: Line, family: Family) -> None:
    async with serving(line, family) as server:
        with probing(line, target(family)) as (_, told):
            await told.next_answer()
        host = f"[{FAR[family]}]" if family is Family.IPV6 else str(FAR[family])
        assert f"\r\nHost: {host}:{PORT}\r\n".encode() in server.asked[0]


WRONG: dict[str, tuple[bytes, bool, str]] = {
    "a server's fault": (b"HTTP/1.1 500 Oh\r\n\r\n", False, "status 500"),
    "nothing of that name": (b"HTTP/1.1 404 No\r\n\r\n", False, "status 404"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False, "not HTTP"),
    "noise": (os.urandom(3000) + b"\r\n\r\n", False, "not HTTP"),
    "half a header": (b"HTTP/1.1 200 OK\r\nA: b", True, "connection closed"),
    "nothing": (b"", True, "connection closed"),
    "a header without end": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000, False, "header too long"),
}


@pytest.mark.parametrize("kind", WRONG)
@in_loop
async def test_a_wrong_answer_is_told_at_once(line: Line, kind: str) -> None:
    async with serving(line, Family.IPV4) as server:
        server.answer, server.hangs_up, fault = WRONG[kind]
        with probing(line, target(Family.IPV4), interval_ms=100, timeout_ms=60_000) as (_, told):
            assert await told.next_loss() == f"wrong answer: {fault}"
            assert not told.answers[0]
            server.answer, server.hangs_up = OK, False
            await told.next_answer()


@both_families
@pytest.mark.parametrize("method", [ProbeMethod.HTTP, ProbeMethod.HTTPS])
@in_loop
async def test_silence_is_a_loss_and_leaves_nothing_open(line: Line, family: Family, method: ProbeMethod) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path would not be shorter
    async with serving(line, family) as server:
        server.answer = None
        nobody = ProbeTarget(method, NOBODY[family], PORT)
        with probing(line, target(family, method), nobody, interval_ms=50, timeout_ms=80) as (_, told):
            for index in (0, 1):
                assert await told.next_loss(index) == "no answer"
            assert not told.answers[0]
    async with asyncio.timeout(10):
        while len(os.listdir("/proc/self/fd")) > before:  # noqa: PTH208 - see above
            await asyncio.sleep(0)


@both_families
@in_loop
async def test_a_refusal_is_a_loss(line: Line, family: Family) -> None:
    with probing(line, target(family), target(family, ProbeMethod.HTTPS), timeout_ms=60_000) as (_, told):
        assert await told.next_loss(0) == "connection refused"
        assert await told.next_loss(1) == "connection refused"


@in_loop
async def test_a_path_that_can_not_be_is_lost_not_raised(line: Line) -> None:
    with probing(line, target(Family.IPV4, path="/a b\r\nX: y")) as (_, told):
        assert await told.next_loss() == "invalid argument"


@pytest.fixture
def server_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's TLS, valid for `NAME` and its addresses, which the system trusts for the time of the test."""
    need_program("openssl", "openssl")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    names = ",".join([f"DNS:{NAME}", *(f"IP:{address}" for address in FAR.values())])
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test"]
    usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    run(
        [
            "openssl",
            "req",
            "-x509",
            *words,
            "-addext",
            f"subjectAltName={names}",
            *usage,
            "-keyout",
            key,
            "-out",
            certificate,
        ]
    )
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    default_tls.cache_clear()
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    yield made
    default_tls.cache_clear()


@both_families
@pytest.mark.parametrize("name", [NAME, ""])
@in_loop
async def test_a_valid_certificate_is_accepted(
    line: Line, family: Family, name: str, server_tls: ssl.SSLContext
) -> None:
    async with serving(line, family, server_tls):
        with probing(line, target(family, ProbeMethod.HTTPS, name), interval_ms=100) as (_, told):
            await told.next_answer()
            await told.next_answer()
            assert not told.losses[0]


@both_families
@in_loop
async def test_a_certificate_for_another_name_is_a_wrong_answer(
    line: Line, family: Family, server_tls: ssl.SSLContext
) -> None:
    async with serving(line, family, server_tls) as server:
        other = target(family, ProbeMethod.HTTPS, "other.example")
        with probing(line, other, interval_ms=100, timeout_ms=60_000) as (_, told):
            assert (await told.next_loss()).startswith("wrong answer: certificate: Hostname mismatch")
        assert not server.asked


@in_loop
async def test_a_certificate_that_nobody_trusts_is_a_wrong_answer(
    line: Line, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with serving(line, Family.IPV4, server_tls) as server:
        with probing(line, target(Family.IPV4, ProbeMethod.HTTPS, NAME), interval_ms=100) as (_, told):
            assert (await told.next_loss()).startswith("wrong answer: certificate: self")
        assert not server.asked


@in_loop
async def test_plain_http_on_the_port_of_https_is_a_wrong_answer(line: Line) -> None:
    async with serving(line, Family.IPV4) as server:
        server.asks = 1
        server.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        with probing(line, target(Family.IPV4, ProbeMethod.HTTPS, NAME), interval_ms=100, timeout_ms=60_000) as (
            _,
            told,
        ):
            assert await told.next_loss() == "wrong answer: TLS: WRONG_VERSION_NUMBER"
