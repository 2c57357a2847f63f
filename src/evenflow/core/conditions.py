"""Every condition of every rule, with the place of the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Origin
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Router


@dataclass(frozen=True, slots=True)
class Condition:
    """A matcher, and where its rule was written."""

    matcher: Matcher
    origin: Origin


def conditions(router: Router) -> Iterator[Condition]:
    """The conditions of mangle rules, then those of NAT rules."""
    for rule in router.mangle:
        yield from (Condition(matcher, rule.origin) for matcher in rule.matchers)
    for translation in router.nat:
        yield from (Condition(matcher, translation.origin) for matcher in translation.matchers)
