"""The failover scenarios: each breaks something, and claims what must follow."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from evenflow.errors import LabError
from evenflow.lab import dhcp, faults
from evenflow.lab.clients import open_connection
from evenflow.lab.drill import Drill, Settings, policy_of
from evenflow.lab.running import run
from evenflow.lab.timeline import Played
from evenflow.lab.topology import ROUTER, article_topology
from evenflow.lab.traffic import by_owner
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from evenflow.lab.dhcp import PacketsSeen, SecondGateway
    from evenflow.lab.topology import LabUplink

#: The machine that plays it does other things, too: what is promised elsewhere may take so much longer here. bench/
#: measures.
_SLACK_S: Final = 0.5

#: What defaults promise: a silent line is noticed within a second.
_NOTICE_S: Final = 1.0 + _SLACK_S

#: What clients see on top of it: the next connection, and its answer.
_OPEN_S: Final = 0.2 + _SLACK_S

#: A carrier that is gone moves new connections by the kernel's own backup routes: within 50 ms.
_CARRIER_S: Final = 0.05 + _SLACK_S

#: What comes on top of the hold when a line is back: a lost carrier's neighbour is looked for, an answer comes.
_RETURN_S: Final = 2.0 + _SLACK_S

#: A client that waits for an answer sends again after a while (RFC 6298): only then is it told.
_RESET_S: Final = 4.0

#: Drift is mended within a second.
_DRIFT_S: Final = 1.0

#: Whatever changes, within a second the kernel is as desired: another gateway is followed.
_FOLLOW_S: Final = 1.0


_USUAL: Final = Settings()


@dataclass(frozen=True, slots=True)
class FailoverScenario:
    """What is played, by a name for the command line. `is_leased`: the first uplink's address comes by DHCP."""

    name: str
    summary: str
    play: Callable[[Drill], Awaitable[None]]
    settings: Settings = _USUAL
    is_leased: bool = False


async def _carrier(drill: Drill) -> None:
    victim = drill.victim
    cut_s = drill.did(f"the carrier of {victim.interface} is cut")
    drill.world.set_link_up(victim.provider, victim.provider_port, up=False)
    await drill.claim_moved(victim, cut_s, _CARRIER_S)
    await drill.claim_state(victim.name, "DOWN", cut_s, _CARRIER_S)
    await drill.claim_reset(victim, cut_s, _RESET_S)
    back_s = drill.did("the carrier is back")
    drill.world.set_link_up(victim.provider, victim.provider_port, up=True)
    await _comes_back(drill, victim, back_s)


async def _gateway(drill: Drill) -> None:
    await _silent(drill, faults.silence, "the gateway of isp1 falls silent, its carrier stays")


async def _far(drill: Drill) -> None:
    await _silent(drill, faults.break_behind, "isp1 is dead behind its gateway, which answers")


async def _silent(drill: Drill, fault: Callable[[World, LabUplink], None], what: str) -> None:
    victim = drill.victim
    broken_s = drill.did(what)
    fault(drill.world, victim)
    noticed_s = await drill.claim_state(victim.name, "DOWN", broken_s, _NOTICE_S)
    await drill.claim_moved(victim, broken_s, _NOTICE_S + _OPEN_S)
    await drill.claim_reset(victim, noticed_s or broken_s, _RESET_S)
    await _heals(drill, victim)


async def _heals(drill: Drill, victim: LabUplink, window_s: float = 0) -> None:
    """`window_s`: a loss by a limit ends only when its window is good again."""
    healed_s = drill.did(f"{victim.name} works again")
    faults.heal(drill.world, victim)
    await _comes_back(drill, victim, healed_s, window_s)


async def _comes_back(drill: Drill, victim: LabUplink, since_s: float, window_s: float = 0) -> None:
    limit_s = drill.settings.hold_s + window_s + _RETURN_S
    await drill.claim_state(victim.name, "UP", since_s, limit_s)
    await drill.claim_back(victim, since_s, limit_s + _OPEN_S)
    drill.claim_untouched(drill.other)
    drill.claim_no_leak()


async def _loss(drill: Drill) -> None:
    victim = drill.victim
    broken_s = drill.did(f"80 % of what goes by {victim.name} is lost")
    faults.lose(drill.world, victim, 80)
    # By chance one of five answers in time, and with three targets it takes until the limit for loss is judged.
    noticed_s = await drill.claim_state(victim.name, "DOWN", broken_s, 10.0)
    await drill.claim_moved(victim, noticed_s or broken_s, _OPEN_S)
    await asyncio.sleep(2.5)  # the scenario's own length: in it a line that lies must not come back
    returns = drill.daemon.told("state", broken_s, uplink=victim.name, before="RISING", after="UP")
    drill.claim(f"{victim.name} stays away", await drill.daemon.state(victim.name), held=not returns)
    await _heals(drill, victim, window_s=10)


async def _latency(drill: Drill) -> None:
    victim = drill.victim
    before = next(one for one in (await drill.daemon.ask("status"))["uplinks"] if one["name"] == victim.name)
    broken_s = drill.did(f"a queue at {victim.name} delays everything")
    with faults.delayed(drill.world, victim, drill.world.topology.servers[0]):
        noticed_s = await drill.claim_state(victim.name, "DOWN", broken_s, 2.5)
        # `status` says DOWN at once; the event is told when the new owners are in force.
        told = partial(drill.daemon.told, "state", broken_s, uplink=victim.name, after="DOWN")
        await drill.until(told, within_s=5)
        reason = str(told()[0][1]["reason"]) if told() else "nothing was told"
        drill.claim("for its latency", reason, held="ms" in reason)
        drill.claim("which was before", f"{before['rtt_ms']:.2f} ms", held=before["rtt_ms"] < 4)
        await drill.claim_moved(victim, noticed_s or broken_s, _OPEN_S)
    await _heals(drill, victim, window_s=2)


async def _all(drill: Drill) -> None:
    broken_s = drill.did("both gateways fall silent")
    for uplink in drill.world.topology.uplinks:
        faults.silence(drill.world, uplink)
    for uplink in drill.world.topology.uplinks:
        await drill.claim_state(uplink.name, "DOWN", broken_s, _NOTICE_S)
    began_s = drill.now()
    try:
        await open_connection(drill.world, drill.stage.dials(1)[0], timeout_s=5)
    except TimeoutError:
        told = "nothing, it hangs"
    except OSError as problem:
        told = problem.strerror or str(problem)
    else:
        told = "it opened"
    took_s = drill.now() - began_s
    drill.saw(drill.now(), f"a new connection is told: {told}")
    drill.claim("who connects now is told at once", f"{told} after {took_s * 1000:.0f} ms",
                held="hangs" not in told and "opened" not in told and took_s < 0.5)  # fmt: skip
    healed_s = drill.did("both work again")
    for uplink in drill.world.topology.uplinks:
        faults.heal(drill.world, uplink)
    for uplink in drill.world.topology.uplinks:
        limit_s = drill.settings.hold_s + _RETURN_S
        await drill.claim_state(uplink.name, "UP", healed_s, limit_s)
        await drill.claim_back(uplink, healed_s, limit_s + 2.0)
    drill.claim_no_leak()


async def _flapping(drill: Drill) -> None:
    victim = drill.victim
    began_s = drill.now()
    for n in range(4):
        drill.did(f"{victim.name} falls silent")
        faults.silence(drill.world, victim)
        if n == 0:
            await drill.claim_state(victim.name, "DOWN", began_s, _NOTICE_S)
        await asyncio.sleep(1.5)  # the line's own rhythm: shorter than the hold
        drill.did(f"{victim.name} works again")
        faults.heal(drill.world, victim)
        await asyncio.sleep(1.5)
    ups = drill.daemon.told("state", began_s, uplink=victim.name, after="UP", before="RISING")
    drill.claim("it is not followed up and down", f"{len(ups)} returns in 4 swings", held=not ups)
    await _comes_back(drill, victim, drill.now())


async def _interface(drill: Drill) -> None:
    victim = drill.victim
    gone_s = drill.did(f"the device {victim.interface} is deleted")
    drill.world.delete_link(ROUTER, victim.interface)
    await drill.claim_state(victim.name, "DOWN", gone_s, _CARRIER_S)
    await drill.claim_moved(victim, gone_s, _CARRIER_S)
    back_s = drill.did("it is made anew, with another index")
    drill.world.make_cable_anew(victim.interface)
    await _comes_back(drill, victim, back_s)


async def _dhcp(drill: Drill) -> None:
    victim, line = drill.victim, drill.leased[drill.victim.name]
    old, new = line.gateway, line.second.address
    drill.claim(f"{victim.interface} has its gateway by DHCP", old, held=line.has_gateway(old))
    line.second.appear()
    drill.did(f"{victim.name} has a second gateway, and its DHCP server tells {new} instead of {old}")
    line.offers(new)
    drill.did(f"udhcpc on {victim.interface} renews its lease")
    line.subscriber.renew()
    learnt_s = await drill.until_leased(line, new)
    drill.did(f"udhcpc has put the gateway {new} into the main table")
    followed = await drill.until(lambda: line.second.packets().second, within_s=_FOLLOW_S + 1)
    drill.claim_within(f"packets go by {new}", drill.now() - learnt_s if followed else None, _FOLLOW_S)
    await drill.claim_in_sync("the kernel is as desired", learnt_s, _FOLLOW_S)
    before = line.second.packets()
    silent_s = drill.did(f"the old gateway {old} falls silent")
    line.second.silence_first()
    await _claim_by_second(drill, line.second, before, silent_s)
    # udhcpc's script deletes the old route before it adds the new one; the line must not be taken for lost meanwhile.
    drill.claim_untouched(victim)
    drill.claim_untouched(drill.other)
    drill.claim_no_leak()


async def _claim_by_second(drill: Drill, second: SecondGateway, before: PacketsSeen, since_s: float) -> None:
    victim = drill.victim

    def opened() -> int:
        attempts = by_owner(drill.traffic.attempts, victim.name)
        return sum(one.began_s > since_s and one.uplink == victim.name for one in attempts)

    await drill.until(lambda: opened() >= 20, within_s=5)
    count, now = opened(), second.packets()
    drill.claim(f"new connections by {victim.name} since then", count, held=count >= 20)
    drill.claim("packets to the new gateway since then", now.second - before.second, held=now.second > before.second)
    drill.claim("packets to the old gateway since then", now.first - before.first, held=now.first == before.first)


async def _drift(drill: Drill) -> None:
    dataplane = "table inet evenflow"
    for command in (
        ("nft", "flush", "ruleset"),
        ("ip", "rule", "del", "priority", "21000"),
        ("ip", "route", "flush", "proto", "239", "table", "all"),
        ("sysctl", "-qw", "net.ipv4.ip_forward=0"),
    ):
        since_s = drill.now()
        drill.run(*command)
        limit_s = 6.0 if command[0] == "sysctl" else _DRIFT_S
        mended = await drill.until(partial(drill.daemon.told, "drift", since_s), within_s=limit_s + 1)
        told = drill.daemon.told("drift", since_s)
        drill.claim_within(f"{' '.join(command)}: mended", told[0][0] - since_s if mended else None, limit_s)
    listed = drill.world[ROUTER].run(["nft", "list", "tables"])
    drill.claim("our table is there again", listed.strip().replace("\n", ", "), held=dataplane in listed)


async def _kill(drill: Drill) -> None:
    before = drill.world[ROUTER].run(["nft", "list", "ruleset"])
    drill.did("kill -9")
    await drill.daemon.end(signal.SIGKILL)
    attempts = len(drill.traffic.attempts)
    await drill.until(lambda: len(drill.traffic.attempts) >= attempts + 40, within_s=5)
    drill.claim("the kernel goes on without it", f"{len(drill.traffic.attempts) - attempts} connections",
                held=len(drill.traffic.attempts) - attempts >= 40)  # fmt: skip
    drill.did("started again")
    await drill.daemon.start()
    for uplink in drill.world.topology.uplinks:
        await drill.daemon.until_state(uplink.name, "UP", within_s=5)
    after = drill.world[ROUTER].run(["nft", "list", "ruleset"])
    drill.claim("nothing in nft is another", "the same" if before == after else "changed", held=before == after)
    drill.claim_untouched(drill.victim, drill.other)
    drill.claim_no_leak()


async def _reload(drill: Drill) -> None:
    drill.did("a configuration with a mistake, SIGHUP")
    drill.daemon.write(policy_of(drill.world, drill.settings).replace("gateway", "gatewai"))
    since_s = drill.now()
    drill.daemon.signal(signal.SIGHUP)
    refused = await drill.until(lambda: bool(drill.daemon.told("reload-refused", since_s)), within_s=5)
    drill.claim("it is refused, the old one goes on", "refused" if refused else "nothing was told", held=refused)
    drill.did("one with a second LAN and other health settings, evenflow reload")
    changed = policy_of(drill.world, replace(drill.settings, health="fall = 4"))
    drill.daemon.write(changed)
    answer = await drill.daemon.ask("reload")
    drill.claim("it is taken", answer.get("error", "in force"), held="error" not in answer)
    attempts = len(drill.traffic.attempts)
    await drill.until(lambda: len(drill.traffic.attempts) >= attempts + 40, within_s=5)
    drill.claim_untouched(drill.victim, drill.other)
    drill.did("other weights: 1 to 1, evenflow reload")
    drill.daemon.write(policy_of(drill.world, drill.settings, weights={"isp1": 1, "isp2": 1}))
    await drill.daemon.ask("reload")
    shares = {one["name"]: one["share"] for one in (await drill.daemon.ask("status"))["uplinks"]}
    drill.claim("shares", shares, held=all(abs(share - 0.5) < 0.01 for share in shares.values()))
    attempts = len(drill.traffic.attempts)
    await drill.until(lambda: len(drill.traffic.attempts) >= attempts + 40, within_s=5)
    failed = sum(one.uplink is None for one in drill.traffic.attempts if one.began_s >= drill.began_s)
    drill.claim("new connections that failed", failed, held=failed == 0)
    broke = sum(long.broke_s is not None for long in drill.traffic.long)
    drill.claim("long connections that broke", f"{broke} of {len(drill.traffic.long)}", held=broke == 0)
    drill.claim_no_leak()


async def _drain(drill: Drill) -> None:
    victim = drill.victim
    since_s = drill.did(f"evenflow drain {victim.name}")
    await drill.daemon.ask("drain", uplink=victim.name)
    await drill.claim_moved(victim, since_s, _OPEN_S)
    drill.did("the daemon is killed and started again")
    await drill.daemon.end(signal.SIGKILL)
    await drill.daemon.start()
    state = await drill.daemon.until_state(victim.name, "DRAINED", within_s=5)
    drill.claim("it is still drained", "DRAINED", held=state > 0)
    mine = [long for long in drill.traffic.long if long.uplink == victim.name]
    broke = sum(long.broke_s is not None for long in mine)
    drill.claim(f"long connections by {victim.name} that broke", f"{broke} of {len(mine)}", held=broke == 0)
    back_s = drill.did(f"evenflow undrain {victim.name}")
    await drill.daemon.ask("undrain", uplink=victim.name)
    await drill.claim_back(victim, back_s, _OPEN_S)
    drill.claim_untouched(drill.other)
    drill.claim_no_leak()


SCENARIOS: Final = (
    FailoverScenario("carrier", "isp1 loses its carrier", _carrier),
    FailoverScenario("gateway", "isp1's gateway falls silent with the carrier up", _gateway),
    FailoverScenario("far", "isp1 is dead behind a living gateway", _far),
    FailoverScenario("loss", "isp1 loses 80 % of what it carries", _loss),
    FailoverScenario("latency", "isp1's latency rises tenfold and more", _latency,
                     Settings(health='latency = "40ms"\nwindow = "2s"')),
    FailoverScenario("all", "all uplinks die and come back", _all),
    FailoverScenario("flapping", "isp1 goes up and down", _flapping, Settings(hold_s=4)),
    FailoverScenario("dhcp", "isp1's gateway is changed by DHCP", _dhcp, is_leased=True),
    FailoverScenario("interface", "isp1's device is deleted and made anew", _interface),
    FailoverScenario("drift", "somebody else changes what is ours", _drift),
    FailoverScenario("kill", "the daemon is killed (kill -9) and started again", _kill),
    FailoverScenario("reload", "the configuration changes under traffic", _reload),
    FailoverScenario("drain", "isp1 is drained and given back", _drain),
)  # fmt: skip


def scenario_named(name: str) -> FailoverScenario | None:
    """The scenario of that name, or None."""
    return next((scenario for scenario in SCENARIOS if scenario.name == name), None)


def must_be_playable(scenarios: Iterable[FailoverScenario]) -> None:
    """Look whether the programs are installed that not every scenario needs.

    Raises:
        SystemRefusedError: one is missing; the message says how to install it.
    """
    if any(scenario.is_leased for scenario in scenarios):
        dhcp.must_be_installed()


def play_scenario(scenario: FailoverScenario, *, seed: int | None = None) -> Played:
    """Build the world, play one scenario in it, and tear it down, whatever happens.

    Call `evenflow.kernel.namespaces.enter_private` first.

    Raises:
        LabError: the lab could not be built.
        SystemRefusedError: a program is missing.
    """
    must_be_playable([scenario])
    usual = article_topology()
    with World(dhcp.leased_topology(usual) if scenario.is_leased else usual) as world:
        return run(_play(world, scenario, seed))


async def _play(world: World, scenario: FailoverScenario, seed: int | None) -> Played:
    began_s = time.monotonic()
    settings = replace(scenario.settings, seed=seed) if seed is not None else scenario.settings
    async with Drill(world, settings) as drill:
        try:
            await scenario.play(drill)
            await drill.claim_in_sync("in the end the kernel is as desired", drill.now(), _FOLLOW_S)
        except LabError as problem:
            drill.claim("it could be played", str(problem), held=False)
        timeline, checks = drill.timeline(), tuple(drill.checks)
    return Played(scenario.name, scenario.summary, timeline, checks, time.monotonic() - began_s)
