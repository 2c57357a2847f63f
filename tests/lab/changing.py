"""A world whose first uplink gets its address from its provider, and clients that see what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING, Final, Self

from evenflow.kernel.rtnetlink import RouteNetlink
from evenflow.lab.clients import Dial, open_all
from evenflow.lab.dhcp import LEASE_S, given_gateways, leased_topology
from evenflow.lab.servers import TellServers
from evenflow.lab.stage import as_opened
from evenflow.lab.topology import (
    CLIENTS,
    INTERNET,
    ROUTER,
    Cable,
    End,
    Node,
    Port,
    PortAddress,
    StaticRoute,
    Topology,
    article_topology,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evenflow.kernel.namespaces import NetworkNamespace
    from evenflow.lab.world import World
    from evenflow.model.flow import Address, Family, Network

#: As a user would start it, but from this Python.
EVENFLOW: Final = (sys.executable, "-m", "evenflow.cli")

#: How soon after the kernel knows connections must go the new way.
FOLLOWED_WITHIN_S: Final = 1.0

#: Connections that are opened at once to see where they go. With shares of 2 to 1 all twelve go one way in 0.8 % of
#: all cases; then twelve others are opened.
SAMPLE: Final = 12

PORT: Final = 80

#: The first uplink's network, the one that its provider may give it instead, and the second uplink's.
FIRST: Final = IPv4Network("100.64.1.0/24")
OTHER: Final = IPv4Network("100.64.7.0/24")
SECOND: Final = IPv4Network("100.64.2.0/24")

LAN6: Final = IPv6Interface("fd00:10::1/64")
CLIENT6: Final = IPv6Interface("fd00:10::10/64")
SERVER6: Final = IPv6Interface("2001:db8:ffff::10/128")
FIRST6: Final = IPv6Network("2001:db8:1::/64")
SECOND6: Final = IPv6Network("2001:db8:2::/64")
ANY6: Final = IPv6Network("::/0")


def changing_topology() -> Topology:
    """The article's network; its router has no address on ether1, nor has its provider, who may get any."""
    topology = leased_topology(article_topology(clients=40, servers=4))
    lan, access, point_to_point, *backbone = topology.cables
    access = Cable(access.left, bare(access.right))
    return replace(
        topology,
        nodes=tuple(_with_other_network(node) for node in topology.nodes),
        cables=(lan, access, point_to_point, *backbone),
    )


def _with_other_network(node: Node) -> Node:
    if node.name == INTERNET:
        return replace(node, routes=(*node.routes, StaticRoute(OTHER, IPv4Address("192.0.2.1"))))
    if node.name == "isp1":
        # One address of a network can be taken away, and the others stay.
        return replace(node, sysctls={**node.sysctls, "net/ipv4/conf/all/promote_secondaries": "1"})
    return node


def bare(end: End) -> End:
    """The port without addresses, and as fast as it goes."""
    return replace(end, port=replace(end.port, addresses=(), rate_bps=None))


def with_arp(topology: Topology) -> Topology:
    """The point-to-point link on plain Ethernet: the other end is a next hop that must be looked up."""
    lan, access, link, *backbone = topology.cables
    ends = (replace(end, port=replace(end.port, arp=True, mac=None)) for end in (link.left, link.right))
    return replace(topology, cables=(lan, access, Cable(*ends), *backbone))


#: Where IPv6 is spoken: node, port, its address beyond the link, and on the link. Neighbours can't be found without the
#: latter, and a lab's devices get none by themselves.
PORTS6: Final = (
    ("isp1", "to-router", "2001:db8:1::1/64", "fe80::1/64"),
    ("isp2", "to-router", "2001:db8:2::1/64", "fe80::1/64"),
    (ROUTER, "pppoe-out1", "2001:db8:2::2/64", "fe80::2/64"),
    ("isp1", "backbone", "2001:db8:f1::1/64", "fe80::1/64"),
    (INTERNET, "isp1", "2001:db8:f1::2/64", "fe80::2/64"),
    ("isp2", "backbone", "2001:db8:f2::1/64", "fe80::1/64"),
    (INTERNET, "isp2", "2001:db8:f2::2/64", "fe80::2/64"),
    (CLIENTS, "eth0", str(CLIENT6), "fe80::10/64"),
)

ROUTES6: Final = {
    CLIENTS: (StaticRoute(ANY6, LAN6.ip),),
    "isp1": (StaticRoute(ANY6, IPv6Address("2001:db8:f1::2")),),
    "isp2": (StaticRoute(ANY6, IPv6Address("2001:db8:f2::2")),),
    INTERNET: (
        StaticRoute(FIRST6, IPv6Address("2001:db8:f1::1")),
        StaticRoute(SECOND6, IPv6Address("2001:db8:f2::1")),
    ),
}


def with_ipv6(topology: Topology) -> Topology:
    """IPv6 as well, all the way. On ether1 the router has what is advertised to it, see `take_advertisements`."""
    own = {
        (node, port): tuple(PortAddress(IPv6Interface(address)) for address in addresses)
        for node, port, *addresses in PORTS6
    }

    def numbered(end: End) -> End:
        return replace(end, port=_with(end.port, *own.get((end.node, end.port.name), ())))

    def spoken(node: Node) -> Node:
        # An address of `lo` can be tentative for a moment, too; a server need not wait for it.
        sysctls = {**node.sysctls, "net/ipv6/ip_nonlocal_bind": "1"}
        bridges = tuple(_with(bridge, PortAddress(LAN6)) for bridge in node.bridges)
        loopback = (*node.loopback, SERVER6) if node.name == INTERNET else node.loopback
        routes = (*node.routes, *ROUTES6.get(node.name, ()))
        return replace(node, bridges=bridges, loopback=loopback, routes=routes, sysctls=sysctls)

    cables = tuple(Cable(numbered(cable.left), numbered(cable.right)) for cable in topology.cables)
    return replace(topology, nodes=tuple(spoken(node) for node in topology.nodes), cables=cables)


def _with(port: Port, *addresses: PortAddress) -> Port:
    return replace(port, addresses=(*port.addresses, *addresses))


def take_advertisements(router: NetworkNamespace) -> None:
    """Let ether1 make itself addresses, on the link and of an advertised prefix.

    Nobody is asked whether one is taken: that takes a second each, and here nobody else is on the link.
    """
    router.run(["sysctl", "-qw", "net.ipv6.conf.ether1.accept_dad=0", "net.ipv6.conf.ether1.accept_ra=2"])
    router.run(["ip", "link", "set", "dev", "ether1", "addrgenmode", "eui64"])


@dataclass(frozen=True)
class Advertisement:
    """What a provider's router says of itself: a prefix, and whether a default route leads to it (RFC 4861)."""

    prefix: IPv6Network
    is_default: bool = True

    def options(self, interface: str) -> list[str]:
        return [
            "--enable-ra",
            f"--dhcp-range={self.prefix.network_address},ra-only,{self.prefix.prefixlen},{LEASE_S}",
            f"--ra-param={interface},4,{600 if self.is_default else 0}",
        ]


class Scene:
    """A world with servers and a balancer, and somebody who opens connections all the time.

    Attributes:
        world: whose router is the balancer.
        router: the router's namespace.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.router = world[ROUTER]
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()
        self._daemon: subprocess.Popen[str] | None = None
        self._clients = itertools.cycle(world.topology.clients)
        self._servers = itertools.cycle(world.topology.servers)

    async def __aenter__(self) -> Self:
        servers = await self._stack.enter_async_context(TellServers())
        for address in self.world.topology.servers:
            await servers.listen(self.world.listen(INTERNET, address, PORT))
        if SERVER6 in next(node for node in self.world.topology.nodes if node.name == INTERNET).loopback:
            await servers.listen(self.world.listen(INTERNET, SERVER6.ip, PORT))
        self._kernel = self._stack.enter_context(self._routes())
        return self

    def _routes(self) -> RouteNetlink:
        with self.router.entered():
            return RouteNetlink()

    async def __aexit__(self, *_: object) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
        await self._stack.aclose()

    # --- the balancer ----------------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """What the daemon has said so far."""
        return (self._folder / "evenflow.log").read_text(encoding="utf-8")

    async def run_evenflow(self, config: Path) -> None:
        """Start `evenflow run` and wait until it says that it runs."""
        with (self._folder / "evenflow.log").open("w", encoding="utf-8") as log:
            self._daemon = self.router.start(
                [*EVENFLOW, "run", str(config), "--verbose", "--socket", str(self._folder / "socket")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
        await until(lambda: self._runs(config), self._folder, within_s=60)

    def _runs(self, config: Path) -> bool:
        assert self._daemon is not None
        assert self._daemon.poll() is None, self.log
        return f"running {config}" in self.log

    # --- what the kernel knows ---------------------------------------------------------------------------------

    def gateways(self, family: Family, interface: str) -> set[Address | None]:
        """The gateways of the defaults that others than evenflow have put into main for an interface."""
        return given_gateways(self._kernel, family, interface)

    def index(self, interface: str) -> int | None:
        """The index of a device, None when it is not there."""
        return next((link.index for link in self._kernel.links() if link.name == interface), None)

    def has_address(self, interface: str, network: Network) -> bool:
        """Whether the router has an address of a network there that it can use."""
        return any(own.interface == interface and own.address in network for own in self._kernel.addresses())

    # --- what the servers see ----------------------------------------------------------------------------------

    async def sample(self, dials: Sequence[Dial], *, timeout_s: float) -> Sample:
        """Open connections and close them again."""
        attempts = await open_all(self.world, dials, timeout_s=timeout_s)
        opened = as_opened(attempts)
        for connection in opened:
            connection.abort()
        return Sample(frozenset(connection.seen_address for connection in opened), len(attempts) - len(opened))

    def dials(self) -> list[Dial]:
        """Connections from clients in turn to servers in turn."""
        return [Dial(CLIENTS, next(self._clients), next(self._servers), PORT) for _ in range(SAMPLE)]

    def dials6(self) -> list[Dial]:
        """The same in IPv6, by ports of the kernel's choice."""
        return [Dial(CLIENTS, CLIENT6.ip, SERVER6.ip, PORT) for _ in range(SAMPLE)]

    async def goes_by(
        self, *networks: Network, dials: Callable[[], Sequence[Dial]] | None = None, within_s: float = FOLLOWED_WITHIN_S
    ) -> float:
        """Wait until connections go by each of these networks, none by another, and none is lost; how long it took.

        The limit is for the beginning of the twelve that went right. Fails when it has passed.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while (tried_s := loop.time() - began_s) <= within_s:
            sample = await self.sample((dials or self.dials)(), timeout_s=0.3)
            if sample.lost == 0 and sample.networks(networks) == set(networks):
                return tried_s
        raise AssertionError(f"after {within_s} s connections are seen from {sample}, not {networks}:\n{self._state()}")

    def _state(self) -> str:
        routes = self.router.run(["ip", "route", "show", "table", "all", "type", "unicast"])
        return f"{routes}\n{self.log}"


@dataclass(frozen=True)
class Sample:
    """Where connections were seen to come from, and how many were not opened."""

    addresses: frozenset[Address]
    lost: int

    def networks(self, known: Sequence[Network]) -> set[Network | Address]:
        """The networks of the addresses; an address that is in none of them stands for itself."""
        return {next((network for network in known if address in network), address) for address in self.addresses}


async def until(condition: Callable[[], bool], what: object, *, within_s: float = 10.0) -> None:
    """Wait until something is so; fail when it takes too long."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while not condition():
        assert loop.time() < deadline_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.002)
