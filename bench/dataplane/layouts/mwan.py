"""What mwan3, its nft port and mwan4 have in common: marks under a mask, route rules, the three sets. Pure.

Sources: openwrt/packages net/mwan3/files/lib/mwan3/mwan3.sh and common.sh@0521bb56; dl12345/mwan3 README@054252b4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.dataplane.layouts.commands import default_route, ip
from bench.dataplane.site import CLIENTS, lan_routes
from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.layouts.commands import Command
    from bench.dataplane.site import Site, Uplink

_SHIFT: Final = 8

#: Networks that are never an uplink's business, in the sets of that name. The other two are empty as shipped.
CONNECTED: Final = {
    Family.IPV4: (CLIENTS[Family.IPV4], "10.10.0.0/24", "100.64.0.0/10", "127.0.0.0/8", "224.0.0.0/3"),
    Family.IPV6: (CLIENTS[Family.IPV6], "2001:db8:ffff::/64", "2001:db8::/40", "fe80::/64", "ff00::/8"),
}
SETS: Final = ("custom", "connected", "dynamic")

#: Neighbour discovery, by its ICMPv6 types.
NEIGHBOUR_DISCOVERY: Final = (133, 134, 135, 136, 137)


@dataclass(frozen=True, slots=True)
class Marks:
    """Numbers under a mask from bit 8 on: as many bits as it takes, at least the 6 of the default (0x3f00).

    The three largest are for what is no uplink: blackhole, unreachable, and `default`, which leaves it to main.
    """

    bits: int

    @property
    def mask(self) -> int:
        """Under which all marks lie."""
        return self.default

    @property
    def default(self) -> int:
        """Leave it to the main table."""
        return ((1 << self.bits) - 1) << _SHIFT

    @property
    def unreachable(self) -> int:
        """No uplink is left."""
        return self.default - (1 << _SHIFT)

    @property
    def numbers(self) -> int:
        """How many marks there are, 0 left out."""
        return (1 << self.bits) - 1

    def of(self, uplink: Uplink) -> int:
        """An uplink's."""
        return (uplink.number + 1) << _SHIFT

    def masked(self, mark: int) -> str:
        """As ip(8) and iptables write it."""
        return f"{mark:#x}/{self.mask:#x}"


def marks_of(site: Site) -> Marks:
    """The default mask where it has room for the uplinks, else a wider one, as the setting `mmx_mask` gives it."""
    return Marks(max(6, (len(site.uplinks) + 3).bit_length()))


def routing(site: Site, marks: Marks) -> Iterator[Command]:
    """Tables and route rules, by interface and by mark."""
    for family in BOTH_FAMILIES:
        lines = []
        for uplink in site.uplinks:
            number = uplink.number + 1
            lines.append(default_route(uplink, family, number))
            # What main knows stands in each table, too; of the other uplinks' networks nothing is sent here.
            lines += [f"route add {route} table {number}" for route in lan_routes(family)]
            lines.append(f"rule add pref {1000 + number} iif {uplink.interface} table {number}")
            by_mark = f"fwmark {marks.masked(marks.of(uplink))}"
            lines.append(f"rule add pref {2000 + number} {by_mark} table {number}")
            lines.append(f"rule add pref {3000 + number} {by_mark} unreachable")
        lines.append(f"rule add pref 2900 fwmark {marks.masked(marks.unreachable)} unreachable")
        yield ip(family, lines)
