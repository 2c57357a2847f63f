"""Names of interfaces that can only be slips of others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.core.conditions import conditions
from evenflow.core.spelling import meant
from evenflow.model.finding import Finding, warning
from evenflow.model.matcher import InInterface, OutInterface
from evenflow.model.router import InterfaceGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Origin
    from evenflow.model.router import Router

#: Names that devices or RouterOS itself give: such an interface is there though the file never speaks of it.
_GIVEN = re.compile(
    r"(?:ether|sfp|sfp-sfpplus|qsfp|qsfpplus|combo|wlan|wifi|lte|bridge|vlan|[a-z0-9]+-(?:out|in))-?[0-9]+"
)


def interface_findings(router: Router) -> Iterator[Finding]:
    """One finding for each name that only rules and routes have, and that is near to one of the file's own."""
    known = {interface.name for interface in router.interfaces}
    for name, origin in interfaces_used(router).items():
        other = meant(name, known) if name not in known and not _GIVEN.fullmatch(name) else None
        if other is not None:
            yield warning(
                "interface-misspelt",
                origin,
                f"interface {name} is nowhere else in this file, so no packet comes in or leaves by it; is it {other}?",
            )


def is_only_a_gateway(name: str, router: Router) -> bool:
    """Whether nothing but gateways says that there is an interface of that name: tutorials write `gateway=GW1`."""
    known = {interface.name for interface in router.interfaces}
    known.update(*(each.members for each in router.interface_lists))
    asked = (one.matcher for one in conditions(router) if isinstance(one.matcher, InInterface | OutInterface))
    known |= {matcher.interface for matcher in asked} | {rule.interface for rule in router.rules if rule.interface}
    return name not in known and not _GIVEN.fullmatch(name)


def interfaces_used(router: Router) -> dict[str, Origin]:
    """The interfaces that rules ask for and routes lead to, with the first place of each."""
    found: dict[str, Origin] = {}
    for asked in conditions(router):
        if isinstance(asked.matcher, InInterface | OutInterface):
            found.setdefault(asked.matcher.interface, asked.origin)
    for route in router.routes:
        for gateway in route.gateways:
            if isinstance(gateway, InterfaceGateway):
                found.setdefault(gateway.interface, route.origin)
    return found
