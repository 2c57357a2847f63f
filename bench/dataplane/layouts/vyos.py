"""VyOS's load balancing over several uplinks, IPv4 only: the layout of today (nft, a map), and the one before (jumps).

Sources: vyos/vyos-1x data/templates/load-balancing/nftables-wlb.j2@0c0ce426, python/vyos/wanloadbalance.py@42552202
with the ranges put right as by pull request 4823, src/helpers/vyos-load-balancer.py@05e92d27 (route rules and tables);
the old chain as smoketest/scripts/cli/test_load-balancing_wan.py@13fddcfe asserts it.

A diversion is a rule before the balancing one, with the two lines that each rule has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.dataplane.layouts.commands import chain, default_route, ip, match, nft
from bench.dataplane.site import LAN
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.layouts.commands import Command
    from bench.dataplane.site import Site, Uplink

#: The first uplink's mark and table; tables 253 to 255 are the kernel's.
_FIRST_MARK, _FIRST_TABLE, _KERNELS_FIRST = 0xC9, 201, 253

_RANDOM_BITS = 31


def new_commands(site: Site) -> Iterator[Command]:
    """The layout of today."""
    yield _routing(site)
    chains = [
        *chain("wlb_nat_postrouting", map(_source_nat, site.uplinks), "type nat hook postrouting priority srcnat - 1"),
        *chain("wlb_mangle_prerouting", _new_rules(site), "type filter hook prerouting priority mangle"),
    ]
    for uplink in site.uplinks:
        setting = f"meta mark set {_mark(uplink)} ct mark set {_mark(uplink)} counter accept"
        chains += chain(f"wlb_mangle_isp_{uplink.interface}", [setting])
    yield nft(["table ip vyos_wanloadbalance {", *chains, "}"])


def _new_rules(site: Site) -> Iterator[str]:
    for diversion in site.diversions:
        asked = f'iifname "{LAN}" {match(diversion, Family.IPV4)}'
        yield f"{asked} ct state new counter jump wlb_mangle_isp_{diversion.uplink.interface}"
        yield f"{asked} counter meta mark set ct mark"
    begin, ranges = 0, []
    for uplink in sorted(site.uplinks, key=lambda one: one.weight):
        last = begin + uplink.weight - 1
        ranges.append(f"{begin}{f'-{last}' if last > begin else ''} : jump wlb_mangle_isp_{uplink.interface}")
        begin += uplink.weight
    choice = f"numgen random mod {site.total_weight} vmap {{ {', '.join(ranges)} }}"
    yield f'iifname "{LAN}" ct state new counter {choice}'
    yield f'iifname "{LAN}" counter meta mark set ct mark'


def old_commands(site: Site) -> Iterator[Command]:
    """The layout before."""
    yield _routing(site)
    nat = chain("WANLOADBALANCE", map(_source_nat, site.uplinks), "type nat hook postrouting priority srcnat - 1")
    mangle = chain("WANLOADBALANCE_PRE", _old_rules(site), "type filter hook prerouting priority mangle")
    chains = [*nat]
    for uplink in site.uplinks:
        setting = [f"ct mark set {_mark(uplink)}", f"meta mark set {_mark(uplink)}", "accept"]
        chains += chain(f"ISP_{uplink.interface}", setting)
    yield nft(["table ip vyos_old {", *chains, *mangle, "}"])


def _old_rules(site: Site) -> Iterator[str]:
    for diversion in site.diversions:
        asked = f'iifname "{LAN}" {match(diversion, Family.IPV4)}'
        yield f"{asked} ct state new counter jump ISP_{diversion.uplink.interface}"
        yield f"{asked} counter meta mark set ct mark"
    left = site.total_weight
    for uplink in site.uplinks:
        part = (uplink.weight << _RANDOM_BITS) // left
        left -= uplink.weight
        chance = f"meta random & {(1 << _RANDOM_BITS) - 1} < {part} " if left else ""
        yield f'iifname "{LAN}" ct state new {chance}counter jump ISP_{uplink.interface}'
    yield f'iifname "{LAN}" counter meta mark set ct mark'


def _source_nat(uplink: Uplink) -> str:
    return f'ct mark {_mark(uplink)} oifname "{uplink.interface}" counter snat to {uplink.address(Family.IPV4)}'


def _routing(site: Site) -> Command:
    lines = []
    for uplink in site.uplinks:
        mark, preference = _mark(uplink), _FIRST_TABLE + uplink.number
        lines.append(default_route(uplink, Family.IPV4, _table(uplink)))
        lines.append(f"rule add pref {preference} fwmark {mark} table main suppress_prefixlength 0")
        lines.append(f"rule add pref {preference + 100} fwmark {mark} table {_table(uplink)}")
    return ip(Family.IPV4, lines)


def _mark(uplink: Uplink) -> int:
    return _FIRST_MARK + uplink.number


def _table(uplink: Uplink) -> int:
    table = _FIRST_TABLE + uplink.number
    return table if table < _KERNELS_FIRST else table + 100
