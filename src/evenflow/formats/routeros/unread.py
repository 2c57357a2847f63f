"""What of a script was not read on account of a mistake, as far as it can change where packets go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.menus import menu_at
from evenflow.formats.routeros.notes import UNSUPPORTED
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.statement import Kind
from evenflow.formats.routeros.switching import SCRIPTS
from evenflow.formats.routeros.variables import flat
from evenflow.model.finding import Severity, Unread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.statement import MenuPath, Statement
    from evenflow.model.finding import Finding

#: Menus of which no uplink, route or watch is made.
_OF_RULES = frozenset((
    *((family, "firewall", menu) for family in ("ip", "ipv6") for menu in ("address-list", "mangle", "nat")),
    ("interface", "list"), ("interface", "list", "member"),
))  # fmt: skip

#: Menus that are read otherwise: what they run may make routes.
_RUN = (SCRIPTS, ("ppp", "profile"))


def unread(statements: Iterable[Statement], findings: Iterable[Finding]) -> Unread:
    """The most that the findings of reading leave open; what only evenflow can't do was read."""
    lost = {each.where for each in findings if each.severity is Severity.ERROR and each.code not in UNSUPPORTED}
    if not lost:
        return Unread.NOTHING
    places = {statement.origin: statement for statement in flat(statements)}
    menus = [_menu(places[where]) if where in places else () for where in lost]
    deciding = [menu for menu in menus if not _is_elsewhere(menu)]
    if not deciding:
        return Unread.NOTHING
    return Unread.RULES if all(menu in _OF_RULES for menu in deciding) else Unread.ROUTES


def _menu(statement: Statement) -> MenuPath:
    """The menu of a command; of a line that names its own and can't be read it may be any."""
    own = statement.kind is Kind.UNKNOWN and statement.text.startswith("/")
    return () if own else statement.menu


def _is_elsewhere(menu: MenuPath) -> bool:
    """Whether a menu is known, and nothing of the router is made of it."""
    return len(menu) > 1 and menu not in SCHEMAS and menu not in _RUN and menu_at(menu) is not None
