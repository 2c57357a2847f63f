"""What a netwatch entry asks, and when it counts its host as lost.

Defaults as in the manual ("Netwatch"): since 7.4 an interval of 10 s and a time-out of 3 s; before, 1 min and 1 s. One
failed test is a loss and one good test a return. A test of type `icmp` is ten pings in half a second, of which 85 % may
be lost and whose mean may be 100 ms. Here the same number of pings is spread over the interval, and as many must be
lost in a row, or of those of two intervals: a loss is noticed as soon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from evenflow.formats.routeros import values
from evenflow.formats.routeros.values import BadValueError, duration_ms, number
from evenflow.formats.routeros.version import Version
from evenflow.model.finding import Severity
from evenflow.model.health import HealthSettings, ProbeMethod, ProbeTarget

if TYPE_CHECKING:
    from evenflow.formats.routeros.reading import Reading

#: The first release with other tests than a ping, and with today's defaults.
_MANY_TYPES = Version(7, 4)

_METHODS = {
    "simple": ProbeMethod.ICMP, "icmp": ProbeMethod.ICMP, "tcp-conn": ProbeMethod.TCP, "http-get": ProbeMethod.HTTP,
    "https-get": ProbeMethod.HTTPS, "dns": ProbeMethod.DNS,
}  # fmt: skip
_PORTS = {"tcp-conn": 80, "http-get": 80, "https-get": 443, "dns": 53}

#: Properties that decide whether a test is good, and have no counterpart here.
_IGNORED = (
    "accept-icmp-time-exceeded", "http-codes", "record-type", "thr-jitter", "thr-loss-count", "thr-max", "thr-stdev",
)  # fmt: skip
_NO_BEARING = {"accept-icmp-time-exceeded": "no", "record-type": "A", "thr-loss-count": "4294967295"}

#: Spans that make sense, in milliseconds: an hour between tests, and a minute for an answer.
_INTERVAL = (10, 3_600_000)
_TIMEOUT = (1, 60_000)


@dataclass(frozen=True, slots=True)
class Question:
    """What an entry asks, by which interface (None: as the router's own packets go), and how often."""

    target: ProbeTarget
    interface: str | None
    settings: HealthSettings


def read_question(reading: Reading, version: Version | None) -> Question | None:
    """What the entry asks; None with a finding where it can't be asked here."""
    kind = reading.value("type", _type_of, "simple")
    host = reading.needed("host")
    method = _METHODS[kind]
    name = ""
    if kind == "dns":
        name = host
        host = reading.needed("dns-server", ", and nobody else is asked here")
    place, _, interface = host.partition("%")
    if not host or not reading.ok:
        return None
    try:
        address = values.address(place)
    except BadValueError as problem:
        reading.bad("dns-server" if kind == "dns" else "host", problem)
        return None
    port = reading.value("port", partial(number, low=1, high=65535), _PORTS.get(kind, 0))
    settings = _settings(reading, kind, version)
    if kind == "https-get" and reading.item.text("check-certificate") != "yes":
        what = "https-get does not check the certificate on RouterOS; here only the TCP connection is tried then"
        reading.tell(Severity.WARNING, "netwatch-condition", what)
        method = ProbeMethod.TCP
    _tell_ignored(reading)
    return Question(ProbeTarget(method, address, port, name), interface or None, settings) if reading.ok else None


def _type_of(text: str) -> str:
    if text not in _METHODS:
        raise BadValueError(f"it is no type of test; write one of {', '.join(_METHODS)}")
    return text


def _settings(reading: Reading, kind: str, version: Version | None) -> HealthSettings:
    old = version is not None and version < _MANY_TYPES
    interval = reading.value("interval", partial(duration_ms, *_INTERVAL), 60_000 if old else 10_000)
    timeout = reading.value("timeout", partial(duration_ms, *_TIMEOUT), 1000 if old else 3000)
    # Limits on the time that an answer takes make a later one a failed test, as a time-out does.
    if kind == "tcp-conn":
        limit = partial(duration_ms, 1, 3_600_000, bare_unit="us")
        timeout = min(timeout, reading.value("thr-tcp-conn-time", limit, 1000))
    elif kind in ("http-get", "https-get"):
        timeout = min(timeout, reading.value("thr-http-time", partial(duration_ms, 1, 3_600_000), 10_000))
    once = HealthSettings(
        interval, timeout, fall=1, rise=1, loss_percent=None, window_s=max(60.0, interval / 1000), hold_s=0.0
    )
    return _of_many_pings(reading, once) if kind == "icmp" else once


def _of_many_pings(reading: Reading, once: HealthSettings) -> HealthSettings:
    count = reading.value("packet-count", partial(number, low=1, high=1000), 10)
    loss = reading.value("thr-loss-percent", _percent, 85)
    latency = reading.value("thr-avg", partial(duration_ms, 1, 3_600_000), 100)
    fall = min(count, count * loss // 100 + 1)
    return replace(
        once,
        interval_ms=max(_INTERVAL[0], once.interval_ms // count),
        fall=fall,
        rise=count - fall + 1,
        loss_percent=loss if loss < 100 else None,
        latency_ms=latency,
        window_s=2 * once.interval_ms / 1000,  # room for ten results at any moment: fewer are not judged
    )


def _percent(text: str) -> int:
    """`85`, `85%` or `85.0%`; what is behind the point does not count."""
    return number(text.removesuffix("%").partition(".")[0], 0, 100)


def _tell_ignored(reading: Reading) -> None:
    given = [
        name for name in _IGNORED if (text := reading.item.text(name)) and text != _NO_BEARING.get(name)
    ]  # fmt: skip
    if given:
        what = f"{', '.join(f'{name}=' for name in given)}: no such condition is known here; without it the host counts"
        reading.tell(Severity.WARNING, "netwatch-condition", f"{what} as answering more often than on RouterOS")
