"""Ctrl-C in the middle of a callback: it takes effect behind it."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from evenflow.lab.running import run


def test_what_main_gives_is_given() -> None:
    async def main() -> int:
        return 7

    assert run(main()) == 7


def test_ctrl_c_waits_for_the_callback_and_then_cleans_up() -> None:
    told: list[dict[str, Any]] = []
    cleaned = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        awaited = loop.create_future()

        def callback() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            awaited.set_result(None)  # refused, had the signal cancelled it in between

        loop.call_soon(callback)
        try:
            await awaited
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert told == []
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_cancelled_by_itself_is_no_ctrl_c() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        run(main())
