"""Mends of routes: distances, watching, and the ways that are left when one is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import default_routes
from evenflow.formats.routeros.mending.edits import CopyCommand, Place, SetProperty
from evenflow.formats.routeros.mending.script import NOT_ALONE, Decision, Way
from evenflow.formats.routeros.mending.tables import table_property
from evenflow.model.router import MAIN_TABLE, AddressGateway, CheckGateway, InterfaceGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evenflow.formats.routeros.mending.edits import Edit
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding
    from evenflow.model.flow import Address
    from evenflow.model.router import Gateway, Route

#: The largest distance of a route that is used.
_LARGEST_DISTANCE = 254


def _at(script: Script, finding: Finding) -> Route | None:
    return next((route for route in script.router.routes if route.origin == finding.where), None)


def _can_edit(script: Script, routes: Iterable[Route]) -> bool:
    return all(route.origin.line in script.commands for route in routes)


def equal_distance(script: Script, finding: Finding) -> Way | Decision:
    """`equal-distance`: each default route of the table gets a distance of its own, in the order of the file."""
    route = _at(script, finding)
    if route is None:
        return NOT_ALONE
    alike = [
        other
        for other in default_routes(script.router)
        if other.table == route.table and other.destination.version == route.destination.version
    ]
    edits: list[Edit] = []
    distance = 0
    for other in sorted(alike, key=lambda each: each.distance):
        distance = max(other.distance, distance + 1)
        if distance == other.distance:
            continue
        if not _can_edit(script, (other,)) or distance > _LARGEST_DISTANCE:
            return NOT_ALONE
        edits.append(SetProperty(other.origin.line, _distance_property(script, other), str(distance)))
    return Way(f"default routes of table {route.table} are preferred in the order of the file", tuple(edits))


def _distance_property(script: Script, route: Route) -> str:
    """DHCP and PPP clients say it otherwise."""
    menu = script.commands[route.origin.line].menu
    return "distance" if menu[-1] == "route" else "default-route-distance"


# --- watching ------------------------------------------------------------------------------------------------------


def not_watched(script: Script, finding: Finding) -> Way | Decision:
    """`gateway-not-watched` and `loss-not-followed`: all default routes by the gateways of that uplink are watched."""
    uplink = next((each for each in script.uplinks if each.origin == finding.where), None)
    at = _at(script, finding)
    asked = _addresses((*(uplink.gateways if uplink is not None else ()), *(at.gateways if at is not None else ())))
    unwatched = [
        route
        for route in default_routes(script.router)
        if route.check_gateway is None and _addresses(route.gateways) & asked
    ]
    if not unwatched or not _can_edit(script, unwatched):
        return NOT_ALONE
    edits = tuple(SetProperty(route.origin.line, "check-gateway", CheckGateway.PING.value) for route in unwatched)
    return Way(f"gateway {_named(unwatched[0].gateways)} is watched", edits)


def _addresses(gateways: Iterable[Gateway]) -> set[Address]:
    return {gateway.address for gateway in gateways if isinstance(gateway, AddressGateway)}


def check_without_effect(script: Script, finding: Finding) -> Way | Decision:
    """`check-without-effect`: what asks nobody is left out."""
    route = _at(script, finding)
    if route is None:
        return NOT_ALONE
    idle = [
        other
        for other in script.router.routes
        if other.check_gateway is not None and all(isinstance(g, InterfaceGateway) for g in other.gateways)
        if set(other.gateways) & set(route.gateways)
    ]
    if not idle or not _can_edit(script, idle):
        return NOT_ALONE
    edits = tuple(SetProperty(other.origin.line, "check-gateway", None) for other in idle)
    return Way(f"check-gateway is left out where {_named(route.gateways)} has no address to ask", edits)


# --- other ways ----------------------------------------------------------------------------------------------------


def no_second_route(script: Script, finding: Finding) -> Way | Decision:
    """`no-second-route` and `no-way-left`: the gateways of main behind that of the table, in main's order."""
    uplink = next((each for each in script.uplinks if each.origin == finding.where), None)
    at = _at(script, finding)
    table = at.table if at is not None and at.table != MAIN_TABLE else uplink.table if uplink is not None else None
    ways = sorted(default_routes(script.router), key=lambda route: route.distance)
    own = [route for route in ways if route.table == table]
    if table is None or not own or not _can_edit(script, own[-1:]):
        return NOT_ALONE
    others = _others(ways, own)
    if not others or not _can_edit(script, others):
        return Decision("the gateways of the other uplinks are not stated in the file; a script or a client makes them")
    last, edits = own[-1], []
    for number, other in enumerate(others, start=1):
        changes = (
            (table_property(script), table),
            ("distance", str(last.distance + number)),
            ("comment", None),
        )
        edits.append(CopyCommand(other.origin.line, changes, Place(last.origin.line, behind=True)))
    if last.distance + len(others) > _LARGEST_DISTANCE:
        return Decision("the distances of its routes leave no larger one")
    named = " and ".join(_named(other.gateways) for other in others)
    return Way(f"table {table} goes on with {named} when its own gateway is lost", tuple(edits))


def _others(ways: Sequence[Route], own: Sequence[Route]) -> list[Route]:
    """The default routes by other gateways, each once; those of main first, in its order."""
    taken: set[Gateway] = {gateway for route in own for gateway in route.gateways}
    version = own[0].destination.version
    found = []
    for route in sorted(ways, key=lambda each: each.table != MAIN_TABLE):
        if route.destination.version == version and taken.isdisjoint(route.gateways):
            taken.update(route.gateways)
            found.append(route)
    return found


def _named(gateways: Iterable[Gateway]) -> str:
    return ", ".join(str(g.address) if isinstance(g, AddressGateway) else g.interface for g in gateways)
