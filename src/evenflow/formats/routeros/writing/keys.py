"""The menus and properties that written scripts use, and from which release on RouterOS has them.

Facts of the vendor's manual and change logs. A script for a release uses nothing else: a test compares every
statement that is written with this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.routeros.version import Version

if TYPE_CHECKING:
    from evenflow.formats.routeros.statement import MenuPath

#: From here on a DHCP client puts its default route into several tables, and (next) asks the gateway itself.
DHCP_TABLES, DHCP_CHECK = Version(7, 18), Version(7, 19)

#: What `--routeros 6` and `--routeros 7` stand for: the last release of 6, and the one that the facts are of.
LAST_SIX, CURRENT = Version(6, 49), Version(7, 21)


@dataclass(frozen=True, slots=True)
class Span:
    """The releases that have something: from `since` on, and before `until` (None: still)."""

    since: Version
    until: Version | None = None

    def holds(self, version: Version) -> bool:
        """Whether a release has it."""
        return self.since <= version and (self.until is None or version < self.until)


_MATCHERS = """
connection-mark connection-state dst-address dst-address-list dst-address-type dst-port in-interface nth out-interface
packet-mark per-connection-classifier port protocol random routing-mark src-address src-address-list src-address-type
src-mac-address src-port
"""
_INTERFACE_LISTS = "in-interface-list out-interface-list"

#: `menu | releases | properties`; the same menu may stand in several lines. `6.36-7.0` is before 7.0.
_TABLE = f"""
ip firewall mangle | 6.0 | action chain comment jump-target log-prefix new-connection-mark new-packet-mark
ip firewall mangle | 6.0 | new-routing-mark passthrough {_MATCHERS}
ip firewall mangle | 6.36 | {_INTERFACE_LISTS}
ipv6 firewall mangle | 7.0 | action chain comment jump-target log-prefix new-connection-mark new-packet-mark
ipv6 firewall mangle | 7.0 | new-routing-mark passthrough {_MATCHERS} {_INTERFACE_LISTS}
ip firewall nat | 6.0 | action chain comment to-addresses to-ports {_MATCHERS}
ip firewall nat | 6.36 | {_INTERFACE_LISTS}
ipv6 firewall nat | 7.1 | action chain comment to-address to-ports {_MATCHERS} {_INTERFACE_LISTS}
ip firewall address-list | 6.0 | address comment list
ipv6 firewall address-list | 6.0 | address comment list
interface list | 6.36 | comment name
interface list member | 6.36 | comment interface list
routing table | 7.0 | comment fib name
ip route | 6.0 | check-gateway comment distance dst-address gateway pref-src scope target-scope
ip route | 6.0-7.0 | routing-mark type
ip route | 7.0 | blackhole routing-table
ipv6 route | 7.0 | blackhole check-gateway comment distance dst-address gateway pref-src routing-table scope
ipv6 route | 7.0 | target-scope
ip route rule | 6.0-7.0 | action comment dst-address interface routing-mark src-address table
routing rule | 7.0 | action comment dst-address interface min-prefix routing-mark src-address table
ip dhcp-client | 6.0 | add-default-route comment dhcp-options disabled interface use-peer-dns use-peer-ntp
ip dhcp-client | 6.39 | script
ip dhcp-client | {DHCP_TABLES.major}.{DHCP_TABLES.minor} | default-route-tables
ip dhcp-client | {DHCP_CHECK.major}.{DHCP_CHECK.minor} | check-gateway
ip dhcp-client | 7.21 | allow-reconfigure dscp use-broadcast vlan-priority
"""


def _read(table: str) -> dict[MenuPath, dict[str, Span]]:
    found: dict[MenuPath, dict[str, Span]] = {}
    menu: MenuPath = ()
    span = Span(Version(0))
    for line in table.strip().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 3:
            menu, span = tuple(cells[0].split()), _span(cells[1])
        keys = found.setdefault(menu, {})
        keys.update(dict.fromkeys(cells[-1].split(), span))
    return found


def _span(text: str) -> Span:
    since, _, until = text.partition("-")
    return Span(_version(since), _version(until) if until else None)


def _version(text: str) -> Version:
    major, _, minor = text.partition(".")
    return Version(int(major), int(minor or 0))


KEYS = _read(_TABLE)


def has_menu(menu: MenuPath, version: Version) -> bool:
    """Whether a release has a menu, with any of the properties that are written."""
    return any(span.holds(version) for span in KEYS[menu].values())


def has_key(menu: MenuPath, key: str, version: Version) -> bool:
    """Whether a release has a property."""
    span = KEYS.get(menu, {}).get(key)
    return span is not None and span.holds(version)
