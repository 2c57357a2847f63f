"""Kernel settings (sysctls): what a router needs of them, what is written on a given machine, and the way back.

Nothing is written that holds already or does not stand in the way, and only what is written is put back by `down`.
The kernel changes some settings together with others (Linux, inet_forward_change() and addrconf_fixup_forwarding());
those are put back as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.core.reverse_path import REVERSE_PATH_OF_ALL, STRICT, reverse_path, reverse_path_of
from evenflow.core.saved import tampered
from evenflow.model.dataplane import AS_IT_IS, MAIN_TABLE_NUMBER, TWO_FOR_ONE, Dataplane, SetSysctl
from evenflow.model.flow import Family
from evenflow.model.router import LearnedGateway

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from evenflow.core.routing import Routing
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

FORWARDING = {Family.IPV4: "net/ipv4/ip_forward", Family.IPV6: "net/ipv6/conf/all/forwarding"}
_DEVICES = {Family.IPV4: "net/ipv4/conf/", Family.IPV6: "net/ipv6/conf/"}
_REDIRECTS = "net/ipv4/conf/all/accept_redirects"
_LINKDOWN = "ignore_routes_with_linkdown"

#: RTPROT_RA: routes that the kernel has from router advertisements.
_ADVERTISED = 9


def wishes(router: Router, routing: Routing, machine: Machine) -> dict[str, str]:
    """Settings that the router needs or can need, by name; `in_force` makes plain values of them.

    `ignore_routes_with_linkdown` makes a lookup pass over routes whose carrier is gone, so that the backup routes take
    over at once and by themselves.
    """
    if not router.mangle and not router.routes:
        return {}
    found: dict[str, str] = {}
    for interface in sorted(routing.uplink_interfaces):
        found[reverse_path_of(interface)] = TWO_FOR_ONE
        found[REVERSE_PATH_OF_ALL] = AS_IT_IS
        found |= {f"{devices}{interface}/{_LINKDOWN}": "1" for devices in _DEVICES.values()}
    if not router.forwards:
        return found
    found[FORWARDING[Family.IPV4]] = "1"
    if Family.IPV6 in routing.families:
        learned = {g.interface for r in router.routes for g in r.gateways if isinstance(g, LearnedGateway)}
        for interface in sorted(learned & routing.uplink_interfaces | _advertised(machine)):
            found[_advertisements_of(interface)] = TWO_FOR_ONE
        found[FORWARDING[Family.IPV6]] = "1"
    return found


def _advertised(machine: Machine) -> set[str]:
    """Interfaces that have a route from a router advertisement. Whoever uses it is not to lose it."""
    return {
        hop.interface
        for route in machine.routes
        if route.protocol == _ADVERTISED and route.table == MAIN_TABLE_NUMBER
        for hop in route.hops
    }


def _advertisements_of(interface: str) -> str:
    return f"net/ipv6/conf/{interface}/accept_ra"


def passes_over_dead_links(name: str) -> bool:
    """Whether it is the setting that makes lookups pass over routes without carrier."""
    return name.endswith(f"/{_LINKDOWN}")


def _is_reverse_path(name: str) -> bool:
    return name.endswith("/rp_filter")


def _is_advertisements(name: str) -> bool:
    return name.endswith("/accept_ra")


def to_be_read(wished: Collection[str], machine: Machine, saved: Collection[str]) -> set[str]:
    """The names to read before anything is written: those wished for, and those that would change with them."""
    names = set(wished)
    for family, forwarding in FORWARDING.items():
        if forwarding in names and forwarding not in saved:
            devices = ("default", *(link.name for link in machine.links))
            names |= {f"{_DEVICES[family]}{device}/forwarding" for device in devices}
            names |= {_REDIRECTS} if family is Family.IPV4 else set()
    return names


def in_force(desired: Dataplane, actual: Dataplane) -> Dataplane:
    """What must be read back once the plan is carried out: of the settings those that are written, or hold.

    `saved` becomes what `down` will put back: as told, else as kept already, else what holds now if it is another value
    than the desired one. (When somebody has deleted the table that kept them, what holds now is our own.)
    """
    if desired.table is None:
        return replace(desired, saved={})
    kept = {**actual.saved, **desired.saved}
    sysctls = {name: value for name, value in _plain(desired.sysctls, actual, kept).items() if name in actual.sysctls}
    saved = {name: kept[name] for name in sysctls if name in kept}
    for name, value in sysctls.items():
        if name not in kept and actual.sysctls[name] != value:
            saved[name] = actual.sysctls[name]
            saved |= _spoilt(name, value, actual.sysctls)
    for forwarding in FORWARDING.values():
        if forwarding in saved:
            saved |= {name: kept[name] for name in _changed_with(forwarding, "0", kept)}
    return replace(desired, sysctls=sysctls, saved=saved)


def _plain(wished: Mapping[str, str], actual: Dataplane, kept: Mapping[str, str]) -> dict[str, str]:
    """The values that wishes come to, as things were before evenflow.

    Reverse-path filtering is made loose where it is strict: the answer to what comes in by one uplink may have another
    as its best way by the main table (RFC 3704). No filter stays none. A forwarding host ignores advertisements unless
    told 2 (Linux, ip-sysctl: accept_ra); where the kernel ignored them before, somebody else handles them
    (systemd-networkd), or nobody is to.
    """
    before = {**actual.sysctls, **kept}
    found = {name: value for name, value in wished.items() if value not in (TWO_FOR_ONE, AS_IT_IS)}
    found |= {name: "2" for name, value in wished.items() if value == TWO_FOR_ONE and _is_one(name, before)}
    if FORWARDING[Family.IPV6] in found:
        # What accepted advertisements before does so as long as forwarding is ours, whatever it has learnt by now.
        found |= {name: "2" for name in kept if _is_advertisements(name)}
    return found


def _is_one(name: str, settings: Mapping[str, str]) -> bool:
    if _is_reverse_path(name):
        return reverse_path(settings, name.split("/")[-2]) == STRICT
    return settings.get(name) == "1"


def _spoilt(name: str, value: str, there: Mapping[str, str]) -> dict[str, str]:
    """Of what the kernel changes when `name` becomes `value`: what putting `name` back would not put back."""
    forth, back = _changed_with(name, value, there), _changed_with(name, there[name], there)
    return {other: there[other] for other in forth if back[other] != there[other]}


def _changed_with(name: str, value: str, there: Collection[str]) -> dict[str, str]:
    """What the kernel sets, of what is `there`, when `name` becomes `value`."""
    found = {}
    for family, forwarding in FORWARDING.items():
        if name == forwarding:
            devices = (other for other in there if other.startswith(_DEVICES[family]) and other.endswith("/forwarding"))
            found = {other: value for other in devices if other != name}
    if name == FORWARDING[Family.IPV4] and _REDIRECTS in there:
        found[_REDIRECTS] = "0" if value == "1" else "1"
    return found


def of_unknown_past(desired: Dataplane, actual: Dataplane) -> tuple[str, ...]:
    """Settings that hold already and may be our own work: somebody has changed what keeps those from before it."""
    if not tampered(actual):
        return ()
    return tuple(name for name in sorted(desired.sysctls) if name not in desired.saved)


def writes(desired: Dataplane, actual: Dataplane) -> Iterator[SetSysctl]:
    """What to write, in order; `desired` is as `in_force` gave it."""
    wanted = {name: value for name, value in actual.saved.items() if name not in desired.saved}
    wanted.update(desired.sysctls)
    now = dict(actual.sysctls)
    for name, value in sorted(wanted.items(), key=_order):
        if name not in now or now[name] == value:
            continue
        yield SetSysctl(name, value, now[name])
        now |= {name: value, **_changed_with(name, value, now)}


def _order(setting: tuple[str, str]) -> tuple[int, str]:
    """Advertisements are accepted before forwarding begins, else the kernel drops all routes that it has from them.

    Forwarding comes before everything else: what the kernel changes with it is put right afterwards.
    """
    name, value = setting
    if _is_advertisements(name) and value == "2":
        return (0, name)
    return (1 if name in FORWARDING.values() else 2, name)
