"""The daemon in the lab's router: a process of its own, as on a real machine, and what it tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from evenflow.errors import LabError
from evenflow.lab.topology import ROUTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenflow.lab.world import World

#: Python starts, the configuration is read and put in force: a second or two on a slow machine.
_START_S: Final = 20.0
_ANSWER_S: Final = 10.0
_POLL_S: Final = 0.01


class RouterProcess:
    """`evenflow run` in the router's namespace. Use it as an asynchronous context manager.

    Attributes:
        events: what it told so far, oldest first: (time by the loop's clock, the event).
    """

    def __init__(self, world: World, policy: str, *, seed: int | None = None) -> None:
        self._world = world
        self._folder = tempfile.TemporaryDirectory(prefix="evenflow-lab-")
        self._config = Path(self._folder.name, "router.toml")
        self._log = Path(self._folder.name, "log")
        self._socket = str(Path(self._folder.name, "control.sock"))
        self._seed = seed
        self._process: subprocess.Popen[Any] | None = None
        self._listening: asyncio.Task[None] | None = None
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.write(policy)

    async def __aenter__(self) -> Self:
        """Start it. Raises LabError when it does not come up."""
        try:
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end(signal.SIGTERM)
        self._folder.cleanup()

    def write(self, policy: str) -> None:
        """Change the configuration on disk."""
        self._config.write_text(policy, encoding="utf-8")

    @property
    def configuration(self) -> bytes:
        """What stands in the configuration on disk."""
        return self._config.read_bytes()

    async def start(self) -> None:
        """Start it, and return when everything is in force. Raises LabError."""
        command = [sys.executable, "-m", "evenflow.cli", "run", str(self._config), "--socket", self._socket]
        command += ["--verbose"]
        command += ["--seed", str(self._seed)] if self._seed is not None else []
        with self._log.open("ab") as log:
            self._process = self._world[ROUTER].start(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        await self.until(self._answers, within_s=_START_S, what="the daemon did not come up")
        self._listening = asyncio.create_task(self._listen())

    async def end(self, with_signal: signal.Signals) -> None:
        """End it, and wait until it is gone."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(with_signal)
            await asyncio.to_thread(process.wait)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process is not None
        return self._process.pid

    async def ask(self, command: str, **members: object) -> dict[str, Any]:
        """One request, its answer. Raises LabError when there is none."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(self._socket, limit=1 << 20)
                try:
                    writer.write(json.dumps({"command": command, **members}).encode() + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as problem:
            raise LabError(f"the daemon does not answer: {problem!r}; it logged:\n{self.log_end()}") from problem
        answer: dict[str, Any] = json.loads(line or b"{}")
        return answer

    async def state(self, uplink: str) -> str:
        """The state of an uplink."""
        for one in (await self.ask("status"))["uplinks"]:
            if one["name"] == uplink:
                return str(one["state"])
        raise LabError(f"the daemon knows no uplink {uplink}")

    async def until_state(self, uplink: str, *states: str, within_s: float) -> float:
        """Wait for one of the states; the loop's time then. Raises LabError after `within_s`."""

        async def there() -> bool:
            return await self.state(uplink) in states

        return await self.until(there, within_s=within_s, what=f"{uplink} did not become {' or '.join(states)}")

    async def until(self, condition: Callable[[], Any], *, within_s: float, what: str) -> float:
        """Wait until an asynchronous condition is so; the loop's time then. Raises LabError after `within_s`."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while loop.time() < end_s:
            if self._process is not None and self._process.poll() is not None:
                raise LabError(f"the daemon ended by itself; it logged:\n{self.log_end()}")
            if await condition():
                return loop.time()
            await asyncio.sleep(_POLL_S)
        raise LabError(f"{what} within {within_s:g} s; it logged:\n{self.log_end()}")

    def log_end(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])

    def told(self, event: str, since_s: float = 0.0, **members: object) -> list[tuple[float, dict[str, Any]]]:
        """The events of a kind that it told since then, and which have these members."""
        return [
            (at_s, entry)
            for at_s, entry in self.events
            if at_s >= since_s and entry.get("event") == event
            if all(entry.get(name) == value for name, value in members.items())
        ]

    async def _answers(self) -> bool:
        if not Path(self._socket).exists():
            return False
        try:
            return "uplinks" in await self.ask("status")
        except LabError:
            return False

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=1 << 20)
        try:
            writer.write(b'{"command": "events"}\n')
            while line := await reader.readline():
                entry = json.loads(line)
                if "event" in entry:
                    self.events.append((asyncio.get_running_loop().time(), entry))
        finally:
            writer.close()
