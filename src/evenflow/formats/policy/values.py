"""The small notations inside a policy: bandwidths, names, gateways.

Every function returns the value, or a `Refusal` that says in words what is wrong and what to write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.model.flow import Address


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a value can't be used, and what to write; fits behind "uplink isp1: "."""

    reason: str


#: Longest name of a device in Linux: IFNAMSIZ 16 less the final zero byte.
LONGEST_INTERFACE_NAME = 15

#: Longest name of an uplink; it is also a connection mark, a routing mark and a table, and a column on the screen.
LONGEST_UPLINK_NAME = 31

#: iproute2's own names of tables; an uplink's name is the name of its table.
_RESERVED_NAMES = frozenset({"main", "local", "default", "unspec", "no-mark"})

#: So much of a value is shown to who wrote it.
_SHOWN = 60

_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BANDWIDTH = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?)([kKMGT])", re.ASCII)

#: A million times the fastest line of today; whoever writes more has lost the point, or slept on a key.
_MOST_BPS = 10**18
_HOW_TO_WRITE_BANDWIDTH = 'write a number and k, M or G for bits per second, like "30M"'


def bandwidth(text: str) -> int | Refusal:
    """Bits per second from "30M", "2.5G", "512k" (powers of 1000)."""
    match = _BANDWIDTH.fullmatch(text)
    if match is None:
        text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        return Refusal(f'bandwidth "{text}" is not understood; {_HOW_TO_WRITE_BANDWIDTH}')
    exact = Fraction(match[1]) * _UNITS[match[2]]
    if exact <= 0:
        return Refusal(f'bandwidth "{text}" is nothing; {_HOW_TO_WRITE_BANDWIDTH}')
    if exact > _MOST_BPS:
        return Refusal(f'bandwidth "{text}" is more than any line has; {_HOW_TO_WRITE_BANDWIDTH}')
    if exact.denominator != 1:
        return Refusal(f'bandwidth "{text}" is not a whole number of bits per second; leave out some digits')
    return int(exact)


def bandwidth_text(bits_per_second: int) -> str:
    """The shortest notation that `bandwidth` reads back as the same number."""
    unit = next((unit for unit in "TGMk" if bits_per_second % _UNITS[unit] == 0), "")
    if unit:
        return f"{bits_per_second // _UNITS[unit]}{unit}"
    return f"{bits_per_second // 1000}.{bits_per_second % 1000:03}".rstrip("0") + "k"


def interface_name(name: str) -> str | Refusal:
    """A name that Linux gives to a device, and that nftables reads as one device.

    The rules are `dev_valid_name()` in net/core/dev.c, and no `*` or `"`: nftables would read a pattern.
    """
    if not name:
        return Refusal("the name of an interface is empty")
    if (length := len(name.encode("utf-8", "surrogateescape"))) > LONGEST_INTERFACE_NAME:
        return Refusal(
            f"interface {name}: the name has {length} bytes, and Linux allows {LONGEST_INTERFACE_NAME}; "
            "`ip link` shows the names of this machine"
        )
    bad = next((char for char in name if char.isspace() or not char.isprintable() or char in '/:*"%\\'), None)
    if bad is not None or name in {".", ".."}:
        shown = "a space" if bad is not None and bad.isspace() else repr(bad or name)
        return Refusal(f"interface {name!r}: the name of an interface can't hold {shown}")
    return name


def uplink_name(name: str) -> str | Refusal:
    """A name for an uplink: letters, digits, and `-`, `_`, `.` after the first."""
    if name in _RESERVED_NAMES:
        return Refusal(f"the name {name} belongs to Linux or RouterOS; choose another")
    if not name or not name[0].isalnum() or not all(char.isalnum() or char in "-_." for char in name):
        return Refusal("the name of an uplink has letters and digits, then also - _ and . between them")
    if len(name) > LONGEST_UPLINK_NAME:
        return Refusal(f"the name of an uplink has at most {LONGEST_UPLINK_NAME} characters")
    return name


def gateway(text: str) -> Address | Refusal:
    """The address of one host that can be a next hop."""
    try:
        ip_address(text)
    except ValueError:
        return Refusal(f'gateway "{text}" is neither an address nor "auto"')
    found = host_address(text)
    return Refusal(f'gateway "{text}" {found.reason}') if isinstance(found, Refusal) else found


def host_address(text: str) -> Address | Refusal:
    """The address of one host; the reason of a refusal fits behind the address."""
    try:
        address = ip_address(text)
    except ValueError:
        return Refusal("is no address")
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return Refusal("names an interface; leave out the part from % on, the interface is stated already")
    not_a_host = address.is_unspecified or address.is_multicast or address.is_loopback
    if not_a_host or address == IPv4Address("255.255.255.255"):
        return Refusal("is not the address of a host")
    return address
