"""What happens to one packet, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.model.finding import NOWHERE, Origin
from evenflow.model.matcher import NthMatch

if TYPE_CHECKING:
    from evenflow.model.flow import Address
    from evenflow.model.matcher import Classifier, MarkKind, Matcher, RandomMatch
    from evenflow.model.router import MangleRule, NatRule


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
class Hashed:
    """What a rule's classifier made of a packet.

    Attributes:
        key: the bytes that were hashed.
        value: the hash, 32 bits.
        modulus: what it is scaled to; all rules over these fields share one hash.
        scaled: the hash scaled, 0 to modulus - 1.
        denominator: streams of this rule, a divisor of the modulus.
        owners: of a spread, the owner of each stream; () for a rule that takes one stream.
    """

    classifier: Classifier
    key: bytes
    value: int
    modulus: int
    scaled: int
    denominator: int
    owners: tuple[str | None, ...] = ()

    @property
    def stream(self) -> int:
        """The stream, or bucket, that the packet falls into: 0 to denominator - 1."""
        return self.scaled % self.denominator


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a packet got at a condition of a rule that is left to a counter or to chance.

    Attributes:
        number: of `nth` which packet of a round it is, 1 to `every`; of `random` a number from 0 to 99.
    """

    rule: MangleRule | NatRule
    matcher: NthMatch | RandomMatch
    number: int

    @property
    def matches(self) -> bool:
        """Whether the condition holds with it."""
        if isinstance(self.matcher, NthMatch):
            return (self.number == self.matcher.packet) != self.matcher.negated
        return (self.number < self.matcher.percent) != self.matcher.negated


@dataclass(frozen=True, slots=True)
class MarkChange:
    """A rule set a mark; None is no-mark. It may have been the same before."""

    kind: MarkKind
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class RouteLook:
    """A route of the table that was asked, and why it was taken or not.

    Attributes:
        what: the route in words: destination, gateway, distance.
        why: what speaks against it; of the one that was taken "".
    """

    what: str
    taken: bool
    why: str = ""
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Step:
    """One thing on the way.

    Attributes:
        stage: "prerouting", "dstnat", "output", "routing", "forward", "postrouting", "srcnat", "input" or a chain of
            the user's.
        what: the rule, route or translation in the words of the file.
        matched: whether it applied.
        detail: why, or what it did.
        origin: where the user wrote it.
        rule: the mangle or NAT rule, None for everything else.
        failed: the first condition of it that did not hold.
        found: what the packet had instead.
        hashed: the classifier of the rule, if it got as far as to look at it.
        drawn: what the packet got at its `random` and `nth`, as far as it got there.
        change: the mark that it set.
        routes: what the table that a route rule leads to had to say; those that were passed over first.
    """

    stage: str
    what: str
    matched: bool
    detail: str = ""
    origin: Origin = NOWHERE
    rule: MangleRule | NatRule | None = None
    failed: Matcher | None = None
    found: str = ""
    hashed: Hashed | None = None
    drawn: tuple[Drawn, ...] = ()
    change: MarkChange | None = None
    routes: tuple[RouteLook, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A packet's way through the router.

    Attributes:
        connection_mark, routing_mark, packet_mark: as they are at the end; None is no-mark.
        table: name of the routing table whose route was taken, None if none was.
        gateway: next hop, None when everything is on the link itself, or nothing was taken.
        out_interface: where it leaves, None when it does not.
        snat: source address after NAT, None when it is not changed (or only the kernel can tell).
        dnat, dnat_port: destination after NAT, None when it is not changed.
        drawn: what it got at conditions that are left to counters and chance, in the order of its way.
        ways: among how many next hops the kernel chooses by a hash that only it knows; this is the way by one of them.
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
    dnat: Address | None = None
    dnat_port: int | None = None
    ways: int = 1
    drawn: tuple[Drawn, ...] = ()
