"""What a person wants: uplinks, weights, a classifier. It knows no marks and no tables."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from evenflow.model.finding import NOWHERE, Origin
from evenflow.model.health import Failback, HealthSettings, OnDown, ProbeMethod, ProbeTarget
from evenflow.model.matcher import Classifier

if TYPE_CHECKING:
    from evenflow.model.flow import Address


#: Public resolvers of three independent operators, reachable from everywhere and made to be asked often: an outage
#: behind the provider's first router is the usual one, so the targets lie beyond it.
DEFAULT_TARGETS = tuple(
    ProbeTarget(ProbeMethod.ICMP, IPv4Address(address)) for address in ("1.1.1.1", "8.8.8.8", "9.9.9.9")
)


DEFAULT_HEALTH = HealthSettings()


class LastResort(enum.Enum):
    """What happens to balanced traffic when no uplink is left."""

    UNREACHABLE = "unreachable"
    MAIN = "main"


@dataclass(frozen=True, slots=True)
class Uplink:
    """One WAN.

    Attributes:
        name: as in `[uplink.NAME]`.
        interface: its device.
        gateways: addresses given by the user, at most one per family.
        learn_gateway: "auto" was given: learn from the kernel what is not given.
        bandwidth_bps: downstream speed in bits per second, None if not stated.
        masquerade: whether connections that leave by it get its address.
        tier: the lowest tier with a usable uplink takes all new connections; 1 is the first.
        targets: whom to ask whether it works.
        health: when it counts as lost and as back.
    """

    name: str
    interface: str
    gateways: tuple[Address, ...] = ()
    learn_gateway: bool = False
    bandwidth_bps: int | None = None
    masquerade: bool = True
    tier: int = 1
    targets: tuple[ProbeTarget, ...] = DEFAULT_TARGETS
    health: HealthSettings = DEFAULT_HEALTH
    origin: Origin = NOWHERE


class FlowtableUse(enum.Enum):
    """Whether known connections go by a flowtable of the kernel, and meet no rule any more."""

    OFF = "off"
    SOFTWARE = "software"
    HARDWARE = "hardware"


@dataclass(frozen=True, slots=True)
class Balance:
    """How new connections of the LAN are spread.

    Attributes:
        classifier: the fields that are hashed.
        weights: uplink name and its weight, in the order of the uplinks; none is negative, not all are 0.
        buckets: how many buckets the spread has; None lets evenflow choose.
        last_resort: what happens when no uplink is left.
        on_down: what happens to the connections of an uplink that is lost.
        failback: how an uplink that is back gets its buckets again.
        failback_s: how long that takes when it is gradual.
        flowtable: whether known connections go by one.
    """

    classifier: Classifier = Classifier.BOTH_ADDRESSES
    weights: tuple[tuple[str, int], ...] = ()
    buckets: int | None = None
    last_resort: LastResort = LastResort.UNREACHABLE
    on_down: OnDown = OnDown.FLUSH
    failback: Failback = Failback.AT_ONCE
    failback_s: float = 60.0
    flowtable: FlowtableUse = FlowtableUse.OFF
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told of events: a program (JSON on its standard input), a URL (JSON by POST)."""

    program: str = ""
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole policy. Uplinks are in the order of the file: it breaks every tie."""

    lan: tuple[str, ...]
    uplinks: tuple[Uplink, ...]
    balance: Balance
    hooks: Hooks = Hooks()
    file: str = field(default="", compare=False)
    lan_origin: Origin = NOWHERE
