"""A machine made up from a configuration alone, for predictions away from the router.

Links are all there and up, and have the addresses that the file gives them. Where routing needs one that the file does
not give (an uplink with DHCP or PPP), one is made up: of a range that nobody sends to, and as a point-to-point address
whose other end is just what must be there, so that nothing else is taken for connected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from typing import TYPE_CHECKING

from evenflow.core.addresses import LOOPBACK
from evenflow.core.interfaces import interfaces_used
from evenflow.core.unstated import likely_interfaces, with_likely_interfaces
from evenflow.core.uplinks import interface_of
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, FibHop, FibRoute
from evenflow.model.flow import Family, family_of
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.router import AddressGateway, InterfaceGateway, LearnedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flow import Address
    from evenflow.model.router import Gateway, Router

#: Kinds of interfaces whose other end needs no address of its own to be reached.
_POINT_TO_POINT = frozenset(("pppoe", "ppp", "pptp", "l2tp", "sstp", "ovpn", "lte", "wireguard", "gre", "ipip", "6to4"))

#: Of IETF protocol assignments and benchmarking (RFC 6890): no packet of a user's goes there.
_POOLS: dict[Family, Address] = {
    Family.IPV4: IPv4Address("192.0.0.16"),
    Family.IPV6: IPv6Address("2001:2:0:ffff::10"),
}

#: RTPROT_KERNEL, and the metric that the kernel gives to connected routes.
_CONNECTED = 2
_METRICS = {Family.IPV4: 0, Family.IPV6: 256}


@dataclass(frozen=True, slots=True)
class Arrival:
    """The ends of a packet that is to be looked at; no interface for the router's own."""

    interface: str | None
    source: Address | None
    destination: Address


@dataclass(frozen=True, slots=True)
class Supposed:
    """A machine that a configuration leaves to be supposed.

    Attributes:
        made_up: addresses that nobody has stated: what a prediction says of them means nothing.
        remarks: what was supposed, in words.
    """

    machine: Machine
    made_up: frozenset[Address] = frozenset()
    remarks: tuple[str, ...] = ()


def supposed_machine(router: Router, arrival: Arrival | None = None) -> Supposed:
    """The machine that `router` would run on; `arrival` tells of hosts that must be there as well."""
    return _Supposing(router).go(arrival)


class _Supposing:
    """One machine in the making."""

    def __init__(self, router: Router) -> None:
        self._likely = likely_interfaces(router)
        self._router = router = with_likely_interfaces(router)
        names = dict.fromkeys([*(interface.name for interface in router.interfaces), *interfaces_used(router)])
        kinds = {interface.name: interface for interface in router.interfaces}
        self._links: dict[str, Link] = {LOOPBACK: Link(LOOPBACK, 1)}
        for index, name in enumerate(names, start=2):
            known = kinds.get(name)
            self._links[name] = Link(
                name,
                index,
                point_to_point=known is not None and known.kind in _POINT_TO_POINT,
                master=known.bridge if known is not None else None,
            )
        self._addresses = [LinkAddress(own.name, address) for own in router.interfaces for address in own.addresses]
        self._made_up: set[Address] = set()
        self._remarks: list[str] = []
        self._without_address: dict[str, None] = {}
        self._next = dict(_POOLS)

    def go(self, arrival: Arrival | None) -> Supposed:
        if arrival is not None:
            self._arriving(arrival)
        for gateway, family in self._gateways():
            self._reach(gateway, family)
        if arrival is not None:
            self._around(arrival)
        routes = tuple(route for own in self._addresses for route in _connected_route(own))
        machine = Machine(tuple(self._links.values()), tuple(self._addresses), routes)
        for address, name in self._likely.items():
            where = f"on {name}" if name != str(address) else "there"
            self._remarks.append(f"gateway {address} is supposed to be {where}: the file does not tell its network")
        if self._without_address:
            self._remarks.append(f"not told by the file: the addresses of {', '.join(self._without_address)}")
        return Supposed(machine, frozenset(self._made_up), tuple(dict.fromkeys(self._remarks)))

    def _gateways(self) -> Iterator[tuple[Gateway, Family]]:
        for route in self._router.routes:
            for gateway in route.gateways:
                yield gateway, family_of(route.destination)

    # --- what must be there ----------------------------------------------------------------------------------------

    def _reach(self, gateway: Gateway, family: Family) -> None:
        """See to it that a gateway can be used."""
        match gateway:
            case InterfaceGateway(interface) | LearnedGateway(interface, None):
                if not self._has(interface, family):
                    self._links[interface] = replace(self._links[interface], point_to_point=True)
                    self._make_up(interface, family)
            case LearnedGateway(interface, address) if address is not None and family_of(address) is family:
                self._reach_address(interface, address)
            case AddressGateway(address):
                device = interface_of(gateway, self._router)
                if device is not None:
                    self._reach_address(device, address)
                elif not self._leads_to(address):
                    what = f"no interface of the file has a network with the gateway {address}"
                    self._remarks.append(f"{what}, so routes by it are not used")

    def _reach_address(self, interface: str, address: Address) -> None:
        there = any(
            address in own.address.network or own.peer == address
            for own in self._addresses
            if own.interface == interface and own.address.version == address.version
        )
        if not there and not address.is_link_local and not self._leads_to(address):
            self._make_up(interface, family_of(address), peer=address)

    def _leads_to(self, address: Address) -> bool:
        """Whether a route of the file leads to a gateway: then that route is what must work."""
        return any(
            route.destination.prefixlen > 0 and route.destination.version == address.version
            and address in route.destination
            for route in self._router.routes
        )  # fmt: skip

    def _arriving(self, arrival: Arrival) -> None:
        """What comes in by an uplink whose address the file does not give goes to that address."""
        interface = arrival.interface
        family = family_of(arrival.destination)
        if interface is None or not self._leaves_by(interface, family) or self._has(interface, family):
            return
        if arrival.destination.is_multicast or any(
            arrival.destination in own.address.network for own in self._addresses
        ):
            return
        self._addresses.append(LinkAddress(interface, ip_interface(arrival.destination)))
        self._remarks.append(f"{arrival.destination} is the address of {interface}")

    def _around(self, arrival: Arrival) -> None:
        """The sender is where it comes from."""
        source, interface = arrival.source, arrival.interface
        if source is None or source.is_link_local or not int(source):
            return
        if interface is None:
            if not any(own.address.ip == source for own in self._addresses):
                self._addresses.append(LinkAddress(LOOPBACK, ip_interface(source)))
                self._remarks.append(f"{source} is an address of the router")
        elif interface in self._links and not self._leaves_by(interface, family_of(source)):
            known = any(source in own.address.network for own in self._addresses if own.interface == interface)
            routed = any(
                r.destination.prefixlen and source in r.destination for r in self._routes_of(family_of(source))
            )
            if not known and not routed:
                self._make_up(interface, family_of(source), peer=source)
                self._remarks.append(f"{source} is on the network of {interface}")

    def _routes_of(self, family: Family) -> Iterator[FibRoute]:
        return (route for own in self._addresses for route in _connected_route(own) if route.family is family)

    # --- addresses -------------------------------------------------------------------------------------------------

    def _leaves_by(self, interface: str, family: Family) -> bool:
        """Whether a default route of the family leaves by an interface."""
        return any(
            interface_of(gateway, self._router) == interface
            for route in self._router.routes
            if route.destination.prefixlen == 0 and family_of(route.destination) is family
            for gateway in route.gateways
        )

    def _has(self, interface: str, family: Family) -> bool:
        return any(own.interface == interface and family_of(own.address) is family for own in self._addresses)

    def _make_up(self, interface: str, family: Family, peer: Address | None = None) -> None:
        address = self._next[family]
        self._next[family] = address + 1
        if not self._has(interface, family):
            self._without_address[interface] = None
        self._addresses.append(LinkAddress(interface, ip_interface(address), peer))
        self._made_up.add(address)


def _connected_route(own: LinkAddress) -> Iterator[FibRoute]:
    """The route that comes with an address."""
    family = family_of(own.address)
    network = ip_network(own.peer) if own.peer is not None else own.address.network
    if own.interface != LOOPBACK and (own.peer is not None or network.prefixlen < network.max_prefixlen):
        hops = (FibHop(own.interface),)
        yield FibRoute(family, MAIN_TABLE_NUMBER, network, _METRICS[family], hops, protocol=_CONNECTED)
