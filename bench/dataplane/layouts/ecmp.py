"""The limit: the kernel's own multipath route, with connection tracking and masquerade. No rule, no mark, no failover.

Whatever else balances connections over uplinks does all of this too, and something more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.dataplane.layouts.commands import chain, ip, multipath, nft
from evenflow.model.flow import BOTH_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.layouts.commands import Command
    from bench.dataplane.site import Site


#: A route rule that no packet fits, behind all others that matter.
_IDLE_RULE = "rule add pref 20000 fwmark 0x99/0xff lookup 99"


def with_a_rule(site: Site) -> Iterator[Command]:
    """The same with one route rule, which never holds: the least that any layout pays which chooses tables by marks.

    With any rule but its own three the kernel looks through the list for each packet, and over IPv4 a second time for
    the source (Linux, fib_lookup() and __fib_validate_source()).
    """
    yield from commands(site)
    for family in BOTH_FAMILIES:
        yield ip(family, [_IDLE_RULE])


def commands(site: Site) -> Iterator[Command]:
    """Diversions are left out: the limit is the same for every number of them."""
    for family in BOTH_FAMILIES:
        yield multipath(site, family)
    rules = chain("postrouting", ['oifname "wan*" masquerade'], "type nat hook postrouting priority srcnat")
    yield nft(["table inet bench {", *rules, "}"])
