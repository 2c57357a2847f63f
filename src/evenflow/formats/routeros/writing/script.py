"""A whole script: what it is, what it takes away, what it makes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from evenflow.core.script_form import HANDLE
from evenflow.formats.routeros.statement import menu_text
from evenflow.formats.routeros.writing.clients import client_commands, learns
from evenflow.formats.routeros.writing.keeping import Kept, in_their_places
from evenflow.formats.routeros.writing.keys import has_menu
from evenflow.formats.routeros.writing.routing import (
    address_list_commands,
    interface_list_commands,
    route_commands,
    rule_commands,
    table_commands,
)
from evenflow.formats.routeros.writing.rules import mangle_commands, nat_commands
from evenflow.model.finding import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.routeros.version import Version
    from evenflow.formats.routeros.writing.words import Command
    from evenflow.model.router import Router

#: Every menu that a script may have written to, those that speak of others first.
_MENUS = (
    ("ip", "firewall", "mangle"),
    ("ipv6", "firewall", "mangle"),
    ("ip", "firewall", "nat"),
    ("ipv6", "firewall", "nat"),
    ("ip", "dhcp-client"),
    ("ip", "route"),
    ("ipv6", "route"),
    ("routing", "rule"),
    ("ip", "route", "rule"),
    ("routing", "table"),
    ("ip", "firewall", "address-list"),
    ("ipv6", "firewall", "address-list"),
    ("interface", "list", "member"),
    ("interface", "list"),
)

_NOTHING = Kept()


def render(router: Router, version: Version, remarks: Iterable[str] = (), kept: Kept = _NOTHING) -> str:
    """The script of a router that has the form of one (`core.script_form`), with its handles as comments.

    `parse` gives the same router back, but for where things stand and for the watches, which follow from the release.
    Run again, it replaces what it made.

    Args:
        router: what is to be.
        version: the release; nothing is written that it has not.
        remarks: lines for the reader, put at the head as comments.
        kept: what a router has no words for, as it stands in the file.
    """
    lines = [f"# To be run by RouterOS {version.major}.{version.minor}; made by evenflow.", *_comments(remarks), ""]
    lines += ["# What an earlier run has made goes; nothing else is touched."]
    lines += [f'{menu_text(menu)} remove [find comment~"^{HANDLE}"]' for menu in _MENUS if _is_there(menu, version)]
    for title, commands in _sections(router, version, kept):
        if commands:
            lines += ["", f"# {title}"]
            for menu, group in groupby(commands, key=lambda command: command.menu):
                lines += [menu_text(menu), *map(str, group)]
    return "\n".join(lines) + "\n"


def _is_there(menu: tuple[str, ...], version: Version) -> bool:
    # RouterOS 6 without its ipv6 package has no such menus, and would stop there.
    return has_menu(menu, version) and (version.major > 6 or menu[0] != "ipv6")


def _sections(router: Router, version: Version, kept: Kept) -> Iterator[tuple[str, list[Command]]]:
    """Title and commands; what others speak of comes first."""
    yield "Routing tables", table_commands(router.tables, version)
    yield "Lists", interface_list_commands(router.interface_lists) + address_list_commands(router.address_lists)
    yield (
        "DHCP clients, which make the routes by their gateways",
        client_commands(filter(learns, router.routes), version, kept.clients),
    )
    yield "Routes", route_commands((route for route in router.routes if not learns(route)), version)
    yield "Route rules", rule_commands(router.rules, version)
    mangle, nat = mangle_commands(router.mangle), nat_commands(router.nat)
    yield "Marks", in_their_places(mangle, [rule.origin for rule in router.mangle], kept.rules, "mangle")
    yield "NAT", in_their_places(nat, [rule.origin for rule in router.nat], kept.rules, "nat")


def _comments(remarks: Iterable[str]) -> list[str]:
    return [f"# {printable(remark)}".rstrip() for remark in remarks]
