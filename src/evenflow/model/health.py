"""Health: what is watched, how, and what follows when it is lost."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.model.finding import NOWHERE, Origin

if TYPE_CHECKING:
    from evenflow.model.flow import Address
    from evenflow.model.router import Gateway


class HealthState(enum.Enum):
    """How an uplink stands.

    UNKNOWN (just begun), UP and FALLING (doubted) are used as before; DOWN and RISING (answers, but not long enough
    yet) are not used; DRAINED works, and gets no new connections because somebody said so.
    """

    UNKNOWN = "UNKNOWN"
    RISING = "RISING"
    UP = "UP"
    FALLING = "FALLING"
    DOWN = "DOWN"
    DRAINED = "DRAINED"


class ProbeMethod(enum.Enum):
    """How a target is asked."""

    ICMP = "icmp"
    NEIGHBOUR = "neighbour"  # ARP (RFC 826), or neighbour solicitation for IPv6 (RFC 4861)
    TCP = "tcp"
    DNS = "dns"
    HTTP = "http"
    HTTPS = "https"


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Whom to ask, and how.

    Attributes:
        method: the kind of question.
        address: of the host; None is the gateway, whatever it is at the moment.
        port: for TCP, DNS, HTTP(S); 0 where there is none.
        name: the name to ask for (DNS), or the host's name in the request (HTTP, HTTPS); "" is the address itself.
        path: of the request (HTTP, HTTPS).
    """

    method: ProbeMethod
    address: Address | None
    port: int = 0
    name: str = ""
    path: str = "/"


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When an uplink counts as lost, and as back.

    A target is lost when its last `fall` probes went unanswered, and answers when its last probe was answered. The
    uplink is lost when fewer than `quorum` targets are not lost, or a limit is passed; and back when for `hold_s`
    none of that was so, and `quorum` targets answered their last `rise` probes. One lost probe in between does not
    begin the hold anew. docs/design/health.md has the reasons and what follows from the defaults.

    Attributes:
        interval_ms: between two probes of the same target.
        timeout_ms: an answer that comes later counts as none.
        fall: unanswered probes in a row, at least 1.
        rise: answered probes in a row, at least 1.
        quorum: how many targets must answer, at least 1; all, where there are fewer.
        loss_percent: more lost probes than this part over the window is too much; None is no limit. Probes to a
            target that is lost are not counted. Neither limit is judged on less than half a window or ten probes.
        latency_ms: a higher median round trip over the window is too much; None is no limit.
        window_s: how far back loss and latency look.
        hold_s: how long the line must be good before it is used again. It doubles with each loss that follows within
            ten minutes of a return, up to `hold_most_s`: a flapping line is held down.
        hold_most_s: the longest that it is held.
    """

    # Worst case to notice silence: interval * fall + timeout = 0.9 s.
    interval_ms: int = 200
    timeout_ms: int = 300
    fall: int = 3
    rise: int = 5
    quorum: int = 1
    loss_percent: int | None = 40
    latency_ms: int | None = None
    window_s: float = 10.0
    hold_s: float = 10.0
    hold_most_s: float = 300.0


#: Notices silence within 65 ms (15 * 3 + 20), and has moved new connections within 100 ms. For lines of low latency: an
#: answer must be there in 20 ms.
FAST = HealthSettings(interval_ms=15, timeout_ms=20, fall=3, rise=20, hold_s=5.0)

#: RouterOS asks a gateway every 10 s and gives it up after two unanswered questions; one answer brings it back. Up to
#: 7.20 a question waits 10 s for its answer.
ROUTEROS = HealthSettings(
    interval_ms=10_000, timeout_ms=10_000, fall=2, rise=1, loss_percent=None, window_s=60.0, hold_s=0.0
)


class OnDown(enum.Enum):
    """What happens to the connections of an uplink that is lost."""

    FLUSH = "flush"
    KEEP = "keep"


class Failback(enum.Enum):
    """How an uplink that is back gets its buckets again."""

    AT_ONCE = "at-once"
    GRADUAL = "gradual"
    IDLE = "idle"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Watch:
    """Something whose loss makes gateways unusable: an uplink of a policy, a gateway or host that a script watches.

    Attributes:
        name: the uplink's; for a script's gateway the address.
        interface: probes leave by it, whatever the tables say; None: as the router's own packets do.
        gateways: of the uplink, one per family at most.
        targets: whom to ask, side by side; none: only the link itself is watched.
        settings: when it counts as lost and as back.
        connection_mark: of its connections; None where they have none of their own.
        on_down: what happens to those connections when it is lost.
        failback: how it gets its share again.
        failback_s: how long a gradual return takes.
        passive: where probes are seldom, traffic that nothing answers makes the next ones come at once. RouterOS does
            no such thing.
    """

    name: str
    interface: str | None = None
    gateways: tuple[Gateway, ...] = ()
    targets: tuple[ProbeTarget, ...] = ()
    settings: HealthSettings = HealthSettings()
    connection_mark: str | None = None
    on_down: OnDown = OnDown.KEEP
    failback: Failback = Failback.AT_ONCE
    failback_s: float = 60.0
    passive: bool = False
    origin: Origin = NOWHERE
