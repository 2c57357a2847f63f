"""One delivery to a hook: a program that is run, or a request that is posted. Both block, for a limited time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import h11

from evenflow import __version__
from evenflow.kernel.probes.http_get import default_tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

#: Of what a program says, this much is kept. So much is read, that one that talks too much may end all the same.
SAID_BYTES: Final = 4096
_READ_BYTES: Final = 1 << 20

_CHUNK_BYTES: Final = 4096
#: The answer of a web server counts by its status alone; a header longer than this is none.
_HEADER_BYTES: Final = 16_384
_GOOD_FROM, _GOOD_TO = 200, 299

#: Variables that are for the daemon and not for what it starts, which could speak to systemd in its name.
_NOT_INHERITED: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


class DeliveryError(Exception):
    """It was not delivered; says why."""


# --- a program -------------------------------------------------------------------------------------------------------


def run_program(program: str, data: bytes, timeout_s: float) -> str:
    """Run a program (a path, no shell, no arguments) with `data` on its standard input; what it printed, shortened.

    It runs in a session of its own. When its time is over, it and what it has started there are killed.

    Raises:
        DeliveryError: it can't be started, ended with an error, or was killed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    with _file_of(data) as stdin:
        try:
            running = subprocess.Popen(  # noqa: S603 - no shell; the user's configuration names the program
                [program],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                cwd="/",
            )
        except (OSError, ValueError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else str(problem)
            raise DeliveryError(f"it can't be started: {why}") from problem
    with running:
        said, in_time = _listen(running, time.monotonic() + timeout_s), running.poll() is not None
        if not in_time:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
        status = running.wait()
    if not in_time:
        raise DeliveryError(_with_words(f"it was not done within {timeout_s:g} s and was killed", said))
    if status:
        raise DeliveryError(_with_words(f"it ended with {_how(status)}", said))
    return said


def _how(status: int) -> str:
    return f"status {status}" if status > 0 else f"signal {-status}"


def _with_words(what: str, said: str) -> str:
    return f"{what}; it said: {said}" if said else what


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[int]:
    """A file in memory with `data`: unlike a pipe it never blocks, and nobody must read it."""
    descriptor = os.memfd_create("event")
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _listen(running: subprocess.Popen[bytes], until_s: float) -> str:
    """What it prints until it has ended, or its time is over. What it has left behind is not waited for."""
    assert running.stdout is not None
    out = running.stdout.fileno()
    said, read_bytes = b"", 0
    ended = os.pidfd_open(running.pid)
    try:
        waiting = select.poll()
        waiting.register(out, select.POLLIN)
        waiting.register(ended, select.POLLIN)
        while (left_s := until_s - time.monotonic()) > 0:
            ready = {descriptor for descriptor, _ in waiting.poll(left_s * 1000)}
            if out in ready:
                data = os.read(out, _CHUNK_BYTES)
                said += data[: SAID_BYTES - len(said)]
                read_bytes += len(data)
                if not data or read_bytes > _READ_BYTES:
                    waiting.unregister(out)
            elif ended in ready:
                break
    finally:
        os.close(ended)
    return said.decode(errors="replace").strip()


# --- a webhook -------------------------------------------------------------------------------------------------------


def post(url: str, data: bytes, timeout_s: float) -> str:
    """POST `data` as JSON to an http or https URL; always "". A redirect is not followed: that would be a GET.

    `timeout_s` is for all of it, but for asking the name servers, which have times of their own.

    Raises:
        DeliveryError: nobody answered in time, or not with a status of 200 to 299.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DeliveryError("it is no http or https URL")
        request = _request(parts, data)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        until_s = time.monotonic() + timeout_s
        with socket.create_connection((parts.hostname, port), timeout_s) as plain:
            plain.settimeout(_left_s(until_s))
            with _secured(plain, parts) as connection:
                connection.settimeout(_left_s(until_s))
                connection.sendall(request)
                status = _status(connection, until_s)
    except TimeoutError as problem:
        raise DeliveryError(f"no answer within {timeout_s:g} s") from problem
    except ssl.SSLCertVerificationError as problem:
        raise DeliveryError(f"certificate: {problem.verify_message}") from problem
    except h11.RemoteProtocolError as problem:
        raise DeliveryError(f"it does not answer as HTTP has it: {problem}") from problem
    except (OSError, ValueError, h11.LocalProtocolError) as problem:
        raise DeliveryError(str(problem)) from problem
    if not _GOOD_FROM <= status <= _GOOD_TO:
        raise DeliveryError(f"it answered with status {status}")
    return ""


def _request(parts: SplitResult, data: bytes) -> bytes:
    """The whole request, as bytes."""
    assert parts.hostname is not None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    headers = [
        ("Host", f"{host}:{parts.port}" if parts.port else host),
        ("User-Agent", f"evenflow/{__version__}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(data))),
        ("Connection", "close"),
    ]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    writing = h11.Connection(h11.CLIENT)
    pieces = [writing.send(h11.Request(method="POST", target=target, headers=headers))]
    pieces += [writing.send(h11.Data(data=data)), writing.send(h11.EndOfMessage())]
    return b"".join(piece or b"" for piece in pieces)


@contextlib.contextmanager
def _secured(plain: socket.socket, parts: SplitResult) -> Iterator[socket.socket]:
    """The connection, with TLS where the URL asks for it."""
    if parts.scheme == "http":
        yield plain
    else:
        with default_tls().wrap_socket(plain, server_hostname=parts.hostname) as secured:
            yield secured


def _status(connection: socket.socket, until_s: float) -> int:
    """The status of the answer, which must be there in time even if it comes byte by byte."""
    reading = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)
    reading.send(h11.Request(method="POST", target="/", headers=[("Host", "")]))
    while True:
        event = reading.next_event()
        if isinstance(event, h11.Response):
            return event.status_code
        if event is h11.NEED_DATA:
            connection.settimeout(_left_s(until_s))
            data = connection.recv(_CHUNK_BYTES)
            if not data:
                raise DeliveryError("it closed the connection without an answer")
            reading.receive_data(data)


def _left_s(until_s: float) -> float:
    """How long it may still take.

    Raises:
        TimeoutError: its time is over.
    """
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
