"""Each contract test runs on the fake and on the real kernel; on the real one in a new network namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contract.worlds import FakeWorld, LinuxWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.worlds import World


@pytest.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.kernel)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made: World = FakeWorld() if request.param == "fake" else LinuxWorld()
    yield made
    made.close()


@pytest.fixture
def linux() -> Iterator[LinuxWorld]:
    made = LinuxWorld()
    yield made
    made.close()
