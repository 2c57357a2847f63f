"""What a table holds: chains of rules, sets and maps, flowtables."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.nft.expressions import Expression, Verdict


@dataclass(frozen=True, slots=True)
class NftRule:
    """One rule. The comment is kept by the kernel in the rule's user data, where nft shows it."""

    expressions: tuple[Expression, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where packets enter a base chain: type "filter", "route" or "nat"; hook name; priority."""

    chain_type: str
    hook: str
    priority: int


@dataclass(frozen=True, slots=True)
class NftChain:
    """A chain; without a hook it is only reached by jump or goto. The policy is always accept."""

    name: str
    rules: tuple[NftRule, ...] = ()
    hook: Hook | None = None


class KeyType(enum.Enum):
    """Types of keys, with the number that nft gives them (for its listing; the kernel does not care)."""

    MARK = 19
    IFNAME = 41
    IPV4_ADDR = 7
    IPV6_ADDR = 8
    INET_SERVICE = 13
    INET_PROTO = 12
    ETHER_ADDR = 9

    @property
    def length_bytes(self) -> int:
        """Length of a key."""
        return _KEY_LENGTH[self]


_KEY_LENGTH = {
    KeyType.MARK: 4,
    KeyType.IFNAME: 16,
    KeyType.IPV4_ADDR: 4,
    KeyType.IPV6_ADDR: 16,
    KeyType.INET_SERVICE: 2,
    KeyType.INET_PROTO: 1,
    KeyType.ETHER_ADDR: 6,
}


@dataclass(frozen=True, slots=True)
class SetElement:
    """One element of a set or verdict map.

    In a set with intervals every interval is two elements, its first key and, with `interval_end`, the first
    key behind it (left out where the interval reaches the end of the key space). That is how the kernel holds it.
    """

    key: bytes
    verdict: Verdict | None = None
    interval_end: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NftSet:
    """A named set, or with `verdicts` a verdict map. Its name, type and flags never change; its elements may."""

    name: str
    key_type: KeyType
    elements: frozenset[SetElement] = frozenset()
    verdicts: bool = False
    intervals: bool = False


@dataclass(frozen=True, slots=True)
class NftFlowtable:
    """A flowtable: connections between these devices, each of which must be there when it is made.

    A device that goes is taken out by the kernel. `hardware` lets a network card do it, where it can.
    """

    name: str
    devices: frozenset[str]
    hardware: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class NftTable:
    """Our table: chains and sets by name."""

    chains: Mapping[str, NftChain] = field(default_factory=dict)
    sets: Mapping[str, NftSet] = field(default_factory=dict)
    flowtables: Mapping[str, NftFlowtable] = field(default_factory=dict)
