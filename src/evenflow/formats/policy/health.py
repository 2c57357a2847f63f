"""The `[health]` table and `[uplink.NAME.health]`: when an uplink counts as lost, and as back.

`[health]` speaks for all uplinks; an uplink's own table overrides it key by key. A profile is where the keys start
from; an uplink that names one starts anew, and takes only `targets` and `quorum` from `[health]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from evenflow.formats.policy.durations import Limits, read_duration
from evenflow.formats.policy.targets import default_targets, target
from evenflow.formats.policy.values import Refusal
from evenflow.model.health import FAST, HealthSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.formats.policy.document import Table
    from evenflow.model.flow import Address
    from evenflow.model.health import ProbeTarget

#: The profiles by name; the first is meant when none is named.
PROFILES = {"default": HealthSettings(), "fast": FAST}

#: Keys that say how long something takes, their fields, and what is possible.
_SPANS = {
    "interval": ("interval_ms", Limits(10, 3_600_000), "200ms"),
    "timeout": ("timeout_ms", Limits(1, 60_000), "300ms"),
    "latency": ("latency_ms", Limits(1, 60_000), "500ms"),
    "window": ("window_s", Limits(100, 3_600_000), "10s"),
    "hold": ("hold_s", Limits(0, 3_600_000), "10s"),
    "hold_most": ("hold_most_s", Limits(0, 86_400_000), "5m"),
}

#: Keys that count probes, and the most that each takes.
_COUNTS = {"fall": 1000, "rise": 1000}

KEYS = ("profile", "targets", "quorum", *_SPANS, *_COUNTS, "loss")

#: More targets than that ask the world, and not whether the line works.
MOST_TARGETS = 16

_OFF = "off"
_PERCENT = re.compile(r"([1-9][0-9]?)%", re.ASCII)


@dataclass(frozen=True, slots=True)
class HealthEntry:
    """What one table says.

    Attributes:
        table: where it stands; None when there is no such table.
        profile: its name, "" when none is named.
        targets: None when none are stated.
        quorum: None when it is not stated.
        settings: fields of `HealthSettings` that are stated.
    """

    table: Table | None = None
    profile: str = ""
    targets: tuple[ProbeTarget, ...] | None = None
    quorum: int | None = None
    settings: Mapping[str, int | float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """Whom to ask about an uplink, and what follows from the answers."""

    targets: tuple[ProbeTarget, ...]
    settings: HealthSettings


def read_health(parent: Table, item: str) -> HealthEntry:
    """The table `health` of `parent`, which messages call `item`."""
    table = parent.table("health", item, f'write [{item}] and below it targets = ["gateway"]')
    if table is None:
        return HealthEntry()
    table.refuse_unknown(KEYS)
    settings: dict[str, int | float | None] = {}
    for key, (name, limits, example) in _SPANS.items():
        if key == "latency" and table.values.get(key) == _OFF:
            settings[name] = None
        elif (ms := read_duration(table, key, limits, example)) is not None:
            settings[name] = ms / 1000 if name.endswith("_s") else ms
    for key, most in _COUNTS.items():
        count = _count(table, key, most)
        if count is not None:
            settings[key] = count
    if "loss" in table.values:
        settings["loss_percent"] = _loss(table)
    return HealthEntry(table, _profile(table), _targets(table), _count(table, "quorum", MOST_TARGETS), settings)


def health_of(general: HealthEntry, own: HealthEntry, gateways: tuple[Address, ...], *, learns: bool) -> Health:
    """What holds for an uplink with these gateways (and `learns`: with others that are not known yet)."""
    stated = {**({} if own.profile else general.settings), **own.settings}
    profile = PROFILES[own.profile or general.profile or "default"]
    targets = own.targets if own.targets is not None else general.targets
    if targets is None:
        targets = default_targets(gateways, learns=learns)
    quorum = own.quorum or general.quorum or profile.quorum
    if not targets and not own.quorum:
        quorum = 1  # only the link is watched: a quorum for the others does not concern it
    _refuse_quorum(general, own, quorum, len(targets))
    settings = replace(profile, quorum=quorum, **stated)  # type: ignore[arg-type]  # each value is of its field's type
    return Health(targets, _with_hold(general, own, settings))


def _refuse_quorum(general: HealthEntry, own: HealthEntry, quorum: int, targets: int) -> None:
    table = own.table if own.quorum or own.targets is not None else general.table
    if quorum > max(1, targets) and table is not None:
        key = "quorum" if "quorum" in table.values else "targets"
        have = (
            "there is no target" if not targets else f"there are only {targets}" if targets > 1 else "there is only 1"
        )
        table.refuse(key, f"quorum is {quorum}, and {have}; state more targets, or a lower quorum")


def _with_hold(general: HealthEntry, own: HealthEntry, settings: HealthSettings) -> HealthSettings:
    """A hold that is longer than the usual longest takes that along; one against a stated longest is a mistake."""
    if settings.hold_s <= settings.hold_most_s:
        return settings
    stated = [entry.table for entry in (own, general) if entry.table is not None and "hold_most" in entry.table.values]
    if stated and not (own.profile and stated[0] is general.table):
        stated[0].refuse("hold_most", "hold_most is shorter than hold; make it at least as long")
        return settings
    return replace(settings, hold_most_s=settings.hold_s)


def _profile(table: Table) -> str:
    name = table.string("profile", 'profile = "fast"')
    if name is None or name in PROFILES:
        return name or ""
    table.refuse("profile", f'profile "{name}" is not known; there are: {", ".join(PROFILES)}')
    return ""


def _targets(table: Table) -> tuple[ProbeTarget, ...] | None:
    if "targets" not in table.values:
        return None
    found: dict[ProbeTarget, None] = {}
    for index, text in table.strings("targets", 'targets = ["1.1.1.1", "gateway"]') or ():
        read = target(text)
        if isinstance(read, Refusal):
            table.complain("bad-value", ("targets", index), table.prefixed(read.reason))
        elif read in found:
            message = f'target "{text}" is given twice; leave one out'
            table.complain("bad-value", ("targets", index), table.prefixed(message))
        else:
            found[read] = None
    if len(found) > MOST_TARGETS:
        table.refuse("targets", f"there are {len(found)} targets; at most {MOST_TARGETS} are possible")
    return tuple(found)


def _count(table: Table, key: str, most: int) -> int | None:
    count = table.whole_number(key, f"{key} = 3")
    if count is None or 1 <= count <= most:
        return count
    table.refuse(key, f"{key} is {count}; from 1 to {most} are possible")
    return None


def _loss(table: Table) -> int | None:
    text = table.string("loss", 'loss = "40%"')
    match = _PERCENT.fullmatch(text or "")
    if match is None and text not in (None, _OFF):
        table.refuse("loss", f'loss "{text}" is not understood; write "1%" to "99%", or "{_OFF}"')
    return int(match[1]) if match else None


#: The key of each field of `HealthSettings`, to write them.
KEY_OF_FIELD = {
    **{name: key for key, (name, _, _) in _SPANS.items()},
    **{key: key for key in _COUNTS},
    "quorum": "quorum",
    "loss_percent": "loss",
}
assert set(KEY_OF_FIELD) == {each.name for each in fields(HealthSettings)}
