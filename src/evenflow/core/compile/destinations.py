"""Long lists of rules for destinations: one lookup finds those that are for a packet's own.

A rule for another destination can't match, whatever else it asks for and whatever it does: to pass it by changes
nothing. What is left for a destination stands in a chain of its own, in order, and the packet comes back from it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from evenflow.core.draws import has_chance
from evenflow.model.flow import Family, family_of
from evenflow.model.matcher import AddressMatch, AddressRange, Direction
from evenflow.model.nft import KeyType, NftSet, SetElement, jump
from evenflow.model.router import ReturnAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleRule

#: A lookup among intervals and a jump cost as much as about so many rules that miss.
_LEAST_RULES = 8

ByDestination = dict[AddressRange, list["MangleRule"]]


def destinations_at(rules: Sequence[MangleRule], position: int, family: Family) -> ByDestination:
    """The rules from a position on as far as each is for one destination, by it; empty if they are few.

    Destinations are the same or have no address in common.
    """
    found: ByDestination = {}
    ends: list[tuple[int, int]] = []
    count = 0
    for rule in rules[position:]:
        address = _destination(rule)
        if address is None or family_of(address.first) is not family or not _may_stand_apart(rule):
            break
        if address not in found:
            span = (int(address.first), int(address.last))
            place = bisect_left(ends, span)
            if any(first <= span[1] and span[0] <= last for first, last in ends[max(0, place - 1) : place + 1]):
                break
            insort(ends, span)
        found.setdefault(address, []).append(rule)
        count += 1
    return found if count >= _LEAST_RULES and len(found) > 1 else {}


def without_destination(rule: MangleRule) -> tuple[Matcher, ...]:
    """The other matchers of a rule."""
    return tuple(matcher for matcher in rule.matchers if not _is_destination(matcher))


def map_of(name: str, chains: Mapping[AddressRange, str], family: Family) -> NftSet:
    """The map from destinations to the chains that are for them."""
    elements: set[SetElement] = set()
    for address, chain in chains.items():
        elements.add(SetElement(address.first.packed, jump(chain)))
        behind = int(address.last) + 1
        if behind < 1 << family.address_bits:
            elements.add(SetElement(behind.to_bytes(family.address_bits // 8, "big"), interval_end=True))
    key_type = KeyType.IPV4_ADDR if family is Family.IPV4 else KeyType.IPV6_ADDR
    return NftSet(name, key_type, frozenset(elements), verdicts=True, intervals=True)


def _is_destination(matcher: object) -> bool:
    return isinstance(matcher, AddressMatch) and matcher.direction is Direction.DESTINATION and not matcher.negated


def _destination(rule: MangleRule) -> AddressRange | None:
    found = [
        matcher.addresses for matcher in rule.matchers if isinstance(matcher, AddressMatch) and _is_destination(matcher)
    ]
    return found[0] if len(found) == 1 else None


def _may_stand_apart(rule: MangleRule) -> bool:
    """Not what returns, which would come back to the wrong place, nor what counts or goes on along its own chain."""
    return not isinstance(rule.action, ReturnAction | SpreadAction) and not has_chance(rule)
