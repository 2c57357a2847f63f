"""Single values: numbers, addresses, ports, protocols, rates."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

from evenflow.model.flow import Family, family_of
from evenflow.model.matcher import AddressRange
from evenflow.model.protocols import PROTOCOLS

if TYPE_CHECKING:
    from evenflow.model.flow import Address, InterfaceAddress, Network

_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_RATE = re.compile(r"([0-9]{1,12})([kMG]?)(?:bps)?")
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_NUMBER = re.compile(r"[0-9]{1,9}")

#: `2d00:01:30.5`, as RouterOS 6 writes spans of time, and `1m30s`, as people and RouterOS 7 do.
_CLOCK = re.compile(r"(?:([0-9]{1,5})d)?([0-9]{1,5}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,6}))?")
_CLOCK_US = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000)
_SPAN = re.compile(r"([0-9]{1,9})(ms|us|[wdhms])")
_SPANS = re.compile(r"(?:[0-9]{1,9}(?:ms|us|[wdhms]))+")
_SPANS_US = {
    "us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000,
    "w": 604_800_000_000,
}  # fmt: skip


class BadValueError(Exception):
    """A value can't be used. The message says why and what to write; `code` is that of the finding."""

    def __init__(self, message: str, code: str = "bad-value") -> None:
        self.code = code
        super().__init__(message)


def yes_or_no(text: str) -> bool:
    """`yes` or `no`, also `true` and `false`.

    Raises:
        BadValueError: it is neither.
    """
    if text in ("yes", "true"):
        return True
    if text in ("no", "false"):
        return False
    raise BadValueError("it is neither yes nor no; write one of them")


def number(text: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`.

    Raises:
        BadValueError: it is none.
    """
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise BadValueError(f"it is no number from {low} to {high}; write one")
    return int(text)


def address(text: str, family: Family | None = None) -> Address:
    """One address.

    Raises:
        BadValueError: it is none, or one of the other family.
    """
    try:
        found = ip_address(text)
    except ValueError:
        raise BadValueError(f'"{text}" is no address; write one such as {_example(family)}') from None
    _check(found, text, family)
    return found


def network(text: str, family: Family) -> Network:
    """`ADDRESS/LENGTH`, or one address; bits behind the length are cleared, as RouterOS does.

    Raises:
        BadValueError: it is none, or one of the other family.
    """
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise BadValueError(f'"{text}" is no network; write one such as {family.any_network}') from None
    _check(found.network_address, text, family)
    return found


def address_range(text: str, family: Family) -> AddressRange:
    """One address, a network, or `FIRST-LAST`.

    Raises:
        BadValueError: it is none of them, or of the other family.
    """
    if "-" in text:
        first, _, last = text.partition("-")
        found = AddressRange(address(first, family), address(last, family))
        if int(found.first) > int(found.last):
            raise BadValueError(f"{first} is greater than {last}; write the smaller address first")
        return found
    whole = network(text, family)
    return AddressRange(whole.network_address, whole.broadcast_address)


def interface_address(text: str, family: Family, netmask: str = "") -> InterfaceAddress:
    """An address with the length of its prefix, which may stand apart as a netmask.

    Raises:
        BadValueError: it is none, or one of the other family.
    """
    if "/" not in text:
        text = f"{text}/{netmask or (32 if family is Family.IPV4 else 64)}"
    try:
        found = ip_interface(text)
    except ValueError:
        example = "192.168.1.1/24" if family is Family.IPV4 else "2001:db8::1/64"
        raise BadValueError(f'"{text}" is no address with a prefix; write one such as {example}') from None
    _check(found.ip, text, family)
    return found


def ports(text: str) -> tuple[tuple[int, int], ...]:
    """`80,443,8000-8080` as inclusive ranges.

    Raises:
        BadValueError: one of them is no port.
    """
    ranges: list[tuple[int, int]] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low = number(first, 0, 65535)
        high = number(last, 0, 65535) if dash else low
        if low > high:
            raise BadValueError(f"{low} is greater than {high}; write the smaller port first")
        ranges.append((low, high))
    return tuple(ranges)


def protocol(text: str) -> int:
    """A protocol by name or number.

    Raises:
        BadValueError: there is no such protocol.
    """
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    if _NUMBER.fullmatch(text):
        return number(text, 0, 255)
    raise BadValueError("it is no known protocol; write its number")


def mac(text: str) -> bytes:
    """A hardware address: 6 bytes.

    Raises:
        BadValueError: it is none.
    """
    if not _MAC.fullmatch(text):
        raise BadValueError("it is no hardware address; write one such as 02:00:00:00:00:01")
    return bytes.fromhex(text.replace(":", ""))


def duration_ms(low_ms: int, high_ms: int, text: str, bare_unit: str = "s") -> int:
    """A span of time in milliseconds, rounded up: `10s`, `1m30s`, `500ms`, `00:00:10`; a bare number is in `bare_unit`.

    Raises:
        BadValueError: it is none, or is not from `low_ms` to `high_ms`.
    """
    clock = _CLOCK.fullmatch(text)
    if clock:
        micros = sum(int(part or 0) * size for part, size in zip(clock.groups()[:4], _CLOCK_US, strict=True))
        micros += int((clock[5] or "0").ljust(6, "0"))
    elif _NUMBER.fullmatch(text):
        micros = int(text) * _SPANS_US[bare_unit]
    elif text and _SPANS.fullmatch(text):
        micros = sum(int(count) * _SPANS_US[unit] for count, unit in _SPAN.findall(text))
    else:
        raise BadValueError("it is no span of time; write one such as 10s or 500ms")
    found = -(-micros // 1000)
    if not low_ms <= found <= high_ms:
        raise BadValueError(f"it is not from {low_ms}ms to {high_ms // 1000}s; write such a span")
    return found


def rate_bps(text: str) -> int | None:
    """`30M`, `512k`, `100Mbps` in bits per second; None for anything else, such as `unlimited`."""
    found = _RATE.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def _check(found: Address, text: str, family: Family | None) -> None:
    if isinstance(found, IPv6Address) and found.scope_id:
        raise BadValueError(f'"{text}" names an interface; write the address alone')
    if family is not None and family_of(found) is not family:
        other = "IPv6" if isinstance(found, IPv4Address) else "IPv4"
        raise BadValueError(f'"{text}" is no {other} address, and this menu is for {other}; write one')


def _example(family: Family | None) -> str:
    return "2001:db8::1" if family is Family.IPV6 else "192.0.2.1"
