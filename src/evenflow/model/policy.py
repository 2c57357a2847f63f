"""What a person wants: uplinks, weights, a classifier. It knows no marks and no tables."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.model.finding import NOWHERE, Origin
from evenflow.model.matcher import Classifier

if TYPE_CHECKING:
    from evenflow.model.flow import Address


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
    """

    name: str
    interface: str
    gateways: tuple[Address, ...] = ()
    learn_gateway: bool = False
    bandwidth_bps: int | None = None
    masquerade: bool = True
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Balance:
    """How new connections of the LAN are spread.

    Attributes:
        classifier: the fields that are hashed.
        weights: uplink name and its weight, in the order of the uplinks; none is negative, not all are 0.
        buckets: how many buckets the spread has; None lets evenflow choose.
        last_resort: what happens when no uplink is left.
    """

    classifier: Classifier = Classifier.BOTH_ADDRESSES
    weights: tuple[tuple[str, int], ...] = ()
    buckets: int | None = None
    last_resort: LastResort = LastResort.UNREACHABLE
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole policy. Uplinks are in the order of the file: it breaks every tie."""

    lan: tuple[str, ...]
    uplinks: tuple[Uplink, ...]
    balance: Balance
    file: str = field(default="", compare=False)
    lan_origin: Origin = NOWHERE
