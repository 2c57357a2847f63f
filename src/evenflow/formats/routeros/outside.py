"""What a file says that has nothing to do with routing: told once, by name. And FastTrack, which has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import routing_marks
from evenflow.formats.routeros.menus import menu_at
from evenflow.formats.routeros.properties import SCHEMAS, Use
from evenflow.formats.routeros.statement import menu_text, written
from evenflow.model.matcher import MarkKind
from evenflow.model.router import MarkAction

if TYPE_CHECKING:
    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.statement import MenuPath, Statement, Value
    from evenflow.model.finding import Origin
    from evenflow.model.router import Router

_FASTTRACK = "fasttrack-connection"

_CONFIGURE = frozenset(("add", "set"))

#: Commands that run what stands elsewhere.
_RUNNING = (((), "import"), (("system", "script"), "run"))

#: Menus that can decide where packets go, in ways that a `Router` has no words for.
_DECIDING = (
    ("interface", "lte", "apn"), ("ip", "firewall", "raw"), ("ip", "ipsec", "policy"), ("ip", "route", "vrf"),
    ("ip", "vrf"), ("ipv6", "firewall", "raw"), ("routing", "bgp"), ("routing", "isis"), ("routing", "mme"),
    ("routing", "ospf"), ("routing", "ospf-v3"), ("routing", "rip"), ("routing", "ripng"),
)  # fmt: skip

#: Properties that are bookkeeping of RouterOS itself; nothing is lost by not reading them.
_SILENT = frozenset(("comment", "disabled", "numbers", "place-before", "copy-from", "log", "log-prefix"))


class Outside:
    """Collects what is kept without being read."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._menus: dict[MenuPath, Origin] = {}
        self._properties: dict[MenuPath, dict[str, Origin]] = {}
        self._fasttrack: dict[Origin, Value | None] = {}

    def look_at(self, statement: Statement) -> None:
        """Take one command into account."""
        schema = SCHEMAS.get(statement.menu)
        if (statement.menu, statement.command) in _RUNNING:
            what = f"{statement.origin.item} is not done, so what it runs is not known; write its commands here"
            self._notes.warning("script-not-run", statement.origin, what)
        if schema is None:
            known = menu_at(statement.menu) is not None
            if statement.command in _CONFIGURE and known:
                self._menus.setdefault(statement.menu, statement.origin)
            self._fasttracks(statement)
            return
        for argument in statement.arguments:
            name = argument.name
            if name not in schema.read and schema.use(name) is Use.IGNORED and name not in _SILENT:
                self._properties.setdefault(statement.menu, {}).setdefault(name, statement.origin)

    def _fasttracks(self, statement: Statement) -> None:
        """Keep the FastTrack rules of the filter, as far as they are switched by what they do."""
        if statement.menu[-2:] != ("firewall", "filter"):
            return
        mark, is_disabled = statement.get("connection-mark"), statement.get("disabled") == "yes"
        if statement.command == "add" and statement.get("action") == _FASTTRACK and not is_disabled:
            self._fasttrack[statement.origin] = mark
        elif any(_FASTTRACK in written(selector) for selector in statement.positional):
            if statement.command in ("remove", "disable") or is_disabled:
                self._fasttrack.clear()
            elif statement.command == "set" and mark is not None:
                self._fasttrack = dict.fromkeys(self._fasttrack, mark)

    def tell_of_fasttrack(self, router: Router) -> None:
        """Tell of FastTrack rules that take connections whose packets get routing marks in this router."""
        routed = routing_marks(router)
        for origin, mark in self._fasttrack.items():
            taken = isinstance(mark, str) and not mark.startswith("!") and mark not in routed
            if _sets_routing_marks(router) and not taken:
                what = "FastTrack passes mangle by, so the packets of marked connections leave by main after the first"
                self._notes.warning("fasttrack", origin, f"{what}; add connection-mark=no-mark to it")

    def conclude(self) -> None:
        """Tell what there was, in one finding."""
        deciding = [menu for menu in self._menus if _decides(menu)]
        if deciding:
            names = ", ".join(menu_text(menu) for menu in deciding)
            what = f"{names} can change where packets go, and is not followed here; expect the router to differ in that"
            self._notes.warning("not-followed", self._menus[deciding[0]], what)
        self._tell_unread()

    def _tell_unread(self) -> None:
        menus = {menu: origin for menu, origin in self._menus.items() if not _decides(menu)}
        named = [menu_text(menu) for menu in menus]
        for menu, properties in self._properties.items():
            named.append(f"{', '.join(f'{name}=' for name in properties)} of {menu_text(menu)}")
        origins = [*menus.values(), *(o for each in self._properties.values() for o in each.values())]
        if named:
            first = min(origins, key=lambda origin: origin.line)
            what = f"kept, but no part of routing and not run: {'; '.join(named)}"
            self._notes.info("not-routing", first, what)


def _sets_routing_marks(router: Router) -> bool:
    return any(isinstance(rule.action, MarkAction) and rule.action.kind is MarkKind.ROUTING for rule in router.mangle)


def _decides(menu: MenuPath) -> bool:
    return any(menu[: len(path)] == path for path in _DECIDING)
