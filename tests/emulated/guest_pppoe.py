"""Played in the guest: a PPPoE session that comes, goes, and comes back as another device. One line of JSON a step.

tools/emulator run --env PYTHONPATH=tests -- .venv/bin/python -m emulated.guest_pppoe policy.toml|article.rsc
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import evenflow
from emulated.pppoe import Concentrator, Dialer
from evenflow.kernel.namespaces import enter_private
from evenflow.lab.topology import ROUTER, Cable, End, Port, Topology, article_topology
from evenflow.lab.world import World
from lab.changing import FIRST, SECOND, Scene, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.lab.topology import LabUplink

DEVICE: Final = "pppoe-out1"

#: The emulated machine is some thirty times slower than the one at hand: what is asked is whether, not how soon.
PATIENCE_S: Final = 30.0

EXAMPLES: Final = Path(evenflow.__file__).parent / "examples"

#: The article's router as a policy and as its script. The session's uplink is used again at the first answer.
CONFIGURATIONS: Final = {
    "policy.toml": (EXAMPLES / "seed.toml").read_text(encoding="utf-8") + '[health]\nhold = "0s"\nrise = 1\n',
    "article.rsc": (EXAMPLES / "seed.rsc").read_text(encoding="utf-8"),
}


def pppoe_topology() -> Topology:
    """The article's network with what its second uplink really is: Ethernet from ether3 to the provider, no more."""
    topology = article_topology(clients=40, servers=4)
    lan, access, link, *backbone = topology.cables
    ethernet = Cable(End(ROUTER, Port("ether3")), End(link.right.node, Port(link.right.port.name)))
    return replace(topology, cables=(lan, access, ethernet, *backbone))


class Play:
    """The steps."""

    def __init__(self, config: str, scene: Scene, dialer: Dialer) -> None:
        self._config, self._scene, self._dialer = config, scene, dialer

    async def no_session(self, step: str) -> None:
        """Before pppd is started, all goes by the other uplink."""
        took_s = await self._scene.goes_by(FIRST, within_s=PATIENCE_S)
        self._tell(step, took_s)

    async def session_comes(self, step: str) -> None:
        """pppd is started, and connections go by its device, too."""
        self._dialer.start()
        await until(self._has_address, self, within_s=PATIENCE_S)
        took_s = await self._scene.goes_by(FIRST, SECOND, within_s=PATIENCE_S)
        sample = await self._scene.sample(self._scene.dials(), timeout_s=PATIENCE_S)
        seen = sorted(str(address) for address in sample.addresses if address in SECOND)
        self._tell(step, took_s, seen)

    def _has_address(self) -> bool:
        return self._scene.has_address(DEVICE, SECOND)

    async def session_goes(self, step: str) -> None:
        """pppd is killed, and all goes by the other uplink."""
        self._dialer.kill()
        await until(lambda: self._scene.index(DEVICE) is None, self, within_s=PATIENCE_S)
        took_s = await self._scene.goes_by(FIRST, within_s=PATIENCE_S)
        self._tell(step, took_s)

    def _tell(self, step: str, took_s: float, seen: Sequence[str] = ()) -> None:
        """One line for the host."""
        facts = {"index": self._scene.index(DEVICE), "seen": seen, "took_s": round(took_s, 3)}
        print(json.dumps({"config": self._config, "step": step, **facts}), flush=True)

    def __repr__(self) -> str:
        return f"a session:\n{self._dialer.log}\n{self._scene.log}"


async def play(name: str, folder: Path) -> None:
    """All steps, one after the other."""
    config = folder / name
    config.write_text(CONFIGURATIONS[name], encoding="utf-8")
    with World(pppoe_topology()) as world:
        uplink: LabUplink = world.topology.uplink("isp2")
        concentrator = Concentrator(world[uplink.provider], uplink.provider_port, folder)
        dialer = Dialer(world[ROUTER], "ether3", DEVICE, folder)
        async with Scene(world, folder) as scene:
            with concentrator, dialer:
                concentrator.start(local="100.64.2.1", first="100.64.2.2", sessions=8)
                await scene.run_evenflow(config)
                steps = Play(name, scene, dialer)
                await steps.no_session("no session yet")
                await steps.session_comes("first session")
                await steps.session_goes("session killed")
                await steps.session_comes("second session")


def main() -> None:
    """Play with each configuration."""
    enter_private()
    for name in CONFIGURATIONS:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(play(name, Path(folder)))


if __name__ == "__main__":
    main()
