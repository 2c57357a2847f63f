"""What the kernel can't hold, or has no form for: a router with such a finding can't be compiled for any machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.mangle import JUMP_DEPTH
from evenflow.core.numbering import TooManyNamesError, number_router
from evenflow.core.pcc import MODULUS_LIMIT, moduli
from evenflow.core.routing import RULES_OF_STAGE, rules_made
from evenflow.model.finding import Finding, Origin, error
from evenflow.model.flow import BOTH_FAMILIES, Family, family_of
from evenflow.model.router import JumpAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.router import Router


def limit_findings(router: Router) -> Iterator[Finding]:
    """Findings of severity error."""
    yield from _denominators(router)
    yield from _endless_jumps(router)
    yield from _names(router)
    yield from _route_rules(router)
    yield from _distances(router)


def _denominators(router: Router) -> Iterator[Finding]:
    for classifier, modulus in moduli(router).items():
        if modulus > MODULUS_LIMIT:
            yield error(
                "denominators-too-far-apart",
                Origin(router.file),
                f"the denominators used with {classifier.value} have {modulus} as their least common multiple, "
                f"and one map holds at most {MODULUS_LIMIT}; use denominators with common factors",
            )


def _names(router: Router) -> Iterator[Finding]:
    try:
        number_router(router)
    except TooManyNamesError as problem:
        yield error("too-many-marks", Origin(router.file), f"{problem}; use fewer marks and tables")


# --- jumps -----------------------------------------------------------------------------------------------------------


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


# --- routing ---------------------------------------------------------------------------------------------------------


def _route_rules(router: Router) -> Iterator[Finding]:
    """More routing rules than there are priorities for them: each has its own, so that their order is certain."""
    for family in BOTH_FAMILIES:
        left = dict(RULES_OF_STAGE)
        for rule in router.rules:
            if family not in rule.families or rule.stage not in left:
                continue
            left[rule.stage] -= rules_made(rule)
            if left[rule.stage] < 0:
                most = RULES_OF_STAGE[rule.stage]
                yield error(
                    "too-many-route-rules",
                    rule.origin,
                    f"from here on there are more than {most} routing rules of one family (one that is "
                    "lookup-only-in-table counts twice), and evenflow has no more priorities for them; use fewer",
                )
                return


def _distances(router: Router) -> Iterator[Finding]:
    for route in router.routes:
        if route.distance == 0 and family_of(route.destination) is Family.IPV6:
            yield error(
                "distance-zero",
                route.origin,
                "an IPv6 route with distance 0 can't be made on Linux, where a metric of 0 means 1024; "
                "give it distance 1 or more",
            )
