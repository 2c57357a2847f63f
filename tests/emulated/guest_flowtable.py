"""Played in the guest: connections that go by a flowtable, the loss of their uplink, and its return.

One line of JSON a step.

tools/emulator run --env PYTHONPATH=tests -- .venv/bin/python -m emulated.guest_flowtable
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import evenflow
from evenflow.core.failover import AS_USUAL, Standing
from evenflow.core.lower import lower
from evenflow.daemon.balancer import Balancer
from evenflow.formats import policy
from evenflow.kernel.conntrack import Conntrack
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import enter_private
from evenflow.kernel.reconcile import carry_out, look_at_down
from evenflow.lab.progress import SilentProgress
from evenflow.lab.stage import Configuration, Scenario, Stage
from evenflow.lab.topology import ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.lab.clients import Connection

CONNECTIONS: Final = 24
ECHOES: Final = 10
PATIENCE_S: Final = 30.0

#: IPS_OFFLOAD of nf_conntrack_common.h: it goes by a flowtable.
_OFFLOADED: Final = 1 << 14

CONFIGURATION: Final = (Path(evenflow.__file__).parent / "examples" / "seed.toml").read_text(encoding="utf-8")


class Play:
    """The steps."""

    def __init__(self, world: World, stage: Stage, balancer: Balancer, conntrack: Conntrack) -> None:
        self._world, self._stage, self._balancer, self._conntrack = world, stage, balancer, conntrack
        self._long: list[Connection] = []

    async def known_connections(self) -> None:
        """All that were opened are handed over, each on its uplink."""
        self._long = await self._stage.open_many(CONNECTIONS)
        broke = await self._echo(self._long)
        entries = list(self._conntrack.entries())
        self._tell(
            "known",
            offloaded=sum(bool(entry.status & _OFFLOADED) for entry in entries),
            entries=len(entries),
            uplinks=self._stage.count_by_uplink(self._long),
            broke=broke,
        )

    async def uplink_lost(self) -> None:
        """Its connections are deleted and break, the others go on, new ones go by the other."""
        mine = [one for one in self._long if self._stage.uplink_seen(one) == "isp1"]
        others = [one for one in self._long if one not in mine]
        self._stand(Standing(down=frozenset({"isp1"})))
        with self._world.inside(ROUTER):
            self._balancer.flush("isp1")
        number = self._balancer.mark_numbers()["isp1"]
        left = sum(entry.mark & 0xFFFF == number for entry in self._conntrack.entries())
        broke = await self._echo(others)
        fresh = await self._stage.open_many(CONNECTIONS)
        self._tell("lost", left=left, broke=broke, others=len(others), uplinks=self._stage.count_by_uplink(fresh))

    async def uplink_back(self) -> None:
        """New connections go by both again, and are handed over to the flowtable that is there now."""
        self._stand(AS_USUAL)
        fresh = await self._stage.open_many(CONNECTIONS)
        broke = await self._echo(fresh)
        offloaded = sum(bool(entry.status & _OFFLOADED) for entry in self._conntrack.entries())
        self._tell("back", broke=broke, offloaded=offloaded, uplinks=self._stage.count_by_uplink(fresh))

    def _stand(self, standing: Standing) -> None:
        self._balancer.standing = standing
        with self._world.inside(ROUTER):
            done = self._balancer.reconcile()
        assert done.in_sync, done.failures

    async def _echo(self, connections: Sequence[Connection]) -> int:
        """Talk on each of them; how many broke."""
        broke = 0
        for connection in connections:
            try:
                for _ in range(ECHOES):
                    await connection.echo(200, timeout_s=PATIENCE_S)
            except OSError:
                broke += 1
        return broke

    def _tell(self, step: str, **facts: object) -> None:
        """One line for the host."""
        flowtables = self._world[ROUTER].run(["nft", "list", "flowtables"]).split()
        print(json.dumps({"step": step, "flowtables": flowtables.count("flowtable"), **facts}), flush=True)


async def play() -> None:
    """All steps, one after the other."""
    parsed = policy.parse(f'{CONFIGURATION}flowtable = "software"\n', "seed.toml")
    assert parsed.policy is not None
    scenario = Scenario(connections=CONNECTIONS)
    with World(article_topology(clients=8, servers=2)) as world:
        nothing = Configuration(lambda: None, lambda: None)
        async with Stage(world, nothing, scenario, SilentProgress()) as stage:
            with world.inside(ROUTER), LinuxKernel() as kernel, Conntrack() as conntrack:
                balancer = Balancer(kernel, conntrack, lower(parsed.policy), seed=1)
                balancer.bring_up()
                steps = Play(world, stage, balancer, conntrack)
                await steps.known_connections()
                await steps.uplink_lost()
                await steps.uplink_back()
                carry_out(kernel, look_at_down(kernel))
                print(json.dumps({"step": "down", "left": world[ROUTER].run(["nft", "list", "ruleset"])}), flush=True)


if __name__ == "__main__":
    enter_private()
    asyncio.run(play())
