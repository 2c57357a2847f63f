"""The whole suite runs in network namespaces of its own: no test can touch the machine or send to anybody."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

from evenflow.kernel.namespaces import enter_private

# No test is about how long it takes: the machine may be busy. Hypothesis itself sees to that where CI is set.
if "CI" not in os.environ:
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


def pytest_configure() -> None:
    enter_private()
    # A shell starts what it puts into the background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What a user has set about the terminal, or pytest-xdist, is not what the tests are about.
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        os.environ.pop(name, None)
