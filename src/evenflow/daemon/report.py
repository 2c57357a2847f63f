"""What the daemon says: log lines with their reasons, and the status as a JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from evenflow.core.failback import spreads
from evenflow.core.uplinks import uplinks
from evenflow.core.watching import link_problem, next_hops
from evenflow.formats.plan import render_lines
from evenflow.model.health import HealthState, Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.core.health import Transition
    from evenflow.core.uplinks import RouterUplink
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
    left = {watcher.watch.name: watcher for watcher in watchers}
    listed = []
    for uplink in uplinks(router):
        by_interface = (one for one in left.values() if one.watch.interface == uplink.interface)
        watcher = left.get(uplink.name) or next(by_interface, None)
        if watcher is not None:
            del left[watcher.watch.name]
            listed.append({"name": uplink.name, **_watched(watcher, now_s)})
        else:
            listed.append({"name": uplink.name, **_unwatched(uplink, balancer)})
        listed[-1] |= _shares(uplink, balancer, usable=listed[-1]["usable"])
    # Hosts that a script watches for some of its routes only.
    listed += [{"name": name, **_watched(watcher, now_s), **_NO_SHARES} for name, watcher in left.items()]
    return {
        "config": config,
        "in_sync": last is None or last.in_sync,
        "seed": balancer.seed,
        "uplinks": listed,
        "events": list(chronicle.last)[-20:],
    }


def _watched(watcher: Watcher, now_s: float) -> dict[str, Any]:
    watch, machine = watcher.watch, watcher.machine
    loss, rtt = machine.loss_percent(now_s), machine.rtt_ms(now_s)
    return {
        "interface": watch.interface,
        "gateways": sorted(str(address) for address in watcher.next_hops.values()),
        "state": machine.state.value,
        "usable": machine.usable,
        "drained": machine.drained,
        "since_s": round(now_s - machine.since_s, 3),
        "reason": watcher.reason,
        "loss_percent": round(loss, 1) if loss is not None else None,
        "rtt_ms": round(rtt, 3) if rtt is not None else None,
    }


def _unwatched(uplink: RouterUplink, balancer: Balancer) -> dict[str, Any]:
    """An uplink that the configuration does not watch: all that is known is its link."""
    watch = Watch(uplink.name, uplink.interface, uplink.gateways)
    problem = link_problem(watch, balancer.router, balancer.machine)
    hops = next_hops(watch, balancer.router, balancer.machine)
    return {
        "interface": uplink.interface,
        "gateways": sorted(str(address) for address in hops.values()),
        "state": HealthState.DOWN.value if problem else HealthState.UNKNOWN.value,
        "usable": not problem,
        "drained": False,
        "since_s": None,
        "reason": problem or "not watched",
        "loss_percent": None,
        "rtt_ms": None,
    }


_NO_SHARES: Final = {"buckets": 0, "share": None, "target": None}


def _shares(uplink: RouterUplink, balancer: Balancer, *, usable: bool) -> dict[str, Any]:
    total = sum(len(spread.owners) for spread in spreads(balancer.router))
    # When all are lost the owners stay as they are, and the last resort answers: nobody has a share then.
    buckets = sum(balancer.shares().get(mark, 0) for mark in uplink.connection_marks) if usable else 0
    return {
        "buckets": buckets,
        "share": round(buckets / total, 4) if total else None,
        "target": round(float(uplink.target), 4),
    }
