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
    late = _accepting_late(script, first, [each.network for each in away])
    edits: list[Edit] = [MoveCommand(rule.origin.line, place) for rule in late]
    left = [each.network for each in away if not any(_covers(rule, each.network) for rule in late)]
    earlier = script.router.mangle[: script.router.mangle.index(first)]
    whose = dict.fromkeys(_who(rule) for rule in dividing)
    rules = [
        MangleRule("prerouting", (*who, _to(network)), AcceptAction(), dividing[0].families)
        for who in whose
        for network in left
        if not any(_covers(rule, network) and set(_who(rule)) <= set(who) for rule in earlier)
    ]
    if len(rules) > _MOST_RULES:
        return Decision(
            f"it takes {len(rules)} rules; put the networks into an address list, and accept what goes there"
        )
    edits += [AddCommand(command, place) for command in mangle_commands(rules)]
    networks = ", ".join(str(each.network) for each in away)
    return Way(f"packets to {networks} are accepted before connections are divided", tuple(edits))


def _accepting_late(script: Script, first: MangleRule, networks: Iterable[Network]) -> list[MangleRule]:
    """Rules that accept packets to one of the networks, too late."""
    mangle = script.router.mangle
    later = mangle[mangle.index(first) + 1 :]
    return [rule for rule in later if script.can_edit(rule) and any(_covers(rule, network) for network in networks)]


def _covers(rule: MangleRule, network: Network) -> bool:
    """Whether a rule of prerouting accepts what goes to a network, whoever else it asks for."""
    if rule.chain != "prerouting" or not isinstance(rule.action, AcceptAction):
        return False
    to = [m for m in rule.matchers if isinstance(m, AddressMatch) and m.direction is Direction.DESTINATION]
    if len(to) + len(_who(rule)) < len(rule.matchers):
        return False  # it asks for something else as well
    return bool(to) and all(_within(network, m.addresses) and not m.negated and not _is_all(m.addresses) for m in to)


def _within(network: Network, addresses: AddressRange) -> bool:
    return (
        addresses.first.version == network.version
        and int(addresses.first) <= int(network.network_address)
        and int(network.broadcast_address) <= int(addresses.last)
    )


def _is_all(addresses: AddressRange) -> bool:
    return int(addresses.first) == 0 and int(addresses.last) + 1 == 1 << addresses.last.max_prefixlen


def _who(rule: MangleRule) -> tuple[Matcher, ...]:
    """What a rule asks about where packets come from."""
    return tuple(m for m in rule.matchers if isinstance(m, InInterface | InInterfaceList) or _is_about_source(m))


def _is_about_source(matcher: Matcher) -> bool:
    return isinstance(matcher, AddressMatch | AddressListMatch) and matcher.direction is Direction.SOURCE


def _to(network: Network) -> AddressMatch:
    return AddressMatch(Direction.DESTINATION, AddressRange(network.network_address, network.broadcast_address))
