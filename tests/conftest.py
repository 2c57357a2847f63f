"""The whole suite runs in network namespaces of its own: no test can touch the machine or send to anybody."""

from __future__ import annotations

import os
import signal

from evenflow.kernel.namespaces import enter_private


def pytest_configure() -> None:
    enter_private()
    # A shell starts what it puts into the background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What a user has set about the terminal, or pytest-xdist, is not what the tests are about.
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        os.environ.pop(name, None)
