"""What a file says that has nothing to do with routing: told once, by name. And FastTrack, which has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.menus import menu_at
from evenflow.formats.routeros.properties import SCHEMAS, Use
from evenflow.formats.routeros.statement import menu_text

if TYPE_CHECKING:
    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.statement import MenuPath, Statement
    from evenflow.model.finding import Origin

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
        self._fasttrack: Origin | None = None
        self._marks = False

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
        self._marks |= statement.menu[-1] == "mangle"
        for argument in statement.arguments:
            name = argument.name
            if name not in schema.read and schema.use(name) is Use.IGNORED and name not in _SILENT:
                self._properties.setdefault(statement.menu, {}).setdefault(name, statement.origin)

    def _fasttracks(self, statement: Statement) -> None:
        if statement.menu[-2:] != ("firewall", "filter") or statement.get("action") != "fasttrack-connection":
            return
        if statement.get("disabled") != "yes" and statement.get("connection-mark") is None:
            self._fasttrack = self._fasttrack or statement.origin

    def conclude(self) -> None:
        """Tell what there was, in one finding."""
        if self._fasttrack and self._marks:
            what = "FastTrack passes mangle by, so marked connections leave by main; add connection-mark=no-mark to it"
            self._notes.warning("fasttrack", self._fasttrack, what)
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


def _decides(menu: MenuPath) -> bool:
    return any(menu[: len(path)] == path for path in _DECIDING)
