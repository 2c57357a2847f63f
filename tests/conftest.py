"""The whole suite runs in network namespaces of its own: no test can touch the machine or send to anybody."""

from __future__ import annotations

from evenflow.kernel.namespaces import enter_private


def pytest_configure() -> None:
    enter_private()
