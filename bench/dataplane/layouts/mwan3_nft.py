"""The nft port of mwan3: marks restored and saved by maps to small chains, a global counter over ranges of weights.

Source: dl12345/mwan3 README.md@054252b4 (v3.5, sections 2, 7 and 16), files/lib/mwan3/mwan3-skeleton.nft@39cdd20e.
Source NAT is the system's firewall's (fw4); here it is a rule for each uplink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.dataplane.layouts.commands import chain, masquerade, match, nft
from bench.dataplane.layouts.mwan import CONNECTED, NEIGHBOUR_DISCOVERY, SETS, marks_of, routing
from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.layouts.commands import Command
    from bench.dataplane.layouts.mwan import Marks
    from bench.dataplane.site import Site, Uplink

_SUFFIX = {Family.IPV4: "v4", Family.IPV6: "v6"}


def commands(site: Site) -> Iterator[Command]:
    """Both families in one table."""
    marks = marks_of(site)
    yield from routing(site, marks)
    hook = list(_hook(marks))
    chains = [
        *_setters(marks),
        *chain("mwan3_ifaces_in", (f"{_unmarked(marks)} jump mwan3_iface_in_{u.name}" for u in site.uplinks)),
        *chain("mwan3_rules", _rules(site, marks)),
        *chain("mwan3_prerouting", hook, "type filter hook prerouting priority mangle + 1"),
        *chain("mwan3_output", hook, "type route hook output priority mangle + 1"),
    ]
    yield nft(["table inet mwan3 {", *_sets(marks), *_policies(site, marks), *_members(site, marks), *chains, "}"])
    yield nft(["table inet fw4 {", *masquerade(site), "}"])


def _unmarked(marks: Marks) -> str:
    return f"meta mark & {marks.mask:#x} == 0"


def _sets(marks: Marks) -> Iterator[str]:
    for name in SETS:
        for family, suffix in _SUFFIX.items():
            kind = "ipv4_addr" if family is Family.IPV4 else "ipv6_addr"
            elements = f"elements = {{ {', '.join(CONNECTED[family])} }};" if name == "connected" else ""
            yield f"set mwan3_{name}_{suffix} {{ type {kind}; flags interval; auto-merge; {elements}"
            yield "}"
        default = f"meta mark set meta mark | {marks.default:#x}"
        rules = (f"{family.value} daddr @mwan3_{name}_{suffix} {default}" for family, suffix in _SUFFIX.items())
        yield from chain(f"mwan3_{name}", rules)


def _setters(marks: Marks) -> Iterator[str]:
    for number in range(1, marks.numbers + 1):
        yield from chain(f"mwan3_or_meta_{number << 8:#x}", [f"meta mark set meta mark | {number << 8:#x}"])
        yield from chain(f"mwan3_or_ct_{number << 8:#x}", [f"ct mark set ct mark | {number << 8:#x}"])


def _policies(site: Site, marks: Marks) -> Iterator[str]:
    unmarked, begin, ranges = _unmarked(marks), 0, []
    for uplink in site.uplinks:
        last = begin + uplink.weight - 1
        ranges.append(f"{begin}{f'-{last}' if last > begin else ''} : jump {_setter(marks, uplink)}")
        begin += uplink.weight
        yield from chain(_only(uplink), [f"{unmarked} jump {_setter(marks, uplink)}"])
    choice = f"numgen inc mod {site.total_weight} vmap {{ {', '.join(ranges)} }}"
    last_resort = f"{unmarked} jump mwan3_or_meta_{marks.unreachable:#x}"
    yield from chain("mwan3_policy_balanced", [f"{unmarked} {choice}", last_resort])


def _members(site: Site, marks: Marks) -> Iterator[str]:
    unmarked = _unmarked(marks)
    for uplink in site.uplinks:
        came = f'iifname "{uplink.interface}"'
        to_main = f"{unmarked} meta mark set meta mark | {marks.default:#x}"
        rules = [
            f"{came} {family.value} saddr @mwan3_{name}_{suffix} {to_main}"
            for family, suffix in _SUFFIX.items()
            for name in SETS
        ]
        yield from chain(f"mwan3_iface_in_{uplink.name}", [*rules, f"{came} {unmarked} jump {_setter(marks, uplink)}"])


def _rules(site: Site, marks: Marks) -> Iterator[str]:
    for family in BOTH_FAMILIES:
        for diversion in site.diversions:
            yield f"{_unmarked(marks)} {match(diversion, family)} jump {_only(diversion.uplink)}"
    yield f"{_unmarked(marks)} jump mwan3_policy_balanced"


def _hook(marks: Marks) -> Iterator[str]:
    unmarked, mask, every = _unmarked(marks), f"{marks.mask:#x}", range(1, marks.numbers + 1)
    restored = ", ".join(f"{n << 8:#x} : jump mwan3_or_meta_{n << 8:#x}" for n in every)
    saved = ", ".join(f"{n << 8:#x} : jump mwan3_or_ct_{n << 8:#x}" for n in every)
    yield f"icmpv6 type {{ {', '.join(map(str, NEIGHBOUR_DISCOVERY))} }} accept"
    yield f"{unmarked} ct mark & {mask} vmap {{ {restored} }}"
    yield f"{unmarked} jump mwan3_ifaces_in"
    yield f"{unmarked} fib daddr type local return"
    yield from (f"{unmarked} jump mwan3_{name}" for name in SETS)
    yield f"{unmarked} jump mwan3_rules"
    yield f"ct mark set ct mark & {~marks.mask & 0xFFFFFFFF:#x}"
    yield f"meta mark & {mask} vmap {{ {saved} }}"
    yield from (f"meta mark & {mask} != {marks.default:#x} jump mwan3_{name}" for name in SETS)


def _setter(marks: Marks, uplink: Uplink) -> str:
    return f"mwan3_or_meta_{marks.of(uplink):#x}"


def _only(uplink: Uplink) -> str:
    return f"mwan3_policy_{uplink.name}"
