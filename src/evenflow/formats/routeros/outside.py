"""What a file says that has nothing to do with routing: told once, by name. And FastTrack, which has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.uplinks import routing_marks, uplinks
from evenflow.formats.routeros.menus import menu_at
from evenflow.formats.routeros.properties import SCHEMAS, Use
from evenflow.formats.routeros.statement import menu_text, written
from evenflow.model.matcher import MarkKind
from evenflow.model.router import INTERFACE_GROUPS, MarkAction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.statement import MenuPath, Statement, Value
    from evenflow.model.finding import Origin
    from evenflow.model.router import Router

_FASTTRACK = "fasttrack-connection"

#: Where a packet comes in, and where it leaves.
_ENDS = ("in", "out")

_ASKED_OF_FASTTRACK = frozenset(
    ("connection-mark", *(f"{end}-interface{more}" for end in _ENDS for more in ("", "-list")))
)

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
        self._fasttrack: dict[Origin, dict[str, Value]] = {}

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
        given = {each.name: each.value for each in statement.arguments if each.name in _ASKED_OF_FASTTRACK}
        is_disabled = statement.get("disabled") == "yes"
        if statement.command == "add" and statement.get("action") == _FASTTRACK and not is_disabled:
            self._fasttrack[statement.origin] = given
        elif any(_FASTTRACK in written(selector) for selector in statement.positional):
            if statement.command in ("remove", "disable") or is_disabled:
                self._fasttrack.clear()
            elif statement.command == "set":
                self._fasttrack = {origin: asked | given for origin, asked in self._fasttrack.items()}

    def tell_of_fasttrack(self, router: Router) -> None:
        """Tell of FastTrack rules that take connections whose packets get routing marks in this router."""
        routed = routing_marks(router)
        for origin, asked in self._fasttrack.items():
            mark = asked.get("connection-mark")
            of_others = isinstance(mark, str) and not mark.startswith("!") and mark not in routed
            if _sets_routing_marks(router) and not of_others and not _is_local(asked, router):
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


def _is_local(asked: Mapping[str, Value], router: Router) -> bool:
    """Whether a rule of the filter takes only packets that neither come from an uplink nor go to one."""
    outside = [uplink.interface for uplink in uplinks(router)]
    return bool(outside) and all(
        uplink is not None and _takes(asked, end, uplink, router) is False for uplink in outside for end in _ENDS
    )


def _takes(asked: Mapping[str, Value], end: str, interface: str, router: Router) -> bool | None:
    """Whether a rule takes packets of an interface at that end; None: it does not ask for one, or not all is known."""
    members = {known.name: known.members for known in router.interface_lists}
    answers = []
    for name in (f"{end}-interface", f"{end}-interface-list"):
        value = asked.get(name)
        if not isinstance(value, str) or not value:
            continue
        wanted = value.removeprefix("!")
        among = members.get(wanted) if name.endswith("-list") or wanted in INTERFACE_GROUPS else {wanted}
        answers.append(None if among is None else (interface in among) != value.startswith("!"))
    if False in answers:
        return False
    return None if None in answers or not answers else True


def _decides(menu: MenuPath) -> bool:
    return any(menu[: len(path)] == path for path in _DECIDING)
