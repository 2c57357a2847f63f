"""The `[uplink.NAME]` tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.policy.health import health_of, read_health
from evenflow.formats.policy.values import Refusal, bandwidth, gateway, interface_name, uplink_name
from evenflow.model.policy import Uplink

if TYPE_CHECKING:
    from evenflow.formats.policy.document import Table
    from evenflow.formats.policy.health import HealthEntry
    from evenflow.formats.policy.positions import Path
    from evenflow.model.flow import Address

_KEYS = ("interface", "gateway", "bandwidth", "masquerade", "tier", "health")
_AUTO = "auto"

#: More tiers than anybody has uplinks for.
_LAST_TIER = 9


@dataclass(frozen=True, slots=True)
class UplinkEntry:
    """What was read of one uplink, also where something in it is wrong (`uplink` is None then)."""

    name: str
    interface: str | None
    uplink: Uplink | None


@dataclass(frozen=True, slots=True)
class _Gateways:
    addresses: tuple[Address, ...] = ()
    learn: bool = False


def read_uplinks(top: Table, health: HealthEntry, *, missing_is_known: bool) -> tuple[UplinkEntry, ...]:
    """All uplinks, in the order of the file; `health` is what holds for all of them."""
    uplinks = top.table("uplink", "", 'write [uplink.NAME] and below it interface = "IF"')
    if uplinks is None:
        if not missing_is_known and "uplink" not in top.values:
            top.complain("no-uplink", "uplink", "there is no uplink; state each as [uplink.NAME] with its interface")
        return ()
    if not uplinks.values:
        top.complain("no-uplink", "uplink", "there is no uplink; state each as [uplink.NAME] with its interface")
    entries = []
    for name in uplinks.values:
        table = uplinks.table(name, f"uplink {name}", f'write [uplink.{name}] and below it interface = "IF"')
        entries.append(_read_uplink(table, name, health) if table else UplinkEntry(name, None, None))
    return tuple(entries)


def _read_uplink(table: Table, name: str, general: HealthEntry) -> UplinkEntry:
    before = len(table.document.findings)
    checked = uplink_name(name)
    if isinstance(checked, Refusal):
        table.complain("uplink-name", (), table.prefixed(checked.reason))
    misspelt = table.refuse_unknown(_KEYS)
    interface = _read_interface(table, missing_is_known="interface" in misspelt)
    gateways = _read_gateways(table)
    own = read_health(table, f"uplink.{name}.health")
    health = health_of(general, own, gateways.addresses, learns=gateways.learn)
    uplink = Uplink(
        name,
        interface or "",
        gateways.addresses,
        gateways.learn,
        _read_bandwidth(table),
        table.flag("masquerade", default=True),
        _read_tier(table),
        health.targets,
        health.settings,
        table.document.origin(table.path, table.item),
    )
    return UplinkEntry(name, interface, uplink if len(table.document.findings) == before else None)


def _read_interface(table: Table, *, missing_is_known: bool) -> str | None:
    if "interface" not in table.values:
        if not missing_is_known:
            message = table.prefixed('there is no interface; state the device that it leaves by: interface = "IF"')
            table.complain("missing-key", "interface", message)
        return None
    name = table.string("interface", 'interface = "eth1"')
    return None if name is None else read_interface(table, ("interface",), name)


def read_interface(table: Table, below: Path, name: str) -> str | None:
    """The name if a device can have it, else None and a finding."""
    checked = interface_name(name)
    if isinstance(checked, Refusal):
        table.complain("interface-name", below, table.prefixed(checked.reason))
        return None
    return checked


def _read_bandwidth(table: Table) -> int | None:
    text = table.string("bandwidth", 'bandwidth = "30M"')
    if text is None:
        return None
    checked = bandwidth(text)
    if isinstance(checked, Refusal):
        table.refuse("bandwidth", checked.reason)
        return None
    return checked


def _read_tier(table: Table) -> int:
    tier = table.whole_number("tier", "tier = 2")
    if tier is not None and not 1 <= tier <= _LAST_TIER:
        table.refuse("tier", f"tier is {tier}; from 1 (used first) to {_LAST_TIER} are possible")
    return 1 if tier is None else tier


def _read_gateways(table: Table) -> _Gateways:
    """No gateway stated is "auto"."""
    value = table.values.get("gateway", _AUTO)
    if isinstance(value, str):
        texts: tuple[tuple[int, str], ...] | None = ((-1, value),)
    elif isinstance(value, list):
        texts = table.strings("gateway", 'gateway = ["192.0.2.1", "auto"]')
        if not value:
            table.refuse("gateway", 'gateway is an empty list; write "auto" or an address')
    else:
        table.wrong_type("gateway", 'a string: "auto", or an address', value)
        texts = None
    addresses: dict[int, Address] = {}
    learn = False
    for index, text in texts or ():
        place = ("gateway",) if index < 0 else ("gateway", index)
        checked = _AUTO if text == _AUTO else gateway(text)
        if isinstance(checked, Refusal):
            table.complain("bad-value", place, table.prefixed(checked.reason))
        elif isinstance(checked, str):
            learn = True
        elif checked.version in addresses:
            message = f"gateways {addresses[checked.version]} and {checked} are of one family; keep one of the two"
            table.complain("bad-value", place, table.prefixed(message))
        else:
            addresses[checked.version] = checked
    return _Gateways(tuple(addresses.values()), learn)
