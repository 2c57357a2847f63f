"""Interfaces, their addresses, bridges and interface lists."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from evenflow.formats.routeros import values
from evenflow.formats.routeros.items import is_interface_menu
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.values import rate_bps, yes_or_no
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from evenflow.model.router import FACTORY_LISTS, Interface, InterfaceList

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.items import Item, Items
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.finding import Origin
    from evenflow.model.flow import InterfaceAddress

#: What `add` without a name calls the first interface of a kind.
_FIRST_NAMES = {
    "pppoe-client": "pppoe-out1", "l2tp-client": "l2tp-out1", "pptp-client": "pptp-out1", "sstp-client": "sstp-out1",
    "ovpn-client": "ovpn-out1", "ppp-client": "ppp-out1",
}  # fmt: skip

#: Menus that speak of an interface by `interface=`, which therefore is there.
_SPEAK_OF = (
    ("interface", "bridge", "port"), ("interface", "pppoe-client"), ("interface", "vlan"), ("interface", "macvlan"),
    ("interface", "vrrp"), ("ip", "address"), ("ipv6", "address"), ("ip", "dhcp-client"), ("ipv6", "dhcp-client"),
)  # fmt: skip

#: What stands behind the kind in the name that a port has from the factory: `ether1`, `sfp-sfpplus1`.
_FACTORY_NAME = re.compile(r"(?:-sfpplus|-sfp)?[0-9]+$")

STATIC_LIST, DYNAMIC_LIST, ALL_LIST, NO_LIST = "static", "dynamic", "all", "none"


@dataclass(slots=True)
class _Found:
    """An interface while its parts are put together; `origin` is the earliest in the file, or where it is defined."""

    name: str
    origin: Origin
    kind: str = ""
    addresses: list[InterfaceAddress] = field(default_factory=list)
    bridge: str | None = None
    bandwidth_bps: int | None = None


def interface_name(item: Item) -> str:
    """The name of an interface item; the first one that RouterOS gives when the file gives none."""
    kind = item.menu[1]
    return item.text("name") or item.text("default-name") or _FIRST_NAMES.get(kind, f"{kind}1")


def read_interfaces(items: Items, lists: Iterable[InterfaceList], notes: Notes) -> tuple[Interface, ...]:
    """Every interface that the file defines, or says to be a port, or gives an address or a client; by line."""
    found: dict[str, _Found] = {}
    for menu in items.menus():
        if is_interface_menu(menu):
            for item in items.of(menu):
                if item.in_force:
                    _define(found, item)
    for menu in _SPEAK_OF:
        for item in items.of(menu):
            name = item.text("interface")
            if item.in_force and name:
                found.setdefault(name, _Found(name, item.origin))
    _join_bridges(items.of(("interface", "bridge", "port")), {each.name: each for each in lists}, found, notes)
    for family, menu in ((Family.IPV4, ("ip", "address")), (Family.IPV6, ("ipv6", "address"))):
        for item in items.of(menu):
            if item.in_force:
                _give_address(found, Reading(item, notes, "address"), family)
    ordered = sorted(found.values(), key=lambda each: each.origin.line)
    return tuple(
        Interface(each.name, each.kind, tuple(each.addresses), each.bridge, each.bandwidth_bps, each.origin)
        for each in ordered
    )


def _define(found: dict[str, _Found], item: Item) -> None:
    name = interface_name(item)
    kind = item.menu[1].removesuffix("-client")
    # `bandwidth=RECEIVE/SEND`: what is received is what a download gets.
    bandwidth = rate_bps(item.text("bandwidth").partition("/")[0])
    found[name] = _Found(name, item.origin, kind, bandwidth_bps=bandwidth)


def _join_bridges(
    ports: Iterable[Item], lists: dict[str, InterfaceList], found: dict[str, _Found], notes: Notes
) -> None:
    for item in ports:
        if not item.in_force:
            continue
        reading = Reading(item, notes, "port")
        bridge, name = reading.needed("bridge"), reading.needed("interface")
        if not reading.ok:
            continue
        # Since 6.41 a list may be a port: each of its members is.
        members = sorted(lists[name].members) if name in lists else [name]
        if name in lists:
            found.pop(name, None)
        for member in members:
            found.setdefault(member, _Found(member, item.origin)).bridge = bridge


def _give_address(found: dict[str, _Found], reading: Reading, family: Family) -> None:
    name = reading.needed("interface")
    if reading.item.text("from-pool") or reading.value("eui-64", yes_or_no, False):
        what = "the address follows from a pool or the hardware address, so it is not known here"
        reading.tell(Severity.INFO, "unknown-address", what)
        return
    if not reading.needed("address") or not name:
        return
    read = partial(values.interface_address, family=family, netmask=reading.value("netmask", str, ""))
    address = reading.value("address", read, None)
    if address is not None:
        found[name].addresses.append(address)


# --- lists -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _List:
    name: str
    origin: Origin
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    members: set[str] = field(default_factory=set)


def read_lists(items: Items, notes: Notes) -> tuple[InterfaceList, ...]:
    """The interface lists, with what they include and exclude resolved.

    Members are: those of the included lists, less those of the excluded ones, and its own.
    """
    lists: dict[str, _List] = {}
    for item in items.of(("interface", "list")):
        reading = Reading(item, notes, "list")
        name = reading.needed("name") if item.in_force else ""
        if name:
            include, exclude = (_names(reading.value(key, str, "")) for key in ("include", "exclude"))
            lists[name] = _List(name, item.origin, include, exclude)
    for item in items.of(("interface", "list", "member")):
        if item.in_force:
            _join_list(lists, Reading(item, notes, "member"))
    everything = frozenset(
        interface_name(item) for menu in items.menus() if is_interface_menu(menu) for item in items.of(menu)
    )
    resolver = _Resolver(lists, everything)
    return tuple(InterfaceList(each.name, resolver.members(each.name), each.origin) for each in lists.values())


def _join_list(lists: dict[str, _List], reading: Reading) -> None:
    name, interface = reading.needed("list"), reading.needed("interface")
    if not reading.ok:
        return
    if name not in lists:
        lists[name] = _List(name, reading.item.origin)
        by_factory = name in FACTORY_LISTS
        what = f"list {name} is nowhere made{', unless the factory configuration has made it' if by_factory else ''}"
        severity = Severity.INFO if by_factory else Severity.WARNING
        reading.tell(severity, "undefined-list", f"{what}; put add name={name} under /interface list")
    lists[name].members.add(interface)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


class _Resolver:
    """Resolves includes; a list that includes itself in a ring gains nothing by that."""

    def __init__(self, lists: dict[str, _List], everything: frozenset[str]) -> None:
        self._lists = lists
        self._done: dict[str, frozenset[str]] = {
            ALL_LIST: everything, STATIC_LIST: everything, DYNAMIC_LIST: frozenset(), NO_LIST: frozenset(),
        }  # fmt: skip

    def members(self, name: str) -> frozenset[str]:
        """The members of a list, without recursion: a chain of includes may be long."""
        waiting = [name]
        opened: set[str] = set()
        while waiting:
            top = waiting[-1]
            entry = self._lists.get(top)
            if top in self._done or entry is None:
                waiting.pop()
                continue
            missing = [other for other in (*entry.include, *entry.exclude) if self._must_wait(other, opened)]
            if missing and top not in opened:
                opened.add(top)
                waiting += missing
                continue
            self._done[top] = self._resolved(entry)
            waiting.pop()
        return self._done.get(name, frozenset())

    def _must_wait(self, name: str, opened: set[str]) -> bool:
        return name in self._lists and name not in self._done and name not in opened

    def _resolved(self, entry: _List) -> frozenset[str]:
        included: set[str] = set()
        for name in entry.include:
            included |= self._done.get(name, frozenset())
        for name in entry.exclude:
            included -= self._done.get(name, frozenset())
        return frozenset(included | entry.members)


def _is_of(interface: Interface, kinds: Iterable[str]) -> bool:
    """Whether an interface is of one of the kinds; one that the file only speaks of is what its factory name says."""
    if not interface.kind:
        return _FACTORY_NAME.sub("", interface.name) in ("ether", "sfp", "combo") and "ethernet" in kinds
    return interface.kind in kinds


#: The kinds of interfaces that a group has.
_GROUPS = {
    "all-ethernet": ("ethernet",),
    "all-ppp": tuple(
        f"{kind}{end}" for kind in ("pppoe", "l2tp", "pptp", "sstp", "ovpn", "ppp") for end in ("", "-server")
    ),
    "all-vlan": ("vlan",),
    "all-wireless": ("wireless", "wifi", "wifiwave2", "w60g"),
}


def built_in_lists(used: Iterable[str], interfaces: Iterable[Interface], known: Iterable[str]) -> list[InterfaceList]:
    """`static`, `dynamic` and the groups, if a rule speaks of them; the interfaces of the file are the static ones."""
    names = frozenset(used) - frozenset(known)
    interfaces = tuple(interfaces)
    lists = [
        InterfaceList(group, frozenset(each.name for each in interfaces if _is_of(each, kinds)))
        for group, kinds in _GROUPS.items()
        if group in names
    ]
    if STATIC_LIST in names:
        lists.append(InterfaceList(STATIC_LIST, frozenset(interface.name for interface in interfaces)))
    if DYNAMIC_LIST in names:
        lists.append(InterfaceList(DYNAMIC_LIST))
    return lists
