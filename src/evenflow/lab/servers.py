"""Servers of the lab: each tells a client the address that it saw, then answers or sends as it is told.

The protocol, lines of text over TCP::

    server: 100.64.1.2 40001          who you are, as seen here
    client: echo WORDS                server: echo WORDS
    client: send 0                    server: bytes as fast as they go, until the client closes
    client: send 500000               server: bytes at 500 kbit/s, until the client closes
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    import socket

_CHUNK_BYTES: Final = 16_384


class TellServers:
    """Any number of listening sockets, in any namespaces, served from the running loop.

    Leave the `async with` and every connection is aborted and every socket closed.
    """

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self, listening: socket.socket) -> None:
        """Serve a listening socket from now on; it is closed with the others."""
        self._servers.append(await asyncio.start_server(self._serve, sock=listening))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        for server in self._servers:
            await server.wait_closed()
        while self._writers:  # each handler notices its lost connection on the loop's next turns
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):  # the client went away: what the lab's clients often do
                peer = writer.get_extra_info("peername")
                writer.write(f"{peer[0]} {peer[1]}\n".encode())
                await self._answer(reader, writer)
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
            self._writers.discard(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.startswith(b"send "):
                await _send(writer, rate_bps=int(line[5:]))
            writer.write(line)
            await writer.drain()


async def _send(writer: asyncio.StreamWriter, *, rate_bps: int) -> None:
    chunk = bytes(_CHUNK_BYTES if rate_bps == 0 else min(_CHUNK_BYTES, max(1000, rate_bps // 80)))
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        writer.write(chunk)
        await writer.drain()
        if rate_bps:
            due = max(due, loop.time() - 0.2) + len(chunk) * 8 / rate_bps
            await asyncio.sleep(max(0.0, due - loop.time()))
