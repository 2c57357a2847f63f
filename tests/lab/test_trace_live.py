"""What `evenflow trace --live` says of a connection before it is opened is what then happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import evenflow
from evenflow.cli import parser
from evenflow.cli.trace import answer
from evenflow.cli.trace_scene import scene_of
from evenflow.core.failover import AS_USUAL, Standing
from evenflow.errors import SystemRefusedError
from evenflow.formats import configuration
from evenflow.formats.trace import to_json
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.lab.clients import Connection, Dial, open_all
from evenflow.lab.progress import SilentProgress
from evenflow.lab.router_process import RouterProcess
from evenflow.lab.stage import Configuration, Scenario, Stage, as_opened
from evenflow.lab.topology import ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

EXAMPLES = Path(evenflow.__file__).parent / "examples"
SEED = 4711

#: Source ports that the kernel gives to nobody by itself.
FIRST_PORT = 61_000

#: How many questions are asked by a process of their own, as a person does, each time; so many at the same time.
AS_PROCESSES = 9
AT_ONCE = 3

#: How many connections are looked up again while they are open.
LOOKED_UP_AGAIN = 100

#: How soon the daemon is to have noticed what the test does to the router.
PATIENCE_S = 15.0

POLICY = """
lan = ["USER_01"]
[uplink.isp1]
interface = "ether1"
gateway = "100.64.1.1"
[uplink.isp2]
interface = "pppoe-out1"
[balance]
weights = { isp1 = 2, isp2 = 1 }
"""


def bring_up(config: Path, standing: Standing = AS_USUAL) -> None:
    with LinuxKernel() as kernel:
        router = configuration.parse(config.read_bytes(), config.name).router
        assert router is not None
        carry_out(kernel, look_ahead(kernel, router, kernel.read_machine(), SEED, standing))


def question(config: Path, dial: Dial) -> list[str]:
    ends = ["--src", str(dial.source), "--dst", str(dial.server)]
    ports = ["--sport", str(dial.source_port), "--dport", str(dial.server_port)]
    return ["trace", str(config), "--live", "--json", "--in", "USER_01", *ends, *ports]


def answers(world: World, config: Path, dials: Sequence[Dial]) -> list[dict[str, Any]]:
    """What is said of each: the kernel is read once, as for one question."""
    with world.inside(ROUTER):
        options = parser()
        asked = [options.parse_args(question(config, dial)) for dial in dials]
        scene = scene_of(asked[0])
        return [to_json(answer(one, scene)) for one in asked]


def by_process(world: World, config: Path, dials: Sequence[Dial]) -> list[dict[str, Any]]:
    """What `evenflow trace --live` says of each."""
    told = []
    for first in range(0, len(dials), AT_ONCE):
        commands = ([sys.executable, "-m", "evenflow.cli", *question(config, dial)] for dial in dials[first:][:AT_ONCE])
        asked = [world[ROUTER].start(command, stdout=subprocess.PIPE) for command in commands]
        told += [json.loads(process.communicate()[0]) for process in asked]
        assert not any(process.returncode for process in asked)
    return told


@dataclass
class Live:
    """A router in force, and clients that have not dialled from the same port twice."""

    stage: Stage
    config: Path
    dialled: int = 0

    async def compare(self, count: int) -> Counter[str]:
        """Ask, then dial; what was said has to be what the servers see. How many connections each uplink got."""
        world = self.stage.world
        dials = [self._from_own_port(dial) for dial in self.stage.dials(count)]
        said = answers(world, self.config, dials)
        assert by_process(world, self.config, dials[:AS_PROCESSES]) == said[:AS_PROCESSES]
        opened = as_opened(await open_all(world, dials, timeout_s=5.0))
        assert len(opened) == count
        wrong = [one for one, told in zip(opened, said, strict=True) if not agrees(self.stage, one, told)]
        assert not wrong
        again = answers(world, self.config, dials[:LOOKED_UP_AGAIN])
        for connection, told in zip(opened, again, strict=False):
            assert told["packet"]["known"]
            assert agrees(self.stage, connection, told)
        for connection in opened:
            connection.abort()
        return Counter(one["uplink"] for one in said)

    def _from_own_port(self, dial: Dial) -> Dial:
        self.dialled += 1
        return replace(dial, source_port=FIRST_PORT + self.dialled)


def ends(told: dict[str, Any]) -> tuple[object, ...]:
    return tuple(told[name] for name in ("disposition", "uplink", "connection_mark", "gateway", "snat", "seed"))


def agrees(stage: Stage, connection: Connection, told: dict[str, Any]) -> bool:
    """Whether the server saw what was said: the uplink, and the very address."""
    assert told["disposition"] == "forwarded"
    seen = (stage.uplink_seen(connection), str(connection.seen_address))
    return (told["uplink"], told["snat"]) == seen


@contextlib.asynccontextmanager
async def staged(world: World) -> AsyncIterator[Stage]:
    scenario = replace(Scenario(), connections=1_000)
    async with Stage(world, Configuration(lambda: None, lambda: None), scenario, SilentProgress()) as stage:
        yield stage


async def play_at_rest(config: Path) -> None:
    with World(article_topology()) as world:
        async with staged(world) as stage:
            with world.inside(ROUTER):
                bring_up(config)
            live = Live(stage, config)
            assert (await live.compare(200)).keys() == {"isp1", "isp2"}
            # Without --live: the same machine, and the seed that is in force there.
            dial = replace(stage.dials(1)[0], source_port=FIRST_PORT)
            (said,) = answers(world, config, [dial])
            with world.inside(ROUTER):
                offline = parser().parse_args([word for word in question(config, dial) if word != "--live"])
                assert ends(to_json(answer(offline, scene_of(offline)))) == ends(said)


@pytest.mark.parametrize("name", ["seed.rsc", "seed.toml"])
def test_connections_take_the_uplink_that_was_said(name: str) -> None:
    asyncio.run(play_at_rest(EXAMPLES / name))


async def play_with_the_daemon(config: Path) -> None:
    """Two thousand connections, while the router is drained, weighed anew and cut."""
    config.write_text(POLICY)
    with World(article_topology()) as world:
        async with RouterProcess(world, POLICY, seed=SEED) as daemon, staged(world) as stage:
            for uplink in ("isp1", "isp2"):
                await daemon.until_state(uplink, "UP", within_s=PATIENCE_S)
            live = Live(stage, config)
            assert (await live.compare(1_000))["isp1"] > 500
            config.write_text(POLICY.replace("isp1 = 2, isp2 = 1", "isp1 = 1, isp2 = 3"))
            daemon.write(config.read_text())
            assert "error" not in await daemon.ask("reload")
            assert (await live.compare(400))["isp2"] > 200
            assert "error" not in await daemon.ask("drain", uplink="isp2")
            assert await live.compare(300) == {"isp1": 300}
            assert "error" not in await daemon.ask("undrain", uplink="isp2")
            world.set_link_up("isp1", "to-router", up=False)
            await daemon.until_state("isp1", "DOWN", within_s=PATIENCE_S)
            assert await live.compare(300) == {"isp2": 300}
            assert live.dialled == 2_000


def test_two_thousand_connections_take_the_uplink_that_was_said(tmp_path: Path) -> None:
    asyncio.run(play_with_the_daemon(tmp_path / "router.toml"))


def test_what_is_drained_or_plugged_out_is_known() -> None:
    config = EXAMPLES / "seed.toml"
    with World(article_topology(clients=20)) as world:
        dials = [Dial("clients", client, world.topology.servers[0], 443, 50_000) for client in world.topology.clients]
        with world.inside(ROUTER):
            bring_up(config)
        assert {one["uplink"] for one in answers(world, config, dials)} == {"isp1", "isp2"}
        world.set_link_up("isp1", "to-router", up=False)
        cut = answers(world, config, dials)
        assert {one["uplink"] for one in cut} == {"isp2"}
        looks = [look for one in cut for step in one["steps"] for look in step["routes"]]
        assert "its interface has no carrier" in {look["why"] for look in looks}
        world.set_link_up("isp1", "to-router", up=True)
        with world.inside(ROUTER):
            bring_up(config, Standing(drained=frozenset({"isp1"})))
        drained = answers(world, config, dials)
        assert {one["connection_mark"] for one in drained} == {"isp2"}
        assert any("isp1 drained" in note for note in drained[0]["notes"])
        assert not any("operations apart" in note for note in drained[0]["notes"])


def test_nothing_in_force_is_said() -> None:
    config = EXAMPLES / "seed.toml"
    with World(article_topology(clients=1)) as world:
        dial = Dial("clients", world.topology.clients[0], world.topology.servers[0], 443, 50_000)
        with pytest.raises(SystemRefusedError, match="nothing of evenflow's is in force"):
            answers(world, config, [dial])
