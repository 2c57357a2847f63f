"""Health: when a line counts as lost, and when as back. Pure: no clock, and nothing is touched.

| module | |
|---|---|
| `table` | what follows on what: the one place where a state changes |
| `evidence` | what is known of a line, from its probes and its link, as one signal |
| `window` | loss and round trips of the last seconds |
| `machine` | `HealthMachine`: evidence and table of one watch, hold, drain, and clocks that jump |
| `passive` | traffic that nothing answers: a reason to ask at once |
| `bounds` | how long it takes at worst, from the settings alone |

docs/design/health.md draws it and gives the reasons.
"""

from __future__ import annotations

from evenflow.core.health.bounds import time_to_notice_s, time_to_return_s
from evenflow.core.health.machine import HealthMachine, Transition
from evenflow.core.health.passive import SELDOM_MS, OneWay
from evenflow.core.health.table import NEXT, USABLE, Signal

__all__ = [
    "NEXT",
    "SELDOM_MS",
    "USABLE",
    "HealthMachine",
    "OneWay",
    "Signal",
    "Transition",
    "time_to_notice_s",
    "time_to_return_s",
]
