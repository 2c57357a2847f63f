"""`/ip firewall nat` and `/ipv6 firewall nat`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from evenflow.formats.routeros import values
from evenflow.formats.routeros.mangle import check_remainder
from evenflow.formats.routeros.matchers import MatcherReader
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.values import BadValueError
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from evenflow.model.router import AcceptAction, DestinationNat, Masquerade, NatRule, Redirect, SourceNat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.items import Item
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.matcher import AddressRange
    from evenflow.model.router import NatAction

#: Chains that packets meet by themselves.
_CHAINS = ("srcnat", "dstnat")

#: Actions after which the next rule is asked as if nothing had been.
_WITHOUT_BEARING = frozenset(("add-dst-to-address-list", "add-src-to-address-list", "log", "passthrough"))


class NatReader:
    """Reads the NAT rules of one family."""

    def __init__(self, notes: Notes, family: Family) -> None:
        self._notes = notes
        self._family = family
        self._matchers = MatcherReader(SCHEMAS["ip" if family is Family.IPV4 else "ipv6", "firewall", "nat"], family)

    def rules(self, items: Iterable[Item]) -> list[NatRule]:
        """The rules that are in force, in order."""
        rules = [self._rule(item) for item in items if item.in_force]
        return [rule for rule in rules if rule is not None]

    def _rule(self, item: Item) -> NatRule | None:
        reading = Reading(item, self._notes, "rule")
        word = reading.value("action", str, "accept")
        if word in _WITHOUT_BEARING:
            what = f"action={word} is not done; the next rule is asked. Take the rule out, or see to this otherwise"
            reading.tell(Severity.WARNING, "unsupported-action", what)
            return None
        chain = reading.needed("chain")
        if chain and chain not in _CHAINS:
            reading.refuse("unsupported-chain", f"chain={chain} is no chain of NAT here; write srcnat or dstnat")
        action = self._action(reading, word)
        matchers = self._matchers.read(reading)
        if action is None or not reading.ok:
            return None
        check_remainder(reading, matchers)
        return NatRule(chain, matchers, action, (self._family,), reading.comment(), item.origin)

    def _action(self, reading: Reading, word: str) -> NatAction | None:
        if word in ("masquerade", "src-nat") and reading.value("to-ports", str, None) is not None:
            what = f"to-ports= of action={word} is not kept: the kernel chooses the source port. Take it out"
            reading.tell(Severity.WARNING, "unsupported-property", what)
        match word:
            case "accept":
                return AcceptAction()
            case "masquerade":
                return Masquerade()
            case "src-nat":
                to = self._to_addresses(reading)
                if to is None:
                    reading.needed("to-addresses", " for action=src-nat")
                return SourceNat(to) if to else None
            case "dst-nat":
                return DestinationNat(self._to_addresses(reading), _to_ports(reading))
            case "redirect":
                return Redirect(_to_ports(reading))
        reading.refuse("unsupported-action", f"action={word} can't be done here; write src-nat, dst-nat or masquerade")
        return None

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
