"""Asking the daemon: the other end of the control socket. It blocks; it is for commands, not for the daemon itself."""

from __future__ import annotations

import contextlib
import grp
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evenflow.errors import InputError, NotPermittedError, SystemRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

#: A reload of a large configuration is applied, read back and verified before it is answered.
_TIMEOUT_S: Final = 30.0


def ask(path: str, request: Mapping[str, Any], timeout_s: float = _TIMEOUT_S) -> dict[str, Any]:
    """The daemon's answer to one request.

    Raises:
        InputError: what was asked for can't be: no such uplink, a configuration with mistakes.
        NotPermittedError: the caller may not open the socket.
        SystemRefusedError: no daemon is there, it does not answer, or it could not do it.
    """
    with _connected(path, timeout_s) as connection, _explained(path, timeout_s):
        _send(connection, request)
        with connection.makefile("rb") as reading:
            return _answer_in(reading.readline(), path)


def stream(path: str, request: Mapping[str, Any], timeout_s: float = _TIMEOUT_S) -> Iterator[dict[str, Any]]:
    """The objects that the daemon sends from now on: it listens when this returns. Ends when the daemon does.

    Close it to hang up.

    Raises:
        NotPermittedError: the caller may not open the socket.
        SystemRefusedError: no daemon is there, or it refused.
    """
    with contextlib.ExitStack() as unwinding:
        connection = unwinding.enter_context(_connected(path, timeout_s))
        with _explained(path, timeout_s):
            _send(connection, request)
            reading = unwinding.enter_context(connection.makefile("rb"))
            _answer_in(reading.readline(), path)
        connection.settimeout(None)
        return _lines(unwinding.pop_all(), reading, path)


def _lines(stack: contextlib.ExitStack, reading: BinaryIO, path: str) -> Iterator[dict[str, Any]]:
    with stack, contextlib.suppress(ConnectionResetError):
        while (line := reading.readline()).endswith(b"\n"):
            yield _answer_in(line, path)


def _send(connection: socket.socket, request: Mapping[str, Any]) -> None:
    """Who refuses everybody hangs up without having read; what he said before is there to be read all the same."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(json.dumps(request).encode() + b"\n")


def _answer_in(line: bytes, path: str) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise SystemRefusedError(f"the daemon at {path} hung up without an answer; its log has more")
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SystemRefusedError(f"what listens at {path} does not speak as an evenflow does")
    if "error" in answer:
        if "findings" in answer:
            raise InputError(answer["findings"] or [answer["error"]])
        raise SystemRefusedError(str(answer["error"]))
    return answer


@contextlib.contextmanager
def _connected(path: str, timeout_s: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        with _explained(path, timeout_s):
            connection.connect(path)
        yield connection


@contextlib.contextmanager
def _explained(path: str, timeout_s: float) -> Iterator[None]:
    """Errors of the system as what to do about them."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as problem:
        raise SystemRefusedError(
            f"no evenflow runs here (nobody listens at {path}): start it with `systemctl start evenflow` or "
            "`evenflow run CONFIG`, or name its socket with --socket"
        ) from problem
    except PermissionError as problem:
        raise NotPermittedError(f"you may not speak to the daemon at {path}: {_who_may(path)}") from problem
    except TimeoutError as problem:
        raise SystemRefusedError(f"the daemon at {path} did not answer within {timeout_s:g} s") from problem
    except OSError as problem:
        raise SystemRefusedError(f"the daemon at {path}: {problem.strerror or problem}") from problem


def _who_may(path: str) -> str:
    """What to do to be let in. The folder may hide the socket; it has the same group."""
    for place in (Path(path), Path(path).parent):
        with contextlib.suppress(OSError, KeyError):
            group = grp.getgrgid(place.stat().st_gid).gr_name
            if group != "root":
                return (
                    f"run it with sudo, or join the group {group} (`sudo usermod -aG {group} $USER`, then log in anew)"
                )
            break
    return "run it as root, e.g. with sudo"
