"""What is in our nft table: chains, rules, sets, elements; read one after the other.

What is listed as it was before is not decoded again, and the same objects come out (see `evenflow.kernel.listing`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from evenflow.kernel import nft_objects as objects
from evenflow.kernel.netlink import text
from evenflow.model.dataplane import TABLE_NAME
from evenflow.model.nft import NftTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evenflow.kernel.netlink import Request
    from evenflow.model.nft import NftChain, NftFlowtable, NftRule, NftSet, SetElement, Verdict

#: How often a set is read anew because its elements came in disorder.
_READ_TRIES: Final = 50

#: A message begins with family, version and 16 bits of the generation (nfgenmsg); the latter are another after any
#: change of any table, and say nothing about what is listed.
_GENERATION: Final = slice(2, 4)

_IN_OUR_TABLE: Final = text(1, TABLE_NAME)


class VanishedError(Exception):
    """Something that was listed a moment ago is gone: read anew."""


@dataclass(frozen=True, slots=True)
class _PlacedRule:
    """A rule, and the chain that it stands in."""

    chain: str
    rule: NftRule


@dataclass(frozen=True, slots=True)
class _ListedElements:
    """Elements, and the messages that they were listed in."""

    messages: Sequence[bytes]
    elements: frozenset[SetElement]


class TableContents:
    """Reads what is in our table."""

    def __init__(self, dump: Callable[[Request], Sequence[bytes]]) -> None:
        """`dump` gives the payloads of a dump; it raises VanishedError where there is no such thing."""
        self._dump = dump
        self._rules: dict[bytes, _PlacedRule] = {}
        self._elements: dict[str, _ListedElements] = {}

    def read(self) -> NftTable:
        """All of it, read in several steps: a change between two of them does not show.

        Raises:
            VanishedError: something went meanwhile.
            NetlinkError: the kernel refused.
        """
        return NftTable(self._read_chains(), self._read_sets(), self._read_flowtables())

    def _read_chains(self) -> dict[str, NftChain]:
        listed = filter(objects.is_ours, self._dump(objects.message(objects.GETCHAIN)))
        chains = {chain.name: chain for chain in map(objects.decode_chain, listed)}
        rules: dict[str, list[NftRule]] = {name: [] for name in chains}
        before, self._rules = self._rules, {}
        for message in map(_without_generation, self._dump(objects.message(objects.GETRULE, _IN_OUR_TABLE))):
            placed = before.get(message)
            if placed is None:
                if not objects.is_ours(message):
                    continue
                placed = _PlacedRule(objects.chain_of_rule(message), objects.decode_rule(message))
            self._rules[message] = placed
            rules.setdefault(placed.chain, []).append(placed.rule)
        return {name: replace(chain, rules=tuple(rules[name])) for name, chain in chains.items()}

    def _read_sets(self) -> dict[str, NftSet]:
        sets: dict[str, NftSet] = {}
        before, self._elements = self._elements, {}
        for payload in filter(objects.is_ours, self._dump(objects.message(objects.GETSET, _IN_OUR_TABLE))):
            declared = objects.decode_set(payload)
            # One that is not of our kinds comes with an element that says so.
            if declared and not declared.elements:
                listed = self._read_elements(declared.name, before.get(declared.name))
                self._elements[declared.name] = listed
                declared = replace(declared, elements=listed.elements)
            if declared:
                sets[declared.name] = declared
        return sets

    def _read_flowtables(self) -> dict[str, NftFlowtable]:
        listed = filter(objects.is_ours, self._dump(objects.message(objects.GETFLOWTABLE)))
        return {flowtable.name: flowtable for flowtable in map(objects.decode_flowtable, listed)}

    def _read_elements(self, name: str, before: _ListedElements | None) -> _ListedElements:
        """The elements of one set.

        After many were added, the kernel's hash table grows in the background. A dump that goes on in the larger table
        counts off as many elements as it has listed already, but in another order: some come twice and as many not at
        all. Nothing else tells, so a dump in which one comes twice is done again.
        """
        verdicts: dict[bytes, Verdict] = {}
        for _ in range(_READ_TRIES):
            payloads = self._dump(objects.message(objects.GETSETELEM, _IN_OUR_TABLE, text(2, name)))
            messages = [_without_generation(payload) for payload in payloads]
            if before and before.messages == messages:
                return before
            listed = [element for message in messages for element in objects.decode_elements(message, verdicts)]
            elements = frozenset(listed)
            if len(elements) == len(listed):
                return _ListedElements(messages, elements)
        raise VanishedError


def _without_generation(payload: bytes) -> bytes:
    """A message with zeros where the generation stands."""
    return payload[: _GENERATION.start] + b"\0\0" + payload[_GENERATION.stop :]
