"""What the steps of a scenario share: the world with its servers, who counts in it, and what they remember."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from evenflow.lab.chance import CHANCE_OUTSIDE
from evenflow.lab.clients import Connection, Dial, descriptors, open_all
from evenflow.lab.meter import RateMeter
from evenflow.lab.servers import TellServers
from evenflow.lab.tally import Conversation, Tally
from evenflow.lab.topology import CLIENTS, INTERNET, ROUTER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
    from fractions import Fraction

    from evenflow.lab.progress import Progress
    from evenflow.lab.results import Share
    from evenflow.lab.tally import Sighting
    from evenflow.lab.traffic import Traffic
    from evenflow.lab.world import World

#: Ports that the servers in the Internet listen on. Several, so that a classifier over ports has something to hash.
SERVER_PORTS: Final = (80, 443, 8000, 8443)

#: Ports on the router's own addresses: its own server, and what its port-forward leads to the LAN.
ROUTER_PORT: Final = 2022
FORWARDED_PORT: Final = 8080

#: The port-forward is foreign to evenflow, as on a machine that has other nft tables.
FORWARD_TABLE: Final = "lab_port_forward"


@dataclass(frozen=True, slots=True)
class Scenario:
    """How much of everything the article's scenario does.

    Attributes:
        connections: opened at once, to be counted.
        downloads: connections that download at once.
        download_s: how long their rate is measured.
        settle_s: how long they run before that.
        inbound: connections from outside, per uplink and kind of server.
        watched: connections whose uplink is known before the cut and that are opened again and again.
        attempt_interval_s: time between two of those.
        before_cut_s, after_cut_s, after_restore_s: how long traffic runs on.
        connections_after: opened at once after the restore, to be counted.
        chance_outside: how often chance alone may fail a count.
        least_rate: part of an uplink's rate that downloads must reach.
        move_limit_s: the longest time that new connections may take to move to another uplink.
        deadline_s: how long the return of an uplink is waited for.
        open_timeout_s: how long a connection may take to open.
    """

    connections: int = 600
    downloads: int = 36
    download_s: float = 6.0
    settle_s: float = 2.0
    inbound: int = 8
    watched: int = 90
    attempt_interval_s: float = 0.012
    before_cut_s: float = 2.5
    after_cut_s: float = 5.0
    after_restore_s: float = 4.0
    connections_after: int = 300
    chance_outside: Fraction = CHANCE_OUTSIDE
    least_rate: float = 0.85
    move_limit_s: float = 1.0
    deadline_s: float = 10.0
    open_timeout_s: float = 5.0

    @property
    def descriptors(self) -> int:
        """How many descriptors are open at the same time, at most: both ends, and some to spare."""
        return 2 * max(self.connections, self.connections_after, self.downloads) + 512


@dataclass(slots=True)
class Found:
    """What a step leaves for a later one."""

    footprint: Mapping[str, frozenset[str]] = field(default_factory=dict)
    brought_up: bool = False
    open_connections: list[Connection] = field(default_factory=list)
    shares: tuple[Share, ...] = ()
    traffic: Traffic | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What makes the lab's router a balancer, and undoes it. Both are called inside the router's namespace."""

    bring_up: Callable[[], None]
    take_down: Callable[[], None]


class Stage:
    """A world in play.

    Attributes:
        world, configuration, scenario, progress: as given.
        meter, tally: who counts.
        found: what steps leave for each other.
        stack: whatever a step starts that outlives it; closed at the end, before the world.
    """

    def __init__(self, world: World, configuration: Configuration, scenario: Scenario, progress: Progress) -> None:
        self.world = world
        self.configuration = configuration
        self.topology = world.topology
        self.scenario = scenario
        self.progress = progress
        self.tally = Tally(world)
        self.meter = RateMeter(world)
        self.found = Found()
        self.stack = contextlib.AsyncExitStack()
        self._random = random.Random()  # noqa: S311 - it picks addresses, it guards nothing

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as unwinding:
            unwinding.push_async_exit(self.stack)
            self.stack.enter_context(descriptors(self.scenario.descriptors))
            servers = await self.stack.enter_async_context(TellServers())
            for address in self.topology.servers:
                for port in SERVER_PORTS:
                    await servers.listen(self.world.listen(INTERNET, address, port))
            await servers.listen(self.world.listen(CLIENTS, self.topology.lan_server, FORWARDED_PORT))
            for uplink in self.topology.uplinks:
                await servers.listen(self.world.listen(ROUTER, uplink.address, ROUTER_PORT))
            self.world[ROUTER].run(["nft", "-f", "-"], stdin=self._port_forward())
            self.tally.start()
            await self.stack.enter_async_context(self.meter)
            unwinding.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self.found.open_connections:
            connection.abort()
        await self.stack.aclose()

    def _port_forward(self) -> str:
        interfaces = ", ".join(f'"{uplink.interface}"' for uplink in self.topology.uplinks)
        return f"""
table ip {FORWARD_TABLE} {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname {{ {interfaces} }} tcp dport {FORWARDED_PORT} dnat to {self.topology.lan_server}:{FORWARDED_PORT}
    }}
}}
"""

    # --- what steps ask for ------------------------------------------------------------------------------------

    def dials(self, count: int) -> list[Dial]:
        """Connections from clients in turn to servers by lot."""
        topology = self.topology
        start = self._random.randrange(len(topology.clients))
        return [
            Dial(
                CLIENTS,
                topology.clients[(start + n) % len(topology.clients)],
                self._random.choice(topology.servers),
                self._random.choice(SERVER_PORTS),
            )
            for n in range(count)
        ]

    async def open_many(self, count: int) -> list[Connection]:
        """Open connections as `dials` gives them; those that opened."""
        return as_opened(await open_all(self.world, self.dials(count), timeout_s=self.scenario.open_timeout_s))

    def uplink_seen(self, connection: Connection) -> str | None:
        """The uplink whose network the server saw the client in, or None."""
        uplink = self.topology.uplink_of(connection.seen_address)
        return uplink.name if uplink is not None else None

    def count_by_uplink(self, connections: Sequence[Connection]) -> dict[str, int]:
        """How many connections the servers saw by each uplink."""
        seen = [self.uplink_seen(connection) for connection in connections]
        return {uplink.name: seen.count(uplink.name) for uplink in self.topology.uplinks}

    def foreign_packets(self, sightings: Mapping[str, Sighting]) -> int:
        """Packets that left an uplink with a source address that is not its own."""
        return sum(sum(sighting.foreign.values()) for sighting in sightings.values())


def conversation(connection: Connection) -> Conversation:
    """A client's connection as the providers see it."""
    dial = connection.dial
    return Conversation(connection.seen_address, connection.seen_port, dial.server, dial.server_port)


def as_opened(attempts: Sequence[Connection | OSError]) -> list[Connection]:
    """Those that opened."""
    return [attempt for attempt in attempts if isinstance(attempt, Connection)]


@contextlib.asynccontextmanager
async def running(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Coroutines that run for the time of the `async with` and are cancelled at its end.

    One that failed before makes the end fail, too: nothing that carries traffic stops unnoticed.
    """
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
