"""The items of the menus that take part in routing, as `add`, `set`, `remove`, … leave them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.formats.routeros.expressions import Environment, expand
from evenflow.formats.routeros.properties import SCHEMAS, Use
from evenflow.formats.routeros.selection import UnselectableError
from evenflow.formats.routeros.selector import Selector
from evenflow.formats.routeros.statement import Code, FindExpression, Template, Value, menu_text, written
from evenflow.formats.routeros.variables import Selected

if TYPE_CHECKING:
    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.statement import MenuPath, Statement
    from evenflow.formats.routeros.variables import Known, Variables
    from evenflow.model.finding import Origin

#: Menus whose items are there from the factory under a name that never changes.
FACTORY_MENUS = frozenset(("interface", kind) for kind in ("ethernet", "lte", "w60g", "wifi", "wifiwave2", "wireless"))

#: How the names of ports begin from the factory, in each of those menus; `/interface` has all of them.
_FACTORY_NAMES = (
    (("interface", "ethernet"), re.compile(r"(?:ether|combo|q?sfp)[a-z-]*[0-9]")),
    (("interface", "wireless"), re.compile(r"wlan[0-9]")),
    (("interface", "wifi"), re.compile(r"wifi[0-9]")),
    (("interface", "lte"), re.compile(r"lte[0-9]")),
)

_SELECTORS = ("numbers",)
_NOT_PROPERTIES = frozenset(("numbers", "place-before", "copy-from"))


@dataclass(eq=False, slots=True)
class Item:
    """One item of a menu.

    Attributes:
        properties: values as given, abbreviations spelt out; a flag has the value "yes".
        refused: a statement about it was wrong, so that it can't be said what it is.
        learned: the interface whose DHCP client gives its gateway, None if it is as stated.
        watches: names of what must be up for it to be in force.
    """

    menu: MenuPath
    origin: Origin
    properties: dict[str, Value] = field(default_factory=dict)
    refused: bool = False
    learned: str | None = None
    watches: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """A property's literal value; "" if it is not given or not literal."""
        value = self.properties.get(name)
        return value if isinstance(value, str) else ""

    @property
    def in_force(self) -> bool:
        """Neither disabled nor refused."""
        return not self.refused and self.text("disabled") not in ("yes", "true")


class Items:
    """The items of all menus, in their order. `apply` does what a statement says."""

    def __init__(self, notes: Notes, variables: Variables) -> None:
        self._notes = notes
        self._variables = variables
        self._lists: dict[MenuPath, list[Item]] = {}
        self._selector = Selector(variables)
        self._made: list[Item] = []

    def of(self, menu: MenuPath) -> list[Item]:
        """The items of one menu."""
        return self._lists.setdefault(menu, [])

    @property
    def made(self) -> int:
        """How many items were made up to now."""
        return len(self._made)

    def take_back(self, made: int) -> None:
        """Take away all items but the first so many that were made."""
        self._remove(self._made[made:])
        del self._made[made:]

    def menus(self) -> list[MenuPath]:
        """The menus that have items."""
        return [menu for menu, items in self._lists.items() if items]

    def apply(self, statement: Statement) -> None:
        """Do what a command to a menu with a schema says; what goes wrong is a finding."""
        try:
            match statement.command:
                case "add":
                    self._add(statement)
                case "set":
                    self._set(statement)
                case "remove":
                    self._remove(self.select(statement))
                case "enable" | "disable":
                    self._switch(statement)
                case "unset":
                    self._unset(statement)
                case "move":
                    self._move(statement)
                case "comment":
                    self._comment(statement)
                case "edit" | "reset":
                    what = f"{statement.origin.item} is not done; write it as set [find …] PROPERTY=VALUE"
                    self._notes.warning("unsupported-command", statement.origin, what)
        except UnselectableError as problem:
            self._notes.error("unsupported-find", statement.origin, f"{statement.origin.item} is not done: {problem}")

    def select(self, statement: Statement) -> list[Item]:
        """The items that a statement is about, in order.

        Raises:
            UnselectableError: what it selects by can't be followed.
        """
        chosen: list[Item] = []
        selectors = [a.value for a in statement.arguments if a.name in _SELECTORS] or list(statement.positional)
        for selector in selectors:
            chosen += self.selected(statement.menu, selector)
        return list(dict.fromkeys(chosen))

    def selected(self, menu: MenuPath, selector: Value | Known) -> list[Item]:
        """The items of a menu that one selector means: numbers, names, or a find expression.

        Raises:
            UnselectableError: it can't be followed.
        """
        known: Known | None = None
        if isinstance(selector, Template | Code):
            known = self._expanded(selector, menu)
            if known is None:
                raise UnselectableError(f"{written(selector)} is known only when the script runs; name the items")
        else:
            known = selector
        if isinstance(known, Selected):
            return [item for item in known.items if item in self._pool(item.menu)]
        if isinstance(known, FindExpression) and known.menu is not None:
            menu = known.menu
        return self._selector.select(self._pool(menu), known)

    def _expanded(self, value: Value, menu: MenuPath) -> Known | None:
        return expand(value, Environment(self._variables, self, menu))

    def _pool(self, menu: MenuPath) -> list[Item]:
        if menu != ("interface",):
            return self.of(menu)
        return [item for path, items in self._lists.items() if is_interface_menu(path) for item in items]

    # --- commands ------------------------------------------------------------------------------------------------

    def _add(self, statement: Statement) -> None:
        item = Item(statement.menu, statement.origin)
        self._made.append(item)
        items = self.of(statement.menu)
        at = len(items)
        source, before = statement.get("copy-from"), statement.get("place-before")
        if source is not None:
            for original in self.selected(statement.menu, source)[:1]:
                item.properties.update(original.properties)
        if before is not None:
            at = self._place(statement, before, at)
        self._give(item, statement)
        if at == len(items):
            items.append(item)
        else:
            items.insert(at, item)

    def _place(self, statement: Statement, before: Value, end: int) -> int:
        chosen = self.selected(statement.menu, before)
        if chosen:
            return self.of(statement.menu).index(chosen[0])
        what = f"place-before={written(before)} is no item made above in this file; it is put at the end instead"
        self._notes.warning("no-such-item", statement.origin, what)
        return end

    def _set(self, statement: Statement) -> None:
        for item in self._chosen(statement):
            self._give(item, statement)

    def _chosen(self, statement: Statement) -> list[Item]:
        """The items that a statement is about, those among them that the device has anyway; a finding if none."""
        if statement.menu[-1] == "settings" and not self.of(statement.menu):
            self.of(statement.menu).append(Item(statement.menu, statement.origin))
        if statement.menu[-1] == "settings":
            return self.of(statement.menu)
        chosen = self.select(statement) or self._from_factory(statement)
        if not chosen:
            self._selects_nothing(statement)
        return chosen

    def _from_factory(self, statement: Statement) -> list[Item]:
        """A port that the device has anyway comes into being here when it is first spoken of."""
        of_any_kind = statement.menu == ("interface",)
        if not (of_any_kind or statement.menu in FACTORY_MENUS) or not statement.positional:
            return []
        selector = statement.positional[0]
        names: list[str] = []
        if isinstance(selector, FindExpression) and not selector.narrows and statement.get("name") and not of_any_kind:
            names.append(f"{statement.menu[1]}1")  # the only one of its kind, which has a name of its own
        elif isinstance(selector, FindExpression) and selector.alternatives:
            for terms in selector.alternatives:
                names += [
                    term.value
                    for term in terms
                    if term.name in ("default-name", "name") and term.operator == "=" and isinstance(term.value, str)
                ]
        elif isinstance(selector, str):
            names = [self._factory_name(statement.menu, name) for name in selector.split(",")]
        made = [
            Item(menu, statement.origin, {"default-name": name, "name": name})
            for name in names
            if (menu := _menu_of_port(name) if of_any_kind else statement.menu) is not None
        ]
        for item in made:
            self.of(item.menu).append(item)
        return made

    def _factory_name(self, menu: MenuPath, name: str) -> str:
        # Old exports number the ports; item 0 is the first, ether1.
        return f"ether{int(name) + 1}" if menu[-1] == "ethernet" and name.isdecimal() and len(name) < 4 else name

    def _give(self, item: Item, statement: Statement) -> None:
        """Set the properties that a statement gives; a misspelt one makes the item unusable."""
        schema, properties = SCHEMAS[statement.menu], item.properties
        for argument in statement.arguments:
            name, value = argument.name, argument.value
            if name in _NOT_PROPERTIES:
                continue
            if name not in schema.read and schema.use(name) is Use.UNKNOWN:
                item.refused = True
                self._unknown_property(statement, name)
            properties[name] = value if isinstance(value, str) else self._literal(value, statement.menu)
        for flag in statement.flags:
            item.properties[flag] = "yes"
        for name in statement.unset:
            item.properties.pop(name, None)

    def _literal(self, value: Value, menu: MenuPath) -> Value:
        """The value with what is known of it worked out."""
        if isinstance(value, str):
            return value
        known = self._expanded(value, menu)
        return known if isinstance(known, str) else value

    def _unknown_property(self, statement: Statement, name: str) -> None:
        candidates = SCHEMAS[statement.menu].candidates(name)
        if len(candidates) > 1:
            what = f"{name}= may stand for {' or '.join(candidates[:4])}; write it out"
        else:
            what = f"{name}= is not a property of {menu_text(statement.menu)}; correct it or take it out"
        self._notes.error("unknown-property", statement.origin, f"{what}. {statement.origin.item} is left out")

    def _remove(self, chosen: list[Item]) -> None:
        gone = set(chosen)
        for menu in {item.menu for item in chosen}:
            self._lists[menu] = [item for item in self.of(menu) if item not in gone]

    def _switch(self, statement: Statement) -> None:
        for item in self._chosen(statement):
            item.properties["disabled"] = "yes" if statement.command == "disable" else "no"

    def _selects_nothing(self, statement: Statement) -> None:
        everything = [each for each in statement.positional if isinstance(each, FindExpression) and not each.narrows]
        if everything:
            return
        which = " ".join(written(value) for value in statement.positional) or "it"
        what = f"{which} is no item made above in this file, so {statement.origin.item} changes nothing; add the item"
        self._notes.warning("no-such-item", statement.origin, what)

    def _unset(self, statement: Statement) -> None:
        names = [str(value) for value in statement.positional[1:]]
        names += [str(a.value) for a in statement.arguments if a.name == "value-name"]
        for item in self.selected(statement.menu, statement.positional[0]) if statement.positional else []:
            for name in names:
                item.properties.pop(name, None)

    def _comment(self, statement: Statement) -> None:
        """`comment NUMBERS "text"`, or with `comment="text"`."""
        given = statement.get("comment")
        *selectors, last = statement.positional or ("",)
        text = self._literal(given if given is not None else last, statement.menu)
        for selector in (*selectors, *([last] if given is not None else [])):
            for item in self.selected(statement.menu, selector):
                item.properties["comment"] = text

    def _move(self, statement: Statement) -> None:
        where = statement.get("destination")
        selectors = list(statement.positional)
        if where is None and len(selectors) > 1:
            where = selectors.pop()
        chosen = [item for selector in selectors for item in self.selected(statement.menu, selector)]
        target = self.selected(statement.menu, where)[:1] if where is not None else []
        rest = [item for item in self.of(statement.menu) if item not in set(chosen)]
        at = rest.index(target[0]) if target and target[0] in rest else len(rest)
        self._lists[statement.menu] = [*rest[:at], *dict.fromkeys(chosen), *rest[at:]]


def _menu_of_port(name: str) -> MenuPath | None:
    """The menu of a port's kind by its name from the factory; None if it has another name."""
    return next((menu for menu, begins in _FACTORY_NAMES if begins.match(name)), None)


def is_interface_menu(path: MenuPath) -> bool:
    """Whether the items of a menu are interfaces: all of `/interface KIND` except the interface lists."""
    return len(path) == 2 and path[0] == "interface" and path[1] != "list"
