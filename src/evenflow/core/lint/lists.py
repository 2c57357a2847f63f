"""Interface lists and address lists that nothing is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.conditions import conditions
from evenflow.model.finding import Finding, info, warning
from evenflow.model.matcher import AddressListMatch, InInterfaceList, OutInterfaceList
from evenflow.model.router import FACTORY_LISTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Origin
    from evenflow.model.router import Router

#: RouterOS has these without being told; it fills them itself.
BUILT_IN_LISTS = frozenset({"all", "none", "static", "dynamic"})


@dataclass(frozen=True, slots=True)
class _Use:
    """The first condition on a list."""

    key: str
    negated: bool
    origin: Origin

    @property
    def outcome(self) -> str:
        """What a list without members makes of it."""
        return f"so {self.key} {'always' if self.negated else 'never'} holds"


def list_findings(router: Router) -> Iterator[Finding]:
    """One finding for each list that rules ask for and that is unknown or empty."""
    yield from _interface_lists(router)
    known = {known.name for known in router.address_lists}
    told: set[str] = set()
    for condition in conditions(router):
        matcher = condition.matcher
        if not isinstance(matcher, AddressListMatch) or matcher.list_name in known | told:
            continue
        name = matcher.list_name
        told.add(name)
        sign = "!" if matcher.negated else ""
        use = _Use(f"{matcher.direction.value}-address-list={sign}{name}", matcher.negated, condition.origin)
        yield warning(
            "unknown-address-list",
            use.origin,
            f"address list {name} is not in this file, {use.outcome}; "
            f"add its addresses with /ip firewall address-list add list={name} address=…",
        )


def _interface_lists(router: Router) -> Iterator[Finding]:
    members = {known.name: known.members for known in router.interface_lists}
    for name, use in _interface_lists_used(router).items():
        if name in BUILT_IN_LISTS or members.get(name):
            continue
        add = f"add its interfaces with /interface list member add list={name} interface=…"
        if name in members:
            yield warning("interface-list-empty", use.origin, f"interface list {name} is empty, {use.outcome}; {add}")
        elif name in FACTORY_LISTS:
            unless = "unless the factory configuration has filled it"
            message = f"interface list {name} is not in this file, {use.outcome}, {unless}; {add}"
            yield info("unknown-interface-list", use.origin, message)
        else:
            message = f"interface list {name} is not in this file, {use.outcome}; {add}"
            yield warning("unknown-interface-list", use.origin, message)


def _interface_lists_used(router: Router) -> dict[str, _Use]:
    found: dict[str, _Use] = {}
    for condition in conditions(router):
        matcher = condition.matcher
        if isinstance(matcher, InInterfaceList | OutInterfaceList):
            end = "in" if isinstance(matcher, InInterfaceList) else "out"
            key = f"{end}-interface-list={'!' if matcher.negated else ''}{matcher.list_name}"
            found.setdefault(matcher.list_name, _Use(key, matcher.negated, condition.origin))
    return found
