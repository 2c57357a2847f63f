"""No packet leaves an uplink with another uplink's address or a LAN address, however it came to be sent there."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from pathlib import Path

import pytest

import evenflow
from evenflow.formats import configuration
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.lab.clients import Connection, open_all
from evenflow.lab.progress import SilentProgress
from evenflow.lab.stage import Configuration, Scenario, Stage, as_opened
from evenflow.lab.topology import CLIENTS, ROUTER, article_topology
from evenflow.lab.world import World

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

SEED_TOML = Path(evenflow.__file__).parent / "examples" / "seed.toml"


def bring_up() -> None:
    with LinuxKernel() as kernel:
        router = configuration.parse(SEED_TOML.read_bytes(), "seed.toml").router
        assert router is not None
        carry_out(kernel, look_ahead(kernel, router, kernel.read_machine(), 7))


def dropped(world: World) -> int:
    """Packets that the guard has dropped."""
    listed = world[ROUTER].run(["nft", "list", "chain", "inet", "evenflow", "guard"])
    return int(listed.partition("counter packets ")[2].split()[0])


def stage(world: World) -> Stage:
    return Stage(world, Configuration(bring_up, lambda: None), Scenario(), SilentProgress())


def test_masquerade_without_an_address_of_its_own_sends_nothing() -> None:
    async def play() -> None:
        with World(article_topology()) as world:
            async with stage(world) as played:
                world[ROUTER].run(["ip", "addr", "del", "100.64.1.2/24", "dev", "ether1"])
                with world.inside(ROUTER):
                    bring_up()
                # A provider's network that the router has no address in: it is reached all the same.
                world[ROUTER].run(["ip", "neigh", "replace", "100.64.1.1", "lladdr", mac(world), "dev", "ether1"])
                opened = as_opened(await open_all(world, played.dials(60), timeout_s=1.0))
                assert {played.uplink_seen(one) for one in opened} == {"isp2"}
                assert 0 < len(opened) < 60
                assert dropped(world) > 0
                assert played.foreign_packets(played.tally.read()) == 0
                for connection in opened:
                    connection.abort()

    asyncio.run(play())


def mac(world: World) -> str:
    (link,) = json.loads(world["isp1"].run(["ip", "-json", "link", "show", "dev", "to-router"]))
    return str(link["address"])


def test_what_belongs_to_no_connection_does_not_leave_with_a_lan_address() -> None:
    async def play() -> None:
        with World(article_topology()) as world:
            async with stage(world) as played:
                with world.inside(ROUTER):
                    bring_up()
                connections = await played.open_many(20)
                world[ROUTER].run(["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=0"])
                before = dropped(world)
                # Far outside of the window, so to the tracking it belongs to no connection: NAT leaves it alone.
                with world.inside(CLIENTS), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
                    for one in connections:
                        raw.bind((str(one.dial.source), 0))
                        raw.sendto(out_of_window(one), (str(one.dial.server), 0))
                assert dropped(world) > before  # a few have a window that the numbers happen to lie in
                assert played.foreign_packets(played.tally.read()) == 0
                for connection in connections:
                    connection.abort()

    asyncio.run(play())


def out_of_window(one: Connection) -> bytes:
    """A TCP segment with data and a wild sequence number; the checksum is right."""
    dial = one.dial
    source_port, destination_port = one.source_port, dial.server_port
    header = struct.pack("!HHIIBBHHH", source_port, destination_port, 0x7FFF0000, 0x7FFF0000, 5 << 4, 0x10, 512, 0, 0)
    pseudo = dial.source.packed + dial.server.packed + struct.pack("!BBH", 0, 6, len(header))
    total = sum(struct.unpack(f"!{len(pseudo + header) // 2}H", pseudo + header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:]
