"""The leak guard: by some interfaces only what has an address of that very interface as its source may leave.

It stands behind source NAT. What NAT has translated passes at once; masquerade itself refuses a connection whose way
out has changed (Linux, nf_nat_oif_changed()). What is left to catch is what NAT does not see, such as packets that
belong to no connection (with the LAN's address), and answers of a forwarded port that fell back to another uplink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import ifname, word
from evenflow.model.nft import (
    ACCEPT,
    DROP,
    Act,
    Bitwise,
    Cmp,
    CmpOp,
    Counter,
    Ct,
    CtKey,
    FibType,
    Hook,
    KeyType,
    Lookup,
    Meta,
    MetaKey,
    NftChain,
    NftRule,
    NftSet,
    SetElement,
)

if TYPE_CHECKING:
    from evenflow.core.compile.conditions import Sets
    from evenflow.core.compile.effects import Chains
    from evenflow.model.nft import Expression
    from evenflow.model.router import Router

GUARD_CHAIN = "guard"

#: Behind source NAT (100, NF_IP_PRI_NAT_SRC), so that what it translated is seen as it leaves.
_HOOK = Hook("filter", "postrouting", 110)

# IPS_SRC_NAT of nf_conntrack_common.h; the bit of "untracked" in what `ct state` loads (NF_CT_STATE_UNTRACKED_BIT):
# neighbour discovery, which the kernel does not track.
_SOURCE_NAT = 1 << 4
_UNTRACKED = 1 << 6

# RTN_LOCAL; RTN_BROADCAST is what 0.0.0.0 counts as, the source of whoever has no address yet (DHCP, IGMP).
_LOCAL, _BROADCAST = 2, 3


def compile_guard(router: Router, sets: Sets, chains: Chains) -> None:
    """Add the chain that guards `router.guarded`."""
    if not router.guarded:
        return
    elements = frozenset(SetElement(ifname(interface)) for interface in router.guarded)
    sets.named(NftSet("guarded", KeyType.IFNAME, elements))
    rules = (
        NftRule((Meta(MetaKey.OIFNAME), Lookup("guarded", negated=True), Act(ACCEPT))),
        NftRule((*_has_bit(Ct(CtKey.STATUS), _SOURCE_NAT), Act(ACCEPT))),
        NftRule((*_has_bit(Ct(CtKey.STATE), _UNTRACKED), Act(ACCEPT))),
        *(
            NftRule((FibType(of_source=True, on_out_interface=True), Cmp(CmpOp.EQ, word(kind)), Act(ACCEPT)))
            for kind in (_LOCAL, _BROADCAST)
        ),
        NftRule((Counter(), Act(DROP)), "not an address of this interface"),
    )
    chains.add(NftChain(GUARD_CHAIN, rules, _HOOK))


def _has_bit(load: Expression, bit: int) -> tuple[Expression, ...]:
    return (load, Bitwise(word(bit), word(0)), Cmp(CmpOp.NEQ, word(0)))
