"""Gateways that change: DHCP, router advertisements and point-to-point links, with the programs that people have.

What is waited for in the kernel (a route that the DHCP client has put there, say) is where the second begins in which
connections must follow. That they do is what servers on the Internet say: each tells the address that it sees.
"""

from __future__ import annotations

import asyncio
import contextlib
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import evenflow
from evenflow.lab.dhcp import LeasedLine, Offer
from evenflow.lab.topology import ROUTER
from evenflow.lab.world import World
from evenflow.model.flow import Family
from lab.changing import (
    FIRST,
    FIRST6,
    OTHER,
    SECOND,
    SECOND6,
    Advertisement,
    Scene,
    changing_topology,
    take_advertisements,
    until,
    with_arp,
    with_ipv6,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from evenflow.lab.topology import Topology
    from evenflow.model.flow import Address

pytestmark = pytest.mark.lab

EXAMPLES = Path(evenflow.__file__).parent / "examples"

#: The article's script as it stands, and its router as a policy that learns both gateways. An uplink that is back is
#: used at the first answer: how long it is held down otherwise is not what is tested here.
SCRIPT = (EXAMPLES / "seed.rsc").read_text(encoding="utf-8")
POLICY = (
    (EXAMPLES / "seed.toml").read_text(encoding="utf-8").replace('"100.64.1.1"', '"auto"')
    + """
[health]
hold = "0s"
rise = 1
"""
)

#: The second uplink's IPv6 gateway is stated, the first one's is learnt.
POLICY6 = POLICY.replace('"pppoe-out1"\ngateway = "auto"', '"pppoe-out1"\ngateway = ["auto", "2001:db8:2::1"]')

GATEWAY = IPv4Address("100.64.1.1")
NEW_ADDRESS, NEW_GATEWAY = IPv4Address("100.64.7.2"), IPv4Address("100.64.7.1")


@pytest.fixture(params=["policy.toml", "article.rsc"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / str(request.param)
    file.write_text(POLICY if file.suffix == ".toml" else SCRIPT, encoding="utf-8")
    return file


class Line(LeasedLine):
    """The first uplink, whose provider can be somewhere else."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        super().__init__(scene.world, scene.world.topology.uplink("isp1"), folder)
        self.scene = scene
        self.isp = scene.world["isp1"]

    def provider_is_at(self, *gateways: IPv4Address) -> None:
        """The addresses that the provider answers at; it loses those that it had."""
        had = self.isp.run(["ip", "-o", "-4", "addr", "show", "dev", "to-router"])
        wanted = {f"{gateway}/24" for gateway in gateways}
        for address in wanted - set(had.split()):
            self.isp.run(["ip", "addr", "add", address, "dev", "to-router"])
        for address in {word for word in had.split() if "/24" in word} - wanted:
            self.isp.run(["ip", "addr", "del", address, "dev", "to-router"])

    async def subscribe(self) -> None:
        """The router gets its first lease."""
        self.provider_is_at(GATEWAY)
        self.offers(GATEWAY)
        self.subscriber.start()
        await self.gets(GATEWAY)

    async def gets(self, *gateways: Address) -> None:
        """Wait until the subscriber's program has put these gateways into the kernel, and no others."""
        await until(lambda: self.has_gateway(*gateways), gateways)


@contextlib.asynccontextmanager
async def line(folder: Path, topology: Topology | None = None) -> AsyncIterator[Line]:
    with World(topology or changing_topology()) as world:
        async with Scene(world, folder) as scene:
            with Line(scene, folder) as made:
                yield made


# --- DHCP ---------------------------------------------------------------------------------------------------------


def test_a_lease_that_comes_later_is_used(config: Path, tmp_path: Path) -> None:
    async def play() -> None:
        async with line(tmp_path) as isp1:
            await isp1.scene.run_evenflow(config)
            await isp1.scene.goes_by(SECOND)
            await isp1.subscribe()
            await isp1.scene.goes_by(FIRST, SECOND)

    asyncio.run(play())


def test_a_lease_with_another_gateway_is_followed(config: Path, tmp_path: Path) -> None:
    async def play() -> None:
        async with line(tmp_path) as isp1:
            await isp1.subscribe()
            await isp1.scene.run_evenflow(config)
            await isp1.scene.goes_by(FIRST, SECOND)
            isp1.second.appear()
            isp1.offers(isp1.second.address)
            isp1.subscriber.renew()
            await isp1.gets(isp1.second.address)
            isp1.second.silence_first()
            await isp1.scene.goes_by(FIRST, SECOND)

    asyncio.run(play())


def test_another_network_is_followed(config: Path, tmp_path: Path) -> None:
    """The provider refuses the old address (DHCPNAK) and gives one of another network."""

    async def play() -> None:
        async with line(tmp_path) as isp1:
            await isp1.subscribe()
            await isp1.scene.run_evenflow(config)
            await isp1.scene.goes_by(FIRST, SECOND)
            isp1.provider_is_at(NEW_GATEWAY)
            isp1.provider.offers(Offer(NEW_ADDRESS, NEW_GATEWAY))
            isp1.subscriber.renew()
            await isp1.gets(NEW_GATEWAY)
            await isp1.scene.goes_by(OTHER, SECOND)

    asyncio.run(play())


def test_a_lost_lease_moves_all_to_the_other_uplink_and_a_new_one_back(config: Path, tmp_path: Path) -> None:
    async def play() -> None:
        async with line(tmp_path) as isp1:
            await isp1.subscribe()
            await isp1.scene.run_evenflow(config)
            await isp1.scene.goes_by(FIRST, SECOND)
            isp1.subscriber.release()
            await isp1.gets()
            await isp1.scene.goes_by(SECOND)
            isp1.subscriber.renew()
            await isp1.gets(GATEWAY)
            await isp1.scene.goes_by(FIRST, SECOND)

    asyncio.run(play())


def test_an_interface_made_anew_is_followed(config: Path, tmp_path: Path) -> None:
    async def play() -> None:
        async with line(tmp_path) as isp1:
            scene = isp1.scene
            await isp1.subscribe()
            await scene.run_evenflow(config)
            await scene.goes_by(FIRST, SECOND)
            before = scene.index("ether1")
            isp1.subscriber.stop()
            scene.router.run(["ip", "link", "del", "ether1"])
            await scene.goes_by(SECOND)
            scene.router.run(
                ["ip", "link", "add", "ether1", "type", "veth", "peer", "to-router", "netns", isp1.isp.path]
            )
            scene.router.run(["ip", "link", "set", "ether1", "up"])
            isp1.isp.run(["ip", "link", "set", "to-router", "up"])
            await isp1.subscribe()
            assert scene.index("ether1") != before
            await scene.goes_by(FIRST, SECOND)

    asyncio.run(play())


# --- the others ----------------------------------------------------------------------------------------------------


def test_the_other_end_of_a_point_to_point_address_is_the_gateway(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")

    async def play() -> None:
        async with line(tmp_path, with_arp(changing_topology())) as isp1:
            scene = isp1.scene
            await isp1.subscribe()
            await scene.run_evenflow(policy)
            await scene.goes_by(FIRST, SECOND)
            # A new session: another address here, another peer there. Its old one answers no more.
            scene.world["isp2"].run(["ip", "addr", "add", "100.64.2.11", "peer", "100.64.2.12", "dev", "to-router"])
            scene.world["isp2"].run(["ip", "addr", "del", "100.64.2.1", "peer", "100.64.2.2", "dev", "to-router"])
            scene.world[ROUTER].run(["ip", "addr", "del", "100.64.2.2", "peer", "100.64.2.1", "dev", "pppoe-out1"])
            await scene.goes_by(FIRST)
            scene.world[ROUTER].run(["ip", "addr", "add", "100.64.2.12", "peer", "100.64.2.11", "dev", "pppoe-out1"])
            await scene.goes_by(FIRST, SECOND)
            sample = await scene.sample(scene.dials(), timeout_s=1)
            assert IPv4Address("100.64.2.2") not in sample.addresses

    asyncio.run(play())


def test_a_router_that_advertises_itself_is_used_and_one_that_resigns_is_not(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY6, encoding="utf-8")

    async def play() -> None:
        async with line(tmp_path, with_ipv6(with_arp(changing_topology()))) as isp1:
            scene = isp1.scene
            await isp1.subscribe()
            take_advertisements(scene.router)
            await scene.run_evenflow(policy)
            await scene.goes_by(SECOND6, dials=scene.dials6)
            isp1.provider.offers(Advertisement(FIRST6))
            await until(lambda: bool(scene.gateways(Family.IPV6, "ether1")), "a router advertisement")
            await until(lambda: scene.has_address("ether1", FIRST6), "an address of its prefix")
            await scene.goes_by(FIRST6, SECOND6, dials=scene.dials6)
            isp1.provider.offers(Advertisement(FIRST6, is_default=False))
            await until(lambda: not scene.gateways(Family.IPV6, "ether1"), "the router's resignation")
            await scene.goes_by(SECOND6, dials=scene.dials6)

    asyncio.run(play())
