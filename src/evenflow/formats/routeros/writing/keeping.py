"""What of a script a router has no words for: written again as it stands.

Rules, with the handle, in their places: they do something that has no bearing on where packets go (`change-mss`), or
look at what can't be looked at here (`limit`, `hotspot`), and RouterOS knows what to do with them. And what DHCP
clients have besides their routes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evenflow.core.script_form import handled
from evenflow.formats.routeros.items import Items
from evenflow.formats.routeros.nat_chains import BUILT_IN
from evenflow.formats.routeros.notes import Notes
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.statement import Kind
from evenflow.formats.routeros.writing.clients import MENU as _CLIENTS
from evenflow.formats.routeros.writing.words import Command
from evenflow.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evenflow.formats.routeros.statement import Statement
    from evenflow.model.finding import Finding, Origin
    from evenflow.model.router import Router

#: What the reader says of a rule that RouterOS understands, and a router here does not.
_BEYOND_US = frozenset(f"unsupported-{what}" for what in ("action", "chain", "matcher", "property", "value"))

#: Actions that a router has; rules with another one are in it without what they do.
_SAID = frozenset(("accept", "jump", "log", "mark-connection", "mark-packet", "mark-routing", "passthrough", "return"))

#: Said otherwise, or about the place in the list.
_NOT_KEPT = frozenset(("comment", "disabled", "place-before"))


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written as it stands.

    Attributes:
        rules: mangle and NAT rules, by where they stand in the file.
        clients: names and values of what DHCP clients have besides their routes, by interface.
    """

    rules: Mapping[Origin, Command] = field(default_factory=dict)
    clients: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


def kept_of_clients(statements: Iterable[Statement]) -> dict[str, list[tuple[str, str]]]:
    """What DHCP clients have besides their routes, by interface, as far as it is literal."""
    items = Items(Notes(""), {})
    for statement in statements:
        if statement.menu == _CLIENTS and statement.kind is Kind.COMMAND:
            items.apply(statement)
    return {
        item.text("interface"): [
            (name, item.text(name)) for name in sorted(SCHEMAS[_CLIENTS].ignored) if item.text(name)
        ]
        for item in items.of(_CLIENTS)
        if item.in_force
    }


def kept_rules(
    router: Router, statements: Iterable[Statement], findings: Iterable[Finding], major: int
) -> dict[Origin, Command]:
    """The mangle and NAT rules that are kept, by where they stand in the file; none of IPv6 for RouterOS 6."""
    beyond = {finding.where for finding in findings if finding.code in _BEYOND_US}
    mangle = {rule.origin for rule in router.mangle}
    kept = {}
    for statement in statements:
        if statement.command != "add" or statement.menu[1:] not in (("firewall", "mangle"), ("firewall", "nat")):
            continue
        if statement.menu[-1] == "nat" and statement.get("chain") not in BUILT_IN:
            continue  # jumps are written out, so that nothing would lead to it
        undone = statement.origin in mangle and statement.get("action") not in (None, *_SAID)
        if (undone or statement.origin in beyond) and not (major == 6 and statement.menu[0] == "ipv6"):
            command = _as_it_stands(statement)
            if command is not None:
                kept[statement.origin] = command
    return kept


def _as_it_stands(statement: Statement) -> Command | None:
    """The statement as a command; None where a part of it is known to the running script only."""
    given = {each.name: each.value for each in statement.arguments if each.name not in _NOT_KEPT}
    plain = {name: value for name, value in given.items() if isinstance(value, str)}
    if len(plain) < len(given) or "copy-from" in given or statement.positional:
        return None
    comment = statement.get("comment")
    handle = handled(comment if isinstance(comment, str) else "")
    return Command(statement.menu, (*plain.items(), ("comment", handle)), statement.flags)


def about_kept(findings: Iterable[Finding], kept: Mapping[Origin, Command]) -> Iterator[Finding]:
    """The findings, less those that say that a kept rule is not done or left out."""
    told: set[Origin] = set()
    for finding in findings:
        if finding.where not in kept or finding.code not in _BEYOND_US:
            yield finding
        elif finding.where not in told:
            told.add(finding.where)
            what = "the rule is kept as it stands: RouterOS understands all of it, evenflow does not"
            yield replace(finding, severity=Severity.INFO, code="kept-as-it-stands", message=what)


def in_their_places(
    made: Sequence[Command], origins: Sequence[Origin], kept: Mapping[Origin, Command], menu: str
) -> list[Command]:
    """The commands of a menu ("mangle", "nat") and where each comes from, with the kept ones among them.

    One that a router has in part stands in its place; others stand behind those before them in the file.
    """
    placed = [(origin, kept.get(origin, command)) for origin, command in zip(origins, made, strict=True)]
    replaced = set(origins)
    for origin, command in kept.items():
        if command.menu[-1] == menu and origin not in replaced:
            placed.insert(_place_of(origin, command, placed), (origin, command))
    return [command for _, command in placed]


def _place_of(origin: Origin, command: Command, placed: Sequence[tuple[Origin, Command]]) -> int:
    of_its_menu = [place for place, (_, other) in enumerate(placed) if other.menu == command.menu]
    before = [place for place in of_its_menu if placed[place][0].line < origin.line]
    if before:
        return before[-1] + 1
    return of_its_menu[0] if of_its_menu else (0 if command.menu[0] == "ip" else len(placed))
