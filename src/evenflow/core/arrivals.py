"""By which interface a flow came in: flow files do not tell, and what rules apply depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.addresses import type_of
from evenflow.core.hosts import hosts
from evenflow.model.matcher import AddressType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.flow import Address
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router


class Arrivals:
    """Where the first packet of a flow comes in, from its addresses.

    In this order: an address of the router's own as source is the router's own traffic; a source in a network that a
    route other than a default leads to comes in by that route's interface; what goes to an address of the router's own
    comes in by the interface that has it; everything else comes from the local network, by its first interface.
    """

    def __init__(
        self, router: Router, machine: Machine, known: Sequence[RouterUplink], forced: str | None = None
    ) -> None:
        """`forced`: everything but the router's own traffic comes in by this interface."""
        self._machine, self._forced = machine, forced
        first = next(hosts(router, known), None)
        self._local = first.alike[0] if first is not None else None
        routes = [route for route in machine.routes if route.destination.prefixlen and route.hops]
        self._routes = sorted(routes, key=lambda route: (-route.destination.prefixlen, route.metric))

    def interface(self, source: Address, destination: Address) -> str | None:
        """The interface; None for the router's own traffic (and where there is no local interface at all)."""
        if type_of(source, self._machine) is AddressType.LOCAL:
            return None
        if self._forced is not None:
            return self._forced
        for route in self._routes:
            if source in route.destination:
                return route.hops[0].interface
        for own in self._machine.addresses:
            if own.address.ip == destination:
                return own.interface
        return self._local
