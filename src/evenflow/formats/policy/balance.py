"""The `[balance]` table."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from evenflow.formats.policy.document import Table
from evenflow.formats.policy.durations import Limits, read_duration
from evenflow.formats.policy.weights import weights_by_bandwidth
from evenflow.model.health import Failback, OnDown
from evenflow.model.matcher import Classifier
from evenflow.model.policy import Balance, FlowtableUse, LastResort

if TYPE_CHECKING:
    import enum
    from collections.abc import Sequence
    from typing import TypeVar

    from evenflow.formats.policy.uplink import UplinkEntry

    Word = TypeVar("Word", bound=enum.Enum)

_KEYS = ("classifier", "weights", "buckets", "last_resort", "on_down", "failback", "failback_over", "flowtable")

#: Each bucket is an element of a map in the kernel, and all those of a dead uplink are replaced in one transaction
#: (some 3 µs each): with this many the longest transaction still takes well under the second that a death may take.
MOST_BUCKETS = 65536

#: How long a gradual return may take.
_FAILBACK_OVER = Limits(1000, 86_400_000)

Weights = tuple[tuple[str, int], ...]


def read_balance(top: Table, uplinks: Sequence[UplinkEntry]) -> Balance | None:
    """The balance, None when it can't be known because of a finding."""
    table = top.table("balance", "balance", 'write [balance] and below it classifier = "both-addresses"')
    if table is None:
        table = Table(top.document, ("balance",), {}, "balance")
    table.refuse_unknown(_KEYS)
    usual = Balance()
    classifier = _word(table, "classifier", Classifier, usual.classifier)
    last_resort = _word(table, "last_resort", LastResort, usual.last_resort)
    on_down = _word(table, "on_down", OnDown, usual.on_down)
    failback = _word(table, "failback", Failback, usual.failback)
    failback_s = _failback_s(table, failback, usual.failback_s)
    flowtable = _word(table, "flowtable", FlowtableUse, usual.flowtable)
    weights = _weights(table, uplinks)
    buckets = _buckets(table, weights)
    if weights is None or not weights:
        return None
    return Balance(
        classifier,
        weights,
        buckets,
        last_resort,
        on_down,
        failback,
        failback_s,
        flowtable,
        table.document.origin(table.path, "balance"),
    )


def _word(table: Table, key: str, words: type[Word], default: Word) -> Word:
    """One of the values of an enumeration."""
    choices = [str(word.value) for word in words]
    text = table.string(key, f'{key} = "{default.value}"')
    if text is None:
        return default
    if text in choices:
        return words(text)
    close = get_close_matches(text, choices, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(choices)}"
    table.refuse(key, f'{key} "{text}" is not known; {hint}')
    return default


def _failback_s(table: Table, failback: Failback, default: float) -> float:
    ms = read_duration(table, "failback_over", _FAILBACK_OVER, "60s")
    if "failback_over" in table.values and failback is not Failback.GRADUAL:
        other = f'failback is "{failback.value}"' if "failback" in table.values else "failback is not stated"
        table.refuse(
            "failback_over",
            f"failback_over is how long a gradual return takes, and {other}; "
            f'write failback = "{Failback.GRADUAL.value}", or leave failback_over out',
        )
    return default if ms is None else ms / 1000


def _buckets(table: Table, weights: Weights | None) -> int | None:
    buckets = table.whole_number("buckets", "buckets = 1000")
    if buckets is None:
        return None
    least = sum(1 for _, weight in weights or () if weight) or 1
    if not least <= buckets <= MOST_BUCKETS:
        table.refuse(
            "buckets", f"buckets is {buckets}; from {least} (one for each uplink) to {MOST_BUCKETS} are possible"
        )
    return buckets


def _weights(table: Table, uplinks: Sequence[UplinkEntry]) -> Weights | None:
    if "weights" not in table.values:
        return _weights_left_out(table, uplinks)
    stated = table.table("weights", "weights", "weights = { isp1 = 2, isp2 = 1 }")
    if stated is None:
        return None
    before = len(table.document.findings)
    names = [entry.name for entry in uplinks]
    meant = _refuse_unknown_uplinks(stated, names)
    _refuse_missing(stated, [name for name in names if name not in stated.values and name not in meant])
    for name in stated.values:
        weight = stated.whole_number(name, f"{name} = 2")
        if weight is not None and weight < 0:
            stated.refuse(
                name, f"the weight of {name} is {weight}; a share can't be less than nothing, 0 or more can be"
            )
    if len(table.document.findings) > before:
        return None
    if names and not any(stated.values.values()):
        stated.complain("weights-zero", (), "weights: all are 0; give at least one uplink a share")
        return None
    return tuple((name, stated.values[name]) for name in names)


def _refuse_unknown_uplinks(stated: Table, names: Sequence[str]) -> frozenset[str]:
    """A finding for each weight of no uplink; gives the uplinks that were probably meant."""
    meant = set()
    # Without any uplink that is the mistake, and is told of where the uplinks are read.
    for name in stated.values if names else ():
        if name not in names:
            free = [known for known in names if known not in stated.values]
            close = free if len(free) == 1 else get_close_matches(name, free, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names)}"
            stated.complain("unknown-uplink", name, f"weights: there is no uplink {name}; {hint}")
            meant.update(close)
    return frozenset(meant)


def _refuse_missing(stated: Table, missing: Sequence[str]) -> None:
    if missing:
        which = f"uplink {missing[0]} has" if len(missing) == 1 else f"uplinks {', '.join(missing)} have"
        message = f"weights: {which} none; give each uplink one (0: only when no other is left)"
        stated.complain("weight-missing", (), message)


def _weights_left_out(table: Table, entries: Sequence[UplinkEntry]) -> Weights | None:
    """In proportion to the bandwidths if all are stated, equal if none is."""
    uplinks = [entry.uplink for entry in entries if entry.uplink is not None]
    if len(uplinks) < len(entries):
        return None
    by_bandwidth = weights_by_bandwidth(uplinks)
    if by_bandwidth is not None:
        return by_bandwidth
    tables = {entry.name: f"uplink {entry.name}" for entry in entries}
    without = [uplink for uplink in uplinks if uplink.bandwidth_bps is None]
    if len(without) == len(uplinks):
        return tuple((uplink.name, 1) for uplink in uplinks)
    first = without[0]
    others = f" (as have {', '.join(uplink.name for uplink in without[1:])})" if without[1:] else ""
    message = (
        f"{tables[first.name]} has no bandwidth{others}, but another has; "
        "state the bandwidth of every uplink, or weights in [balance]"
    )
    table.document.complain("bandwidth-missing", ("uplink", first.name), tables[first.name], message)
    return None
