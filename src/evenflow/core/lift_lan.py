"""The LAN of a policy: the interfaces whose connections the rules of a spread divide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.addresses import contains
from evenflow.model.finding import Finding, error, warning
from evenflow.model.matcher import AddressListMatch, AddressMatch, AddressRange, Direction, InInterface, InInterfaceList
from evenflow.model.router import JumpAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evenflow.core.streams import StreamGroup
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Interface, Router


@dataclass(frozen=True, slots=True)
class Lan:
    """The interfaces, and the conditions that tell them."""

    interfaces: tuple[str, ...]
    said_by: frozenset[Matcher]
    findings: tuple[Finding, ...] = ()


def lan_of(router: Router, groups: Sequence[StreamGroup], uplinks: frozenset[str]) -> Lan:
    """The interfaces that the rules ask for; where they ask for none, those with a network that are no uplink."""
    jumping: dict[str, list[Matcher]] = {}
    for rule in router.mangle:
        if isinstance(rule.action, JumpAction):
            jumping.setdefault(rule.action.chain, []).extend(rule.matchers)
    finder = _Finder(router, uplinks, jumping)
    interfaces: dict[str, None] = {}
    said_by: set[Matcher] = set()
    guessed = False
    for group in groups:
        told = [matcher for matcher in finder.conditions(group) if finder.told_by(matcher)]
        said_by.update(told)
        named = [name for matcher in told for name in finder.told_by(matcher)]
        guessed = guessed or not named
        interfaces.update(dict.fromkeys(named or finder.inside()))
    where = groups[0].rules[0].origin
    findings = []
    if not interfaces:
        what = "the rules name no interface that they balance, and the file has no address of one; add in-interface="
        findings.append(error("lan-unknown", where, what))
    elif guessed:
        what = (
            f"the rules name no interface that they balance; lan is every one with a network: {', '.join(interfaces)}"
        )
        findings.append(warning("lan-guessed", where, what))
    return Lan(tuple(interfaces), frozenset(said_by), tuple(findings))


@dataclass(frozen=True, slots=True)
class _Finder:
    router: Router
    uplinks: frozenset[str]
    jumping: Mapping[str, Sequence[Matcher]]

    def conditions(self, group: StreamGroup) -> Iterator[Matcher]:
        """Of the rules, and of those that jump to their chain."""
        yield from group.conditions
        yield from self.jumping.get(group.chain, ())

    def told_by(self, matcher: Matcher) -> list[str]:
        """The interfaces of the LAN that a condition tells; none where it is about something else."""
        match matcher:
            case InInterface(name, False):
                return [name] if name not in self.uplinks else []
            case InInterfaceList(list_name, False):
                return sorted(self._members(list_name) - self.uplinks)
            case InInterfaceList(list_name, True):
                return [name for name in self.inside() if name not in self._members(list_name)]
            case AddressMatch(Direction.SOURCE, addresses, False):
                return self._with_network_in((addresses,))
            case AddressListMatch(Direction.SOURCE, list_name, False):
                ranges = (
                    entry for each in self.router.address_lists if each.name == list_name for entry in each.ranges
                )
                return self._with_network_in(tuple(ranges))
        return []

    def _members(self, list_name: str) -> frozenset[str]:
        return next((each.members for each in self.router.interface_lists if each.name == list_name), frozenset())

    def inside(self) -> list[str]:
        """Interfaces with a network that are no uplink."""
        return [each.name for each in self._interfaces() if each.addresses]

    def _interfaces(self) -> Iterable[Interface]:
        return (each for each in self.router.interfaces if each.name not in self.uplinks)

    def _with_network_in(self, ranges: Sequence[AddressRange]) -> list[str]:
        return [each.name for each in self._interfaces() if any(contains(ranges, own.ip) for own in each.addresses)]
