"""Chains of the user's that don't fit their jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.model.finding import Finding, warning
from evenflow.model.router import BUILT_IN_CHAINS, JumpAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Origin
    from evenflow.model.router import Router


def chain_findings(router: Router) -> Iterator[Finding]:
    """Jumps to no rules, and rules that no jump leads to."""
    chains: dict[str, Origin] = {}
    jumps: dict[str, Origin] = {}
    for rule in router.mangle:
        chains.setdefault(rule.chain, rule.origin)
        if isinstance(rule.action, JumpAction):
            jumps.setdefault(rule.action.chain, rule.origin)
    for chain, origin in jumps.items():
        if chain not in chains:
            yield warning(
                "jump-to-nothing",
                origin,
                f"chain {chain} has no rules, so this jump does nothing; "
                f"add rules with chain={chain}, or correct its name",
            )
    for chain, origin in chains.items():
        if chain not in jumps and chain not in BUILT_IN_CHAINS:
            yield warning(
                "chain-unused",
                origin,
                f"nothing jumps to chain {chain}, so its rules are never asked; add a jump to it, or correct its name",
            )
