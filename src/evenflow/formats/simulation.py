"""Simulations as JSON; docs/json.md tells the fields, docs/simulate.schema.json holds them to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenflow.core.recommend import Candidate, Recommendation
    from evenflow.model.flows import Skipped
    from evenflow.model.simulation import Interval, Load, Moved, UplinkLoad

#: Digits of a part of 1 in JSON: a millionth is one flow of a million.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class FlowFile:
    """What was read.

    Attributes:
        what: the format that was recognised, in words.
        unit: what `Skipped.first` counts: "line", "row" or "packet".
        skipped: what was no flow.
    """

    name: str
    what: str
    unit: str
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """A simulation, with what was taken for granted.

    Attributes:
        config: name of the configuration.
        load: what becomes of the flows; where something is supposed to be lost, then.
        seed: of the classifiers' hash.
        notes: what was supposed, in words.
        moved: what the supposed loss changes, None where nothing is lost.
        by_seed: the loads with seed 0, 1, … where several were asked for.
        compared: several ways to divide, where they were asked for; the first is that of the configuration.
        recommended: which of them to take.
    """

    config: str
    file: FlowFile
    load: Load
    seed: int
    notes: tuple[str, ...] = ()
    moved: Moved | None = None
    by_seed: tuple[Load, ...] = ()
    compared: tuple[Candidate, ...] = ()
    recommended: Recommendation | None = None


def to_json(told: Told) -> dict[str, Any]:
    """One JSON object."""
    load = told.load
    return {
        "flows": load.flows,
        "bytes": load.size_bytes,
        "uplinks": _uplinks(load),
        "balanced_flows": load.balanced_flows,
        "undecided_flows": load.undecided_flows,
        "elsewhere": [
            {
                "disposition": one.disposition.value,
                "interface": one.interface,
                "flows": one.flows,
                "bytes": _size(one.size_bytes, load),
            }
            for one in load.elsewhere
        ],
        "clients": [
            {
                "address": str(client.address),
                "flows": client.flows,
                "bytes": _size(client.size_bytes, load),
                "uplinks": dict(client.by_uplink),
            }
            for client in load.clients
        ],
        "stickiness": _stickiness(load),
        "steps": (
            {"start_s": load.steps.start_s, "length_s": load.steps.length_s, "count": load.steps.count}
            if load.steps is not None
            else None
        ),
        "series": {one.name: list(one.series_bytes) for one in load.uplinks},
        "moved": _moved(told.moved, load) if told.moved is not None else None,
        "seed": told.seed,
        "seeds": [{"seed": seed, "uplinks": _shares(one)} for seed, one in enumerate(told.by_seed)],
        "compared": [_candidate(one) for one in told.compared],
        "recommended": (
            {"place": told.recommended.place, "reasons": list(told.recommended.reasons)}
            if told.recommended is not None
            else None
        ),
        "file": {"name": told.file.name, "what": told.file.what, "unit": told.file.unit},
        "skipped": [
            {"reason": one.reason, "rows": one.rows, "first": one.first, "example": one.example}
            for one in told.file.skipped
        ],
        "notes": list(told.notes),
    }


def _size(number: int, load: Load) -> int | None:
    """Bytes, where the file tells any."""
    return number if load.size_bytes is not None else None


def _part(number: float) -> float:
    return round(number, _DIGITS)


def _interval(interval: Interval) -> dict[str, float]:
    return {"low": _part(interval.low), "high": _part(interval.high)}


def _uplinks(load: Load) -> dict[str, Any]:
    return {
        one.name: {
            "flows": one.flows,
            "bytes": _size(one.size_bytes, load),
            "share": _part(one.share),
            "target": _part(one.target),
            "chance": _interval(one.chance),
            "flows_share": _part(one.flows_share),
            "flows_chance": _interval(one.flows_chance),
            "interface": one.interface,
            "bandwidth_bps": one.bandwidth_bps,
            "busiest": _busiest(one),
        }
        for one in load.uplinks
    }


def _busiest(uplink: UplinkLoad) -> dict[str, Any] | None:
    busiest = uplink.busiest
    if busiest is None:
        return None
    return {
        "start_s": busiest.start_s,
        "length_s": busiest.length_s,
        "rate_bps": round(busiest.rate_bps),
        "of_bandwidth": _part(busiest.rate_bps / uplink.bandwidth_bps) if uplink.bandwidth_bps else None,
    }


def _stickiness(load: Load) -> dict[str, Any]:
    counted = load.stickiness
    return {
        "clients": counted.clients,
        "clients_split": counted.clients_split,
        "pairs": counted.pairs,
        "pairs_split": counted.pairs_split,
        "part_counted": _part(counted.part_counted),
    }


def _moved(moved: Moved, load: Load) -> dict[str, Any]:
    return {
        "flows": moved.flows,
        "bytes": _size(moved.size_bytes, load),
        "uplinks": dict(moved.by_uplink),
        "needless": moved.needless,
    }


def _shares(load: Load) -> dict[str, Any]:
    return {
        one.name: {"flows": one.flows, "bytes": _size(one.size_bytes, load), "share": _part(one.share)}
        for one in load.uplinks
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "classifier": candidate.classifier,
        "weights": dict(candidate.weights),
        "uplinks": _uplinks(candidate.load),
        "stickiness": _stickiness(candidate.load),
        "reach": _part(candidate.reach),
        "fullest": None if candidate.fullest is None else _part(candidate.fullest),
        "fullest_here": None if candidate.fullest_here is None else _part(candidate.fullest_here),
    }
