"""Recursive routes: the next hop behind a host that a route names as its gateway to have it asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.routing import RECURSION_DEPTH
from evenflow.model.router import MAIN_TABLE, AddressGateway

if TYPE_CHECKING:
    from evenflow.model.flow import Address
    from evenflow.model.router import Gateway, Route, Router


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop, and the host that stands for it; None where it stands for itself."""

    gateway: Gateway
    host: Address | None = None


def hop_of(gateway: Gateway, router: Router) -> Hop:
    """The next hop that a gateway stands for."""
    host = None
    for _ in range(RECURSION_DEPTH):
        way = way_to(gateway, router)
        if way is None:
            break
        assert isinstance(gateway, AddressGateway)
        host = host or gateway.address
        gateway = way.gateways[0]
    return Hop(gateway, host)


def way_to(gateway: Gateway, router: Router) -> Route | None:
    """The route that leads to a gateway which is on no network of the router's own, as far as the file tells."""
    if not isinstance(gateway, AddressGateway) or gateway.interface is not None:
        return None
    address = gateway.address
    if any(
        address in own.network for each in router.interfaces for own in each.addresses if own.version == address.version
    ):
        return None
    ways = [
        route
        for route in router.routes
        if route.table == (gateway.table or MAIN_TABLE) and route.gateways and route.destination.prefixlen > 0
        if route.destination.version == address.version and address in route.destination
    ]
    return min(ways, key=lambda route: (-route.destination.prefixlen, route.distance), default=None)
