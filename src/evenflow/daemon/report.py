"""What the daemon says: log lines with their reasons, and the status as a JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from evenflow.core.failback import spreads
from evenflow.core.uplinks import uplinks
from evenflow.formats.plan import render_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.core.health import Transition
    from evenflow.daemon.balancer import Balancer, Pass
    from evenflow.daemon.chronicle import Chronicle
    from evenflow.daemon.watching import Watcher

#: How many operations a log line names, and how much of each.
_NAMED: Final = 3
_LINE: Final = 90


def transition_message(name: str, transition: Transition, moved: Mapping[str, int], flushed: int | None) -> str:
    """As in "isp1 DOWN: 3 of 3 targets lost for 0.8 s; 171 buckets → isp2, 4,012 connections flushed"."""
    consequences = [f"{count:,} buckets → {owner}" for owner, count in sorted(moved.items())]
    if flushed is not None:
        consequences.append(f"{flushed:,} connections flushed")
    text = f"{name} {transition.after.value}: {transition.reason}"
    return f"{text}; {', '.join(consequences)}" if consequences else text


def pass_message(done: Pass) -> str:
    """What a pass mended or changed."""
    lines = [line for operation in done.operations for line in render_lines(operation)]
    named = "; ".join(line if len(line) <= _LINE else f"{line[:_LINE]}…" for line in lines[:_NAMED])
    more = f"; and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    what = "changed" if done.wanted_change else "drift mended"
    return f"{what}: {named}{more}"


def status_of(
    config: str,
    balancer: Balancer,
    watchers: Iterable[Watcher],
    chronicle: Chronicle,
    last: Pass | None,
    now_s: float,
) -> dict[str, Any]:
    """How everything stands, as docs/json.md has it."""
    router = balancer.router
    owned = balancer.shares()
    total = sum(len(spread.owners) for spread in spreads(router))
    known = {uplink.name: uplink for uplink in uplinks(router)}
    listed = []
    for watcher in watchers:
        watch, machine = watcher.watch, watcher.machine
        uplink = known.get(watch.name)
        loss, rtt = machine.loss_percent(now_s), machine.rtt_ms(now_s)
        # When all are lost the owners stay as they are, and the last resort answers: nobody has a share then.
        buckets = owned.get(watch.connection_mark or "", 0) if machine.usable else 0
        listed.append({
            "name": watch.name,
            "interface": watch.interface,
            "gateways": sorted(str(address) for address in watcher.next_hops.values()),
            "state": machine.state.value,
            "usable": machine.usable,
            "drained": machine.drained,
            "since_s": round(now_s - machine.since_s, 3),
            "reason": watcher.reason,
            "buckets": buckets,
            "share": round(buckets / total, 4) if total else None,
            "target": round(float(uplink.target), 4) if uplink is not None else None,
            "loss_percent": round(loss, 1) if loss is not None else None,
            "rtt_ms": round(rtt, 3) if rtt is not None else None,
        })  # fmt: skip
    return {
        "config": config,
        "in_sync": last is None or last.in_sync,
        "seed": balancer.seed,
        "uplinks": listed,
        "events": list(chronicle.last)[-20:],
    }
