"""The steps before the cut: bring up, balance, keep each connection to one uplink, fill both, answer from outside."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from evenflow.lab.chance import chance_range
from evenflow.lab.clients import Connection, Dial, open_all, open_connection
from evenflow.lab.footprint import difference, footprint
from evenflow.lab.meter import port_count
from evenflow.lab.results import Row, Share, StepResult
from evenflow.lab.stage import FORWARDED_PORT, ROUTER_PORT, conversation, running
from evenflow.lab.tally import Conversation, passages
from evenflow.lab.topology import INTERNET, MEGABIT, ROUTER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenflow.lab.stage import Stage
    from evenflow.lab.tally import Passage, Sighting
    from evenflow.lab.topology import LabUplink

# Above the shaped rate by more than this, the lab would not be shaping, and a rate would prove nothing.
_MOST_RATE: Final = 1.05

# What a connection sends and gets back, several times over: one packet, two, and three and a bit.
_ECHO_BYTES: Final = (64, 2_000, 5_000)


async def bring_up(stage: Stage) -> StepResult:
    """(a) The router is brought up; before, there is no way out, and after there is."""
    stage.progress.note("trying the way out before")
    before = await _try_out(stage)
    stage.found.footprint = footprint(stage.world, ROUTER)
    stage.progress.note("applying the configuration")
    began_s = time.monotonic()
    stage.found.brought_up = True
    with stage.world.inside(ROUTER):
        stage.configuration.bring_up()
    took_ms = (time.monotonic() - began_s) * 1000
    stage.progress.note("trying the way out after")
    after = await _try_out(stage)
    rows = (
        Row(("a client's connection before", f"by {before}" if before else "refused"), held=before is None),
        Row(("the configuration applied in", f"{took_ms:.0f} ms")),
        Row(("a client's connection after", f"by {after}" if after else "refused"), held=after is not None),
    )
    return StepResult(
        "a", "bring it up", all(row.held for row in rows),
        "The router's namespace starts with addresses and nothing else. The configuration is applied to it once; "
        "no daemon runs.",
        ("what", "seen"), rows,
        {"apply_ms": round(took_ms, 1), "connected_before": before is not None, "connected_after": after is not None},
    )  # fmt: skip


async def _try_out(stage: Stage) -> str | None:
    """By which uplink a client gets out, or None."""
    try:
        connection = await open_connection(stage.world, stage.dials(1)[0], timeout_s=1.0)
    except OSError:
        return None
    try:
        return stage.uplink_seen(connection)
    finally:
        connection.close()


async def balance(stage: Stage) -> StepResult:
    """(b) Many connections at once, counted by the address that the servers saw."""
    wanted = stage.scenario.connections
    stage.progress.note(f"opening {wanted} connections from {len(stage.topology.clients)} clients")
    stage.meter.mark("connections")
    opened = await stage.open_many(wanted)
    stage.found.open_connections = opened
    stage.found.shares = shares = count_shares(stage, opened)
    return StepResult(
        "b", "balance new connections", len(opened) == wanted and all(share.held for share in shares),
        f"{len(opened)} of {wanted} TCP connections from {len(stage.topology.clients)} client addresses opened, all "
        f"open at the same time. Counted by the address that the servers saw. The range is what chance allows in all "
        f"but {_rarely(stage)} runs (binomial, exact).",
        ("uplink", "connections", "share", "target", "chance allows"), share_rows(shares),
        {"wanted": wanted, "opened": len(opened), **share_figures(shares)},
    )  # fmt: skip


def _rarely(stage: Stage) -> str:
    outside = stage.scenario.chance_outside
    return f"{outside.numerator} of {outside.denominator}"


def count_shares(stage: Stage, connections: Sequence[Connection]) -> tuple[Share, ...]:
    """The share of each uplink in connections, next to its weight and to what chance allows."""
    counts = stage.count_by_uplink(connections)
    total = sum(uplink.weight for uplink in stage.topology.uplinks)
    shares = []
    for uplink in stage.topology.uplinks:
        allowed = chance_range(len(connections), uplink.weight, total, stage.scenario.chance_outside)
        shares.append(
            Share(uplink.name, counts[uplink.name], len(connections), uplink.weight / total, allowed.low, allowed.high)
        )
    return tuple(shares)


def share_rows(shares: Sequence[Share]) -> tuple[Row, ...]:
    """A line for each uplink."""
    return tuple(
        Row(
            (share.uplink, str(share.connections), f"{share.share:.1%}", f"{share.target:.1%}",
             f"{share.low}–{share.high}"),
            held=share.held,
        )
        for share in shares
    )  # fmt: skip


def share_figures(shares: Sequence[Share]) -> dict[str, int]:
    """Counts by stable names."""
    return {f"{share.uplink}_connections": share.connections for share in shares}


async def keep(stage: Stage) -> StepResult:
    """(c) Every packet of a connection used one uplink, counted at the providers."""
    connections = stage.found.open_connections
    stage.progress.note(f"sending over {len(connections)} connections")
    answers = await asyncio.gather(*(_echo_and_close(connection) for connection in connections))
    stage.found.open_connections = []
    stage.progress.note("counting at the providers")
    sightings = await _sightings_at_rest(stage)
    seen = passages((conversation(connection) for connection in connections), sightings)
    expected = {conversation(connection): stage.uplink_seen(connection) for connection in connections}
    strays = [passage for passage in seen if not passage.kept_to(expected[passage.conversation] or "")]
    foreign = stage.foreign_packets(sightings)
    rows = _keep_rows(stage, seen, expected, strays)
    answered = sum(answers)
    held = bool(seen) and not strays and answered == len(connections) and foreign == 0
    return StepResult(
        "c", "keep each connection to one uplink", held,
        f"{len(_ECHO_BYTES)} messages there and back over each, {answered} of {len(connections)} answered in full, "
        f"then closed. nft in each provider's namespace counted every packet of every connection: {len(strays)} "
        f"connections were seen elsewhere than at their own uplink. {foreign} packets bore a source address that "
        f"is not the uplink's.",
        ("uplink", "connections", "packets from the router", "packets to it", "strays"), rows,
        {
            "connections": len(connections),
            "answered": answered,
            "strays": len(strays),
            "packets": sum(sum(passage.packets.values()) for passage in seen),
            "foreign_packets": foreign,
        },
    )  # fmt: skip


async def _echo_and_close(connection: Connection) -> bool:
    try:
        for size_bytes in _ECHO_BYTES:
            await connection.echo(size_bytes, timeout_s=15.0)
    except OSError:
        return False
    finally:
        connection.close()
    return True


async def _sightings_at_rest(stage: Stage) -> dict[str, Sighting]:
    """Read the counts again and again until the last closing packets have passed."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + stage.scenario.deadline_s
    last = stage.tally.read()
    while loop.time() < end_s:
        await asyncio.sleep(0.1)
        now = stage.tally.read()
        if now == last:
            break
        last = now
    return last


def _keep_rows(
    stage: Stage,
    seen: Sequence[Passage],
    expected: Mapping[Conversation, str | None],
    strays: Sequence[Passage],
) -> tuple[Row, ...]:
    sightings = stage.tally.read()
    rows = []
    for uplink in stage.topology.uplinks:
        own = [passage.conversation for passage in seen if expected[passage.conversation] == uplink.name]
        lost = sum(expected[passage.conversation] == uplink.name for passage in strays)
        at = sightings[uplink.name]
        sent, received = (sum(counts.get(one, 0) for one in own) for counts in (at.sent, at.received))
        rows.append(Row((uplink.name, str(len(own)), str(sent), str(received), str(lost)), held=lost == 0))
    return tuple(rows)


async def fill(stage: Stage) -> StepResult:
    """(d) Downloads over many connections fill all uplinks together."""
    scenario = stage.scenario
    stage.progress.note(f"downloading over {scenario.downloads} connections")
    opened = await stage.open_many(scenario.downloads)
    received = [0] * len(opened)
    try:
        async with running(*(_download(connection, received, n) for n, connection in enumerate(opened))):
            stage.meter.mark("downloads")
            await asyncio.sleep(scenario.settle_s)
            rates = await _measure(stage, received)
    finally:
        for connection in opened:
            connection.abort()
    return _fill_result(stage, stage.count_by_uplink(opened), rates)


async def _download(connection: Connection, received: list[int], n: int) -> None:
    """Download and count, until cancelled or until the connection breaks; what is missing then shows in the rate."""
    with contextlib.suppress(OSError):
        await connection.start_download()
        while True:
            received[n] += await connection.receive(timeout_s=30.0)


async def _measure(stage: Stage, received: list[int]) -> dict[str, float]:
    """Bits per second towards the router by uplink's name, and what the clients got as ""."""
    loop, uplinks = asyncio.get_running_loop(), stage.topology.uplinks
    before = {uplink.name: port_count(stage.world, uplink).to_router_bytes for uplink in uplinks}
    bytes_before, began_s = sum(received), loop.time()
    await asyncio.sleep(stage.scenario.download_s)
    took_s = loop.time() - began_s
    rates = {
        uplink.name: 8 * (port_count(stage.world, uplink).to_router_bytes - before[uplink.name]) / took_s
        for uplink in uplinks
    }
    return {**rates, "": 8 * (sum(received) - bytes_before) / took_s}


def _fill_result(stage: Stage, counts: Mapping[str, int], rates: Mapping[str, float]) -> StepResult:
    def line(name: str, connections: int, rate_bps: float, shaped_bps: int) -> Row:
        part = rate_bps / shaped_bps
        return Row(
            (name, str(connections), f"{rate_bps / MEGABIT:.1f}", f"{shaped_bps / MEGABIT:.0f}", f"{part:.0%}"),
            held=stage.scenario.least_rate <= part <= _MOST_RATE,
        )

    uplinks = stage.topology.uplinks
    rows = [line(uplink.name, counts[uplink.name], rates[uplink.name], uplink.rate_bps) for uplink in uplinks]
    total_bps = sum(rates[uplink.name] for uplink in uplinks)
    rows.append(line("in all", sum(counts.values()), total_bps, sum(uplink.rate_bps for uplink in uplinks)))
    return StepResult(
        "d", "fill both uplinks", all(row.held for row in rows),
        f"{sum(counts.values())} downloads at once, measured over {stage.scenario.download_s:g} s at the providers, on "
        f"the wire. The clients got {rates[''] / MEGABIT:.1f} Mbit/s of content. At least "
        f"{stage.scenario.least_rate:.0%} of each uplink's rate is asked for.",
        ("uplink", "connections", "Mbit/s", "shaped to", "used"), tuple(rows),
        {
            **{f"{uplink.name}_bps": round(rates[uplink.name]) for uplink in uplinks},
            "total_bps": round(total_bps),
            "content_bps": round(rates[""]),
        },
    )  # fmt: skip


async def answer(stage: Stage) -> StepResult:
    """(e) Connections from outside are answered by the uplink that they came in by."""
    kinds = {"the router itself": ROUTER_PORT, "port-forward to the LAN": FORWARDED_PORT}
    rows, wrong = [], 0
    for uplink in stage.topology.uplinks:
        for kind, port in kinds.items():
            stage.progress.note(f"connecting in by {uplink.name} to {kind}")
            left_by = await _connect_in(stage, uplink, port)
            right = left_by.pop(uplink.name, 0)
            missing = stage.scenario.inbound - right
            wrong += missing
            elsewhere = ", ".join(f"{count} by {name}" for name, count in sorted(left_by.items())) or "none"
            cells = (uplink.name, f"{kind}, {uplink.address}:{port}", f"{right} of {stage.scenario.inbound}", elsewhere)
            rows.append(Row(cells, held=missing == 0 and not left_by))
    tried = len(rows) * stage.scenario.inbound
    return StepResult(
        "e", "answer by the uplink that was asked", all(row.held for row in rows),
        f"{tried} connections from the Internet. Right is one that was answered and whose packets, the one that "
        f"accepts it included, left by the uplink that it came in by, as the providers counted. The port-forward "
        f"stands in another nft table, which is not evenflow's.",
        ("in by", "to", "answered by it", "answers seen elsewhere"), tuple(rows),
        {"tried": tried, "wrong": wrong},
    )  # fmt: skip


async def _connect_in(stage: Stage, uplink: LabUplink, port: int) -> dict[str, int]:
    """How many connections were answered, by the uplink that the answer left by; "" is nowhere at all."""
    sources = stage.topology.servers
    dials = [
        Dial(INTERNET, sources[n % len(sources)], uplink.address, port, source_port=_inbound_port(n))
        for n in range(stage.scenario.inbound)
    ]
    opened = await open_all(stage.world, dials, timeout_s=1.5)
    working = [isinstance(one, Connection) and await _echo_and_close(one) for one in opened]
    sightings = stage.tally.read()
    left_by: dict[str, int] = {}
    for dial, works in zip(dials, working, strict=True):
        key = Conversation(dial.server, dial.server_port, dial.source, dial.source_port)
        accepted = {name for name, seen in sightings.items() if seen.accepted.get(key)}
        sent = {name for name, seen in sightings.items() if seen.sent.get(key)}
        for name in (accepted | sent) - {uplink.name}:
            left_by[name] = left_by.get(name, 0) + 1
        if works and accepted == sent == {uplink.name}:
            left_by[uplink.name] = left_by.get(uplink.name, 0) + 1
    return left_by


def _inbound_port(n: int) -> int:
    """A source port outside the range that the kernel gives out by itself."""
    return 61_000 + n


async def take_down(stage: Stage) -> StepResult:
    """(h) The configuration is taken away, and the kernel is as it was."""
    stage.progress.note("taking the configuration away")
    with stage.world.inside(ROUTER):
        stage.configuration.take_down()
    stage.found.brought_up = False
    after = footprint(stage.world, ROUTER)
    changed = difference(stage.found.footprint, after)
    rows = []
    for name in after:
        lines = changed.get(name, [])
        what = "as before" if not lines else "; ".join(lines[:3]) + (f" and {len(lines) - 3} more" * (len(lines) > 3))
        rows.append(Row((name, str(len(after[name])), what), held=not lines))
    return StepResult(
        "h", "leave no trace", not changed,
        "The configuration is taken away again. What nft, ip and /proc/sys tell of the router's namespace is compared, "
        "line by line, with what they told before step (a).",
        ("what", "lines", "compared"), tuple(rows),
        {"changed_lines": sum(len(lines) for lines in changed.values())},
    )  # fmt: skip
