"""What happens to one packet, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.model.finding import NOWHERE, Origin

if TYPE_CHECKING:
    from evenflow.model.flow import Address


class Disposition(enum.Enum):
    """How a packet's way ends."""

    FORWARDED = "forwarded"
    SENT = "sent"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    UNREACHABLE = "unreachable"
    BLACKHOLE = "blackhole"
    PROHIBIT = "prohibit"
    NO_ROUTE = "no-route"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing on the way.

    Attributes:
        stage: "prerouting", "output", "routing", "forward", "postrouting", "srcnat", "input" or a chain of the user's.
        what: the rule, route or translation in the words of the file.
        matched: whether it applied.
        detail: why, or what it did.
        origin: where the user wrote it.
    """

    stage: str
    what: str
    matched: bool
    detail: str = ""
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Trace:
    """A packet's way through the router.

    Attributes:
        connection_mark, routing_mark, packet_mark: as they are at the end; None is no-mark.
        table: name of the routing table whose route was taken, None if none was.
        gateway: next hop, None when everything is on the link itself, or nothing was taken.
        out_interface: where it leaves, None when it does not.
        snat: source address after NAT, None when it is not changed (or only the kernel can tell).
    """

    disposition: Disposition
    connection_mark: str | None
    routing_mark: str | None
    packet_mark: str | None
    table: str | None
    gateway: Address | None
    out_interface: str | None
    snat: Address | None
    steps: tuple[Step, ...]
