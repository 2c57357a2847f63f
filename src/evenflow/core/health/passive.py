"""What the traffic of a line tells: it sends, and nothing at all comes back.

That is no proof of a loss, as who sends may want no answer. It is a reason to ask at once, where probes are seldom: a
line that is metered, say. A line that is asked every 200 ms has nothing to gain by it.
"""

from __future__ import annotations

from typing import Final

#: With a shorter interval the next probe comes about as soon as this would tell.
SELDOM_MS: Final = 1000

#: So long, and for so many packets, nothing comes back: longer than any round trip but that by satellite, and more than
#: a name server's question that nobody answers.
QUIET_S: Final = 0.5
LEAST_SENT: Final = 5

#: Who sends and wants no answer (a camera, a log) must not make a seldom probe a frequent one.
PAUSE_S: Final = 10.0


class OneWay:
    """The counters of one link over time."""

    __slots__ = ("_asked_s", "_received", "_sent", "_since_s")

    def __init__(self) -> None:
        self._sent = self._received = -1
        self._since_s = 0.0
        self._asked_s = float("-inf")

    def seen(self, sent: int, received: int, now_s: float) -> bool:
        """Take note of the packets that a link has carried so far; whether it is time to ask."""
        if received != self._received or sent < self._sent:  # something came; or the link is another one
            self._sent, self._received, self._since_s = sent, received, now_s
            return False
        quiet = now_s - self._since_s >= QUIET_S and sent - self._sent >= LEAST_SENT
        if not quiet or now_s - self._asked_s < PAUSE_S:
            return False
        self._asked_s = now_s
        return True
