"""mwan3 2.12: iptables chains that pass a mark along, ipsets, a random draw for each member.

Source: openwrt/packages net/mwan3/files/lib/mwan3/mwan3.sh@0521bb56, common.sh and etc/config/mwan3 there. Of the
shipped rules the sticky one for TCP port 443 is left out: it needs sets of type hash:ip,mark, which not every kernel
has. Source NAT is the system's firewall's (fw4); here it is a rule for each uplink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.dataplane.layouts.commands import Command, iptables, iptables_match, masquerade, nft, restore
from bench.dataplane.layouts.mwan import CONNECTED, NEIGHBOUR_DISCOVERY, SETS, marks_of, routing
from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.layouts.mwan import Marks
    from bench.dataplane.site import Site, Uplink

_VERSION: Final = {Family.IPV4: "ipv4", Family.IPV6: "ipv6"}


def commands(site: Site) -> Iterator[Command]:
    """Both families, the chains of each in its own tables."""
    marks = marks_of(site)
    yield from routing(site, marks)
    for family in BOTH_FAMILIES:
        yield _sets(family)
        chains = [
            "mwan3_hook",
            "mwan3_ifaces_in",
            "mwan3_rules",
            "mwan3_policy_balanced",
            *(f"mwan3_{name}_{_VERSION[family]}" for name in SETS),
            *(f"mwan3_iface_in_{uplink.name}" for uplink in site.uplinks),
            *(_only(uplink) for uplink in site.uplinks),
        ]
        yield from iptables(family, [restore("mangle", chains, _rules(site, family, marks))])
    yield nft(["table inet fw4 {", *masquerade(site), "}"])


def _sets(family: Family) -> Command:
    kind = f"hash:net family {'inet' if family is Family.IPV4 else 'inet6'}"
    lines = [f"create mwan3_{name}_{_VERSION[family]} {kind}" for name in SETS]
    lines += [f"add mwan3_connected_{_VERSION[family]} {network}" for network in CONNECTED[family]]
    return Command(("ipset", "restore"), "".join(f"{line}\n" for line in lines))


def _rules(site: Site, family: Family, marks: Marks) -> Iterator[str]:
    unmarked = f"-m mark --mark {marks.masked(0)}"
    yield "-A PREROUTING -j mwan3_hook"
    yield "-A OUTPUT -j mwan3_hook"
    yield from _hook(family, marks, unmarked)
    for name in SETS:
        version = f"mwan3_{name}_{_VERSION[family]}"
        yield f"-A {version} -m set --match-set {version} dst -j MARK --set-xmark {marks.masked(marks.default)}"
    for uplink in site.uplinks:
        yield f"-A mwan3_ifaces_in {unmarked} -j mwan3_iface_in_{uplink.name}"
        yield from _came_in(uplink, family, marks, unmarked)
        yield f"-A {_only(uplink)} {unmarked} {_sets_mark(marks, uplink)}"
    for diversion in site.diversions:
        asked = iptables_match(diversion, family)
        yield f"-A mwan3_rules {asked} {unmarked} -j {_only(diversion.uplink)}"
    yield f"-A mwan3_rules {unmarked} -j mwan3_policy_balanced"
    yield from _balanced(site, marks, unmarked)


def _hook(family: Family, marks: Marks, unmarked: str) -> Iterator[str]:
    hook, mask = "-A mwan3_hook", f"{marks.mask:#x}"
    sets = [f"mwan3_{name}_{_VERSION[family]}" for name in SETS]
    if family is Family.IPV6:
        yield from (f"{hook} -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN" for kind in NEIGHBOUR_DISCOVERY)
    yield f"{hook} {unmarked} -j CONNMARK --restore-mark --nfmask {mask} --ctmask {mask}"
    yield from (f"{hook} {unmarked} -j {target}" for target in ("mwan3_ifaces_in", *sets, "mwan3_rules"))
    yield f"{hook} -j CONNMARK --save-mark --nfmask {mask} --ctmask {mask}"
    yield from (f"{hook} -m mark ! --mark {marks.masked(marks.default)} -j {target}" for target in sets)


def _came_in(uplink: Uplink, family: Family, marks: Marks, unmarked: str) -> Iterator[str]:
    came = f"-A mwan3_iface_in_{uplink.name} -i {uplink.interface}"
    for name in SETS:
        known = f"-m set --match-set mwan3_{name}_{_VERSION[family]} src"
        yield f"{came} {known} {unmarked} -j MARK --set-xmark {marks.masked(marks.default)}"
    yield f"{came} {unmarked} {_sets_mark(marks, uplink)}"


def _balanced(site: Site, marks: Marks, unmarked: str) -> Iterator[str]:
    """Each member is put on top of those before it, with its part of the weights so far, cut to three decimals."""
    so_far, rules = 0, []
    for uplink in site.uplinks:
        so_far += uplink.weight
        thousandths = uplink.weight * 1000 // so_far
        chance = "" if thousandths == 1000 else f"-m statistic --mode random --probability 0.{thousandths:03} "
        rules.append(f"-A mwan3_policy_balanced {unmarked} {chance}{_sets_mark(marks, uplink)}")
    yield from reversed(rules)


def _only(uplink: Uplink) -> str:
    return f"mwan3_policy_{uplink.name}"


def _sets_mark(marks: Marks, uplink: Uplink) -> str:
    return f"-j MARK --set-xmark {marks.masked(marks.of(uplink))}"
