"""How long it takes at worst, from the settings alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.model.health import HealthSettings


def time_to_notice_s(settings: HealthSettings, targets: int) -> float:
    """Seconds from the moment that nothing comes back any more until the line is DOWN, at worst.

    The last probe that still got through was sent just before; `fall` more must be sent, and the last of them must be
    waited for. Limits may notice sooner. Without a target silence is never noticed: `math.inf`.
    """
    if not targets:
        return math.inf
    return (settings.interval_ms * max(1, settings.fall) + settings.timeout_ms) / 1000


def time_to_return_s(settings: HealthSettings, targets: int) -> float:
    """Seconds from the moment that everything comes back again until the line is used, at worst, with the basic hold.

    The first answer comes after one interval and a round trip, which may be as long as the timeout; from then on the
    line is held. After a loss by a limit the window must recover first: up to `window_s` more. Without a target only
    the hold counts, from the moment that the link is back.
    """
    if not targets:
        return settings.hold_s
    first_answer_ms = settings.interval_ms + settings.timeout_ms
    risen_ms = settings.interval_ms * max(1, settings.rise) + settings.timeout_ms
    return max(first_answer_ms / 1000 + settings.hold_s, risen_ms / 1000)
