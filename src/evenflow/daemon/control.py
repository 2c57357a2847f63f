"""The control socket: `evenflow status`, `drain`, `undrain`, `reload` and `events` speak to the daemon by it.

One JSON object a line, there and back; docs/json.md has them. Who may open the socket file may ask anything: its
permissions are the only ones that there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from evenflow.errors import EvenflowError, InputError, SystemRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger("evenflow.control")

#: Of a request, and of what waits to be written to somebody who reads slowly.
LINE_BYTES: Final = 64 * 1024

#: Events that wait for somebody who reads slowly, before the connection is cut.
_WAITING_EVENTS: Final = 256

#: Somebody who connects and says nothing, or does not read the answer, is cut off after this.
_PATIENCE_S: Final = 30.0

#: How long somebody who said too much is listened to, until he has read the answer.
_HEARING_S: Final = 1.0

#: Connections at the same time: more are not people.
_CLIENTS: Final = 64

COMMANDS: Final = ("status", "drain", "undrain", "reload", "events")


class Listeners(Protocol):
    """Where new events can be had."""

    listeners: list[Callable[[dict[str, Any]], None]]


class Handler(Protocol):
    """Who carries requests out. None of it may take long: the whole daemon waits for it."""

    def status(self) -> dict[str, Any]:
        """How everything stands."""

    def drain(self, name: str, *, drained: bool) -> dict[str, Any]:
        """Take new connections from an uplink, or give them back.

        Raises:
            InputError: there is no such uplink.
        """

    def reload(self) -> Sequence[str]:
        """Read the configuration anew; its findings as text.

        Raises:
            InputError: it can't be used.
            SystemRefusedError: the kernel refused it.
        """

    @property
    def chronicle(self) -> Listeners:
        """Tells of events."""


class ControlServer:
    """Serves a handler at a path."""

    def __init__(self, path: str, handler: Handler) -> None:
        self._path = Path(path)
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. A socket file that nobody listens at any more is replaced.

        Raises:
            SystemRefusedError: somebody listens there already, or a file can't be made there.
        """
        try:
            listening = _bind(self._path)
            self._inode = self._path.stat().st_ino
        except OSError as problem:
            raise SystemRefusedError(
                f"could not listen at {self._path}: {problem.strerror or problem}; choose another with --socket"
            ) from problem
        self._server = await asyncio.start_unix_server(self._connected, sock=listening, limit=LINE_BYTES)

    async def stop(self) -> None:
        """Stop listening, cut all connections, take the socket file away."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        with contextlib.suppress(OSError):
            # Whoever has put another one in its place keeps it.
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > _CLIENTS:
                await _answer(writer, _refusal("too many connections at once"))
            else:
                await self._converse(reader, writer)
            writer.close()
        except (OSError, asyncio.CancelledError):
            # The other side has gone, or does not read, or the daemon ends: nobody is left to be told.
            writer.transport.abort()
        finally:
            self._clients.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    line = await reader.readuntil(b"\n")
            except (asyncio.IncompleteReadError, TimeoutError) as problem:
                if isinstance(problem, asyncio.IncompleteReadError) and problem.partial:
                    await _answer(writer, _refusal("the request must end with a newline"))
                return
            except asyncio.LimitOverrunError:
                await _answer(writer, _refusal(f"a request has at most {LINE_BYTES} bytes"))
                await _hear_out(reader)
                return
            try:
                request = _parse(line)
            except _MalformedError as problem:
                await _answer(writer, _refusal(str(problem)))
                return
            if request["command"] == "events":
                await self._stream(reader, writer)
                return
            await _answer(writer, self._carry_out(request))

    def _carry_out(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request other than "events"."""
        command = request["command"]
        try:
            match command:
                case "status":
                    return self._handler.status()
                case "drain" | "undrain":
                    uplink = request.get("uplink")
                    if not isinstance(uplink, str):
                        return _refusal(f'to {command} takes an "uplink"')
                    return self._handler.drain(uplink, drained=command == "drain")
                case "reload":
                    return {"findings": list(self._handler.reload())}
                case _:
                    return _refusal(f"there is no command {command!r}; there are: {', '.join(COMMANDS)}")
        except InputError as problem:
            return _refusal(str(problem), findings=[str(finding) for finding in problem.findings])
        except EvenflowError as problem:
            return _refusal(str(problem))
        except Exception:  # noqa: BLE001 - logged with its trace
            # A mistake of ours in one answer must not end what keeps everybody's connections.
            _log.exception("could not carry out %s", command)
            return _refusal("a mistake inside evenflow; its log has more")

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Write events until the client goes, or reads too slowly."""
        waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING_EVENTS)

        def tell(event: dict[str, Any]) -> None:
            try:
                waiting.put_nowait(event)
            except asyncio.QueueFull:
                writer.transport.abort()

        listeners = self._handler.chronicle.listeners
        listeners.append(tell)
        writing = asyncio.create_task(_write_events(writer, waiting))
        try:
            # Nothing more is expected of the client: whatever it says is passed over until it goes.
            while await reader.read(LINE_BYTES):
                pass
        finally:
            listeners.remove(tell)
            writing.cancel()
            await asyncio.wait({writing})


async def _write_events(writer: asyncio.StreamWriter, waiting: asyncio.Queue[dict[str, Any]]) -> None:
    try:
        # So that the client knows from when on it misses nothing.
        await _answer(writer, {"streaming": True})
        while True:
            await _answer(writer, await waiting.get())
    except OSError:
        writer.transport.abort()


async def _hear_out(reader: asyncio.StreamReader) -> None:
    """Take what still comes, for a moment: to close upon unread data would take the answer away, too."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HEARING_S):
            while await reader.read(LINE_BYTES):
                pass


async def _answer(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    """Write one line.

    Raises:
        OSError: the other side has gone, or does not read.
    """
    text = json.dumps(answer, ensure_ascii=False, default=str)
    # Half of a surrogate pair is no UTF-8; written with a backslash it is JSON all the same.
    writer.write(text.encode(errors="backslashreplace") + b"\n")
    async with asyncio.timeout(_PATIENCE_S):
        await writer.drain()


def _refusal(why: str, **more: object) -> dict[str, Any]:
    return {"error": why, **more}


class _MalformedError(Exception):
    """It is no request; says how one looks."""


def _parse(line: bytes) -> dict[str, Any]:
    """A request.

    Raises:
        _MalformedError: it is none.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise _MalformedError("a request is one JSON object in one line") from problem
    if not isinstance(request, dict) or not isinstance(request.get("command"), str):
        raise _MalformedError(f'a request is a JSON object with a "command": {", ".join(COMMANDS)}')
    return request


def _bind(path: Path) -> socket.socket:
    """A socket that listens at `path`, for its owner and the group of its folder. The folder is made if it is missing.

    Raises:
        SystemRefusedError: somebody listens there already.
        OSError: it can't be made.
    """
    if not path.parent.is_dir():
        path.parent.mkdir()
        path.parent.chmod(0o750)
    _must_be_free(path)
    # Made beside its place and moved there when all is right: nobody meets it with other permissions, or deaf.
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listening.bind(str(fresh))
        fresh.chmod(0o660)
        with contextlib.suppress(PermissionError):  # to give a file to a group takes membership in it
            os.chown(fresh, -1, path.parent.stat().st_gid)
        listening.listen()
        fresh.rename(path)
    except BaseException:
        listening.close()
        raise
    return listening


def _must_be_free(path: Path) -> None:
    """Whether a socket can be put there: there is nothing, or a socket that nobody listens at.

    Raises:
        SystemRefusedError: it can't.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise SystemRefusedError(f"{path} is there and is no socket; choose another with --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as trying:
        # A live one whose queue is full says EAGAIN: only a refusal means that nobody is there.
        if trying.connect_ex(str(path)) in (errno.ECONNREFUSED, errno.ENOENT):
            return
    raise SystemRefusedError(
        f"another `evenflow run` is listening at {path}; end it, or choose another place with --socket"
    )
