"""The leak guard: by some interfaces only what has an address of that very interface as its source may leave.

It stands behind source NAT. Packets of connections that NAT has translated pass at once, but for the first ones;
masquerade itself refuses a connection whose way out has changed (Linux, nf_nat_oif_changed()). What is left to catch
is what NAT does not see, such as packets that belong to no connection (with the LAN's address), answers of a forwarded
port that fell back to another uplink, and masquerade on an interface that has no address (yet): it takes another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import COMPARED, ifname, word
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
    from collections.abc import Iterator

    from evenflow.core.compile.conditions import Sets
    from evenflow.core.compile.effects import Chains
    from evenflow.model.nft import Expression
    from evenflow.model.router import Router

GUARD_CHAIN = "guard"

#: Behind source NAT (100, NF_IP_PRI_NAT_SRC), so that what it translated is seen as it leaves.
_HOOK = Hook("filter", "postrouting", 110)

# IPS_SRC_NAT and IPS_CONFIRMED (the first packet has left before) of nf_conntrack_common.h; a bit of what `ct state`
# loads (NF_CT_STATE_UNTRACKED_BIT). Untracked is neighbour discovery.
_SOURCE_NAT = 1 << 4
_CONFIRMED = 1 << 3
_UNTRACKED = 1 << 6

# RTN_LOCAL; RTN_BROADCAST is what 0.0.0.0 counts as, the source of whoever has no address yet (DHCP, IGMP).
_LOCAL, _BROADCAST = 2, 3


def compile_guard(router: Router, sets: Sets, chains: Chains) -> None:
    """Add the chain that guards `router.guarded`."""
    if not router.guarded:
        return
    rules = (
        # Most packets end here: the connection is known, and NAT keeps its source.
        NftRule((*_has_bits(Ct(CtKey.STATUS), _SOURCE_NAT | _CONFIRMED), Act(ACCEPT))),
        NftRule((Meta(MetaKey.OIFNAME), *_not_guarded(router, sets), Act(ACCEPT))),
        # The first packets of most connections end here.
        _accept_source(_LOCAL),
        NftRule((*_has_bit(Ct(CtKey.STATE), _UNTRACKED), Act(ACCEPT))),
        _accept_source(_BROADCAST),
        # Somebody's own source NAT to an address that no interface has: the provider routes it here.
        NftRule(
            (
                *_has_bit(Ct(CtKey.STATUS), _SOURCE_NAT),
                FibType(of_source=True),
                Cmp(CmpOp.NEQ, word(_LOCAL)),
                Act(ACCEPT),
            )
        ),
        NftRule((Counter(), Act(DROP)), "not an address of this interface"),
    )
    chains.add(NftChain(GUARD_CHAIN, rules, _HOOK))


def _not_guarded(router: Router, sets: Sets) -> Iterator[Expression]:
    names = [ifname(interface) for interface in sorted(router.guarded)]
    if len(names) > COMPARED:
        elements = frozenset(SetElement(name) for name in names)
        yield Lookup(sets.named(NftSet("guarded", KeyType.IFNAME, elements)), negated=True)
    else:
        yield from (Cmp(CmpOp.NEQ, name) for name in names)


def _accept_source(kind: int) -> NftRule:
    return NftRule((FibType(of_source=True, on_out_interface=True), Cmp(CmpOp.EQ, word(kind)), Act(ACCEPT)))


def _has_bit(load: Expression, bit: int) -> tuple[Expression, ...]:
    return (load, Bitwise(word(bit), word(0)), Cmp(CmpOp.NEQ, word(0)))


def _has_bits(load: Expression, bits: int) -> tuple[Expression, ...]:
    return (load, Bitwise(word(bits), word(0)), Cmp(CmpOp.EQ, word(bits)))
