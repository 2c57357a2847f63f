"""HTTP and HTTPS GET: does the server answer with a status from 200 to 399?

h11 reads and writes HTTP/1.1. The body is not read. With HTTPS the certificate must be valid for the target's name, or,
where it has none, for its address (an "IP Address" among the certificate's names, RFC 2818 section 3.1). A captive
portal that answers in the place of a plain HTTP target with a redirect counts as an answer: where there is one, use
HTTPS.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import socket
import ssl
from typing import TYPE_CHECKING, Final

import h11

from evenflow import __version__
from evenflow.kernel.probes.probe import reason_of
from evenflow.kernel.rt_codec import ADDRESS_FAMILY
from evenflow.model.flow import family_of
from evenflow.model.health import ProbeMethod

if TYPE_CHECKING:
    from evenflow.kernel.probes.ledger import Ledger
    from evenflow.kernel.probes.probe import Probe
    from evenflow.kernel.probes.way import Way
    from evenflow.model.flow import Address
    from evenflow.model.health import ProbeTarget

#: Status line and header together.
_HEADER_BYTES: Final = 16_384
_CHUNK_BYTES: Final = 4096
_GOOD_FROM, _GOOD_TO = 200, 399
_DEFAULT_PORT: Final = {ProbeMethod.HTTP: 80, ProbeMethod.HTTPS: 443}


class _WrongAnswerError(Exception):
    """Something came that is no good answer."""


@functools.lru_cache(maxsize=1)
def default_tls() -> ssl.SSLContext:
    """TLS as the system trusts it. Made once: it takes milliseconds and megabytes to read all certificates."""
    return ssl.create_default_context()


def request_for(target: ProbeTarget, address: Address) -> bytes:
    """The request.

    Raises:
        OSError: EINVAL, name or path can't stand in a request.
    """
    host = target.name or (f"[{address}]" if address.version == 6 else str(address))
    port = "" if target.port in (0, _DEFAULT_PORT[target.method]) else f":{target.port}"
    headers = [("Host", host + port), ("User-Agent", f"evenflow/{__version__}"), ("Accept", "*/*")]
    try:
        request = h11.Request(method="GET", target=target.path or "/", headers=[*headers, ("Connection", "close")])
        return h11.Connection(h11.CLIENT).send(request) or b""
    except (h11.LocalProtocolError, UnicodeError) as problem:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from problem


class HttpGet:
    """A new connection and request for each probe."""

    closed = False

    def __init__(self, way: Way, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> None:
        self._way = way
        self._ledger = ledger
        self._loop = loop
        self._getting: dict[Probe, asyncio.Task[None]] = {}

    def send(self, probe: Probe) -> None:
        """Begin to connect.

        Raises:
            OSError: it could not be begun.
        """
        target = probe.target
        request = request_for(target, probe.address)
        where = self._way.socket_address(probe.address, target.port or _DEFAULT_PORT[target.method])
        made = self._way.open(ADDRESS_FAMILY[family_of(probe.address)], socket.SOCK_STREAM)
        self._getting[probe] = self._loop.create_task(self._run(probe, made, where, request))

    def collect(self) -> None:
        """The loop does it by itself."""

    def forget(self, probe: Probe) -> None:
        """Its time is over: give it up."""
        task = self._getting.pop(probe, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Give up all."""
        for probe in tuple(self._getting):
            self.forget(probe)

    async def _run(self, probe: Probe, made: socket.socket, where: tuple[object, ...], request: bytes) -> None:
        fault = ""
        with contextlib.closing(made):
            try:
                await self._loop.sock_connect(made, where)
                await self._get(probe, made, request)
            except ssl.SSLCertVerificationError as problem:
                fault = f"wrong answer: certificate: {problem.verify_message}"
            except ssl.SSLError as problem:
                fault = f"wrong answer: TLS: {problem.reason}"
            except OSError as problem:  # asyncio's own have no number
                fault = reason_of(problem) if problem.errno else "wrong answer: connection closed"
            except _WrongAnswerError as problem:
                fault = f"wrong answer: {problem}"
        self._getting.pop(probe, None)
        if fault:
            self._ledger.lost(probe, fault)
        else:
            self._ledger.answered(probe, None)

    async def _get(self, probe: Probe, made: socket.socket, request: bytes) -> None:
        tls = default_tls() if probe.target.method is ProbeMethod.HTTPS else None
        name = (probe.target.name or str(probe.address)) if tls else None
        reader, writer = await asyncio.open_connection(sock=made, ssl=tls, server_hostname=name)
        try:
            writer.write(request)
            status = await _status(reader)
        finally:
            writer.transport.abort()
        if not _GOOD_FROM <= status <= _GOOD_TO:
            raise _WrongAnswerError(f"status {status}")


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer.

    Raises:
        _WrongAnswerError: it is no HTTP, ends early, or its header is too long.
    """
    received = h11.Connection(h11.CLIENT)
    received.send(h11.Request(method="GET", target="/", headers=[("Host", "")]))
    room = _HEADER_BYTES
    while True:
        try:
            event = received.next_event()
        except h11.RemoteProtocolError as problem:
            raise _WrongAnswerError("not HTTP") from problem
        if isinstance(event, h11.Response):
            return event.status_code
        if event is h11.NEED_DATA:
            if not room:
                raise _WrongAnswerError("header too long")
            data = await reader.read(min(room, _CHUNK_BYTES))
            if not data:
                raise _WrongAnswerError("connection closed")
            room -= len(data)
            received.receive_data(data)
