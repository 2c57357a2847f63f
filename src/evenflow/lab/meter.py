"""Rates at the providers over time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from evenflow.kernel.rtnetlink import RouteNetlink
from evenflow.lab.results import Moment, MomentKind, RateSample

if TYPE_CHECKING:
    from evenflow.lab.topology import LabUplink
    from evenflow.lab.world import World

#: Time between two samples. Short enough to see a cut, long enough that a shaper's bursts even out.
SAMPLE_INTERVAL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class PortCount:
    """Bytes on the wire at a provider's port towards the router, since it was made."""

    to_router_bytes: int
    from_router_bytes: int


def port_count(world: World, uplink: LabUplink) -> PortCount:
    """Read the counters of an uplink at its provider; none while the device is not there. Raises SystemRefusedError."""
    with world.inside(uplink.provider), RouteNetlink() as netlink:
        counters = netlink.link_counters().get(uplink.provider_port)
    if counters is None:
        return PortCount(0, 0)
    return PortCount(to_router_bytes=counters.tx_bytes, from_router_bytes=counters.rx_bytes)


class RateMeter:
    """Samples every uplink's rate from `async with` to its end.

    Attributes:
        samples: those taken so far.
        moments: what was marked so far.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._begin_s = self._loop.time()
        self._task: asyncio.Task[None] | None = None
        self.samples: list[RateSample] = []
        self.moments: list[Moment] = []

    @property
    def now_s(self) -> float:
        """Seconds since it was made."""
        return self._loop.time() - self._begin_s

    def mark(self, label: str, kind: MomentKind = MomentKind.BEGIN) -> None:
        """Remember this moment under a label."""
        self.moments.append(Moment(self.now_s, label, kind))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sample_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _sample_on(self) -> None:
        uplinks = self._world.topology.uplinks
        before = {uplink.name: port_count(self._world, uplink) for uplink in uplinks}
        at_s = self.now_s
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            passed_s, at_s = self.now_s - at_s, self.now_s
            for uplink in uplinks:
                old, new = before[uplink.name], port_count(self._world, uplink)
                self.samples.append(
                    RateSample(
                        at_s,
                        uplink.name,
                        # A device that was made anew counts from 0.
                        to_router_bps=8 * max(0, new.to_router_bytes - old.to_router_bytes) / passed_s,
                        from_router_bps=8 * max(0, new.from_router_bytes - old.from_router_bytes) / passed_s,
                    )
                )
                before[uplink.name] = new
