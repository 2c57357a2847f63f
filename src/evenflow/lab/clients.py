"""Clients of the lab: TCP connections from chosen addresses, in any namespace, to the servers of the lab."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from evenflow.errors import LabError
from evenflow.model.flow import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.lab.world import World
    from evenflow.model.flow import Address

#: Connections that are being opened at the same time. Enough to be quick, and few enough that no queue drops a SYN.
_OPENING_AT_ONCE: Final = 48

# SO_LINGER on with time 0: close() sends a reset, and the port is free again at once (socket(7)).
_LINGER_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Dial:
    """Whom to connect to, and from where. A source port of 0 lets the kernel choose."""

    node: str
    source: Address
    server: Address
    server_port: int
    source_port: int = 0


class Connection:
    """An open connection.

    Attributes:
        dial: how it was opened.
        source_port: the client's own port.
        seen_address, seen_port: the client as the server saw it (after source NAT).
    """

    def __init__(self, dial: Dial, sock: socket.socket, told: str) -> None:
        self.dial = dial
        self.source_port: int = sock.getsockname()[1]
        address, port = told.split()
        self.seen_address: Address = ip_address(address)
        self.seen_port = int(port)
        self._socket = sock

    async def echo(self, size_bytes: int = 16, *, timeout_s: float = 5.0) -> None:
        """Send a line of `size_bytes` and wait until it is back.

        Raises:
            OSError: the connection broke, or no answer came in time (TimeoutError), or it was another one.
        """
        line = b"echo ".ljust(size_bytes - 1, b"e") + b"\n"
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            await loop.sock_sendall(self._socket, line)
            answer = b""
            while len(answer) < len(line):
                part = await loop.sock_recv(self._socket, len(line) - len(answer))
                if not part:
                    raise ConnectionResetError("closed by the server")
                answer += part
        if answer != line:
            raise ConnectionAbortedError("the answer is not what was sent")

    async def start_download(self, *, rate_bps: int = 0) -> None:
        """Ask the server to send until the connection is closed; 0 is as fast as it goes."""
        await asyncio.get_running_loop().sock_sendall(self._socket, f"send {rate_bps}\n".encode())

    async def receive(self, *, timeout_s: float) -> int:
        """Take what has come, at least one byte; returns how many. Raises OSError, also when nothing comes in time."""
        async with asyncio.timeout(timeout_s):
            count = len(await asyncio.get_running_loop().sock_recv(self._socket, 65_536))
        if not count:
            raise ConnectionResetError("closed by the server")
        return count

    def close(self) -> None:
        """Close it in order (FIN)."""
        self._socket.close()

    def abort(self) -> None:
        """Close it with a reset; the same ports can be used again at once."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._socket.close()


async def open_connection(world: World, dial: Dial, *, timeout_s: float) -> Connection:
    """Connect and hear whom the server saw.

    Raises:
        OSError: it could not be opened, or not in time (TimeoutError).
    """
    sock = world.socket(dial.node, socket.SOCK_STREAM, family_of(dial.source))
    loop = asyncio.get_running_loop()
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if dial.source_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((str(dial.source), dial.source_port))
        async with asyncio.timeout(timeout_s):
            await loop.sock_connect(sock, (str(dial.server), dial.server_port))
            told = await _read_line(sock)
        return Connection(dial, sock, told)
    except BaseException:
        # A half-open connection must not linger on, and its ports are wanted again.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        sock.close()
        raise


async def _read_line(sock: socket.socket) -> str:
    told = b""
    while not told.endswith(b"\n"):
        part = await asyncio.get_running_loop().sock_recv(sock, 128)
        if not part:
            raise ConnectionResetError("closed by the server")
        told += part
    return told.decode("ascii")


async def open_all(world: World, dials: Sequence[Dial], *, timeout_s: float) -> list[Connection | OSError]:
    """Open many, some at a time; the answers are in the order of `dials`."""
    gate = asyncio.Semaphore(_OPENING_AT_ONCE)

    async def one(dial: Dial) -> Connection | OSError:
        async with gate:
            try:
                return await open_connection(world, dial, timeout_s=timeout_s)
            except OSError as problem:
                return problem

    return await asyncio.gather(*(one(dial) for dial in dials))


@contextlib.contextmanager
def descriptors(needed: int) -> Iterator[None]:
    """Let this process have that many descriptors open for the time of the `with`.

    Raises:
        LabError: the system allows it fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LabError(f"the lab opens {needed} sockets at once, this process may open {hard}: raise `ulimit -Hn`")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
