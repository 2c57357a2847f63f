"""A small office and one day of its connections, as its router would export them: browsing, calls, a nightly backup."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The 20th of November 2025, 00:00 UTC.
MIDNIGHT_S = 1_763_596_800

#: How busy each hour is, in 620 connections.
_HOURS = (0.3, 0.2, 0.2, 0.2, 0.2, 0.4, 0.8, 2, 5, 8, 9, 8, 6, 7, 9, 9, 8, 6, 3, 2, 1.5, 1, 0.8, 0.5)

_NETWORKS = (13, 20, 23, 34, 52, 104, 142, 151, 172, 185)


def office_policy() -> str:
    """Fibre and LTE, weighted 2 to 1 where the lines are 3 to 1."""
    return """\
lan = ["br0"]

[uplink.fibre]
interface = "eth0"
gateway = "100.64.1.1"
bandwidth = "30M"

[uplink.lte]
interface = "wwan0"
gateway = "auto"
bandwidth = "10M"

[balance]
classifier = "both-addresses-and-ports"
weights = { fibre = 2, lte = 1 }
"""


def office_day() -> str:
    """The day as CSV; always the same."""
    return "src,dst,proto,sport,dport,bytes,time,duration\n" + "".join(sorted(_rows(), key=_begin))


def _begin(row: str) -> int:
    return int(row.split(",")[6])


def _rows() -> Iterator[str]:
    draw = random.Random(4)
    sites = [
        f"{draw.choice(_NETWORKS)}.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(1, 255)}"
        for _ in range(700)
    ]
    liking = [1 / (place + 1) ** 0.9 for place in range(len(sites))]
    for hour, busy in enumerate(_HOURS):
        for _ in range(int(busy * 620)):
            begin_s = MIDNIGHT_S + hour * 3600 + draw.randrange(3600)
            client = f"10.10.1.{10 + min(59, int(draw.expovariate(1 / 14)))}"
            protocol = "udp" if draw.random() < 0.15 else "tcp"
            port = 3478 if protocol == "udp" and draw.random() < 0.3 else 443
            size = int(min(6e8, draw.paretovariate(1.02) * 60_000))
            length_s = size * 8 / draw.uniform(5e5, 4e6)
            (site,) = draw.choices(sites, liking)
            yield f"{client},{site},{protocol},{draw.randrange(32768, 61000)},{port},{size},{begin_s},{length_s:.1f}\n"
    for part in range(40):
        size = draw.randrange(60_000_000, 90_000_000)
        begin_s = MIDNIGHT_S + 5400 + part * 30
        yield f"10.10.1.7,20.60.12.9,tcp,{40000 + part},443,{size},{begin_s},{size * 8 / 5e6:.1f}\n"
