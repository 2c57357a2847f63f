"""Running something to its end, or until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run()`, where Ctrl-C cancels between two callbacks.

    The handler of `asyncio.run()` cancels wherever the interpreter is, so also within the callback of a future, which
    then has its result refused and prints a traceback. A second Ctrl-C ends it at once.

    Raises:
        KeyboardInterrupt: Ctrl-C; what had to be cleaned up is.
        Whatever `main` raises.
    """
    interrupted = False

    async def watched() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            loop.remove_signal_handler(signal.SIGINT)
            task.cancel()

        if threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            return await main
        finally:
            if threading.current_thread() is threading.main_thread():
                loop.remove_signal_handler(signal.SIGINT)

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
