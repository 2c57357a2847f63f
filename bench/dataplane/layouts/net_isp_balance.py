"""Net-ISP-Balance, IPv4 only: iptables rules that overrule each other, so that chances multiply to the weights.

Source: lstein/Net-ISP-Balance lib/Net/ISP/Balance.pm@23ac7405, routing rules, balancing rules and NAT. Its firewall,
which has nothing to do with balancing, is left out. A diversion is a rule of the user's behind them: it overrules all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.dataplane.layouts.commands import default_route, ip, iptables, iptables_match, multipath, restore
from bench.dataplane.site import LAN, lan_routes
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.layouts.commands import Command
    from bench.dataplane.site import Site, Uplink

_PRE = "-A PREROUTING"
_NEW = "-m conntrack --ctstate NEW"
_KNOWN = "-m conntrack --ctstate ESTABLISHED,RELATED -j CONNMARK --restore-mark"


def commands(site: Site) -> Iterator[Command]:
    """Tables, route rules, and the two tables of iptables."""
    yield multipath(site, Family.IPV4)
    yield ip(Family.IPV4, _routing(site))
    nat = [f"-A POSTROUTING -o {uplink.interface} -j MASQUERADE" for uplink in site.uplinks]
    mangle = restore("mangle", map(_chain, site.uplinks), _mangle(site))
    yield from iptables(Family.IPV4, [mangle, restore("nat", (), nat)])


def _routing(site: Site) -> Iterator[str]:
    for uplink in site.uplinks:
        number = _mark(uplink)
        yield default_route(uplink, Family.IPV4, 1000 + number)
        yield from (f"route add {route} table {1000 + number}" for route in lan_routes(Family.IPV4))
        yield f"rule add from {uplink.address(Family.IPV4)} table {1000 + number}"
        yield f"rule add fwmark {number} table {1000 + number}"


def _mangle(site: Site) -> Iterator[str]:
    for uplink in site.uplinks:
        yield f"-A {_chain(uplink)} -j MARK --set-mark {_mark(uplink)}"
        yield f"-A {_chain(uplink)} -j CONNMARK --save-mark"
    so_far = 0
    for uplink in site.uplinks:
        so_far += uplink.weight
        chance = f"-m statistic --mode random --probability {uplink.weight / so_far:.10f}"
        yield f"{_PRE} -i {LAN} {_NEW} {chance} -j {_chain(uplink)}"
    yield f"{_PRE} -i {LAN} {_KNOWN}"
    for uplink in site.uplinks:
        yield f"{_PRE} -i {uplink.interface} {_NEW} -j {_chain(uplink)}"
        yield f"{_PRE} -i {uplink.interface} {_KNOWN}"
    for diversion in site.diversions:
        asked = iptables_match(diversion, Family.IPV4)
        yield f"{_PRE} -i {LAN} {asked} {_NEW} -j {_chain(diversion.uplink)}"


def _chain(uplink: Uplink) -> str:
    return f"MARK-{uplink.name}"


def _mark(uplink: Uplink) -> int:
    return uplink.number + 1
