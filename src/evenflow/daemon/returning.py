"""Uplinks that are back and get their buckets again: at once, gradually, when idle, or never by themselves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from evenflow.core.failback import Listed, busy_buckets, owned, spreads, still_away
from evenflow.kernel.conntrack import Conntrack
from evenflow.model.health import Failback, HealthState

if TYPE_CHECKING:
    from evenflow.core.failover import Standing
    from evenflow.daemon.balancer import Balancer
    from evenflow.daemon.watching import Watcher

#: A gradual return takes this many steps: each is one transaction.
_STEPS: Final = 20

#: How often connections are looked through for buckets that nobody uses.
_IDLE_LOOK_S: Final = 3.0


@dataclass(slots=True)
class _Return:
    """One uplink on its way back."""

    failback: Failback
    mark: str | None
    began_s: float
    whole_s: float
    away: frozenset[int] | None = None
    next_s: float = 0.0


class Returning:
    """All uplinks that are on their way back."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._on_their_way: dict[str, _Return] = {}
        self._looking: asyncio.Task[frozenset[int]] | None = None

    def begin(self, watcher: Watcher, now_s: float) -> None:
        """An uplink works again."""
        watch = watcher.watch
        if watch.failback is Failback.NEVER:
            if watcher.machine.state is not HealthState.DRAINED:
                watcher.note(watcher.machine.drain(now_s))
        elif watch.failback is not Failback.AT_ONCE:
            self._on_their_way[watch.name] = _Return(
                watch.failback, watch.connection_mark, now_s, watch.failback_s, next_s=now_s
            )

    def resume(self, now_s: float) -> None:
        """Go on where the last daemon stopped: what the kernel says is still away."""
        for watch in self._balancer.router.watches:
            away = self._balancer.standing.away.get(watch.name)
            if away:
                kind = Failback.IDLE if watch.failback is Failback.IDLE else Failback.GRADUAL
                self._on_their_way[watch.name] = _Return(
                    kind, watch.connection_mark, now_s, watch.failback_s, away, now_s
                )

    def forget(self, name: str) -> None:
        """It is lost again."""
        self._on_their_way.pop(name, None)

    def next_s(self) -> float | None:
        """When something is due."""
        return min((one.next_s for one in self._on_their_way.values()), default=None)

    def away(self, standing: Standing, now_s: float) -> dict[str, frozenset[int]]:
        """For each uplink on its way back the buckets that others still keep."""
        found = {}
        for name, one in tuple(self._on_their_way.items()):
            if name in standing.down or name in standing.drained:
                one.next_s = now_s + _IDLE_LOOK_S
                continue
            whole = owned(self._balancer.router, replace(standing, away={}), name)
            if one.away is None:
                one.away = whole
            if now_s >= one.next_s:
                self._step(one, now_s)
            one.away &= whole
            if one.away:
                found[name] = one.away
            else:
                del self._on_their_way[name]
        return found

    def _step(self, one: _Return, now_s: float) -> None:
        assert one.away is not None
        if one.failback is Failback.GRADUAL:
            left_s = one.began_s + one.whole_s - now_s
            step_s = one.whole_s / _STEPS
            one.away = still_away(one.away, step_s, left_s + step_s)
            one.next_s = now_s + step_s
            return
        if self._looking is None:
            self._looking = asyncio.create_task(asyncio.to_thread(self._busy, one.mark))
        elif self._looking.done():
            task, self._looking = self._looking, None
            if task.exception() is None:
                one.away &= task.result()
        one.next_s = now_s + _IDLE_LOOK_S

    def _busy(self, mark: str | None) -> frozenset[int]:
        """The buckets that connections of other uplinks are in. Runs in a thread of its own: it may take seconds."""
        numbers = self._balancer.mark_numbers()
        others = {number for name, number in numbers.items() if name != mark}
        with Conntrack() as conntrack:
            listed = [
                Listed(entry.original.source, entry.original.destination, entry.protocol,
                       entry.original.source_port, entry.original.destination_port)
                for entry in conntrack.entries()
                if entry.mark & 0xFFFF in others
            ]  # fmt: skip
        return frozenset(
            bucket
            for spread in spreads(self._balancer.router)
            for bucket in busy_buckets(spread, listed, self._balancer.seed)
        )
