"""What a scenario found: steps, figures, rates over time. Data only, and its stable JSON form."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.lab.topology import Topology

Figure = int | float | str | bool | None

#: Version of the JSON form. It grows when a member changes its meaning or goes; new members do not count.
JSON_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a step's table; `held` says whether what it shows is as it should be."""

    cells: tuple[str, ...]
    held: bool = True


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step found.

    Attributes:
        key: a letter ("b").
        name: a few words.
        held: whether all that the step claims was so.
        explanation: one or two sentences: what was done, what it shows, how it was seen.
        columns, rows: a table for people.
        figures: the same as numbers, by stable names with their unit in the name.
        took_s: how long the step ran.
    """

    key: str
    name: str
    held: bool
    explanation: str
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RateSample:
    """Rates at one provider's port towards the router, over the time since the sample before.

    Attributes:
        at_s: seconds since the lab began to play.
        to_router_bps, from_router_bps: bits per second on the wire.
    """

    at_s: float
    uplink: str
    to_router_bps: float
    from_router_bps: float


class MomentKind(enum.Enum):
    """What a moment is; between a cut and the next restore an uplink had no carrier."""

    BEGIN = "begin"
    CUT = "cut"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time that a picture of the rates marks."""

    at_s: float
    label: str
    kind: MomentKind = MomentKind.BEGIN


@dataclass(frozen=True, slots=True)
class Share:
    """How many connections an uplink took, next to what was asked for and what chance allows."""

    uplink: str
    connections: int
    of: int
    target: float
    low: int
    high: int

    @property
    def share(self) -> float:
        """What was so, 0 to 1."""
        return self.connections / self.of if self.of else 0.0

    @property
    def held(self) -> bool:
        """Whether the count lies in the range that chance allows."""
        return self.low <= self.connections <= self.high


@dataclass(frozen=True, slots=True)
class Report:
    """A scenario as it was played.

    Attributes:
        title: what was played ("seed.rsc").
        shares: those of the first large set of connections.
        samples, moments: rates over time and what happened when.
        duration_s: from the first step to the last.
    """

    title: str
    topology: Topology
    steps: tuple[StepResult, ...]
    shares: tuple[Share, ...] = ()
    samples: tuple[RateSample, ...] = ()
    moments: tuple[Moment, ...] = ()
    duration_s: float = 0.0

    @property
    def held(self) -> bool:
        """Whether every step held; a report without steps did not."""
        return bool(self.steps) and all(step.held for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """A stable object for `json.dumps`; seconds, bits per second, shares from 0 to 1."""
        return {
            "version": JSON_VERSION,
            "title": self.title,
            "held": self.held,
            "duration_s": round(self.duration_s, 3),
            "uplinks": [_uplink_json(self.topology, share) for share in self.shares],
            "steps": [_step_json(step) for step in self.steps],
            "moments": [
                {"at_s": round(moment.at_s, 3), "label": moment.label, "kind": moment.kind.value}
                for moment in self.moments
            ],
            "rates": [
                {
                    "at_s": round(sample.at_s, 3),
                    "uplink": sample.uplink,
                    "to_router_bps": round(sample.to_router_bps),
                    "from_router_bps": round(sample.from_router_bps),
                }
                for sample in self.samples
            ],
        }


def _uplink_json(topology: Topology, share: Share) -> dict[str, Any]:
    uplink = topology.uplink(share.uplink)
    return {
        "name": share.uplink,
        "interface": uplink.interface,
        "rate_bps": uplink.rate_bps,
        "connections": share.connections,
        "of": share.of,
        "share": round(share.share, 4),
        "target": round(share.target, 4),
        "chance_low": share.low,
        "chance_high": share.high,
        "held": share.held,
    }


def _step_json(step: StepResult) -> dict[str, Any]:
    return {
        "key": step.key,
        "name": step.name,
        "held": step.held,
        "took_s": round(step.took_s, 3),
        "explanation": step.explanation,
        "figures": dict(step.figures),
        "columns": list(step.columns),
        "rows": [{"cells": list(row.cells), "held": row.held} for row in step.rows],
    }
