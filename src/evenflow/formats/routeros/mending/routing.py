"""Mends of routes: distances, watching, and the ways that are left when one is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.lint.interfaces import is_only_a_gateway
from evenflow.core.lint.watched import is_strict
from evenflow.core.uplinks import default_routes
from evenflow.formats.routeros.mending.edits import Place, SetProperty
from evenflow.formats.routeros.mending.script import NOT_ALONE, PLACEHOLDER, Decision, Way
from evenflow.formats.routeros.mending.tables import (
    NewRoute,
    balanced_tables,
    changed_text,
    ends,
    selects_routes_by_comment,
)
from evenflow.formats.routeros.version import version_of
from evenflow.model.router import MAIN_TABLE, AddressGateway, CheckGateway, InterfaceGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding
    from evenflow.model.flow import Address
    from evenflow.model.router import Gateway, Route

#: The largest distance of a route that is used.
_LARGEST_DISTANCE = 254

_NO_LARGER_DISTANCE = Decision("the distances of its routes leave no larger one")


def _at(script: Script, finding: Finding) -> Route | None:
    return next((route for route in script.router.routes if route.origin == finding.where), None)


def _can_edit(script: Script, routes: Iterable[Route]) -> bool:
    return all(route.origin.line in script.commands for route in routes)


def equal_distance(script: Script, finding: Finding) -> Way | Decision:
    """`equal-distance`: each default route of the table gets a distance of its own, in the order of the file.

    What a client adds beside routes that are watched goes behind all of them: nobody would notice that it is lost.
    """
    route = _at(script, finding)
    if route is None:
        return NOT_ALONE
    alike = [
        other
        for other in default_routes(script.router)
        if other.table == route.table and other.destination.version == route.destination.version
    ]
    edits: list[SetProperty] = []
    distance = 0
    watched = {other.distance for other in alike if other.check_gateway is not None}
    last = [other for other in alike if other.distance in watched and _is_of_client(script, other)]
    for other in sorted(alike, key=lambda each: (each in last, each.distance)):
        distance = max(other.distance, distance + 1)
        if distance == other.distance:
            continue
        if distance > _LARGEST_DISTANCE:
            return _NO_LARGER_DISTANCE
        if not _can_edit(script, (other,)):
            return NOT_ALONE
        edits.append(SetProperty(other.origin.line, _distance_property(script, other), str(distance)))
    if _may_spread(script, route):
        proposal = (line for e in edits for line in changed_text(script, e.line, ((e.name, e.value),)))
        return Decision(
            "RouterOS 7 spreads connections over both; whether that is meant is yours to say", tuple(proposal)
        )
    order = "as they are watched, those of clients last" if last else "in the order of the file"
    return Way(f"default routes of table {route.table} are preferred {order}", tuple(edits))


def _may_spread(script: Script, route: Route) -> bool:
    """Whether the routes of main may be equal so that it divides what no classifier does; RouterOS 6 would not."""
    version = version_of(script.statements)
    of_six = version is not None and version.major < 7
    divided = balanced_tables(script.router)
    return route.table == MAIN_TABLE and not of_six and (not divided or MAIN_TABLE in divided)


def _distance_property(script: Script, route: Route) -> str:
    """DHCP and PPP clients say it otherwise."""
    return "default-route-distance" if _is_of_client(script, route) else "distance"


def _is_of_client(script: Script, route: Route) -> bool:
    """Whether a client adds the route, which is not watched then."""
    command = script.commands.get(route.origin.line)
    return command is not None and command.menu[-1] != "route" and route.check_gateway is None


# --- watching ------------------------------------------------------------------------------------------------------


def not_watched(script: Script, finding: Finding) -> Way | Decision:
    """`gateway-not-watched` and `loss-not-followed`: all default routes by the gateways of that uplink are watched."""
    at = _at(script, finding)
    by = set(at.gateways) if at is not None and finding.code == "loss-not-followed" else set()
    uplink = next((each for each in script.uplinks if each.origin == finding.where or by & set(each.gateways)), None)
    asked = _addresses((*(uplink.gateways if uplink is not None else ()), *(at.gateways if at is not None else ())))
    unwatched = [
        route
        for route in default_routes(script.router)
        if route.check_gateway is None and _addresses(route.gateways) & asked
    ]
    if not asked:
        return Decision("its gateway has no address in the file that could be asked")
    if not unwatched:
        return Decision("all default routes by its gateways are watched; that does not keep these connections from it")
    if not _can_edit(script, unwatched):
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
    names = [gateway.interface for gateway in route.gateways if isinstance(gateway, InterfaceGateway)]
    if any(is_only_a_gateway(name, script.router) for name in names):
        return PLACEHOLDER
    edits = tuple(SetProperty(other.origin.line, "check-gateway", None) for other in idle)
    return Way(f"check-gateway is left out where {_named(route.gateways)} has no address to ask", edits)


# --- other ways ----------------------------------------------------------------------------------------------------


def no_second_route(script: Script, finding: Finding) -> Way | Decision:
    """`no-second-route` and `no-way-left`: behind the gateway of the table those of the others that are balanced."""
    at = _at(script, finding)
    table = _table_at(script, finding)
    if at is None:
        return NOT_ALONE
    if table is None:
        return Decision("it has no table of its own, and which uplink is to take over in main is yours to say")
    version = at.destination.version
    routes = [route for route in default_routes(script.router) if route.destination.version == version]
    ways = sorted(routes, key=lambda route: (route.table != MAIN_TABLE, route.distance))
    own = [route for route in ways if route.table == table]
    if not own:
        return Decision(f"table {table} has no default route of IPv{version}; which it is to have is yours to say")
    stray = _uplink_without_a_table(script, own, ways)
    if stray is not None:
        why = f"the first route of table {table} is by another uplink, and its own may be missing; it would be this one"
        return Decision(why, NewRoute(tuple(stray), table, 1).proposal(script))
    if table not in balanced_tables(script.router):
        return Decision(f"no classifier leads to table {table}; whether it is to have another way is yours to say")
    return _going_on(script, own, _others(script, ways, own))


def _table_at(script: Script, finding: Finding) -> str | None:
    """The table for a mark that a finding about a route, or an uplink, is about; None: it is main."""
    uplink = next((each for each in script.uplinks if each.origin == finding.where), None)
    tables = {route.table for route in script.router.routes if route.origin == finding.where} - {MAIN_TABLE}
    # An uplink is told of where its first route is, and that may be another's second.
    if len(tables) == 1 and (uplink is None or finding.code != "no-way-left"):
        return tables.pop()
    return uplink.table if uplink is not None else None


def _uplink_without_a_table(script: Script, own: Sequence[Route], ways: Iterable[Route]) -> list[Route] | None:
    """The routes by the only uplink without a table, where the first route of a table is a second one, by another."""
    (first, *_) = own
    known = ends(script.router, first.gateways)
    others = [uplink for uplink in script.uplinks if uplink.table not in (None, first.table)]
    free = [uplink for uplink in script.uplinks if uplink.table is None]
    is_of_another = any(ends(script.router, uplink.gateways) == known for uplink in others)
    if first.distance == 1 or not is_of_another or len(free) != 1:
        return None
    asked = ends(script.router, free[0].gateways)
    return [route for route in ways if ends(script.router, route.gateways) == asked] or None


def _going_on(script: Script, own: Sequence[Route], others: Sequence[Sequence[Route]]) -> Way | Decision:
    """New routes of a table behind its own."""
    last = own[-1]
    if not others:
        return Decision("no other uplink that connections are divided among has a route in the file")
    new = [NewRoute(tuple(models), last.table, last.distance + n) for n, models in enumerate(others, start=1)]
    if new[-1].distance > _LARGEST_DISTANCE:
        return _NO_LARGER_DISTANCE
    proposal = tuple(line for each in new for line in each.proposal(script))
    if is_strict(script.router, last.table, last.destination.version):
        why = f"what has the mark of table {last.table} is kept from main; whether by this uplink only is yours to say"
        return Decision(why, proposal)
    if any(each.is_learnt(script) for each in new):
        return Decision("the gateway of another uplink is learnt by DHCP, so no route by its address lasts", proposal)
    if selects_routes_by_comment(script):
        return Decision("scripts of the file find routes by their comments; which are to find these is yours", proposal)
    if not _can_edit(script, (last,)):
        return NOT_ALONE
    edits = [each.edit(script, Place(last.origin.line, behind=True)) for each in new]
    if None in edits:
        return NOT_ALONE
    named = " and ".join(_named(each.model(script).gateways) for each in new)
    what = f"table {last.table} goes on with {named} when its own gateway is lost"
    return Way(what, tuple(edit for edit in edits if edit is not None))


def _others(script: Script, ways: Sequence[Route], own: Iterable[Route]) -> list[list[Route]]:
    """For each other uplink that connections are divided among its routes; in main's order.

    One uplink can be given in several forms: as a client, an interface, an address. It is taken once.
    """
    router = script.router
    taken = {end for route in own for end in ends(router, route.gateways)}
    allowed = _balanced(script, ways)
    found: dict[frozenset[str], list[Route]] = {}
    for route in ways:
        by = ends(router, route.gateways)
        if by in found or (by <= allowed and taken.isdisjoint(by)):
            taken |= by
            found.setdefault(by, []).append(route)
    return list(found.values())


def _balanced(script: Script, ways: Iterable[Route]) -> set[str]:
    """What the nearest routes of the tables come to that connections are divided among."""
    tables = balanced_tables(script.router)
    nearest: dict[str, int] = {}
    found: set[str] = set()
    for route in sorted(ways, key=lambda each: each.distance):
        if route.table in tables and nearest.setdefault(route.table, route.distance) == route.distance:
            found |= ends(script.router, route.gateways)
    return found


def _named(gateways: Iterable[Gateway]) -> str:
    return ", ".join(str(g.address) if isinstance(g, AddressGateway) else g.interface for g in gateways)
