"""Real PPPoE: pppd and a PPPoE server of Debian's, on Debian's kernel, and `evenflow run` between them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.emulated

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300


@dataclass(frozen=True)
class Told:
    """What the guest printed."""

    status: int
    steps: Mapping[tuple[str, str], Mapping[str, object]]
    said: str

    def step(self, config: str, name: str) -> Mapping[str, object]:
        assert (config, name) in self.steps, self.said
        return self.steps[config, name]


@pytest.fixture(scope="module")
def guest() -> Told:
    done = subprocess.run(
        [CHECKOUT / "tools/emulator", "run", "--timeout", str(TIMEOUT_S), "--env", "PYTHONPATH=tests", "--",
         sys.executable, "-m", "emulated.guest_pppoe"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    steps = {(line["config"], line["step"]): line for line in lines}
    return Told(done.returncode, steps, done.stdout + done.stderr)


def test_all_of_it_was_played(guest: Told) -> None:
    assert guest.status == 0, guest.said


@pytest.mark.parametrize("config", ["policy.toml", "article.rsc"])
def test_without_a_session_all_goes_by_the_other_uplink(guest: Told, config: str) -> None:
    assert guest.step(config, "no session yet")["index"] is None


@pytest.mark.parametrize("config", ["policy.toml", "article.rsc"])
def test_a_session_that_comes_up_is_balanced_on(guest: Told, config: str) -> None:
    assert guest.step(config, "first session")["seen"] == ["100.64.2.2"]


@pytest.mark.parametrize("config", ["policy.toml", "article.rsc"])
def test_a_session_that_is_killed_leaves_all_to_the_other_uplink(guest: Told, config: str) -> None:
    assert guest.step(config, "session killed")["index"] is None


@pytest.mark.parametrize("config", ["policy.toml", "article.rsc"])
def test_a_session_with_another_device_and_address_is_followed(guest: Told, config: str) -> None:
    first, second = guest.step(config, "first session"), guest.step(config, "second session")
    assert second["seen"] == ["100.64.2.3"]
    assert second["index"] != first["index"]
