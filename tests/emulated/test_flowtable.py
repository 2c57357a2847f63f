"""A flowtable on Debian's kernel, which has them: known connections go by it, but not when their uplink is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.emulated

CHECKOUT = Path(__file__).resolve().parents[2]
CONNECTIONS = 24


@dataclass(frozen=True)
class Told:
    """What the guest printed."""

    status: int
    steps: Mapping[str, Mapping[str, Any]]
    said: str


@pytest.fixture(scope="module")
def guest() -> Told:
    done = subprocess.run(
        [CHECKOUT / "tools/emulator", "run", "--timeout", "300", "--env", "PYTHONPATH=tests", "--",
         sys.executable, "-m", "emulated.guest_flowtable"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stdout + done.stderr
    return Told(done.returncode, {line["step"]: line for line in lines}, done.stdout + done.stderr)


def test_known_connections_go_by_it_each_on_its_uplink(guest: Told) -> None:
    known = guest.steps["known"]
    assert known["flowtables"] == 1
    assert known["offloaded"] == known["entries"] == CONNECTIONS
    assert known["broke"] == 0
    assert min(known["uplinks"].values()) > 0


def test_those_of_a_lost_uplink_are_gone_and_the_others_go_on(guest: Told) -> None:
    lost = guest.steps["lost"]
    assert lost["flowtables"] == 1
    assert lost["left"] == 0
    assert lost["others"] > 0
    assert lost["broke"] == 0
    assert lost["uplinks"] == {"isp1": 0, "isp2": CONNECTIONS}


def test_when_it_is_back_new_ones_go_by_both_and_by_the_flowtable(guest: Told) -> None:
    back = guest.steps["back"]
    assert back["flowtables"] == 1
    assert back["broke"] == 0
    assert back["offloaded"] >= CONNECTIONS
    assert min(back["uplinks"].values()) > 0


def test_nothing_is_left_behind(guest: Told) -> None:
    assert "evenflow" not in guest.steps["down"]["left"]
