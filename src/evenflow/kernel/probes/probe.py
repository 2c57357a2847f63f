"""One probe, and what can send it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from evenflow.model.flow import Address
    from evenflow.model.health import ProbeTarget

NO_ANSWER: Final = "no answer"
NO_GATEWAY: Final = "no gateway known"
REFUSED: Final = "connection refused"

#: Where the C library's words would puzzle: they speak of the call, not of the uplink.
_WORDS: Final = {
    errno.EADDRNOTAVAIL: "no address on the interface",
    errno.ENXIO: "no such device",
    errno.ECONNREFUSED: REFUSED,
}


def reason_of(problem: OSError) -> str:
    """Why a probe could not be sent, in words: "network is down", "no such device"."""
    number = problem.errno or errno.EIO
    said = _WORDS.get(number) or os.strerror(number)
    return said[:1].lower() + said[1:]


class Prober(Protocol):
    """Sends probes of one kind and waits for their answers. It tells the ledger what becomes of them."""

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more: another one has to be made."""

    def send(self, probe: Probe) -> None:
        """Send it, now.

        Raises:
            OSError: it could not be sent.
        """

    def collect(self) -> None:
        """Read what has come, where the loop does not do it by itself."""

    def forget(self, probe: Probe) -> None:
        """Nobody waits for its answer any more. Said once or several times, of known and unknown ones."""

    def close(self) -> None:
        """Close every socket. Its probes stay unanswered."""


@dataclass(slots=True, eq=False)
class Probe:
    """One question to one target.

    Attributes:
        index: of the target in its watch.
        target: whom it asks.
        address: of the target, or the gateway that stands for it.
        sent_s, deadline_s: on the loop's clock.
        prober: who waits for its answer.
        key: by which the prober finds it again.
        done: answered, or lost, and so told.
        remark: what is said of it when its time is over.
    """

    index: int
    target: ProbeTarget
    address: Address
    sent_s: float
    deadline_s: float
    prober: Prober | None = field(default=None, repr=False)
    key: int = 0
    done: bool = False
    remark: str = NO_ANSWER
