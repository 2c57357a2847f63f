"""The flowtable: packets of known connections go straight from one device to the other, and meet no rule.

A connection is handed over by a packet that has a routing mark: one that leaves the LAN, whose route is the right one
then. The kernel looks up the way back with the same mark, and finds the LAN in main. A packet from an uplink has none,
and would have the kernel look up the way out without it (Linux, nft_flow_route() in net/netfilter/nft_flow_offload.c).

Such a connection goes on by its lost uplink, and before Linux 6.4 its entry can't even be deleted. So the flowtable has
another name whenever something is lost, drained or back: the plan then makes a new one, in the same transaction as the
new owners, and takes the old one away. All connections meet the rules again, for one packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from evenflow.core.compile.conditions import word
from evenflow.model.dataplane import ROUTING_MARK_MASK
from evenflow.model.nft import (
    Bitwise,
    Cmp,
    CmpOp,
    Ct,
    CtKey,
    FlowOffload,
    Hook,
    Meta,
    MetaKey,
    NftChain,
    NftFlowtable,
    NftRule,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.core.compile.effects import Chains
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

FLOWTABLE_CHAIN = "flowtable"

#: Behind the filter of whoever has one (0, NF_IP_PRI_FILTER): what it drops is not handed over.
_HOOK = Hook("filter", "forward", 10)

# NF_CT_STATE_BIT(IP_CT_ESTABLISHED): packets have been seen in both directions.
_ESTABLISHED = 1 << 1


def compile_flowtable(
    router: Router, machine: Machine, standing: Mapping[str, str], chains: Chains
) -> dict[str, NftFlowtable]:
    """The flowtable of a router that wants one, by its name, and the chain that fills it.

    Of its interfaces those that are there now: of one that comes later the daemon's next pass takes care.
    """
    if router.flowtable is None:
        return {}
    there = {link.name for link in machine.links}
    devices = frozenset(router.flowtable.interfaces) & there
    what = repr((sorted(devices), router.flowtable.hardware, sorted(standing.items())))
    made = NftFlowtable(f"known-{crc32(what.encode()):08x}", devices, router.flowtable.hardware)
    rule = NftRule(
        (
            Meta(MetaKey.MARK),
            Bitwise(word(ROUTING_MARK_MASK), word(0)),
            Cmp(CmpOp.NEQ, word(0)),
            Ct(CtKey.STATE),
            Bitwise(word(_ESTABLISHED), word(0)),
            Cmp(CmpOp.NEQ, word(0)),
            FlowOffload(made.name),
        )
    )
    chains.add(NftChain(FLOWTABLE_CHAIN, (rule,), _HOOK))
    return {made.name: made}
