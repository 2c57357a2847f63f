"""Whether a layout does what it is measured for: it balances by the weights, keeps known flows, and diverts.

A layout that is loaded and does less would be fast for the wrong reason.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from bench.dataplane.frames import Ends, draw
from evenflow.errors import LabError
from evenflow.lab.chance import ChanceRange, chance_range

if TYPE_CHECKING:
    from random import Random

    from bench.dataplane.rig import Rig
    from bench.dataplane.site import Site
    from evenflow.model.flow import Family

#: Flows, or as many as give each uplink 32: enough to tell 2:1 from 1:1 at any number of uplinks together.
_FLOWS: Final = 2048
_FLOWS_AN_UPLINK: Final = 32

#: So seldom may chance alone fail an uplink. A whole run asks some 10,000 times.
_OUTSIDE: Final = Fraction(1, 10**9)

_KEPT: Final = 256
_TIMES: Final = 3
_DIVERSIONS: Final = 16


def check(rig: Rig, family: Family, rng: Random) -> None:
    """Send, and count what comes out of which uplink.

    Raises:
        LabError: the layout does not balance, does not keep, or does not divert; the message says what was counted.
    """
    site = rig.site
    rig.forget()
    _check_shares(rig, draw(max(_FLOWS, _FLOWS_AN_UPLINK * len(site.uplinks)), family, rng))
    _check_kept(rig, draw(_KEPT, family, rng))
    rig.forget()


def check_diversions(rig: Rig, family: Family, rng: Random) -> None:
    """Send to what some of the diversions are for.

    Raises:
        LabError: a packet left by another uplink.
    """
    rig.forget()
    diversions = rig.site.diversions
    chosen = {*islice(diversions, 1), *rng.sample(diversions, min(len(diversions), _DIVERSIONS))}
    for diversion in chosen:
        (flow,) = draw(1, family, rng)
        diverted = Ends(flow.source, diversion.destination(family), flow.source_port, diversion.port or 443)
        before = rig.arrived()
        rig.send([diverted])
        if rig.arrived()[diversion.uplink.interface] != before[diversion.uplink.interface] + 1:
            raise LabError(f"what goes to {diverted.destination} does not leave by {diversion.uplink.interface}")
    rig.forget()


def _check_shares(rig: Rig, flows: list[Ends]) -> None:
    before = rig.arrived()
    rig.send(flows)
    wrong = implausible(rig.site, _since(before, rig.arrived()))
    if wrong:
        raise LabError(f"of {len(flows)} new flows: {'; '.join(wrong[:3])}")


def implausible(site: Site, counts: dict[str, int]) -> list[str]:
    """The uplinks whose count of new flows chance does not explain, in words."""
    flows, found = sum(counts.values()), []
    for uplink in site.uplinks:
        likely = _likely(flows, uplink.weight, site.total_weight)
        if counts[uplink.interface] not in likely:
            found.append(f"{uplink.interface} got {counts[uplink.interface]}, likely are {likely.low} to {likely.high}")
    return found


@cache
def _likely(flows: int, weight: int, total_weight: int) -> ChanceRange:
    """Exact, and so dear: uplinks of the same weight share it."""
    return chance_range(flows, weight, total_weight, _OUTSIDE)


def _check_kept(rig: Rig, flows: list[Ends]) -> None:
    rig.forget()
    start, back = rig.arrived(), rig.came_back()
    rig.establish(flows)
    back = rig.came_back() - back
    # Opening sends each packet twice, and each is answered.
    if back != 2 * len(flows):
        raise LabError(f"{back} of {2 * len(flows)} answers came back")
    opened = _since(start, rig.arrived())
    before = rig.arrived()
    for _ in range(_TIMES):
        rig.send(flows)
    kept = _since(before, rig.arrived())
    if {interface: count * _TIMES // 2 for interface, count in opened.items()} != kept:
        raise LabError(f"known flows do not stay on their uplinks: opened by {opened}, then {_TIMES} times {kept}")


def _since(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {interface: after[interface] - before[interface] for interface in before}
