"""What the daemon costs and how fast it is: with 16 uplinks at default probing, and when one of them falls silent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evenflow.daemon.client import ask, stream
from evenflow.errors import SystemRefusedError
from evenflow.kernel.namespaces import NetworkNamespace, enter_private

if TYPE_CHECKING:
    from collections.abc import Iterator

UPLINKS = 16
WATCHED_S = 20.0
FALLS = 9

_TARGETS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def build(router: NetworkNamespace, provider: NetworkNamespace, uplinks: int) -> None:
    """One veth pair an uplink; the provider answers for the targets itself."""
    lines = ["link add lan0 type bridge", "addr add 10.0.0.1/24 dev lan0", "link set lan0 up"]
    for n in range(uplinks):
        lines += [
            f"link add index {100 + 2 * n} name wan{n} type veth peer index {101 + 2 * n} name isp{n} "
            f"netns {provider.path}",
            f"addr add 100.64.{n}.2/24 dev wan{n}",
            f"link set wan{n} up",
        ]
    router.run(["ip", "-batch", "-"], stdin="\n".join(lines))
    lines = [f"addr add {address}/32 dev lo" for address in _TARGETS]
    for n in range(uplinks):
        lines += [f"addr add 100.64.{n}.1/24 dev isp{n}", f"link set isp{n} up"]
    provider.run(["ip", "-batch", "-"], stdin="\n".join(lines))


def policy(uplinks: int, health: str = "") -> str:
    """A policy with that many uplinks."""
    parts = ['lan = ["lan0"]', "[health]", health]
    for n in range(uplinks):
        parts += [f"[uplink.isp{n}]", f'interface = "wan{n}"', f'gateway = "100.64.{n}.1"']
    return "\n".join(parts)


class Daemon:
    """`evenflow run` in a namespace; use it in a `with`."""

    def __init__(self, router: NetworkNamespace, text: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        config = Path(self._folder.name, "policy.toml")
        config.write_text(text)
        self.socket = str(Path(self._folder.name, "control.sock"))
        self.process = router.start(
            [sys.executable, "-m", "evenflow.cli", "run", str(config), "--socket", self.socket],
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Daemon:
        while True:
            try:
                if all(one["state"] == "UP" for one in ask(self.socket, {"command": "status"})["uplinks"]):
                    return self
            except SystemRefusedError:
                assert self.process.poll() is None
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self._folder.cleanup()

    def processor_s(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def resident_mb(self) -> float:
        """Memory that is its own or shared, resident."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise RuntimeError


def notices(daemon: Daemon, provider: NetworkNamespace, uplink: str, falls: int) -> Iterator[float]:
    """How long from silence until the uplink's buckets are with the others, several times."""
    chain = f'type filter hook prerouting priority -300\niifname "{uplink}" drop\n'
    fault = f"table inet fault {{\nchain c {{\n{chain}}}\n}}\n"
    for _ in range(falls):
        events = stream(daemon.socket, {"command": "events"}, timeout_s=60)
        before_s = time.monotonic()
        provider.run(["nft", "-f", "-"], stdin=fault)
        began_s = (before_s + time.monotonic()) / 2  # nft takes some 16 ms, and the rule comes somewhere in the middle
        for event in events:
            if event.get("uplink") == uplink and event.get("after") == "DOWN":
                yield time.monotonic() - began_s
                break
        provider.run(["nft", "delete", "table", "inet", "fault"])
        for event in events:
            if event.get("uplink") == uplink and event.get("after") == "UP":
                break


def main() -> None:
    """Measure and print."""
    enter_private()
    with NetworkNamespace.create() as router, NetworkNamespace.create() as provider:
        build(router, provider, UPLINKS)
        with Daemon(router, policy(UPLINKS)) as daemon:
            began_s, before_s = time.monotonic(), daemon.processor_s()
            time.sleep(WATCHED_S)
            part = (daemon.processor_s() - before_s) / (time.monotonic() - began_s)
            print(f"{UPLINKS} uplinks, 3 targets each: {100 * part:.2f} % of one core, {daemon.resident_mb():.0f} MB")
        for name, health in (("defaults", 'hold = "200ms"\nhold_most = "200ms"'),
                             ("fast", 'profile = "fast"\nhold = "200ms"\nhold_most = "200ms"')):  # fmt: skip
            with Daemon(router, policy(2, health)) as daemon:
                found = sorted(notices(daemon, provider, "isp0", FALLS))
                told = json.dumps([round(one, 3) for one in found])
                print(f"silent gateway, {name}: median {found[len(found) // 2]:.3f} s, worst {found[-1]:.3f} s {told}")


if __name__ == "__main__":
    main()
