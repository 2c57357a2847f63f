"""Somebody on the Internet: addresses that a router knows nothing in particular of."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from evenflow.core.addresses import range_of
from evenflow.model.flow import Family, family_of
from evenflow.model.matcher import AddressMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.machine import Machine
    from evenflow.model.matcher import AddressRange
    from evenflow.model.router import Router

#: So many servers in a row are wanted.
SERVERS: Final = 256

#: Addresses for examples first (RFC 5737). Scripts use these themselves, or drop them as what no packet can come from;
#: then some that providers of content have.
_CANDIDATES: Final = (
    IPv4Address("198.51.100.7"),
    IPv4Address("203.0.113.7"),
    IPv4Address("192.0.2.7"),
    IPv4Address("104.16.0.7"),
    IPv4Address("151.101.0.7"),
    IPv4Address("23.32.0.7"),
    IPv4Address("13.32.0.7"),
)


def first_server(router: Router, machine: Machine) -> IPv4Address:
    """The first of some addresses in a row that no network, route, list or rule of the router speaks of.

    Where each of those that are tried is spoken of, it is the first of them.
    """
    named = [(int(one.first), int(one.last)) for one in _named(router, machine) if family_of(one.first) is Family.IPV4]
    free = (at for at in _CANDIDATES if not any(low < int(at) + SERVERS and int(at) <= high for low, high in named))
    return next(free, _CANDIDATES[0])


def _named(router: Router, machine: Machine) -> Iterator[AddressRange]:
    """All that is less than everything."""
    networks = [own.address.network for own in machine.addresses]
    networks += [route.destination for route in router.routes]
    networks += [route.destination for route in machine.routes]
    networks += [one for rule in router.rules for one in (rule.source, rule.destination) if one is not None]
    yield from (range_of(network) for network in networks if network.prefixlen)
    yield from (one for named in router.address_lists for one in named.ranges)
    matchers = [matcher for rule in router.mangle for matcher in rule.matchers]
    matchers += [matcher for rule in router.nat for matcher in rule.matchers]
    yield from (matcher.addresses for matcher in matchers if isinstance(matcher, AddressMatch))
