"""A router becomes a dataplane: what has to stand in the kernel of this machine so that it behaves as written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import Sets, word
from evenflow.core.compile.effects import Chains
from evenflow.core.compile.flowtable import compile_flowtable
from evenflow.core.compile.guard import compile_guard
from evenflow.core.compile.mangle import compile_mangle
from evenflow.core.compile.nat import compile_nat
from evenflow.core.failover import AS_USUAL, stand
from evenflow.core.fold import fold
from evenflow.core.limits import limit_findings
from evenflow.core.matching import Surroundings
from evenflow.core.numbering import number_router
from evenflow.core.routing import resolve
from evenflow.core.settings import wishes
from evenflow.model.dataplane import Dataplane
from evenflow.model.nft import (
    Bitwise,
    Cmp,
    CmpOp,
    Ct,
    CtKey,
    CtSet,
    Masq,
    Nat,
    NftChain,
    NftRule,
    NftTable,
    Payload,
    PayloadBase,
    Redir,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.failover import Standing
    from evenflow.model.finding import Finding
    from evenflow.model.machine import Machine
    from evenflow.model.nft import Expression
    from evenflow.model.router import Router


@dataclass(frozen=True, slots=True)
class Compiled:
    """A dataplane, or None where findings of severity error stand in its way."""

    dataplane: Dataplane | None
    findings: tuple[Finding, ...] = ()


def compile_router(router: Router, machine: Machine, seed: int, standing: Standing = AS_USUAL) -> Compiled:
    """What `router` needs on `machine` while its watches stand so.

    `seed` (32 bits) is that of every classifier's hash.
    """
    router = stand(fold(router), standing)
    findings = tuple(limit_findings(router))
    if findings:
        return Compiled(None, findings)
    numbers = number_router(router)
    around = Surroundings(router, machine, seed)
    routing = resolve(router, machine, numbers)
    sets, chains = Sets(), Chains(numbers)
    compile_mangle(around, numbers, sets, chains)
    compile_nat(around, numbers, sets, chains)
    compile_guard(router, sets, chains)
    kept = standing.to_kernel({watch.name for watch in router.watches})
    flowtables = compile_flowtable(router, machine, kept, chains)
    if _reads_ports(chains) and not _tracks(chains):
        chains.add(_DEFRAGMENTING)
    table = NftTable(chains.made, sets.made, flowtables)
    dataplane = Dataplane(
        table,
        frozenset(routing.routes),
        frozenset(routing.rules),
        wishes(router, routing, machine),
        standing=kept,
    )
    return Compiled(dataplane, routing.findings)


#: A chain that nothing jumps to. That a rule looks at the connection makes the kernel put fragments together before any
#: chain of ours, so that each packet has its ports (Linux, nft_ct_get_init() and nf_defrag_ipv4).
_DEFRAGMENTING = NftChain(
    "defragmenting", (NftRule((Ct(CtKey.STATE), Bitwise(word(0xFFFF_FFFF), word(0)), Cmp(CmpOp.NEQ, word(0)))),)
)


def _expressions(chains: Chains) -> Iterator[Expression]:
    return (expression for chain in chains.made.values() for rule in chain.rules for expression in rule.expressions)


def _reads_ports(chains: Chains) -> bool:
    return any(isinstance(e, Payload) and e.base is PayloadBase.TRANSPORT for e in _expressions(chains))


def _tracks(chains: Chains) -> bool:
    """Whether the kernel tracks connections on behalf of these chains."""
    return any(isinstance(expression, Ct | CtSet | Masq | Nat | Redir) for expression in _expressions(chains))
