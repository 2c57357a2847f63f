"""Routes, routing tables and route rules."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from evenflow.formats.routeros import values
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.values import BadValueError, number, yes_or_no
from evenflow.model.finding import Severity
from evenflow.model.flow import BOTH_FAMILIES, Family, family_of
from evenflow.model.router import (
    MAIN_TABLE,
    AddressGateway,
    CheckGateway,
    InterfaceGateway,
    LearnedGateway,
    Route,
    RouteKind,
    RouteRule,
    RoutingTable,
    RuleAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.items import Item
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.flow import Address, Network
    from evenflow.model.router import Gateway

#: What can only be meant as an address.
_LIKE_AN_ADDRESS = re.compile(r"[0-9.]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*")

_CHECKS: dict[str, CheckGateway | None] = {
    "none": None, "bfd-multi-hop": CheckGateway.BFD, "bfd-multihop": CheckGateway.BFD,
    **{check.value: check for check in CheckGateway},
}  # fmt: skip

_KINDS = {kind.value: kind for kind in RouteKind}
_RULE_ACTIONS = {action.value: action for action in RuleAction}


def check_gateway(text: str) -> CheckGateway | None:
    """`check-gateway=`.

    Raises:
        BadValueError: it is none of those that RouterOS has.
    """
    if text not in _CHECKS:
        raise BadValueError("it is no way to check a gateway; write ping, arp, bfd or none")
    return _CHECKS[text]


#: What follows when a route is left out.
_LEFT_OUT = ", and its packets take others"


def read_routes(items: Iterable[Item], notes: Notes, family: Family, *, has_vrf: bool) -> list[Route]:
    """The routes of one family that are in force.

    `has_vrf`: whether the file makes any VRF; else `vrf-interface=`, which WinBox writes anywhere, says nothing.
    """
    readings = (Reading(item, notes, "route", _LEFT_OUT) for item in items if item.in_force)
    routes = [_route(reading, family, has_vrf=has_vrf) for reading in readings]
    return [route for route in routes if route is not None]


def _route(reading: Reading, family: Family, *, has_vrf: bool) -> Route | None:
    item = reading.item
    if has_vrf and item.properties.get("vrf-interface"):
        reading.refuse("unsupported-property", "vrf-interface= can't be followed here; write the route without a VRF")
    kind = _kind(reading)
    gateways = _gateways(reading, family) if kind is RouteKind.UNICAST else ()
    any_network: Network = family.any_network
    source = reading.value("pref-src", partial(values.address, family=family), None)
    route = Route(
        table=table_of(reading),
        destination=reading.value("dst-address", partial(values.network, family=family), any_network),
        gateways=gateways,
        distance=reading.value("distance", partial(number, low=0, high=255), 1),
        kind=kind,
        check_gateway=reading.value("check-gateway", check_gateway, None),
        scope=reading.value("scope", partial(number, low=0, high=255), 30),
        target_scope=reading.value("target-scope", partial(number, low=0, high=255), 10),
        preferred_source=None if source is not None and source.is_unspecified else source,
        watches=item.watches,
        comment=reading.comment(),
        origin=item.origin,
    )
    return route if reading.ok else None


def table_of(reading: Reading) -> str:
    """The table of a route: `routing-table=`, or the `routing-mark=` of RouterOS 6."""
    return reading.value("routing-table", str, "") or reading.value("routing-mark", str, "") or MAIN_TABLE


def _kind(reading: Reading) -> RouteKind:
    if reading.value("blackhole", yes_or_no, False):
        return RouteKind.BLACKHOLE
    return reading.value("type", _kind_of, RouteKind.UNICAST)


def _kind_of(text: str) -> RouteKind:
    if text not in _KINDS:
        raise BadValueError(f"it is no type of route; write one of {', '.join(_KINDS)}")
    return _KINDS[text]


def _gateways(reading: Reading, family: Family) -> tuple[Gateway, ...]:
    learned = reading.item.learned
    if learned is not None:
        return (LearnedGateway(learned, _fallback(reading, family)),)
    text = reading.needed("gateway")
    gateways: list[Gateway] = []
    for word in text.split(",") if text else ():
        try:
            gateways.append(gateway(word.strip(), family))
        except BadValueError as problem:
            reading.bad("gateway", problem)
    return tuple(gateways)


def _fallback(reading: Reading, family: Family) -> Address | None:
    """The one address that the file states as the gateway, if any."""
    try:
        stated = gateway(reading.text("gateway"), family)
    except BadValueError:
        return None
    if isinstance(stated, AddressGateway) and not stated.address.is_unspecified:
        return stated.address
    return None


def gateway(text: str, family: Family) -> Gateway:
    """`ADDRESS`, `ADDRESS%INTERFACE`, `ADDRESS@TABLE` or `INTERFACE`.

    Raises:
        BadValueError: it is none of these.
    """
    place, at, table = text.partition("@")
    host, percent, interface = place.partition("%")
    if not host or (at and not table) or (percent and not interface):
        raise BadValueError("a part of it is missing; write ADDRESS, ADDRESS%INTERFACE, ADDRESS@TABLE or INTERFACE")
    if _LIKE_AN_ADDRESS.fullmatch(host):
        return AddressGateway(values.address(host, family), interface or None, table or None)
    if at or percent:
        raise BadValueError(f'"{host}" is no address; before % and @ write one')
    return InterfaceGateway(text)


def read_tables(items: Iterable[Item], notes: Notes) -> list[RoutingTable]:
    """The tables that are declared."""
    tables: list[RoutingTable] = []
    for item in items:
        reading = Reading(item, notes, "table")
        name = reading.needed("name") if item.in_force else ""
        if not name or name == MAIN_TABLE:
            continue
        if not reading.value("fib", yes_or_no, False):
            what = f"table {name} has no fib, so packets are never routed by it; write fib behind its name"
            reading.tell(Severity.WARNING, "table-without-fib", what)
        elif reading.ok:
            tables.append(RoutingTable(name, item.origin))
    return tables


def tables_of_marks(items: Iterable[Item], known: Iterable[RoutingTable]) -> list[RoutingTable]:
    """The tables that `routing-mark=` of routes makes, as RouterOS 6 does."""
    names = {table.name for table in known} | {MAIN_TABLE, ""}
    tables: list[RoutingTable] = []
    for item in items:
        name = item.text("routing-mark")
        if item.in_force and name not in names:
            names.add(name)
            tables.append(RoutingTable(name, item.origin))
    return tables


def read_rules(items: Iterable[Item], notes: Notes, family: Family | None) -> list[RouteRule]:
    """The route rules that are in force; `family` None: of the family of their addresses, or both."""
    rules = [_rule(Reading(item, notes, "rule"), family) for item in items if item.in_force]
    return [rule for rule in rules if rule is not None]


def _rule(reading: Reading, family: Family | None) -> RouteRule | None:
    source = reading.value("src-address", partial(_rule_network, family), None)
    destination = reading.value("dst-address", partial(_rule_network, family), None)
    families = (family,) if family else _families(source, destination)
    if not families:
        reading.refuse("bad-value", "src-address= and dst-address= are of different families; write two rules")
    action = reading.value("action", _rule_action, RuleAction.LOOKUP)
    looks_up = action in (RuleAction.LOOKUP, RuleAction.LOOKUP_ONLY)
    rule = RouteRule(
        action=action,
        table=(reading.value("table", str, "") or MAIN_TABLE) if looks_up else None,
        source=source,
        destination=destination,
        interface=reading.value("interface", str, "") or None,
        routing_mark=reading.value("routing-mark", str, "") or None,
        min_prefix=reading.value("min-prefix", _min_prefix, None),
        families=families,
        comment=reading.comment(),
        origin=reading.item.origin,
    )
    return rule if reading.ok else None


def _rule_network(family: Family | None, text: str) -> Network | None:
    return values.network(text, family or (Family.IPV6 if ":" in text else Family.IPV4))


def _families(source: Network | None, destination: Network | None) -> tuple[Family, ...]:
    named = [family_of(network) for network in (source, destination) if network is not None]
    return tuple(family for family in BOTH_FAMILIES if all(family is other for other in named))


def _rule_action(text: str) -> RuleAction:
    if text not in _RULE_ACTIONS:
        raise BadValueError(f"it is no action of a route rule; write one of {', '.join(_RULE_ACTIONS)}")
    return _RULE_ACTIONS[text]


def _min_prefix(text: str) -> int | None:
    return number(text, 0, 128)
