"""From statements to a `Router`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.formats.routeros.addresslists import read_address_lists
from evenflow.formats.routeros.clients import routes_of_clients
from evenflow.formats.routeros.distances import tell_of_equal_distances
from evenflow.formats.routeros.embedded import follow_dhcp_scripts, follow_ppp_profiles, tell_of_scripts
from evenflow.formats.routeros.gateways import by_their_uplinks, read_timing, watch_gateways
from evenflow.formats.routeros.interfaces import built_in_lists, read_interfaces, read_lists
from evenflow.formats.routeros.items import Item, Items
from evenflow.formats.routeros.mangle import MangleReader
from evenflow.formats.routeros.nat import NatReader
from evenflow.formats.routeros.netwatch import follow_netwatch
from evenflow.formats.routeros.outside import Outside
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.routes import read_routes, read_rules, read_tables, tables_of_marks
from evenflow.formats.routeros.running import Runner
from evenflow.formats.routeros.statement import Kind
from evenflow.formats.routeros.switching import SCRIPTS, ScriptBook
from evenflow.formats.routeros.variables import flat
from evenflow.formats.routeros.version import version_of
from evenflow.model.flow import BOTH_FAMILIES, Family
from evenflow.model.matcher import InInterfaceList, OutInterfaceList, UnsupportedMatch
from evenflow.model.router import MangleRule, NatRule, Router

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.statement import Statement
    from evenflow.formats.routeros.variables import Variables

_VRF = (("ip", "route", "vrf"), ("ip", "vrf"))
_MENU_OF = {Family.IPV4: "ip", Family.IPV6: "ipv6"}


def understand(statements: Iterable[Statement], notes: Notes) -> Router:
    """The router that the statements leave, with the rules that ask for what can't be asked for here."""
    variables: Variables = {}
    items = Items(notes, variables)
    outside = Outside(notes)
    statements = tuple(statements)
    scripts: list[Statement] = []
    profiles: list[Statement] = []

    def command(statement: Statement) -> None:
        outside.look_at(statement)
        if statement.menu in SCHEMAS:
            items.apply(statement)
        elif statement.menu == SCRIPTS:
            scripts.append(statement)
        elif statement.menu == ("ppp", "profile"):
            profiles.append(statement)
        else:
            tell_of_scripts(statement, Item(statement.menu, statement.origin), notes)

    runner = Runner(items, variables, notes, command, size=sum(1 for _ in flat(statements)))
    for statement in statements:
        if statement.kind is Kind.COMMAND:
            command(statement)
        elif statement.kind is Kind.SCRIPT:
            runner.run(statement)
    outside.conclude()
    version, book = version_of(statements), ScriptBook(scripts)
    follow_dhcp_scripts(items, book, notes)
    follow_ppp_profiles(profiles, items, book, notes)
    watches = follow_netwatch(items, book, version, notes)
    for script in scripts:
        if script.get("name") not in book.run:
            tell_of_scripts(script, Item(script.menu, script.origin), notes)
    has_vrf = any(each.menu in _VRF and each.command == "add" for each in statements)
    router = _router(items, notes, has_vrf=has_vrf)
    outside.tell_of_fasttrack(router)
    tell_of_equal_distances(router, items, version, notes)
    router = replace(router, watches=by_their_uplinks(watches, router))
    return watch_gateways(router, read_timing(items, version, notes), notes)


def runnable(router: Router) -> Router:
    """The router without the rules that ask for what can't be asked for here."""
    return replace(
        router,
        mangle=tuple(rule for rule in router.mangle if _runs(rule)),
        nat=tuple(rule for rule in router.nat if _runs(rule)),
    )


def _runs(rule: MangleRule | NatRule) -> bool:
    return not any(isinstance(matcher, UnsupportedMatch) for matcher in rule.matchers)


def _router(items: Items, notes: Notes, *, has_vrf: bool) -> Router:
    lists = read_lists(items, notes)
    interfaces = read_interfaces(items, lists, notes)
    mangle: list[MangleRule] = []
    nat: list[NatRule] = []
    routes = []
    for family in BOTH_FAMILIES:
        base = _MENU_OF[family]
        mangle += MangleReader(notes, family).rules(items.of((base, "firewall", "mangle")))
        nat += NatReader(notes, family).rules(items.of((base, "firewall", "nat")))
        routes += read_routes(items.of((base, "route")), notes, family, has_vrf=has_vrf)
    tables = read_tables(items.of(("routing", "table")), notes)
    for family in BOTH_FAMILIES:
        tables += tables_of_marks(items.of((_MENU_OF[family], "route")), tables)
    rules = read_rules(items.of(("ip", "route", "rule")), notes, Family.IPV4)
    rules += read_rules(items.of(("routing", "rule")), notes, None)
    known = [each.name for each in lists]
    return Router(
        mangle=tuple(mangle),
        nat=tuple(nat),
        tables=tuple(tables),
        routes=(*routes, *routes_of_clients(items, interfaces, notes)),
        rules=tuple(rules),
        interfaces=interfaces,
        interface_lists=(*lists, *built_in_lists(_lists_used((*mangle, *nat)), interfaces, known)),
        address_lists=read_address_lists(items, notes),
        forwards=_forwards(items),
        file=notes.file,
    )


def _lists_used(rules: Iterable[MangleRule | NatRule]) -> Iterator[str]:
    for rule in rules:
        for matcher in rule.matchers:
            if isinstance(matcher, InInterfaceList | OutInterfaceList):
                yield matcher.list_name


def _forwards(items: Items) -> bool:
    settings = items.of(("ip", "settings"))
    return not any(item.text("ip-forward") in ("no", "false") for item in settings)
