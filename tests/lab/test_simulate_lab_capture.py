"""`evenflow simulate` on what passed the lab's LAN gives what the providers counted, exactly."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import evenflow
from evenflow import cli
from evenflow.formats import configuration
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.lab.capture import Capture
from evenflow.lab.clients import open_all
from evenflow.lab.progress import SilentProgress
from evenflow.lab.stage import Configuration, Scenario, Stage, as_opened
from evenflow.lab.topology import ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

EXAMPLES = Path(evenflow.__file__).parent / "examples"
SEED = 4711
CONNECTIONS = 600


async def play(config: Path, file: Path) -> Mapping[str, int]:
    """Open connections and talk on each; the connections that each provider counted."""
    with World(article_topology()) as world:
        scenario = replace(Scenario(), connections=CONNECTIONS)
        async with Stage(world, Configuration(lambda: None, lambda: None), scenario, SilentProgress()) as stage:
            with world.inside(ROUTER), LinuxKernel() as kernel:
                router = configuration.parse(config.read_bytes(), config.name).router
                assert router is not None
                carry_out(kernel, look_ahead(kernel, router, kernel.read_machine(), SEED))
            with Capture(world, ROUTER, "USER_01", file):
                opened = as_opened(await open_all(world, stage.dials(CONNECTIONS), timeout_s=10.0))
                stage.found.open_connections = opened  # the stage closes them
                assert len(opened) == CONNECTIONS
                for connection in opened:
                    await connection.echo()
            seen = stage.count_by_uplink(opened)
            counted = {name: len(sighting.sent) for name, sighting in stage.tally.read().items()}
            assert counted == seen
            told = world[ROUTER].run([sys.executable, "-m", "evenflow.cli", *question(config, file), "--live"])
            assert flows_of(json.loads(told)) == counted
    return counted


def question(config: Path, file: Path) -> list[str]:
    return ["simulate", str(config), str(file), "--json"]


def flows_of(told: dict[str, Any]) -> dict[str, int]:
    return {name: uplink["flows"] for name, uplink in told["uplinks"].items()}


@pytest.mark.parametrize("name", ["seed.rsc", "seed.toml"])
def test_the_counts_are_those_of_the_providers(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "lan.pcap"
    counted = asyncio.run(play(EXAMPLES / name, file))
    assert all(counted.values())
    assert sum(counted.values()) == CONNECTIONS
    # Afterwards, and on another machine: with the same seed it is the same. One other seed may give the same counts.
    found = []
    for seed in range(SEED, SEED + 6):
        assert cli.main([*question(EXAMPLES / name, file), "--seed", str(seed), "--machine", "supposed"]) == cli.DONE
        told = json.loads(capsys.readouterr().out)
        assert told["balanced_flows"] == CONNECTIONS
        assert told["file"] == {"name": str(file), "what": "pcap", "unit": "packet"}
        found.append(flows_of(told))
    assert found[0] == counted
    assert any(other != counted for other in found[1:])
