"""What happened: kept for `status`, streamed to `events`, told to hooks, and written to the log."""

from __future__ import annotations

import logging
import sys
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("evenflow")

#: As many as an on-call person scrolls through; each has a few hundred bytes.
_KEPT: Final = 200

_PRIORITY: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


class Chronicle:
    """The last events, and who is told of new ones.

    Attributes:
        last: the newest last; each is a JSON object: `at` (UTC, ISO 8601), `event`, `message`, and what belongs to it.
        listeners: called with each new one.
    """

    def __init__(self) -> None:
        self.last: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.listeners: list[Callable[[dict[str, Any]], None]] = []

    def tell(self, event: str, message: str, *, level: int = logging.INFO, **details: object) -> None:
        """Something happened."""
        entry: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "message": message,
            **details,
        }
        self.last.append(entry)
        log.log(level, "%s", message)
        for listener in tuple(self.listeners):
            listener(entry)


class _JournalFormatter(logging.Formatter):
    """The priority in front, as sd-daemon(3) has it; the journal adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\n", "\n ")
        return f"<{_PRIORITY.get(record.levelno, 6)}>{text}"


def set_up_logging(*, journal: bool, verbose: bool) -> None:
    """Log to standard error, for the journal or for a person."""
    handler = logging.StreamHandler(sys.stderr)
    if journal:
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(message)s", "%H:%M:%S"))
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.propagate = False
