"""The interfaces that a router uses, and where it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.conditions import conditions
from evenflow.model.matcher import InInterface, InInterfaceList, OutInterface, OutInterfaceList

if TYPE_CHECKING:
    from evenflow.model.finding import Origin
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Router


def interfaces_used(router: Router) -> dict[str, Origin]:
    """Interfaces that matter, each with the place that declares it, else that of its first use."""
    uses: dict[str, Origin] = {}
    for condition in conditions(router):
        for name, origin in _named_by(condition.matcher, condition.origin, router).items():
            uses.setdefault(name, origin)
    for route in router.routes:
        for gateway in route.gateways:
            if gateway.interface is not None:
                uses.setdefault(gateway.interface, route.origin)
    for route_rule in router.rules:
        if route_rule.interface is not None:
            uses.setdefault(route_rule.interface, route_rule.origin)
    declared = {interface.name: interface.origin for interface in router.interfaces if interface.origin.line}
    return {name: declared.get(name, origin) for name, origin in uses.items()}


def _named_by(matcher: Matcher, origin: Origin, router: Router) -> dict[str, Origin]:
    """The interfaces that a matcher names, and where."""
    if isinstance(matcher, InInterface | OutInterface):
        return {matcher.interface: origin}
    if isinstance(matcher, InInterfaceList | OutInterfaceList):
        for known in router.interface_lists:
            if known.name == matcher.list_name:
                return dict.fromkeys(sorted(known.members), known.origin if known.origin.line else origin)
    return {}
