"""What the daemon costs and how fast it is: with 16 uplinks at default probing, and when one of them falls silent."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from evenflow.daemon.client import ask, stream
from evenflow.errors import SystemRefusedError
from evenflow.kernel.namespaces import NetworkNamespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UPLINKS = 16
WATCHED_S = 20.0
FALLS = 9

_TARGETS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def build(router: NetworkNamespace, provider: NetworkNamespace, uplinks: int) -> None:
    """One veth pair an uplink; the provider answers for the targets itself."""
    lines = ["link add lan0 type bridge", "addr add 10.0.0.1/24 dev lan0", "link set lan0 up"]
    for n in range(uplinks):
        far = f"peer index {101 + 2 * n} name isp{n} netns {provider.path}"
        lines += [
            f"link add index {100 + 2 * n} name wan{n} type veth {far}",
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

    def __enter__(self) -> Self:
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


def measure(tell: Callable[[str, float, float], bool]) -> bool:
    """Measure and tell (what, seconds, limit in seconds); whether all was within its limit."""
    with NetworkNamespace.create() as router, NetworkNamespace.create() as provider:
        build(router, provider, UPLINKS)
        with Daemon(router, policy(UPLINKS)) as daemon:
            began_s, before_s = time.monotonic(), daemon.processor_s()
            time.sleep(WATCHED_S)
            part = (daemon.processor_s() - before_s) / (time.monotonic() - began_s)
            resident_mb = daemon.resident_mb()
        held = tell(f"the processor's time in a second, {UPLINKS} uplinks with 3 targets each", part, 0.010)
        print(f"  memory {resident_mb:60.0f} MB   (limit 60 MB)")
        for name, health, limit_s in (("defaults", "", 1.0), ("fast", 'profile = "fast"', 0.1)):
            quick = f'{health}\nhold = "200ms"\nhold_most = "200ms"'
            with Daemon(router, policy(2, quick)) as daemon:
                found = list(notices(daemon, provider, "isp0", FALLS))
            held &= tell(f"a silent gateway noticed and its share moved, {name}", statistics.median(found), limit_s)
            print(f"  the longest of {FALLS} {max(found) * 1000:50.1f} ms")
    return held and resident_mb <= 60
