"""DHCP clients, which make the routes whose gateways they learn.

From 7.18 on a client puts its default route into several tables itself, from 7.19 on it asks the gateway, too. Before,
and for routes that a client can't make, its script does: the routes go with the lease, and come with the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.writing.keys import DHCP_CHECK, DHCP_TABLES, has_key
from evenflow.formats.routeros.writing.routing import learnt_route
from evenflow.formats.routeros.writing.words import Command, quoted
from evenflow.model.flow import Family
from evenflow.model.router import LearnedGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evenflow.formats.routeros.version import Version
    from evenflow.model.router import Route

MENU = ("ip", "dhcp-client")

#: The gateway of the lease, as a client gives it to its script.
_GATEWAY = '$"gateway-address"'


def learns(route: Route) -> bool:
    """Whether its gateway is learnt by a DHCP client."""
    return len(route.gateways) == 1 and isinstance(route.gateways[0], LearnedGateway)


def client_commands(
    routes: Iterable[Route], version: Version, kept: Mapping[str, Sequence[tuple[str, str]]]
) -> list[Command]:
    """One client for each interface that a gateway is learnt by; its routes have its comment.

    `kept` are properties that are no part of routing, by interface; what the release does not know is not written.
    """
    by_interface: dict[str, list[Route]] = {}
    for route in routes:
        if isinstance(route.gateways[0], LearnedGateway):
            by_interface.setdefault(route.gateways[0].interface, []).append(route)
    return [_client(interface, own, version, kept.get(interface, ())) for interface, own in by_interface.items()]


def _client(interface: str, routes: Sequence[Route], version: Version, kept: Sequence[tuple[str, str]]) -> Command:
    return Command(
        MENU,
        (
            ("interface", interface),
            *(_by_itself(routes) if _can_by_itself(routes, version) else _by_script(routes, version)),
            *((name, value) for name, value in kept if has_key(MENU, name, version)),
            ("disabled", "no"),
            ("comment", routes[0].comment),
        ),
    )


def _can_by_itself(routes: Sequence[Route], version: Version) -> bool:
    """Whether the client's own properties say all of its routes."""
    first = routes[0]
    plain = all(
        (route.destination, route.scope, route.target_scope, route.preferred_source)
        == (Family.IPV4.any_network, 30, 10, None)
        and (route.check_gateway, route.comment) == (first.check_gateway, first.comment)
        for route in routes
    )
    tables = [route.table for route in routes]
    nameable = len(set(tables)) == len(tables) and not any(sign in table for table in tables for sign in ",:")
    return plain and nameable and version >= (DHCP_CHECK if first.check_gateway else DHCP_TABLES)


def _by_itself(routes: Sequence[Route]) -> list[tuple[str, str]]:
    check = routes[0].check_gateway
    return [
        ("add-default-route", "yes"),
        ("default-route-tables", ",".join(f"{route.table}:{route.distance}" for route in routes)),
        ("check-gateway", check.value if check else ""),
    ]


def _by_script(routes: Sequence[Route], version: Version) -> list[tuple[str, str]]:
    """Adds the routes when a lease is bound, and takes them out before that and when it is lost."""
    comments = dict.fromkeys(route.comment for route in routes)
    lines = [f"/ip route remove [find comment={quoted(comment)}]" for comment in comments]
    lines.append(":if ($bound=1) do={")
    for route in routes:
        # The placeholder is a plain word, which stays without quotes: the variable takes its place.
        command = str(learnt_route(route, _PLACEHOLDER, version))
        lines.append(f"/ip route {command.replace(_PLACEHOLDER, _GATEWAY, 1)}")
    lines.append("}")
    return [("add-default-route", "no"), ("script", "\n".join(lines))]


_PLACEHOLDER = "GATEWAY-OF-THE-LEASE"
