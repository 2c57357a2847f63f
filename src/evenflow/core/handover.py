"""Between two default routes: a DHCP client that gets another gateway takes the old route away before it adds the new.

For some milliseconds there is none. To take that for a lost gateway would move every connection of the uplink away, and
end it. So a default route that goes while its link and addresses stay is taken to be there for a moment longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from evenflow.model.dataplane import MAIN_TABLE_NUMBER
from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.dataplane import FibRoute
    from evenflow.model.machine import Machine

#: Debian's scripts of udhcpc and dhclient start a process or two in between, which takes some 10 ms, and longer on a
#: small router that is busy.
GRACE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Bridged:
    """A machine with the routes that are taken to be there still, and since when each of them is gone."""

    machine: Machine
    gone: Mapping[FibRoute, float]

    @property
    def until_s(self) -> float | None:
        """When the first of them is given up; None when there is none."""
        return min(self.gone.values()) + GRACE_S if self.gone else None


def bridge(machine: Machine, before: Bridged, now_s: float) -> Bridged:
    """The machine as it is to be seen: `before` is how it was seen last."""
    gone = {}
    for route in before.machine.routes:
        if _is_default_of(route, machine, before.machine):
            since_s = before.gone.get(route, now_s)
            if now_s - since_s < GRACE_S:
                gone[route] = since_s
    if not gone:
        return Bridged(machine, {})
    return Bridged(replace(machine, routes=(*machine.routes, *gone)), gone)


def _is_default_of(route: FibRoute, machine: Machine, before: Machine) -> bool:
    """Whether a route is the default by an interface that has lost it and nothing else."""
    if route.destination.prefixlen or route.table != MAIN_TABLE_NUMBER or route.kind is not RouteKind.UNICAST:
        return False
    if len(route.hops) != 1 or route.hops[0].gateway is None:
        return False
    interface = route.hops[0].interface
    link = machine.link(interface)
    if link is None or not (link.up and link.carrier) or link != before.link(interface):
        return False
    if any(
        other.destination == route.destination and other.table == route.table and hop.interface == interface
        for other in machine.routes
        for hop in other.hops
    ):
        return False
    addresses = ([own for own in one.addresses if own.interface == interface] for one in (machine, before))
    return next(addresses) == next(addresses)
