"""A router becomes a dataplane: what has to stand in the kernel of this machine so that it behaves as written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import Sets
from evenflow.core.compile.effects import Chains
from evenflow.core.compile.guard import compile_guard
from evenflow.core.compile.mangle import compile_mangle
from evenflow.core.compile.nat import compile_nat
from evenflow.core.failover import AS_USUAL, stand
from evenflow.core.fold import fold
from evenflow.core.mangle import JUMP_DEPTH
from evenflow.core.matching import Surroundings
from evenflow.core.numbering import TooManyNamesError, number_router
from evenflow.core.pcc import MODULUS_LIMIT, moduli
from evenflow.core.routing import resolve
from evenflow.model.dataplane import Dataplane
from evenflow.model.finding import Finding, Origin, error
from evenflow.model.flow import Family
from evenflow.model.nft import Hash, NftTable
from evenflow.model.router import JumpAction, LearnedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.failover import Standing
    from evenflow.core.routing import Routing
    from evenflow.model.machine import Machine
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
    findings = tuple(_obstacles(router))
    try:
        numbers = number_router(router)
    except TooManyNamesError as problem:
        findings += (error("too-many-marks", Origin(router.file), f"{problem}; use fewer marks and tables"),)
    if findings:
        return Compiled(None, findings)
    around = Surroundings(router, machine, seed)
    routing = resolve(router, machine, numbers)
    sets, chains = Sets(), Chains(numbers)
    compile_mangle(around, numbers, sets, chains)
    compile_nat(around, numbers, sets, chains)
    compile_guard(router, sets, chains)
    table = NftTable(chains.made, sets.made)
    dataplane = Dataplane(
        table,
        frozenset(routing.routes),
        frozenset(routing.rules),
        _sysctls(router, routing),
        standing=standing.to_kernel({watch.name for watch in router.watches}),
    )
    return Compiled(dataplane, routing.findings)


def seed_of(dataplane: Dataplane) -> int | None:
    """The seed that a dataplane's classifiers use; None when it has no classifier."""
    if dataplane.table is None:
        return None
    for chain in dataplane.table.chains.values():
        for rule in chain.rules:
            for expression in rule.expressions:
                if isinstance(expression, Hash):
                    return expression.seed
    return None


def _obstacles(router: Router) -> Iterator[Finding]:
    for classifier, modulus in moduli(router).items():
        if modulus > MODULUS_LIMIT:
            yield error(
                "denominators-too-far-apart",
                Origin(router.file),
                f"the denominators used with {classifier.value} have {modulus} as their least common multiple, "
                f"and one map holds at most {MODULUS_LIMIT}; use denominators with common factors",
            )
    yield from _endless_jumps(router)


def _endless_jumps(router: Router) -> Iterator[Finding]:
    """Jumps that come back to their own chain, or lie deeper than the kernel follows them."""
    jumps: dict[str, dict[str, Origin]] = {}
    for rule in router.mangle:
        if isinstance(rule.action, JumpAction):
            jumps.setdefault(rule.chain, {}).setdefault(rule.action.chain, rule.origin)
    depth: dict[str, int] = {}
    for start in jumps:
        seen = _deepest(start, jumps, (), depth)
        if seen is not None:
            yield error(
                "jump-loop",
                seen,
                f"the jumps from chain {start} come back to a chain that they passed, or lie over {JUMP_DEPTH - 2} "
                f"deep; let them end",
            )
            return


def _deepest(
    chain: str, jumps: dict[str, dict[str, Origin]], path: tuple[str, ...], done: dict[str, int]
) -> Origin | None:
    """Where the path of jumps from a chain becomes endless or too deep, if it does.

    The base chain and the chain of a spread or mark take two of the kernel's levels.
    """
    for target, origin in jumps.get(chain, {}).items():
        if target in (*path, chain) or len(path) >= JUMP_DEPTH - 3:
            return origin
        if done.get(target, -1) >= len(path):
            continue
        found = _deepest(target, jumps, (*path, chain), done)
        if found is not None:
            return found
        done[target] = len(path)
    return None


def _sysctls(router: Router, routing: Routing) -> dict[str, str]:
    """Kernel settings that the router needs, by their names with slashes.

    Reverse-path filtering is made loose (2) on uplinks: the answer to what comes in by one may have another as its
    best way by the main table (RFC 3704). `ignore_routes_with_linkdown` makes a lookup pass over routes whose
    carrier is gone, so that the backup routes take over at once and by themselves.
    """
    if not router.mangle and not router.routes:
        return {}
    found: dict[str, str] = {}
    for interface in sorted(routing.uplink_interfaces):
        found[f"net/ipv4/conf/{interface}/rp_filter"] = "2"
        found[f"net/ipv4/conf/{interface}/ignore_routes_with_linkdown"] = "1"
        found[f"net/ipv6/conf/{interface}/ignore_routes_with_linkdown"] = "1"
    if not router.forwards:
        return found
    found["net/ipv4/ip_forward"] = "1"
    # The kernel changes this one together with forwarding, both ways: named, so that it is put back as it was.
    found["net/ipv4/conf/all/accept_redirects"] = "0"
    if Family.IPV6 in routing.families:
        learned = {g.interface for r in router.routes for g in r.gateways if isinstance(g, LearnedGateway)}
        for interface in sorted(learned & routing.uplink_interfaces):
            # A forwarding host ignores router advertisements unless told 2 (Linux, ip-sysctl: accept_ra).
            found[f"net/ipv6/conf/{interface}/accept_ra"] = "2"
        found["net/ipv6/conf/all/forwarding"] = "1"
    return found
