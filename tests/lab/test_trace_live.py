"""What `evenflow trace --live` says of a connection before it is opened is what then happens."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
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
from evenflow.lab.stage import Configuration, Scenario, Stage, as_opened
from evenflow.lab.topology import ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

EXAMPLES = Path(evenflow.__file__).parent / "examples"
SEED = 4711

#: Source ports that the kernel gives to nobody by itself.
FIRST_PORT = 61_000

#: How many questions are asked by a process of their own, as a person does; each takes a tenth of a second.
AS_PROCESSES = 3


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
        asked = [parser().parse_args(question(config, dial)) for dial in dials]
        scene = scene_of(asked[0])
        return [to_json(answer(one, scene)) for one in asked]


def by_process(world: World, config: Path, dial: Dial) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        world[ROUTER].run([sys.executable, "-m", "evenflow.cli", *question(config, dial)])
    )
    return told


async def play(config: Path, count: int) -> None:
    with World(article_topology()) as world:
        scenario = replace(Scenario(), connections=count)
        async with Stage(world, Configuration(lambda: None, lambda: None), scenario, SilentProgress()) as stage:
            with world.inside(ROUTER):
                bring_up(config)
            dials = [replace(dial, source_port=FIRST_PORT + n % 4000) for n, dial in enumerate(stage.dials(count))]
            said = answers(world, config, dials)
            assert [by_process(world, config, dial) for dial in dials[:AS_PROCESSES]] == said[:AS_PROCESSES]
            assert {one["uplink"] for one in said} == {"isp1", "isp2"}
            # Without --live: the same machine, and the seed that is in force there.
            with world.inside(ROUTER):
                offline = parser().parse_args([word for word in question(config, dials[0]) if word != "--live"])
                assert ends(to_json(answer(offline, scene_of(offline)))) == ends(said[0])
            opened = as_opened(await open_all(world, dials, timeout_s=5.0))
            assert len(opened) == count
            wrong = [one for one, told in zip(opened, said, strict=True) if not agrees(stage, one, told)]
            assert not wrong
            later = answers(world, config, dials)
            for connection, told in zip(opened, later, strict=True):
                assert told["packet"]["known"]
                assert agrees(stage, connection, told)
                connection.abort()


def ends(told: dict[str, Any]) -> tuple[object, ...]:
    return tuple(told[name] for name in ("disposition", "uplink", "connection_mark", "gateway", "snat", "seed"))


def agrees(stage: Stage, connection: Connection, told: dict[str, Any]) -> bool:
    """Whether the server saw what was said: the uplink, and the very address."""
    assert told["disposition"] == "forwarded"
    seen = (stage.uplink_seen(connection), str(connection.seen_address))
    return (told["uplink"], told["snat"]) == seen


@pytest.mark.parametrize("name", ["seed.rsc", "seed.toml"])
def test_two_hundred_connections_take_the_uplink_that_was_said(name: str) -> None:
    asyncio.run(play(EXAMPLES / name, 200))


@pytest.mark.soak
@pytest.mark.parametrize("name", ["seed.rsc", "seed.toml"])
def test_two_thousand_connections_take_the_uplink_that_was_said(name: str) -> None:
    asyncio.run(play(EXAMPLES / name, 2_000))


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
