"""Steady traffic, as it runs while an uplink is cut: connections opened again and again, long ones, and downloads.

Which uplink owns a connection is known without asking the router: the same source and server, address and port, fall
into the same stream again. So each watched connection is opened once beforehand, and then again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from evenflow.errors import LabError
from evenflow.lab.clients import Connection, Dial, open_all, open_connection
from evenflow.lab.stage import as_opened, running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.lab.stage import Stage

#: First source port of watched connections; behind the range that the kernel gives out by itself.
_FIRST_PORT: Final = 61_100

#: How long one attempt may take. An answer takes milliseconds; a lost SYN is sent again after 1 s (RFC 6298).
_ATTEMPT_TIMEOUT_S: Final = 1.4

#: Long connections, the time between two messages on each, and how long an answer may take.
_LONG_CONNECTIONS: Final = 12
_LONG_INTERVAL_S: Final = 0.1
_LONG_TIMEOUT_S: Final = 20.0

#: Downloads at a time, the rate of each, how long one takes before the next, and how long it bears silence before
#: it connects anew. Together they stay below the slowest uplink, so that what moves in a failover fits there and no
#: queue hides how long it took.
_DOWNLOADS: Final = 12
_DOWNLOAD_BPS: Final = 600_000
_DOWNLOAD_S: Final = 1.2
_DOWNLOAD_PATIENCE_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class Watched:
    """A connection that falls to a known uplink."""

    dial: Dial
    owner: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One opening of a watched connection; times by the loop's clock, `uplink` None when it failed."""

    watched: Watched
    began_s: float
    ended_s: float
    uplink: str | None


@dataclass(slots=True)
class LongConnection:
    """A connection that stays open, and when its messages came back (the loop's clock)."""

    connection: Connection
    uplink: str
    answered_s: list[float]
    broke_s: float | None = None

    def answered_after(self, moment_s: float) -> bool:
        """Whether it went on after a moment."""
        return bool(self.answered_s) and self.answered_s[-1] > moment_s


class Traffic:
    """All of it. Use it as an asynchronous context manager; it runs from the start to the end of the `with`.

    Attributes:
        attempts: those that ended.
        long: the long connections.
        caught: watched connections that failed once.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stack = contextlib.AsyncExitStack()
        self._watched: tuple[Watched, ...] = ()
        self.attempts: list[Attempt] = []
        self.long: tuple[LongConnection, ...] = ()
        self.caught: set[Watched] = set()

    async def __aenter__(self) -> Self:
        """Learn who owns what, then start. Raises LabError when connections can't be opened."""
        self._watched = await self._learn()
        self.long = await self._open_long()
        self._stack.callback(self._close_long)
        # They end one after the other, not all at once.
        downloads = (
            self._download(dial, first_s=_DOWNLOAD_S * (n + 1) / _DOWNLOADS)
            for n, dial in enumerate(self._stage.dials(_DOWNLOADS))
        )
        messages = (self._talk(long) for long in self.long)
        await self._stack.enter_async_context(running(self._attempt_on(), *messages, *downloads))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End all of it; a second time does nothing."""
        await self._stack.aclose()

    def try_all_again(self) -> None:
        """Forget which watched connections failed: the way that they were given is there again."""
        self.caught.clear()

    def owned(self, owner: str) -> int:
        """How many watched connections fall to an uplink."""
        return sum(watched.owner == owner for watched in self._watched)

    async def _learn(self) -> tuple[Watched, ...]:
        count = self._stage.scenario.watched
        dials = [replace(dial, source_port=_FIRST_PORT + n) for n, dial in enumerate(self._stage.dials(count))]
        opened = as_opened(await open_all(self._stage.world, dials, timeout_s=self._stage.scenario.open_timeout_s))
        watched = [Watched(one.dial, uplink) for one in opened if (uplink := self._stage.uplink_seen(one))]
        for connection in opened:
            connection.abort()
        owners = {one.owner for one in watched}
        if len(opened) < count or len(owners) < len(self._stage.topology.uplinks):
            raise LabError(f"only {len(opened)} of {count} connections opened, by {sorted(owners) or 'no uplink'}")
        return tuple(watched)

    async def _open_long(self) -> tuple[LongConnection, ...]:
        opened = await self._stage.open_many(_LONG_CONNECTIONS)
        return tuple(LongConnection(one, self._stage.uplink_seen(one) or "", []) for one in opened)

    def _close_long(self) -> None:
        for long in self.long:
            long.connection.abort()

    # --- what runs ---------------------------------------------------------------------------------------------

    async def _attempt_on(self) -> None:
        """Open the watched connections in turn, one each interval; one that is still being opened is passed over."""
        loop, interval_s = asyncio.get_running_loop(), self._stage.scenario.attempt_interval_s
        pending: dict[Watched, asyncio.Task[None]] = {}
        try:
            while True:
                if self.caught.issuperset(self._watched):
                    await asyncio.sleep(interval_s)
                for watched in self._watched:
                    task = pending.get(watched)
                    if watched in self.caught or (task is not None and not task.done()):
                        await asyncio.sleep(0)
                        continue
                    pending[watched] = loop.create_task(self._attempt(watched))
                    await asyncio.sleep(interval_s)
        finally:
            for task in pending.values():
                task.cancel()
            await asyncio.gather(*pending.values(), return_exceptions=True)

    async def _attempt(self, watched: Watched) -> None:
        clock = asyncio.get_running_loop().time
        began_s, uplink = clock(), None
        try:
            connection = await open_connection(self._stage.world, watched.dial, timeout_s=_ATTEMPT_TIMEOUT_S)
        except OSError:
            # The kernel remembers a connection that never opened for minutes, with the source address that it was
            # given: the same ports can't be opened anew by another uplink. So it is not tried again.
            self.caught.add(watched)
        else:
            uplink = self._stage.uplink_seen(connection)
            connection.abort()
        self.attempts.append(Attempt(watched, began_s, clock(), uplink))

    async def _talk(self, long: LongConnection) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while True:
                await long.connection.echo(timeout_s=_LONG_TIMEOUT_S)
                long.answered_s.append(clock())
                await asyncio.sleep(_LONG_INTERVAL_S)
        except OSError:
            long.broke_s = clock()

    async def _download(self, dial: Dial, first_s: float) -> None:
        """One download after the other; when nothing comes any more, connect anew as a person would press reload."""
        clock = asyncio.get_running_loop().time
        end_s = clock() + first_s
        while True:
            with contextlib.suppress(OSError):
                connection = await open_connection(self._stage.world, dial, timeout_s=_DOWNLOAD_PATIENCE_S)
                try:
                    await connection.start_download(rate_bps=_DOWNLOAD_BPS)
                    while clock() < end_s:
                        await connection.receive(timeout_s=_DOWNLOAD_PATIENCE_S)
                finally:
                    connection.abort()
            end_s = clock() + _DOWNLOAD_S


def by_owner(attempts: Sequence[Attempt], owner: str) -> list[Attempt]:
    """The attempts whose connection falls to an uplink."""
    return [attempt for attempt in attempts if attempt.watched.owner == owner]
