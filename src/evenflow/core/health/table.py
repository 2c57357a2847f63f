"""What follows on what: (state, signal) -> next state. No state changes but by this table.

A signal says what is known of a line now, not what has just happened: the first of the list that is true. So it does
not matter how often it is given or which event brought it: the same signal again leads nowhere else.

DRAINED is no state of the line. It is what is shown of a line that works and that somebody has drained (`shown`).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from evenflow.model.health import HealthState

if TYPE_CHECKING:
    from collections.abc import Mapping


class Signal(enum.Enum):
    """What is known of a line. "Enough" is the quorum; the first that is true counts."""

    BROKEN = "the link itself is not fit for use"
    SILENT = "too many targets are lost"
    PAST_LIMIT = "loss or latency is past its limit"
    DOUBTED = "too many targets did not answer their last probe"
    QUIET = "nothing is known yet"
    ANSWERING = "enough targets answered their last probe"
    RISEN = "enough targets answered `rise` probes in a row"
    PROVED = "risen, and nothing bad for as long as the line is held"


_DOWN, _RISING, _UP, _FALLING, _UNKNOWN = (
    HealthState.DOWN,
    HealthState.RISING,
    HealthState.UP,
    HealthState.FALLING,
    HealthState.UNKNOWN,
)

# One column for each signal, in the order of `Signal`.
_ROWS: Final[Mapping[HealthState, tuple[HealthState, ...]]] = {
    #          BROKEN SILENT PAST_LIMIT DOUBTED   QUIET     ANSWERING RISEN    PROVED
    _UNKNOWN: (_DOWN, _DOWN, _DOWN,     _FALLING, _UNKNOWN, _UP,      _UP,     _UP),
    _UP:      (_DOWN, _DOWN, _DOWN,     _FALLING, _UP,      _UP,      _UP,     _UP),
    _FALLING: (_DOWN, _DOWN, _DOWN,     _FALLING, _FALLING, _UP,      _UP,     _UP),
    _DOWN:    (_DOWN, _DOWN, _DOWN,     _DOWN,    _DOWN,    _DOWN,    _RISING, _UP),
    _RISING:  (_DOWN, _DOWN, _DOWN,     _RISING,  _RISING,  _RISING,  _RISING, _UP),
}  # fmt: skip

#: The table. A missing pair is an error at import, not in the night.
NEXT: Final[Mapping[tuple[HealthState, Signal], HealthState]] = {
    (state, signal): after
    for state, row in _ROWS.items()
    for signal, after in zip(Signal, row, strict=True)
}  # fmt: skip

#: States of a line that may carry traffic.
USABLE: Final = frozenset({_UNKNOWN, _UP, _FALLING})


def shown(line: HealthState, *, drained: bool) -> HealthState:
    """The state that people see: a drained line that works is DRAINED."""
    return HealthState.DRAINED if drained and line in USABLE else line
