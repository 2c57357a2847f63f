"""A failover scenario in play: the world, the daemon in its router, clients, and what is claimed of them."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from evenflow.core.failover import Standing
from evenflow.errors import LabError
from evenflow.formats import configuration
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.reconcile import look_ahead
from evenflow.lab import faults
from evenflow.lab.dhcp import LeasedLine
from evenflow.lab.failover import find_move
from evenflow.lab.progress import SilentProgress
from evenflow.lab.router_process import RouterProcess
from evenflow.lab.stage import Configuration, Scenario, Stage
from evenflow.lab.timeline import Check, Entry
from evenflow.lab.topology import ROUTER
from evenflow.lab.traffic import Traffic, by_owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenflow.lab.failover import Move
    from evenflow.lab.topology import LabUplink
    from evenflow.lab.world import World
    from evenflow.model.dataplane import Plan
    from evenflow.model.flow import Address

#: Clients of a scenario: fewer than in the article's, for what counts here is when, not how many.
_SIZE: Final = Scenario(watched=48, attempt_interval_s=0.02)

_POLL_S: Final = 0.01

#: A DHCP client asks once a second, and looks first whether it got the address for itself.
_LEASE_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the router's policy says beside its uplinks.

    Attributes:
        hold_s: of `[health]`.
        health, balance: further lines of `[health]` and `[balance]`.
        seed: of the classifier; None lets it be drawn.
    """

    hold_s: float = 2
    health: str = ""
    balance: str = ""
    seed: int | None = None


def policy_of(world: World, settings: Settings, *, weights: dict[str, int] | None = None) -> str:
    """The policy of the lab's router."""
    parts = ['lan = ["USER_01"]', "", "[health]", f'hold = "{settings.hold_s:g}s"', settings.health, ""]
    for uplink in world.topology.uplinks:
        is_learnt = uplink.is_leased or uplink.interface.startswith("ppp")
        gateway = "auto" if is_learnt else str(uplink.network.network_address + 1)
        parts += [f"[uplink.{uplink.name}]", f'interface = "{uplink.interface}"', f'gateway = "{gateway}"', ""]
    shares = weights or {uplink.name: uplink.weight for uplink in world.topology.uplinks}
    stated = ", ".join(f"{name} = {weight}" for name, weight in shares.items())
    parts += ["[balance]", 'classifier = "both-addresses-and-ports"', f"weights = {{ {stated} }}", settings.balance, ""]
    return "\n".join(parts)


@dataclass
class Drill:
    """One scenario. Use it as an asynchronous context manager: daemon and clients run from start to end.

    Attributes:
        world: with its router; `victim` and `other` are its two uplinks.
        daemon: the process.
        traffic: the clients.
        leased: the lines with DHCP, by the uplink's name.
        checks: what was claimed so far.
    """

    world: World
    settings: Settings
    checks: list[Check] = field(default_factory=list)
    leased: dict[str, LeasedLine] = field(default_factory=dict)
    _entries: list[Entry] = field(default_factory=list)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def __aenter__(self) -> Self:
        """Bring it up. Raises LabError."""
        async with contextlib.AsyncExitStack() as unwinding:
            unwinding.push_async_exit(self._stack)
            self.victim, self.other = self.world.topology.uplinks
            await self._subscribe()
            self.daemon = await self._stack.enter_async_context(
                RouterProcess(self.world, policy_of(self.world, self.settings), seed=self.settings.seed)
            )
            for uplink in self.world.topology.uplinks:
                await self.daemon.until_state(uplink.name, "UP", within_s=15)
            as_it_is = Configuration(lambda: None, lambda: None)
            self.stage = await self._stack.enter_async_context(Stage(self.world, as_it_is, _SIZE, SilentProgress()))
            self.traffic = await self._stack.enter_async_context(Traffic(self.stage))
            self.began_s = self.now()
            self._foreign = self.stage.foreign_packets(self.stage.tally.read())
            unwinding.pop_all()
        return self

    async def _subscribe(self) -> None:
        """Uplinks with DHCP get their first lease. Raises LabError when they get none."""
        for uplink in self.world.topology.uplinks:
            if uplink.is_leased:
                folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="evenflow-lab-"))
                line = self._stack.enter_context(LeasedLine(self.world, uplink, Path(folder)))
                self.leased[uplink.name] = line
                line.offers(line.gateway)
                line.subscriber.start()
                await self.until_leased(line, line.gateway)

    async def __aexit__(self, *_: object) -> None:
        for uplink in self.world.topology.uplinks:
            faults.heal(self.world, uplink)
        await self._stack.aclose()

    # --- doing -----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The loop's clock."""
        return asyncio.get_running_loop().time()

    def did(self, what: str) -> float:
        """Note what the lab does just now; the loop's time."""
        self._entries.append(Entry(self.now() - self.began_s, "lab", what))
        return self.now()

    def saw(self, at_s: float, what: str) -> None:
        """Note what clients saw at a moment."""
        self._entries.append(Entry(at_s - self.began_s, "clients", what))

    def run(self, *command: str) -> None:
        """Run a program in the router's namespace, as an administrator would."""
        self.did(" ".join(command))
        self.world[ROUTER].run(list(command))

    def timeline(self) -> tuple[Entry, ...]:
        """Everything in its order, with what the daemon told."""
        told = [
            Entry(at_s - self.began_s, "daemon", str(entry["message"]))
            for at_s, entry in self.daemon.events
            if at_s >= self.began_s and not _is_doubt(entry)
        ]
        return tuple(sorted((*self._entries, *told), key=lambda entry: entry.at_s))

    async def until_leased(self, line: LeasedLine, gateway: Address) -> float:
        """Wait until the DHCP client has put a gateway into the kernel; the loop's time. Raises LabError."""
        if not await self.until(lambda: line.has_gateway(gateway), within_s=_LEASE_S):
            raise LabError(f"no lease with {gateway} within {_LEASE_S:g} s; what was logged:\n{line.log_end()}")
        return self.now()

    # --- claiming --------------------------------------------------------------------------------------------------

    def claim(self, claim: str, seen: object, *, held: bool) -> None:
        """Something that must be so."""
        self.checks.append(Check(claim, str(seen), held))

    def claim_within(self, claim: str, took_s: float | None, limit_s: float) -> None:
        """Something that must not take longer."""
        seen = "never" if took_s is None else f"{took_s * 1000:.0f} ms"
        self.claim(f"{claim} within {limit_s * 1000:.0f} ms", seen, held=took_s is not None and took_s <= limit_s)

    async def claim_state(self, uplink: str, state: str, since_s: float, limit_s: float) -> float | None:
        """The daemon must call an uplink so in time; when it did (the loop's time)."""
        try:
            at_s = await self.daemon.until_state(uplink, state, within_s=limit_s + 5)
        except LabError:
            self.claim(f"{uplink} becomes {state} within {limit_s:g} s", "never", held=False)
            return None
        told = self.daemon.told("state", since_s, uplink=uplink, after=state)
        when_s = told[0][0] if told else at_s
        self.claim_within(f"{uplink} becomes {state}", when_s - since_s, limit_s)
        return when_s

    async def claim_moved(self, victim: LabUplink, since_s: float, limit_s: float) -> Move:
        """New connections of an uplink's kind must open by another in time, and all later ones too."""
        self.traffic.try_all_again()

        def move() -> Move:
            attempts = by_owner(self.traffic.attempts, victim.name)
            return find_move(attempts, since_s, lambda uplink: uplink not in (None, victim.name))

        await self.until(lambda: move().later >= 5, within_s=limit_s + 6)
        found = move()
        if found.after_s is not None:
            self.saw(since_s + found.after_s, f"a new connection of {victim.name}'s kind opens by another uplink")
        self.claim_within(f"new connections of {victim.name}'s kind open elsewhere", found.after_s, limit_s)
        self.claim("all later ones too", f"{found.later_right} of {found.later}", held=found.later_right == found.later)
        return found

    async def claim_back(self, uplink: LabUplink, since_s: float, limit_s: float) -> None:
        """New connections of an uplink's kind must go by it again in time."""
        self.traffic.try_all_again()

        def move() -> Move:
            return find_move(by_owner(self.traffic.attempts, uplink.name), since_s, lambda seen: seen == uplink.name)

        await self.until(lambda: move().later >= 5, within_s=limit_s + 6)
        if (after_s := move().after_s) is not None:
            self.saw(since_s + after_s, f"a new connection of {uplink.name}'s kind goes by {uplink.name} again")
        self.claim_within(f"new connections of {uplink.name}'s kind go by it again", move().after_s, limit_s)

    async def claim_reset(self, victim: LabUplink, since_s: float, limit_s: float) -> None:
        """Long connections of a lost uplink must end, so that clients connect anew and nobody hangs."""
        mine = [long for long in self.traffic.long if long.uplink == victim.name]
        await self.until(lambda: all(long.broke_s is not None for long in mine), within_s=limit_s + 2)
        ended = [long.broke_s - since_s for long in mine if long.broke_s is not None]
        if ended:
            self.saw(since_s + max(ended), f"the last of {len(ended)} long connections by {victim.name} is reset")
        self.claim(
            f"long connections by {victim.name} end within {limit_s:g} s",
            f"{len(ended)} of {len(mine)}" + (f", the last after {max(ended):.2f} s" if ended else ""),
            held=len(ended) == len(mine) and all(took_s <= limit_s for took_s in ended),
        )

    def claim_untouched(self, *uplinks: LabUplink) -> None:
        """Long connections by healthy uplinks must never have broken, nor new ones of their kind gone astray."""
        names = {uplink.name for uplink in uplinks}
        long = [one for one in self.traffic.long if one.uplink in names]
        broke = sum(one.broke_s is not None for one in long)
        attempts = [one for one in self.traffic.attempts if one.watched.owner in names and one.began_s >= self.began_s]
        astray = sum(one.uplink != one.watched.owner for one in attempts)
        told = " and ".join(sorted(names))
        self.claim(f"long connections by {told} that broke", f"{broke} of {len(long)}", held=broke == 0)
        self.claim(f"new ones of {told}'s kind that went astray or failed", f"{astray} of {len(attempts)}",
                   held=astray == 0)  # fmt: skip

    def claim_no_leak(self) -> None:
        """No packet may have left an uplink with an address that is not its own."""
        leaked = self.stage.foreign_packets(self.stage.tally.read()) - self._foreign
        self.claim("packets that left with another uplink's or a LAN address", leaked, held=leaked == 0)

    async def claim_in_sync(self, claim: str, since_s: float, limit_s: float) -> None:
        """The kernel must be as desired in time: read and compiled here anew, whatever the daemon thinks of it."""

        async def there() -> bool:
            return (await self.plan()).in_sync

        at_s = await self.daemon.until(there, within_s=limit_s + 5, what="the kernel did not become as desired")
        self.claim_within(claim, at_s - since_s, limit_s)

    async def plan(self) -> Plan:
        """What it takes to make the kernel as desired; which uplinks are usable is all that the daemon is asked."""
        listed = (await self.daemon.ask("status"))["uplinks"]
        standing = Standing(
            frozenset(one["name"] for one in listed if not one["usable"]),
            frozenset(one["name"] for one in listed if one["drained"]),
        )
        loaded = configuration.read(self.daemon.configuration, "router.toml")
        assert loaded.router is not None
        with self.world.inside(ROUTER), LinuxKernel() as kernel:
            return look_ahead(kernel, loaded.router, kernel.read_machine(), self.settings.seed, standing).plan

    async def until(self, condition: Callable[[], object], *, within_s: float) -> bool:
        """Wait until it is so; whether it became so in time."""
        end_s = self.now() + within_s
        while not condition():
            if self.now() >= end_s:
                return False
            await asyncio.sleep(_POLL_S)
        return True


def _is_doubt(entry: dict[str, Any]) -> bool:
    """A line is doubted, or no longer: that moves nothing."""
    return entry.get("after") == "FALLING" or (entry.get("before"), entry.get("after")) == ("FALLING", "UP")
