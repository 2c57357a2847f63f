"""The reverse-path filter: which sources the kernel believes on an interface (RFC 3704; ip-sysctl: rp_filter)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Values of the setting: no filter; only by the best way back; by any way back.
NO_FILTER, STRICT, LOOSE = 0, 1, 2

REVERSE_PATH_OF_ALL = "net/ipv4/conf/all/rp_filter"


def reverse_path_of(interface: str) -> str:
    """The name of an interface's own setting."""
    return f"net/ipv4/conf/{interface}/rp_filter"


def reverse_path(sysctls: Mapping[str, str], interface: str) -> int:
    """The reverse-path filter of an interface: the kernel takes the larger of its own value and that of all."""
    names = (REVERSE_PATH_OF_ALL, reverse_path_of(interface))
    return max(int(sysctls.get(name) or NO_FILTER) for name in names)
