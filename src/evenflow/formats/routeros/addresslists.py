"""`/ip firewall address-list` and `/ipv6 firewall address-list`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from evenflow.formats.routeros import values
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.values import BadValueError
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from evenflow.model.router import AddressList

if TYPE_CHECKING:
    from evenflow.formats.routeros.items import Items
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.finding import Origin
    from evenflow.model.matcher import AddressRange

_MENUS = ((Family.IPV4, ("ip", "firewall", "address-list")), (Family.IPV6, ("ipv6", "firewall", "address-list")))


def read_address_lists(items: Items, notes: Notes) -> tuple[AddressList, ...]:
    """The address lists, by first appearance; one list holds the entries of both families."""
    ranges: dict[str, list[AddressRange]] = {}
    origins: dict[str, Origin] = {}
    for family, menu in _MENUS:
        for item in items.of(menu):
            if not item.in_force:
                continue
            reading = Reading(item, notes, "entry")
            name = reading.needed("list")
            reading.needed("address")
            entry = reading.value("address", partial(_entry, family), None)
            if name:
                origins.setdefault(name, item.origin)
                ranges.setdefault(name, []).extend([entry] if entry is not None and reading.ok else [])
            if reading.value("timeout", str, ""):
                what = "an entry with a timeout= is taken as lasting; leave timeout= out to say so"
                reading.tell(Severity.WARNING, "timeout", what)
    return tuple(AddressList(name, tuple(ranges[name]), origins[name]) for name in ranges)


def _entry(family: Family, text: str) -> AddressRange | None:
    try:
        return values.address_range(text, family)
    except BadValueError as problem:
        if "/" in text or not any(letter.isalpha() for letter in text) or ":" in text:
            raise
        what = "a name is looked up by the running router only; write its addresses"
        raise BadValueError(what, "unsupported-value") from problem
