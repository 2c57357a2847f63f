"""The mend of `connected-not-bypassed`: what goes to networks of the router is accepted before it is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.lint.exact import SEED
from evenflow.core.lint.local import networks_led_away
from evenflow.core.streams import stream_groups
from evenflow.formats.routeros.mending.edits import AddCommand, MoveCommand, Place
from evenflow.formats.routeros.mending.script import Decision, Way
from evenflow.formats.routeros.writing.rules import mangle_commands
from evenflow.model.finding import Severity
from evenflow.model.matcher import (
    AddressListMatch,
    AddressMatch,
    AddressRange,
    Direction,
    InInterface,
    InInterfaceList,
)
from evenflow.model.router import AcceptAction, MangleRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.mending.edits import Edit
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding
    from evenflow.model.flow import Network
    from evenflow.model.matcher import Matcher

#: As many rules are added by hand; for more networks an address list is the better way, and its name is the person's.
_MOST_RULES = 12


def connected_not_bypassed(script: Script, finding: Finding) -> Way | Decision:
    """Rules that accept such packets are moved to the front where they are there, and added where they are not."""
    away = networks_led_away(script.router, SEED, of_uplinks=finding.severity is Severity.INFO)
    dividing = [rule for group in stream_groups(script.router) for rule in group.rules]
    gates = [gate for gate in map(script.gate, dividing) if gate is not None]
    if not away or not gates or not script.can_edit(*gates):
        return Decision(
            "the rules that divide connections are made by a loop, or are no classifier's; edit them by hand"
        )
    first = min(gates, key=script.router.mangle.index)
    place = Place(first.origin.line)
    networks = [each.network for each in away]
    late = _accepting_late(script, first, networks)
    accepting = [*script.router.mangle[: script.router.mangle.index(first)], *late]
    edits: list[Edit] = [MoveCommand(rule.origin.line, place) for rule in late]
    rules = [
        MangleRule("prerouting", (*who, _to(network)), AcceptAction(), dividing[0].families)
        for who in dict.fromkeys(_who(rule) for rule in dividing)
        for network in networks
        if not _is_only_of(who, network, script)
        if not any(_covers(rule, network) and _is_of_all(rule, who, script) for rule in accepting)
    ]
    if len(rules) > _MOST_RULES:
        return Decision(
            f"it takes {len(rules)} rules; put the networks into an address list, and accept what goes there"
        )
    edits += [AddCommand(command, place) for command in mangle_commands(rules)]
    told = ", ".join(map(str, networks))
    return Way(f"packets to {told} are accepted before connections are divided", tuple(edits))


def _accepting_late(script: Script, first: MangleRule, networks: Iterable[Network]) -> list[MangleRule]:
    """Rules that accept packets to one of the networks, too late."""
    mangle = script.router.mangle
    later = [rule for rule in mangle[mangle.index(first) + 1 :] if script.can_edit(rule)]
    return [rule for rule in later if any(_covers(rule, network) and _is_about(rule, network) for network in networks)]


def _covers(rule: MangleRule, network: Network) -> bool:
    """Whether a rule of prerouting accepts all that goes to a network, whoever else it asks for."""
    if rule.chain != "prerouting" or not isinstance(rule.action, AcceptAction):
        return False
    to = _destinations(rule)
    if not to or len(to) + len(_who(rule)) < len(rule.matchers):
        return False  # it asks for something else as well
    return all(_within(network, m.addresses) and not m.negated for m in to)


def _is_about(rule: MangleRule, network: Network) -> bool:
    """Whether a rule that covers a network is about no other addresses: else their packets would go elsewhere, too."""
    return any(m.addresses.first in network and m.addresses.last in network for m in _destinations(rule))


def _destinations(rule: MangleRule) -> list[AddressMatch]:
    return [m for m in rule.matchers if isinstance(m, AddressMatch) and m.direction is Direction.DESTINATION]


def _within(network: Network, addresses: AddressRange) -> bool:
    return (
        addresses.first.version == network.version
        and int(addresses.first) <= int(network.network_address)
        and int(network.broadcast_address) <= int(addresses.last)
    )


def _is_of_all(rule: MangleRule, who: tuple[Matcher, ...], script: Script) -> bool:
    """Whether a rule asks for no fewer senders than those of `who`."""
    return all(any(_admits(wide, narrow, script) for narrow in who) for wide in _who(rule))


def _is_only_of(who: tuple[Matcher, ...], network: Network, script: Script) -> bool:
    """Whether all that come from there are in the network itself, and so need no router to it."""
    interfaces = script.router.interfaces
    own = {known.name for known in interfaces if any(address.network == network for address in known.addresses)}
    asked = (_interfaces(matcher, script) for matcher in who)
    return any(interfaces is not None and interfaces <= own for interfaces in asked)


def _admits(wide: Matcher, narrow: Matcher, script: Script) -> bool:
    """Whether all that the one condition holds for is there in the other, by name or by the members of a list."""
    inner, outer = _interfaces(narrow, script), _interfaces(wide, script)
    return wide == narrow or (inner is not None and outer is not None and inner <= outer)


def _interfaces(matcher: Matcher, script: Script) -> frozenset[str] | None:
    """The interfaces that a condition asks for; None where it does not say so."""
    if isinstance(matcher, InInterface) and not matcher.negated:
        return frozenset((matcher.interface,))
    if isinstance(matcher, InInterfaceList) and not matcher.negated:
        named = (known.members for known in script.router.interface_lists if known.name == matcher.list_name)
        return frozenset(next(named, ()))
    return None


def _who(rule: MangleRule) -> tuple[Matcher, ...]:
    """What a rule asks about where packets come from."""
    return tuple(m for m in rule.matchers if isinstance(m, InInterface | InInterfaceList) or _is_about_source(m))


def _is_about_source(matcher: Matcher) -> bool:
    return isinstance(matcher, AddressMatch | AddressListMatch) and matcher.direction is Direction.SOURCE


def _to(network: Network) -> AddressMatch:
    return AddressMatch(Direction.DESTINATION, AddressRange(network.network_address, network.broadcast_address))
