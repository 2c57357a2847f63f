"""A hundred random events in a row under traffic: after each the kernel is as desired, and nobody healthy is harmed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from evenflow.lab import faults
from evenflow.lab.drill import Drill, Settings, policy_of
from evenflow.lab.topology import ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from evenflow.lab.clients import Connection

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

EVENTS = 100

#: What is promised: as desired within a second. Whoever plays this does other things, too.
WITHIN_S = 1.0 + 1.0

#: An answer takes milliseconds; a lost packet is sent again after 0.2 s and more (RFC 6298).
ECHO_TIMEOUT_S = 8.0

#: The queue of a shaped line that fills up delays answers by 80 ms: that is no loss.
SETTINGS = Settings(0.2, 'profile = "fast"\ntimeout = "300ms"\nhold_most = "400ms"', seed=7)


@dataclass
class Talk:
    """A connection that goes on, or has ended."""

    connection: Connection
    uplink: str
    ended: str = ""


@dataclass
class Chaos:
    """The drill, what is broken in it, and who talks."""

    drill: Drill
    dice: random.Random
    weights: dict[str, int] = field(default_factory=lambda: {"isp1": 2, "isp2": 1})
    broken: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    talks: list[Talk] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    harmed: list[str] = field(default_factory=list)
    quiet: bool = False
    speaking: int = 0

    # --- events ----------------------------------------------------------------------------------------------------

    def _uplink(self, name: str) -> object:
        return self.drill.world.topology.uplink(name)

    async def break_or_heal(self) -> str:
        """One line at a time is broken: the other one is the healthy one."""
        world = self.drill.world
        if self.broken or self.cut:
            for uplink in world.topology.uplinks:
                if uplink.name in self.broken:
                    faults.heal(world, uplink)
                if uplink.name in self.cut:
                    world.set_link_up(uplink.provider, uplink.provider_port, up=True)
            healed = sorted(self.broken | self.cut)
            self.broken.clear()
            self.cut.clear()
            return f"{', '.join(healed)} works again"
        victim = self.dice.choice(world.topology.uplinks)
        kind = self.dice.choice(("cut", "silent", "far"))
        if kind == "cut":
            self.cut.add(victim.name)
            world.set_link_up(victim.provider, victim.provider_port, up=False)
        else:
            self.broken.add(victim.name)
            (faults.silence if kind == "silent" else faults.break_behind)(world, victim)
        for talk in self.talks:
            if talk.uplink == victim.name and not talk.ended:
                talk.ended = f"{victim.name} {kind}"
        return f"{victim.name} {kind}"

    async def drain_or_undrain(self) -> str:
        name = self.dice.choice(("isp1", "isp2"))
        command = "undrain" if name in self.drained else "drain"
        self.drained ^= {name}
        answer = await self.drill.daemon.ask(command, uplink=name)
        assert "error" not in answer, answer
        return f"{command} {name}"

    async def reload(self) -> str:
        self.weights = {"isp1": self.dice.randint(1, 4), "isp2": self.dice.randint(1, 4)}
        self.drill.daemon.write(policy_of(self.drill.world, SETTINGS, weights=self.weights))
        answer = await self.drill.daemon.ask("reload")
        assert "error" not in answer, answer
        return f"reload with {self.weights}"

    async def kill(self) -> str:
        await self.drill.daemon.end(signal.SIGKILL)
        await self.drill.daemon.start()
        return "kill -9, and started again"

    async def drift(self) -> str:
        command = self.dice.choice((
            "nft delete table inet evenflow",
            "ip route flush proto 239 table all",
            "ip rule del priority 21000",
            "nft flush chain inet evenflow prerouting",
            "ip route flush table main proto 239",
        ))  # fmt: skip
        # Without marks or source NAT a packet goes astray until all is mended, and its server resets the connection.
        # Who does not speak just then must find everything as it was.
        self.quiet = True
        while self.speaking:
            await asyncio.sleep(0.005)
        self.drill.world[ROUTER].run(["sh", "-c", f"{command} || true"])
        await self.becomes_as_desired()
        self.quiet = False
        return command

    # --- traffic ---------------------------------------------------------------------------------------------------

    async def talk_more(self, count: int = 4) -> None:
        for connection in await self.drill.stage.open_many(count):
            talk = Talk(connection, self.drill.stage.uplink_seen(connection) or "")
            self.talks.append(talk)
            self.tasks.append(asyncio.create_task(self._go_on(talk)))

    async def _go_on(self, talk: Talk) -> None:
        try:
            while not talk.ended:
                while self.quiet:
                    await asyncio.sleep(0.01)
                self.speaking += 1
                try:
                    await talk.connection.echo(timeout_s=ECHO_TIMEOUT_S)
                finally:
                    self.speaking -= 1
                await asyncio.sleep(0.05)
        except OSError as problem:
            if not talk.ended:
                talk.ended = repr(problem)
                self.harmed.append(f"a connection by {talk.uplink}: {problem!r}")
        finally:
            talk.connection.abort()

    def leaked(self) -> int:
        """Packets that left by an uplink with an address that is not its own."""
        return self.drill.stage.foreign_packets(self.drill.stage.tally.read())

    # --- what must be so -------------------------------------------------------------------------------------------

    async def becomes_as_desired(self) -> float:
        """How long until the kernel is what this router must be now, compiled and read here anew."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        plan = await self.drill.plan()
        while not plan.in_sync:
            assert loop.time() - began_s < WITHIN_S + 5, f"{plan}\n{self.drill.daemon.log_end()}"
            await asyncio.sleep(0.01)
            plan = await self.drill.plan()
        return loop.time() - began_s

    async def becomes_known(self) -> None:
        """The daemon finds out what is broken and what is not."""
        for uplink in self.drill.world.topology.uplinks:
            lost = uplink.name in self.broken | self.cut
            states = ("DOWN", "RISING") if lost else ("UP", "DRAINED", "FALLING")
            await self.drill.daemon.until_state(uplink.name, *states, within_s=8)

    async def end(self) -> None:
        for talk in self.talks:
            talk.ended = talk.ended or "over"
        await asyncio.gather(*self.tasks)


async def play(events: int, seed: int) -> Chaos:
    with World(article_topology()) as world:
        async with Drill(world, SETTINGS) as drill:
            chaos = Chaos(drill, random.Random(seed))
            kinds: list[Callable[[], Awaitable[str]]] = [
                chaos.break_or_heal, chaos.break_or_heal, chaos.drain_or_undrain, chaos.reload, chaos.kill, chaos.drift,
            ]  # fmt: skip
            leaked = chaos.leaked()
            for n in range(events):
                await chaos.talk_more()
                what = await chaos.dice.choice(kinds)()
                took_s = await chaos.becomes_as_desired()
                assert took_s < WITHIN_S, f"event {n}, {what}: {took_s:.2f} s"
                await chaos.becomes_known()
                assert await chaos.becomes_as_desired() < WITHIN_S, f"behind event {n}, {what}"
                assert not chaos.harmed, f"event {n}, {what}: {chaos.harmed}\n{drill.daemon.log_end()}"
                # While somebody has deleted the table with source NAT and guard in it, nothing can keep packets back.
                assert what.startswith("nft") or chaos.leaked() == leaked, f"event {n}, {what}"
                leaked = chaos.leaked()
            await chaos.end()
            return chaos


def test_through_a_hundred_events_the_kernel_is_as_desired_and_nobody_healthy_breaks() -> None:
    seed = int(os.environ.get("EVENFLOW_EVENTS_SEED", random.randrange(1 << 32)))
    print(f"EVENFLOW_EVENTS_SEED={seed}")
    chaos = asyncio.run(play(EVENTS, seed))
    assert len(chaos.talks) >= EVENTS
