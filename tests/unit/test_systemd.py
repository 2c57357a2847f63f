"""What systemd is told, and the unit that it starts us by."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.kernel.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT = Path(__file__).parents[2] / "packaging" / "evenflow.service"


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """The socket that systemd would read; its name is the environment's way to write it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify") if request.param == "path" else f"\0evenflow-test-{os.getpid()}")
        made.settimeout(1)
        yield made


def environment(systemd: socket.socket, **more: str) -> dict[str, str]:
    name = systemd.getsockname()
    return {"NOTIFY_SOCKET": "@" + name[1:].decode() if isinstance(name, bytes) else name, **more}


def told(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().split("\n")


def test_each_state_is_told(systemd: socket.socket) -> None:
    notifier = Notifier(environment(systemd))
    notifier.ready("running\nmy.toml")
    assert told(systemd) == ["READY=1", "STATUS=running my.toml"]
    notifier.status("2 of 3 uplinks up")
    assert told(systemd) == ["STATUS=2 of 3 uplinks up"]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    first, second = told(systemd)
    assert first == "RELOADING=1"
    key, _, usec = second.partition("=")
    assert key == "MONOTONIC_USEC"
    assert before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.stopping()
    assert told(systemd) == ["STOPPING=1"]


def test_the_watchdog_is_told_only_where_one_waits(systemd: socket.socket) -> None:
    watched = Notifier(environment(systemd, WATCHDOG_USEC="20000000", WATCHDOG_PID=str(os.getpid())))
    assert watched.watchdog_s == 20.0
    watched.alive()
    assert told(systemd) == ["WATCHDOG=1"]
    unwatched = Notifier(environment(systemd))
    assert unwatched.watchdog_s is None
    unwatched.alive()
    unwatched.stopping()
    assert told(systemd) == ["STOPPING=1"]


@pytest.mark.parametrize(
    "variables",
    [
        {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_PID": str(os.getpid())},
    ],
)
def test_a_watchdog_of_somebody_else_is_none(variables: dict[str, str]) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/run/notify", **variables}).watchdog_s is None


@pytest.mark.parametrize(
    "variables", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}]
)
def test_that_nobody_listens_is_no_error(variables: dict[str, str]) -> None:
    notifier = Notifier({**variables, "WATCHDOG_USEC": "1000000"})
    notifier.ready("running")
    notifier.reloading()
    notifier.alive()
    notifier.stopping()
    assert (notifier.watchdog_s is None) is not variables.get("NOTIFY_SOCKET", "").startswith("/")


def test_a_full_queue_does_not_block(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(5000):
            notifier.status("x" * 100)
        assert deaf.recv(4096)


# --- the unit --------------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: apt install systemd)")
    text = re.sub(r"^(Exec\w+)=evenflow ", r"\1=/bin/true ", UNIT.read_text(), flags=re.MULTILINE)
    file = tmp_path / "evenflow.service"
    file.write_text(text)
    return file


def analyze(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_understands_all_of_the_unit(unit: Path) -> None:
    assert analyze("verify", str(unit)).strip() == ""


def test_the_exposure_is_at_most_two(unit: Path) -> None:
    said = analyze("security", "--offline=true", "--threshold=20", str(unit))
    level = re.search(r"Overall exposure level for evenflow\.service: ([\d.]+)", said)
    assert level is not None
    assert float(level[1]) <= 2.0


def test_the_unit_has_only_the_two_capabilities() -> None:
    lines = UNIT.read_text().splitlines()
    assert "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW" in lines
    assert "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW" in lines
