"""Shares against bandwidths."""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING

from evenflow.core.streams import stream_groups
from evenflow.core.uplinks import uplinks
from evenflow.model.finding import Finding, info

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.finding import Origin
    from evenflow.model.router import Router

#: Shares are within 1 % of the weights (buckets); what differs by less than that twice over was meant to be so.
TOLERANCE = Fraction(2, 100)


def share_findings(router: Router) -> Iterator[Finding]:
    """One finding when what the uplinks get is not what their stated bandwidths ask for."""
    balanced = [uplink for uplink in uplinks(router) if uplink.target > 0]
    stated = [uplink.bandwidth_bps for uplink in balanced if uplink.bandwidth_bps is not None]
    if len(balanced) < 2 or len(stated) < len(balanced):
        return
    total, given = sum(stated), sum((uplink.target for uplink in balanced), Fraction(0))
    off = [
        abs(uplink.target / given - Fraction(bps, total)) > TOLERANCE
        for uplink, bps in zip(balanced, stated, strict=True)
    ]
    if any(off):
        names = ", ".join(uplink.name for uplink in balanced)
        shares = [uplink.target / given for uplink in balanced]
        yield info(
            "share-against-bandwidth",
            _place(router, balanced),
            f"{names} share connections {_ratio(shares)}, but their bandwidths are "
            f"{_ratio([Fraction(bps) for bps in stated])}; a line that gets more than its part fills up first",
        )


def _ratio(parts: Sequence[Fraction]) -> str:
    """Numbers in lowest terms: "3 to 1"."""
    scale = 1
    for part in parts:
        scale = scale * part.denominator // gcd(scale, part.denominator)
    whole = [int(part * scale) for part in parts]
    divisor = gcd(*whole)
    return " to ".join(str(number // divisor) for number in whole)


def _place(router: Router, balanced: Sequence[RouterUplink]) -> Origin:
    """Where the shares are stated."""
    groups = stream_groups(router)
    return groups[0].rules[0].origin if groups else balanced[0].origin
