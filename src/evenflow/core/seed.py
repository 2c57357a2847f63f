"""The seed of the classifiers' hash, as it stands in the rules in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.model.nft import Hash

if TYPE_CHECKING:
    from evenflow.model.dataplane import Dataplane


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
