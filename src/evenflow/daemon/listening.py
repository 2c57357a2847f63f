"""Listening to what links carry, for the watches that ask seldom."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from evenflow.errors import SystemRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.daemon.watching import Watcher
    from evenflow.kernel.linux import LinuxKernel

#: Twice within the time that makes silence out of a pause. One look costs about what one probe does.
_EVERY_S: Final = 0.25


class Listener:
    """Looks at the counters of all links at once, as long as a watch wants them."""

    def __init__(self, kernel: LinuxKernel) -> None:
        self._kernel = kernel
        self._watchers: tuple[Watcher, ...] = ()
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, watchers: Iterable[Watcher]) -> None:
        """For these watches from now on, as far as they want it; the loop must run."""
        self.stop()
        self._watchers = tuple(watcher for watcher in watchers if watcher.listens)
        self._again()

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        with contextlib.suppress(SystemRefusedError):  # the next pass will meet it, too, and tell
            counters = self._kernel.link_counters()
            for watcher in self._watchers:
                if watcher.watch.interface in counters:
                    watcher.carried(counters[watcher.watch.interface], now_s)
        self._again()

    def _again(self) -> None:
        if self._watchers:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._look)
