"""The daemon as a process on bad days: told by systemd's socket, on a full disk, twice, with nothing right, killed."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from evenflow.daemon.client import ask
from evenflow.errors import InputError, SystemRefusedError
from evenflow.lab import faults
from evenflow.lab.topology import CLIENTS, ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

POLICY = """
lan = ["USER_01"]
[health]
hold = "300ms"
[uplink.isp1]
interface = "ether1"
gateway = "100.64.1.1"
[uplink.isp2]
interface = "pppoe-out1"
[balance]
weights = { isp1 = 2, isp2 = 1 }
"""

PATIENCE_S = 20.0


class Machine:
    """A router, and `evenflow run` in it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.config = folder / "policy.toml"
        self.config.write_text(POLICY)
        self.socket = str(folder / "control.sock")

    @contextlib.contextmanager
    def running(self, *before: str, stderr: str | None = None) -> Iterator[subprocess.Popen[Any]]:
        """The daemon, until the end of the `with`; `before` stands in front of the command."""
        command = [*before, sys.executable, "-m", "evenflow.cli", "run", str(self.config), "--socket", self.socket]
        with (self.folder / "log").open("ab") if stderr is None else open(stderr, "wb") as log:  # noqa: PTH123 - a device
            process = self.world[ROUTER].start(command, stdout=log, stderr=log)
        try:
            until(lambda: self.states() == {"isp1": "UP", "isp2": "UP"}, self.log)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            process.wait()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command of evenflow in the router."""
        with self.world.inside(ROUTER):
            return subprocess.run(
                [sys.executable, "-m", "evenflow.cli", *command], capture_output=True, text=True, check=False
            )

    def states(self) -> dict[str, str]:
        try:
            return {one["name"]: one["state"] for one in ask(self.socket, {"command": "status"})["uplinks"]}
        except SystemRefusedError:
            return {}

    def ruleset(self) -> str:
        return self.world[ROUTER].run(["nft", "list", "ruleset"])

    def log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log").read_text()
        return ""


def until(condition: Callable[[], object], log: Callable[[], str] = str) -> None:
    """Wait until it is so."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, log()
        time.sleep(0.01)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with World(article_topology(clients=2, servers=1)) as world:
        yield Machine(world, tmp_path)


def test_systemd_is_told_when_all_is_in_force_and_when_it_ends(machine: Machine) -> None:
    path = str(machine.folder / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(PATIENCE_S)
        with machine.running("env", f"NOTIFY_SOCKET={path}", "WATCHDOG_USEC=400000") as process:
            first = listening.recv(4096).decode()
            assert "READY=1" in first
            assert "table inet evenflow" in machine.ruleset()
            for _ in range(3):
                assert "WATCHDOG=1" in listening.recv(4096).decode()
            process.send_signal(signal.SIGHUP)
            told = ""
            while "RELOADING=1" not in told:
                told = listening.recv(4096).decode()
            while "READY=1" not in told:
                told = listening.recv(4096).decode()
            process.terminate()
            while "STOPPING=1" not in told:
                told = listening.recv(4096).decode()
            assert process.wait() == 0
    assert "table inet evenflow" in machine.ruleset()
    assert machine.run("down").returncode == 0
    assert "evenflow" not in machine.ruleset()


def test_traffic_that_nothing_answers_makes_seldom_probes_come_at_once(machine: Machine) -> None:
    seldom = POLICY.replace('hold = "300ms"', 'hold = "0s"\ninterval = "60s"\nrise = 1')
    machine.config.write_text(f'{seldom}classifier = "both-addresses-and-ports"\n')
    victim = machine.world.topology.uplinks[0]
    server = str(machine.world.topology.servers[0])
    with machine.running(), machine.world.inside(CLIENTS), contextlib.ExitStack() as stack:
        senders = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(30)]

        def lost() -> bool:
            for sender in senders:
                with contextlib.suppress(OSError):  # nobody listens there, and that is said by the living line
                    sender.sendto(b"are you there?", (server, 9))
            return machine.states()["isp1"] == "DOWN"

        until(lambda: not lost() and machine.states() == {"isp1": "UP", "isp2": "UP"}, machine.log)
        faults.silence(machine.world, victim)
        until(lost, machine.log)
        assert machine.states() == {"isp1": "DOWN", "isp2": "UP"}


def test_a_full_disk_does_not_end_it(machine: Machine) -> None:
    with machine.running(stderr="/dev/full") as process:
        before = machine.ruleset()
        machine.world[ROUTER].run(["nft", "delete", "table", "inet", "evenflow"])
        until(lambda: machine.ruleset() == before)
        assert process.poll() is None


def test_a_second_one_and_an_apply_are_refused(machine: Machine) -> None:
    with machine.running():
        before = machine.ruleset()
        for command in (("run", str(machine.config), "--socket", str(machine.folder / "other.sock")),
                        ("apply", str(machine.config)), ("down",)):  # fmt: skip
            done = machine.run(*command)
            assert done.returncode == 3
            assert "is at work on this machine" in done.stderr
            assert "Traceback" not in done.stderr
        assert machine.ruleset() == before
        assert machine.states() == {"isp1": "UP", "isp2": "UP"}


@pytest.mark.parametrize(("text", "status", "said"), [
    ("lan = [", 1, "toml-syntax"),
    (POLICY.replace("gateway", "gatewai"), 1, "unknown-key"),
    ("", 1, "empty"),
])  # fmt: skip
def test_with_a_mistake_it_does_not_begin(machine: Machine, text: str, status: int, said: str) -> None:
    machine.config.write_text(text)
    done = machine.run("run", str(machine.config), "--socket", machine.socket)
    assert done.returncode == status
    assert said in done.stderr
    assert machine.ruleset() == ""


def test_a_bad_reload_is_refused_and_a_missing_uplink_named(machine: Machine) -> None:
    with machine.running():
        before = machine.ruleset()
        machine.config.write_text(POLICY.replace("isp2 = 1", "isp3 = 1"))
        with pytest.raises(InputError, match="isp3"):
            ask(machine.socket, {"command": "reload"})
        machine.config.unlink()
        with pytest.raises(InputError, match=r"policy\.toml"):
            ask(machine.socket, {"command": "reload"})
        with pytest.raises(InputError, match="isp1, isp2"):
            ask(machine.socket, {"command": "drain", "uplink": "isp9"})
        assert machine.ruleset() == before


def test_hooks_are_told_of_a_loss_and_a_return(machine: Machine) -> None:
    heard, program = machine.folder / "heard", machine.folder / "hook"
    program.write_text(f"#!/bin/sh\ncat >> {heard}\n")
    program.chmod(0o755)
    machine.config.write_text(POLICY + f'[hooks]\nprogram = "{program}"\n')
    victim = machine.world.topology.uplink("isp1")

    def told(after: str) -> list[dict[str, Any]]:
        if not heard.exists():
            return []
        entries = [json.loads(line) for line in heard.read_text().splitlines()]
        return [entry for entry in entries if (entry.get("uplink"), entry.get("after")) == ("isp1", after)]

    with machine.running():
        faults.silence(machine.world, victim)
        until(lambda: told("DOWN"), machine.log)
        (entry,) = told("DOWN")
        assert entry["moved"] == {"isp2": 668}
        assert "3 of 3 targets" in entry["reason"]
        faults.heal(machine.world, victim)
        until(lambda: any(entry["before"] != "UNKNOWN" for entry in told("UP")), machine.log)


def test_after_kill_9_nothing_moves_and_what_was_drained_stays_so(machine: Machine) -> None:
    with machine.running() as process:
        ask(machine.socket, {"command": "drain", "uplink": "isp2"})
        before = machine.ruleset()
        process.kill()
        process.wait()
        assert machine.ruleset() == before
        command = [sys.executable, "-m", "evenflow.cli", "run", str(machine.config), "--socket", machine.socket]
        with (machine.folder / "log").open("ab") as log:
            second = machine.world[ROUTER].start(command, stdout=log, stderr=log)
        try:
            until(lambda: machine.states() == {"isp1": "UP", "isp2": "DRAINED"}, machine.log)
            assert machine.ruleset() == before
            ask(machine.socket, {"command": "undrain", "uplink": "isp2"})
            until(lambda: machine.states()["isp2"] == "UP", machine.log)
        finally:
            second.terminate()
            second.wait()
