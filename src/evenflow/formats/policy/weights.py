"""The weights that follow from the bandwidths."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Stated(Protocol):
    """An uplink of a policy or of a router."""

    @property
    def name(self) -> str: ...

    @property
    def bandwidth_bps(self) -> int | None: ...


def weights_by_bandwidth(uplinks: Sequence[_Stated]) -> tuple[tuple[str, int], ...] | None:
    """Weights in proportion to the bandwidths, in lowest terms; None unless every uplink states its own."""
    stated = [uplink.bandwidth_bps for uplink in uplinks if uplink.bandwidth_bps is not None]
    if not stated or len(stated) < len(uplinks):
        return None
    divisor = gcd(*stated)
    return tuple((uplink.name, bps // divisor) for uplink, bps in zip(uplinks, stated, strict=True))
