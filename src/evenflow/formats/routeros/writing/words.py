"""Commands and values as RouterOS's scripting language writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import summarize_address_range
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.formats.routeros.statement import MenuPath
    from evenflow.model.matcher import AddressRange

_BARE = re.compile(r"[A-Za-z0-9!:][A-Za-z0-9._:/,@%*+-]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "$": "\\$", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Command:
    """`add` to a menu.

    Attributes:
        properties: name and value, in order; a value of "" is not written.
        flags: properties that are given by their name.
    """

    menu: MenuPath
    properties: tuple[tuple[str, str], ...]
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The command without its menu."""
        words = [f"{name}={quoted(value)}" for name, value in self.properties if value]
        return " ".join(["add", *self.flags, *words])


def quoted(value: str) -> str:
    """A value; in quotes where it is more than a plain word.

    What is not printable ASCII is written as the bytes of its UTF-8, as RouterOS's own exports do, and so is the
    question mark: the console would take it for a call for help.
    """
    return value if _BARE.fullmatch(value) else f'"{"".join(map(_character, value))}"'


def range_text(addresses: AddressRange) -> str:
    """One address, a network, or `first-last`."""
    if addresses.first == addresses.last:
        return str(addresses.first)
    networks = list(summarize_address_range(addresses.first, addresses.last))
    return str(networks[0]) if len(networks) == 1 else f"{addresses.first}-{addresses.last}"


def _character(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if " " <= char <= "~" and char != "?":
        return char
    return "".join(f"\\{byte:02X}" for byte in char.encode())
