"""Tables, routes, route rules and lists as commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.script_form import HANDLE
from evenflow.formats.routeros.writing.words import Command, range_text
from evenflow.model.flow import Family, family_of
from evenflow.model.router import MAIN_TABLE, AddressGateway, InterfaceGateway, RouteKind, RuleAction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.version import Version
    from evenflow.model.router import AddressList, Gateway, InterfaceList, Route, RouteRule, RoutingTable

_ROUTE_MENU = {Family.IPV4: ("ip", "route"), Family.IPV6: ("ipv6", "route")}
_LIST_MENU = {
    Family.IPV4: ("ip", "firewall", "address-list"),
    Family.IPV6: ("ipv6", "firewall", "address-list"),
}

#: What a route has when a script does not say; RouterOS has the same.
_USUAL_SCOPE, _USUAL_TARGET_SCOPE = 30, 10


def table_commands(tables: Iterable[RoutingTable], version: Version) -> list[Command]:
    """Tables; RouterOS 6 makes them by their routes."""
    if version.major < 7:
        return []
    return [Command(("routing", "table"), (("name", each.name), ("comment", HANDLE)), ("fib",)) for each in tables]


def route_commands(routes: Iterable[Route], version: Version) -> list[Command]:
    """Routes whose gateways are stated."""
    return [
        Command(_ROUTE_MENU[family_of(route.destination)], *_parts(route, _gateways(route), version))
        for route in routes
    ]


def learnt_route(route: Route, gateway: str, version: Version) -> Command:
    """A route as a DHCP client's script adds it; `gateway` is its variable, to be written as it is."""
    properties, flags = _parts(route, gateway, version)
    return Command(_ROUTE_MENU[family_of(route.destination)], properties, flags)


def _parts(route: Route, gateway: str, version: Version) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Properties and flags."""
    table = route.table if route.table != MAIN_TABLE else ""
    kind = "" if route.kind is RouteKind.UNICAST else route.kind.value
    modern = version.major >= 7
    properties = (
        ("dst-address", str(route.destination)),
        ("type", "" if modern else kind),
        ("gateway", gateway),
        ("routing-table" if modern else "routing-mark", table),
        ("distance", str(route.distance)),
        ("check-gateway", route.check_gateway.value if route.check_gateway else ""),
        ("scope", "" if route.scope == _USUAL_SCOPE else str(route.scope)),
        ("target-scope", "" if route.target_scope == _USUAL_TARGET_SCOPE else str(route.target_scope)),
        ("pref-src", str(route.preferred_source or "")),
        ("comment", route.comment),
    )
    return properties, ((kind,) if modern and kind else ())


def _gateways(route: Route) -> str:
    return ",".join(gateway_text(gateway) for gateway in route.gateways)


def gateway_text(gateway: Gateway) -> str:
    """A gateway as `gateway=` has it."""
    match gateway:
        case AddressGateway(address, interface, table):
            return f"{address}{f'%{interface}' if interface else ''}{f'@{table}' if table else ''}"
        case InterfaceGateway(interface):
            return interface
    raise ValueError("a gateway that is learnt is a DHCP client's to write")


def rule_commands(rules: Iterable[RouteRule], version: Version) -> list[Command]:
    """Route rules."""
    menu = ("routing", "rule") if version.major >= 7 else ("ip", "route", "rule")
    looking_up = (RuleAction.LOOKUP, RuleAction.LOOKUP_ONLY)
    return [
        Command(
            menu,
            (
                ("action", rule.action.value),
                ("src-address", str(rule.source or "")),
                ("dst-address", str(rule.destination or "")),
                ("interface", rule.interface or ""),
                ("routing-mark", rule.routing_mark or ""),
                ("min-prefix", "" if rule.min_prefix is None else str(rule.min_prefix)),
                ("table", (rule.table or MAIN_TABLE) if rule.action in looking_up else ""),
                ("comment", rule.comment),
            ),
        )
        for rule in rules
    ]


def interface_list_commands(lists: Iterable[InterfaceList]) -> list[Command]:
    """The lists, then their members."""
    lists = tuple(lists)
    made = [Command(("interface", "list"), (("name", each.name), ("comment", HANDLE))) for each in lists]
    for each in lists:
        for member in sorted(each.members):
            properties = (("list", each.name), ("interface", member), ("comment", HANDLE))
            made.append(Command(("interface", "list", "member"), properties))
    return made


def address_list_commands(lists: Iterable[AddressList]) -> list[Command]:
    """The entries, those of IPv4 first."""
    made = [
        Command(
            _LIST_MENU[family_of(entry.first)],
            (("list", each.name), ("address", range_text(entry)), ("comment", HANDLE)),
        )
        for each in lists
        for entry in each.ranges
    ]
    return sorted(made, key=lambda command: command.menu[0] != "ip")
