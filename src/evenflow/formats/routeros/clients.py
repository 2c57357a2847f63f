"""Routes that clients make: DHCP clients and PPP clients with `add-default-route`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from evenflow.formats.routeros.interfaces import interface_name
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.routes import check_gateway
from evenflow.formats.routeros.values import BadValueError, number
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from evenflow.model.router import MAIN_TABLE, InterfaceGateway, LearnedGateway, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.items import Items
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.flow import Network
    from evenflow.model.router import Gateway, Interface

#: Whether a client adds a default route when the file does not say.
_DHCP = ((("ip", "dhcp-client"), Family.IPV4, "yes"), (("ipv6", "dhcp-client"), Family.IPV6, "no"))
_PPP = {
    "pppoe-client": "no", "l2tp-client": "no", "pptp-client": "no", "sstp-client": "no", "ovpn-client": "no",
    "ppp-client": "yes",
}  # fmt: skip

_ANSWERS = ("yes", "no", "special-classless")


def routes_of_clients(items: Items, interfaces: Iterable[Interface], notes: Notes) -> list[Route]:
    """The default routes that clients add by themselves."""
    routes: list[Route] = []
    bridges = {each.name: each.bridge for each in interfaces if each.bridge is not None}
    for menu, family, default in _DHCP:
        for item in items.of(menu):
            if item.in_force:
                reading = Reading(item, notes, "client")
                name = reading.needed("interface")
                if name in bridges:
                    # The dynamic comment of such a client in an export: "DHCP client can not run on slave interface!"
                    what = f"{name} is a port of {bridges[name]}, so no DHCP client runs on it; give it interface="
                    reading.tell(Severity.WARNING, "client-on-port", f"{what}{bridges[name]}, or take the port out")
                    continue
                routes += _default_routes(reading, LearnedGateway(name), family, default)
    for kind, default in _PPP.items():
        for item in items.of(("interface", kind)):
            if item.in_force:
                gateway = InterfaceGateway(interface_name(item))
                routes += _default_routes(Reading(item, notes, "client"), gateway, Family.IPV4, default)
    return routes


def _default_routes(reading: Reading, gateway: Gateway, family: Family, default: str) -> list[Route]:
    answer = reading.value("add-default-route", _answer, default)
    distance = reading.value("default-route-distance", partial(number, low=0, high=255), 1)
    tables = reading.value("default-route-tables", partial(_tables, distance), [(MAIN_TABLE, distance)])
    check = reading.value("check-gateway", check_gateway, None)
    if answer == "no" or not reading.ok:
        return []
    destination: Network = family.any_network
    comment = reading.comment()
    return [
        Route(table, destination, (gateway,), far, check_gateway=check, comment=comment, origin=reading.item.origin)
        for table, far in tables
    ]


def _answer(text: str) -> str:
    if text not in _ANSWERS:
        raise BadValueError("it is neither yes nor no; write one of them")
    return text


def _tables(distance: int, text: str) -> list[tuple[str, int]]:
    """`main,isp1:10`: tables, each with a distance of its own if it has one."""
    tables = []
    for word in text.split(","):
        name, colon, own = word.partition(":")
        tables.append((name, number(own, 0, 255) if colon else distance))
    return tables
