"""The article's mangle list, rule by rule as it is printed, in the kernel's words: one nft rule for each.

Source: "PCC load balancing" for RouterOS as shipped in examples/seed.rsc: connections that come in by an uplink are
marked, then one rule for each stream of the classifier, then one for each mark that chooses the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.dataplane.layouts.commands import chain, default_route, ip, masquerade, match, nft
from bench.dataplane.site import LAN
from evenflow.model.flow import BOTH_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.layouts.commands import Command
    from bench.dataplane.site import Site, Uplink
    from evenflow.model.flow import Family

_NEW = "ct mark 0 ct state new"
_WITH_PORTS = "meta l4proto { tcp, udp, udplite, sctp, dccp }"


def commands(site: Site) -> Iterator[Command]:
    """Both families; RouterOS has a list of its own for each."""
    for family in BOTH_FAMILIES:
        lines = [default_route(uplink, family, _table(uplink)) for uplink in site.uplinks]
        lines += [f"rule add pref 1000 fwmark {_mark(uplink)} table {_table(uplink)}" for uplink in site.uplinks]
        yield ip(family, lines)
        table = f"table {family.value} article {{"
        prerouting = chain("prerouting", _prerouting(site, family), "type filter hook prerouting priority mangle")
        output = chain("output", map(_routing, site.uplinks), "type route hook output priority mangle")
        yield nft([table, *prerouting, *output, *masquerade(site), "}"])


def _prerouting(site: Site, family: Family) -> Iterator[str]:
    for uplink in site.uplinks:
        yield f'iifname "{uplink.interface}" {_NEW} ct mark set {_mark(uplink)}'
    new = f'iifname "{LAN}" {_NEW} fib daddr type != local'
    for diversion in site.diversions:
        yield f"{new} {match(diversion, family)} ct mark set {_mark(diversion.uplink)}"
    ip_ = family.value
    streams = f"jhash {ip_} saddr . {ip_} daddr . th sport . th dport mod {site.total_weight} seed 0x5eed"
    for remainder, uplink in enumerate(site.streams):
        yield f"{new} {_WITH_PORTS} {streams} {remainder} ct mark set {_mark(uplink)}"
    for uplink in site.uplinks:
        yield f'iifname "{LAN}" {_routing(uplink)}'


def _routing(uplink: Uplink) -> str:
    return f"ct mark {_mark(uplink)} meta mark set {_mark(uplink)}"


def _mark(uplink: Uplink) -> int:
    return uplink.number + 1


def _table(uplink: Uplink) -> int:
    return 1000 + uplink.number
