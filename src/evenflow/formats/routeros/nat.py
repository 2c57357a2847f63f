"""`/ip firewall nat` and `/ipv6 firewall nat`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from evenflow.core.draws import is_by_chance
from evenflow.core.rule_words import property_of
from evenflow.formats.routeros import values
from evenflow.formats.routeros.mangle import LEFT_OUT, check_remainder, refuse_action
from evenflow.formats.routeros.matchers import MatcherReader
from evenflow.formats.routeros.nat_chains import BUILT_IN, StatedNat, beyond_us, can_return, written_out
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.values import BadValueError
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from evenflow.model.router import (
    AcceptAction,
    DestinationNat,
    JumpAction,
    Masquerade,
    Redirect,
    ReturnAction,
    SourceNat,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.items import Item
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.matcher import AddressRange, Matcher
    from evenflow.model.router import NatAction, NatRule

#: Chains of RouterOS 7 for what the router itself sends and gets.
_UNSUPPORTED_CHAINS = ("input", "output")

#: Actions after which the next rule is asked as if nothing had been.
_WITHOUT_BEARING = frozenset(("add-dst-to-address-list", "add-src-to-address-list", "log", "passthrough"))


class NatReader:
    """Reads the NAT rules of one family."""

    def __init__(self, notes: Notes, family: Family) -> None:
        self._notes = notes
        self._family = family
        self._matchers = MatcherReader(SCHEMAS["ip" if family is Family.IPV4 else "ipv6", "firewall", "nat"], family)

    def rules(self, items: Iterable[Item]) -> list[NatRule]:
        """The rules that are in force, in order; what can't be asked for is an `UnsupportedMatch` in them."""
        stated = [self._rule(item) for item in items if item.in_force]
        return written_out([rule for rule in stated if rule is not None], self._notes)

    def _rule(self, item: Item) -> StatedNat | None:
        reading = Reading(item, self._notes, "rule", LEFT_OUT)
        word = reading.value("action", str, "accept")
        if word in _WITHOUT_BEARING:
            what = f"action={word} is not done; the next rule is asked. Take the rule out, or see to this otherwise"
            reading.tell(Severity.WARNING, "unsupported-action", what)
            return None
        chain = reading.needed("chain")
        if chain in _UNSUPPORTED_CHAINS:
            reading.refuse("unsupported-chain", f"chain={chain} is no chain of NAT here; write srcnat or dstnat")
        action = self._action(reading, word, chain)
        matchers = self._matchers.read(reading)
        if isinstance(action, JumpAction | ReturnAction):
            matchers = self._certain(reading, matchers)
        if isinstance(action, ReturnAction) and not can_return(matchers):
            what = "action=return by a hardware address, or by ports without protocol=, can't be done here"
            reading.refuse("unsupported-action", f"{what}; write the rules behind it for the other packets")
        if action is None or not reading.ok:
            return None
        check_remainder(reading, matchers)
        return StatedNat(chain, matchers, action, self._family, reading.comment(), item.origin)

    def _certain(self, reading: Reading, matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
        """The conditions of a jump or return, which are asked in each rule of the chain: none may be left to chance."""
        for matcher in filter(is_by_chance, matchers):
            what = "it can't be asked here for a whole chain of NAT; ask for it in its rules"
            reading.unasked(property_of(matcher), BadValueError(what, "unsupported-matcher"))
        return beyond_us(matchers)

    def _action(self, reading: Reading, word: str, chain: str) -> NatAction | JumpAction | ReturnAction | None:
        if word in ("masquerade", "src-nat") and reading.value("to-ports", str, None) is not None:
            what = f"to-ports= of action={word} is not kept: the kernel chooses the source port. Take it out"
            reading.tell(Severity.WARNING, "unsupported-property", what)
        match word:
            case "accept":
                return AcceptAction()
            case "jump":
                return JumpAction(reading.needed("jump-target", " for action=jump"))
            case "return":
                return ReturnAction()
            case "masquerade":
                return Masquerade()
            case "src-nat":
                return self._source_nat(reading, word)
            case "dst-nat":
                return DestinationNat(self._to_addresses(reading), _to_ports(reading))
            case "redirect":
                return Redirect(_to_ports(reading))
            case "same" | "netmap" if chain in BUILT_IN:
                return self._one_to_one(reading, word, chain)
        refuse_action(reading, word, ("endpoint-independent-nat", "netmap", "same", "socksify"))
        return None

    def _source_nat(self, reading: Reading, word: str) -> SourceNat | None:
        to = self._to_addresses(reading)
        if to is None:
            reading.needed("to-addresses", f" for action={word}")
        return SourceNat(to) if to else None

    def _one_to_one(self, reading: Reading, word: str, chain: str) -> NatAction | None:
        """`same` and `netmap`: to one address what src-nat and dst-nat are."""
        to = self._to_addresses(reading)
        if to is None or (to.first != to.last and word == "netmap"):
            what = f"action={word} to a whole network can't be done here; write a rule for each address"
            reading.refuse("unsupported-action", what)
            return None
        if to.first != to.last:
            what = "action=same is done as src-nat: a client may get one address of the range for one host, another one"
            reading.tell(
                Severity.WARNING, "unsupported-action", f"{what} for the next. Give one address, if it matters"
            )
        return SourceNat(to) if chain == "srcnat" else DestinationNat(to, _to_ports(reading))

    def _to_addresses(self, reading: Reading) -> AddressRange | None:
        # IPv6 NAT says to-address.
        name = "to-address" if "to-address" in reading.item.properties else "to-addresses"
        return reading.value(name, partial(_optional_range, self._family), None)


def _optional_range(family: Family, text: str) -> AddressRange | None:
    return values.address_range(text, family)


def _to_ports(reading: Reading) -> tuple[int, int] | None:
    return reading.value("to-ports", _one_port_range, None)


def _one_port_range(text: str) -> tuple[int, int] | None:
    ranges = values.ports(text)
    if len(ranges) > 1:
        raise BadValueError("it is more than one range of ports; write one")
    return ranges[0]
