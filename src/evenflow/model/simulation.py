"""What a simulation answers: how many flows would divide among the uplinks of a router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.model.flow import Address
    from evenflow.model.trace import Disposition


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with what chance alone makes of it: 0 to 1, where 95 of 100 seeds fall."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Minute:
    """The time in which an uplink carries most; `length_s` is 60 unless the file is told in longer steps."""

    start_s: float
    length_s: float
    rate_bps: float


@dataclass(frozen=True, slots=True)
class UplinkLoad:
    """What one uplink gets.

    Attributes:
        target: the share that was asked for, 0 to 1.
        share: of the balanced bytes (of the flows where the file tells no bytes), 0 to 1.
        chance: where the share of a right router lies for such flows.
        flows_share, flows_chance: the same, counting flows.
        busiest: None where the file tells no times or no bytes.
        bandwidth_bps: what the configuration states, None if nothing.
        series_bytes: bytes in each step of `Load.steps` (flows where the file tells no bytes).
    """

    name: str
    interface: str | None
    target: float
    flows: int
    size_bytes: int
    share: float
    chance: Interval
    flows_share: float
    flows_chance: Interval
    busiest: Minute | None = None
    bandwidth_bps: int | None = None
    series_bytes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Flows that no balance decides: what became of them, and by which interface they left if any."""

    disposition: Disposition
    interface: str | None
    flows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Client:
    """A source address, and what of its traffic went by each uplink (by name)."""

    address: Address
    flows: int
    size_bytes: int
    by_uplink: dict[str, int]


@dataclass(frozen=True, slots=True)
class Stickiness:
    """How many clients show more than one public address.

    Attributes:
        clients: how many were counted; `part_counted` below 1 says that only so large a random part of them was.
        clients_split: of these, how many left by more than one uplink.
        pairs_split: how many pairs of client and server did; what breaks log-ins. None where not counted.
        pairs: how many pairs there are.
    """

    clients: int
    clients_split: int
    pairs: int | None = None
    pairs_split: int | None = None
    part_counted: float = 1.0


@dataclass(frozen=True, slots=True)
class Steps:
    """Equal steps of time from `start_s` on, each `length_s` long."""

    start_s: float
    length_s: float
    count: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a router makes of the flows; `size_bytes` None: the file tells no bytes.

    Attributes:
        balanced_flows: flows that left by an uplink of the configuration.
        undecided_flows: of these, how many the kernel would divide by a secret of its own (ECMP); they count in equal
            parts.
        clients: those with most bytes (else flows), most first.
        steps: None where the file tells no times.
    """

    flows: int
    size_bytes: int | None
    balanced_flows: int
    undecided_flows: int
    uplinks: tuple[UplinkLoad, ...]
    elsewhere: tuple[Elsewhere, ...]
    clients: tuple[Client, ...]
    stickiness: Stickiness
    steps: Steps | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What a supposed death changes: flows that go another way, by uplink; `needless` were on a living uplink."""

    flows: int
    size_bytes: int
    by_uplink: dict[str, int]
    needless: int
