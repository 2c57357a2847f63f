"""mwan4: nft inside the firewall's table, one random draw after the other, down the members.

Source: mossdef-org/mwan4@15fe0aab files/lib/mwan4/mwan4.uc, tests/04_strategies and 05_rules. The mark is restored and
saved by expressions with two operands read from the packet, or, earlier, without the others' bits; the latter is used
here, since not every nft takes the former. Source NAT is the firewall's; here it is a rule for each uplink.
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

_SUFFIX = {Family.IPV4: "ipv4", Family.IPV6: "ipv6"}


def commands(site: Site) -> Iterator[Command]:
    """Both families in one table, in chains of their own."""
    marks = marks_of(site)
    yield from routing(site, marks)
    hook = list(_hook(marks))
    by_family = [f"meta nfproto {_SUFFIX[family]} jump mwan4_rules_{_SUFFIX[family]}" for family in BOTH_FAMILIES]
    incoming = (
        f"{_unmarked(marks)} meta nfproto {_SUFFIX[family]} jump mwan4_iface_in_{uplink.name}_{_SUFFIX[family]}"
        for uplink in site.uplinks
        for family in BOTH_FAMILIES
    )
    lines = [
        *(line for family in BOTH_FAMILIES for line in _of_family(site, family, marks)),
        *chain("mwan4_ifaces_in", incoming),
        *chain("mwan4_rules", by_family),
        *chain("mwan4_prerouting", hook, "type filter hook prerouting priority mangle"),
        *chain("mwan4_output", hook, "type route hook output priority mangle"),
    ]
    yield nft(["table inet fw4 {", *lines, *masquerade(site), "}"])


def _unmarked(marks: Marks) -> str:
    return f"meta mark & {marks.mask:#x} == 0"


def _of_family(site: Site, family: Family, marks: Marks) -> Iterator[str]:
    unmarked, suffix = _unmarked(marks), _SUFFIX[family]
    for name in SETS:
        elements = f"elements = {{ {', '.join(CONNECTED[family])} }};" if name == "connected" else ""
        yield f"set mwan4_{name}_{suffix} {{ type {suffix}_addr; flags interval; auto-merge; {elements}"
        yield "}"
    for uplink in site.uplinks:
        yield from chain(f"mwan4_iface_in_{uplink.name}_{suffix}", _came_in(uplink, family, marks))
        yield from chain(f"mwan4_strategy_{uplink.name}_{suffix}", [_sets_mark(unmarked, marks.of(uplink))])
    yield from chain(f"mwan4_strategy_balanced_{suffix}", _balanced(site, marks))
    diversions = (
        f"{match(diversion, family)} {unmarked} jump mwan4_strategy_{diversion.uplink.name}_{suffix}"
        for diversion in site.diversions
    )
    sticky = f"meta l4proto tcp tcp dport {{ 443 }} {unmarked} jump mwan4_strategy_balanced_{suffix}"
    rest = f"{unmarked} jump mwan4_strategy_balanced_{suffix}"
    yield from chain(f"mwan4_rules_{suffix}", [*diversions, sticky, rest])


def _came_in(uplink: Uplink, family: Family, marks: Marks) -> Iterator[str]:
    came = f'iifname "{uplink.interface}"'
    for name in SETS:
        known = f"{family.value} saddr @mwan4_{name}_{_SUFFIX[family]}"
        yield f"{came} {known} {_sets_mark(_unmarked(marks), marks.default)}"
    yield f"{came} {_sets_mark(_unmarked(marks), marks.of(uplink))}"


def _balanced(site: Site, marks: Marks) -> Iterator[str]:
    unmarked, left = _unmarked(marks), site.total_weight
    for uplink in site.uplinks:
        chance = "" if left == uplink.weight else f" numgen random mod {left} < {uplink.weight}"
        yield _sets_mark(f"{unmarked}{chance}", marks.of(uplink))
        left -= uplink.weight
    yield _sets_mark(unmarked, marks.unreachable)


def _hook(marks: Marks) -> Iterator[str]:
    mask, unmarked = f"{marks.mask:#x}", _unmarked(marks)
    looks = [f"{family.value} daddr @mwan4_{name}_{_SUFFIX[family]}" for family in BOTH_FAMILIES for name in SETS]
    yield f"icmpv6 type {{ {', '.join(map(str, NEIGHBOUR_DISCOVERY))} }} return"
    yield f"ct mark & {mask} != 0 meta mark set ct mark & {mask}"
    yield f"{unmarked} jump mwan4_ifaces_in"
    yield from (f"{unmarked} {_sets_mark(look, marks.default)}" for look in looks)
    yield f"{unmarked} jump mwan4_rules"
    yield "ct mark set meta mark"
    yield from (f"meta mark & {mask} != {marks.default:#x} {_sets_mark(look, marks.default)}" for look in looks)


def _sets_mark(condition: str, mark: int) -> str:
    return f"{condition} meta mark set {mark:#x}"
