"""Hooks: a program or a webhook is told of what happened.

Both get one JSON object: the program on its standard input, the webhook as the body of a POST. Each delivery runs in a
thread of its own, so that no slow program, name server or web server ever holds up the daemon; and whatever goes wrong
is logged, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from evenflow.kernel.hook_delivery import DeliveryError, post, run_program
from evenflow.model.health import HealthState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evenflow.model.policy import Hooks

_log = logging.getLogger("evenflow.hooks")

#: Deliveries at the same time, of all uplinks together.
_AT_ONCE: Final = 4

#: Events that wait for their turn, per uplink and hook; when a hook can't keep up, the oldest ones are dropped.
_WAITING: Final = 64

#: How long one delivery may take.
_TIMEOUT_S: Final = 10.0

#: Waits before each new try of a webhook: the way to it may be what has just failed. A program is started once.
_AGAIN_AFTER_S: Final = (1.0, 5.0, 15.0)

#: How much of an event that was not told is logged.
_SHOWN_BYTES: Final = 512

#: How long the daemon's end waits for what is under way.
_FAREWELL_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One event for one hook: what is told of it, how it is done, and the waits before it is tried again."""

    what: str
    work: Callable[[], str]
    data: bytes
    again_after_s: Sequence[float] = ()


class HookRunner:
    """Tells the hooks: each of them the events of one uplink in their order, those of different uplinks side by side.

    `tell` and `change` are called in the thread of the loop. Doubts are not told (a lost probe makes an uplink FALLING,
    the next answer UP again): on lines that lose one probe in a hundred there would be several a minute.
    """

    def __init__(
        self, hooks: Hooks, *, timeout_s: float = _TIMEOUT_S, again_after_s: Sequence[float] = _AGAIN_AFTER_S
    ) -> None:
        self._hooks = hooks
        self._timeout_s = timeout_s
        self._again_after_s = again_after_s
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._waiting: dict[str, deque[_Delivery]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped = False

    def change(self, hooks: Hooks) -> None:
        """Tell these from now on."""
        self._hooks = hooks

    def tell(self, event: Mapping[str, Any]) -> None:
        """Have the hooks told of an event; returns at once. Its "uplink" says behind which others it waits."""
        program, webhook = self._hooks.program, self._hooks.webhook
        if self._stopped or not (program or webhook) or _is_doubt(event):
            return
        data = json.dumps(event, ensure_ascii=False, default=str).encode(errors="replace") + b"\n"
        name = str(event.get("uplink", ""))
        if program:
            work = functools.partial(run_program, program, data, self._timeout_s)
            self._queue(f"program {name}", _Delivery(f"the program {program}", work, data))
        if webhook:
            work = functools.partial(post, webhook, data, self._timeout_s)
            self._queue(f"webhook {name}", _Delivery(f"the webhook {webhook}", work, data, self._again_after_s))

    async def stop(self) -> None:
        """Take no more events; those under way get a moment to end."""
        self._stopped = True
        tasks = tuple(self._tasks.values())
        if not tasks:
            return
        _, unfinished = await asyncio.wait(tasks, timeout=_FAREWELL_S)
        for task in unfinished:
            task.cancel()
        if unfinished:
            _log.warning("hooks that were not done when the daemon ended: %d", len(unfinished))
            await asyncio.wait(unfinished)

    def _queue(self, line: str, delivery: _Delivery) -> None:
        waiting = self._waiting.setdefault(line, deque())
        waiting.append(delivery)
        if len(waiting) > _WAITING:
            _log.warning("%s is too slow, it is not told: %s", delivery.what, _shown(waiting.popleft()))
        if line not in self._tasks:
            self._tasks[line] = asyncio.get_running_loop().create_task(self._work_off(line, waiting))

    async def _work_off(self, line: str, waiting: deque[_Delivery]) -> None:
        try:
            while waiting:
                await self._deliver(waiting.popleft())
        finally:
            # No await lies between the last look at `waiting` and this: nothing can be left behind.
            self._tasks.pop(line, None)
            self._waiting.pop(line, None)

    async def _deliver(self, delivery: _Delivery) -> None:
        for wait_s in delivery.again_after_s:
            if await self._try(delivery):
                return
            await asyncio.sleep(wait_s)
        if not await self._try(delivery):
            _log.warning("%s was not told: %s", delivery.what, _shown(delivery))

    async def _try(self, delivery: _Delivery) -> bool:
        """One try; whether it succeeded."""
        async with self._free:
            try:
                said = await _in_thread(delivery.work)
            except DeliveryError as problem:
                _log.warning("%s: %s", delivery.what, problem)
                return False
        if said:
            _log.info("%s said: %s", delivery.what, said)
        return True


def _shown(delivery: _Delivery) -> str:
    return delivery.data[:_SHOWN_BYTES].decode(errors="replace").strip()


def _is_doubt(event: Mapping[str, Any]) -> bool:
    falling, up = HealthState.FALLING.value, HealthState.UP.value
    before, after = event.get("before"), event.get("after")
    return after == falling or (before == falling and after == up)


async def _in_thread(work: Callable[[], str]) -> str:
    """The result of `work`, done in a thread of its own, which nobody waits for when the process ends.

    A thread pool would not do: the interpreter waits for its threads, and resolving a name may hang for a minute.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def answer(said: str, problem: BaseException | None) -> None:
        if done.done():
            return
        if problem is None:
            done.set_result(said)
        else:
            done.set_exception(problem)

    def run() -> None:
        said, problem = "", None
        try:
            said = work()
        except Exception as raised:  # noqa: BLE001 - it is raised again, in the thread of the loop
            problem = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(answer, said, problem)

    threading.Thread(target=run, name="evenflow-hook", daemon=True).start()
    return await done
