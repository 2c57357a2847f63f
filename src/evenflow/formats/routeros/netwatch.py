"""`/tool netwatch`: entries whose scripts make the failover, as watches of the routes that they switch.

A route that is disabled while a host is lost gets the host's watch. One that gets a greater distance then is two
routes: at its usual distance with the watch, and at the greater one without. One that is only enabled while the host
is lost stays enabled behind those that are not used then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evenflow.formats.routeros.items import Item, Items
from evenflow.formats.routeros.probing import Question, read_question
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.switching import ROUTE_MENUS, Effects, RouteChange, ScriptBook
from evenflow.model.health import Watch
from evenflow.model.router import MAIN_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.version import Version

MENU = ("tool", "netwatch")

#: Comparisons of routes in one file: more than any router's scripts make, and a second or two.
_MOST_COMPARISONS = 300_000

_LAST_DISTANCE = 254  # a route of distance 255 is never used


@dataclass(frozen=True, slots=True)
class _Switch:
    """The distance of a route while a host answers, and while it is lost; None is disabled."""

    watch: str
    route: Item
    up: int | None
    down: int | None
    entry: Item

    @property
    def worse_when_lost(self) -> bool:
        """Whether the loss takes the route away, or behind others."""
        return self.up is not None and (self.down is None or self.down > self.up)


@dataclass(slots=True)
class _Plan:
    """What all entries together make of one route."""

    switches: list[_Switch] = field(default_factory=list)

    @property
    def usual_distance(self) -> int:
        return next(switch.up for switch in self.switches if switch.up is not None)


def follow_netwatch(items: Items, book: ScriptBook, version: Version | None, notes: Notes) -> tuple[Watch, ...]:
    """Give the routes of `items` the watches that netwatch entries make of themselves; the watches."""
    reader = _Netwatch(items, book, version, notes)
    for entry in list(items.of(MENU)):
        if entry.in_force:
            reader.read(entry)
    reader.apply()
    return tuple(watch for name, watch in reader.watches.items() if name in reader.used)


class _Netwatch:
    """All entries, and what they do to routes."""

    def __init__(self, items: Items, book: ScriptBook, version: Version | None, notes: Notes) -> None:
        self.watches: dict[str, Watch] = {}
        self.used: set[str] = set()
        self._items = items
        self._book = book
        self._version = version
        self._notes = notes
        self._names: Counter[str] = Counter()
        self._plans: dict[Item, _Plan] = {}
        self._backups: list[_Switch] = []
        self._forward: dict[Item, list[int]] = {}
        self._behind: dict[Item, Item] = {}
        self._comparisons_left = _MOST_COMPARISONS
        self._constants: dict[Item, int | None] = {}

    def read(self, entry: Item) -> None:
        """Take one entry into account."""
        up, down = self._effects(entry, "up-script"), self._effects(entry, "down-script")
        self._effects(entry, "test-script")
        if not up.routes and not down.routes:
            if not (up.problems or down.problems):
                what = f"netwatch of {entry.text('host')} switches no route, so its host is not watched"
                self._notes.info("not-routing", entry.origin, what)
            return
        reading = Reading(entry, self._notes, "entry")
        question = read_question(reading, self._version)
        if question is None:
            return
        if question.interface is None:
            question = replace(question, interface=self._interface_of_source(reading))
        watch = self._watch(entry, question)
        for route in dict.fromkeys((*up.routes, *down.routes)):
            switch = self._switch(route, watch, up, down, entry)
            if switch.up == switch.down:
                self._constants[route] = switch.up
            elif switch.worse_when_lost:
                self._plans.setdefault(route, _Plan()).switches.append(switch)
            else:
                self._backups.append(switch)
                self._forward.setdefault(route, []).append(switch.down or 1)

    def apply(self) -> None:
        """Change the items of the routes."""
        for route, distance in self._constants.items():
            _give(route, distance)
        farthest: dict[_PlaceOfWatch, int] = {}
        for route, plan in self._plans.items():
            for switch in plan.switches:
                key = _PlaceOfWatch(switch.watch, _place(route))
                farthest[key] = max(plan.usual_distance, farthest.get(key, 0))
            self._watched(route, plan)
        if self._backups:
            others = self._by_place()
            for backup in self._backups:
                self._keep_behind(backup, farthest, others)
        self._put_behind()

    # --- one entry -----------------------------------------------------------------------------------------------

    def _effects(self, entry: Item, name: str) -> Effects:
        script = entry.properties.get(name, "")
        effects = self._book.effects(script, entry.origin.line, self._items)
        if name == "test-script" and effects.routes:
            effects.beyond["switches routes"] = None
        for code, message in effects.problems.items():
            self._notes.warning(code, entry.origin, f"{name}= of {entry.origin.item}: {message}")
        if effects.conditional:
            what = f"{name}= of {entry.origin.item} switches routes on a condition, which is not asked here; what it"
            self._notes.warning("script-condition", entry.origin, f"{what} says is done whenever the host changes")
        if effects.beyond:
            what = f"{name}= of {entry.origin.item}: {', '.join(effects.beyond)}: not done, scripts are not run here"
            self._notes.warning("script-not-run", entry.origin, f"{what}. Write it as commands, if it matters")
        return effects

    def _interface_of_source(self, reading: Reading) -> str | None:
        """The interface that has the address of `src-address=`: what is asked from there is to go by that line."""
        source = reading.value("src-address", str, "")
        if not source:
            return None
        for menu in (("ip", "address"), ("ipv6", "address")):
            for item in self._items.of(menu):
                if item.in_force and item.text("address").partition("/")[0] == source:
                    return item.text("interface") or None
        what = f"src-address={source} is no address in this file, so the questions go as the router's own packets do"
        self._notes.warning("netwatch-condition", reading.item.origin, what)
        return None

    def _watch(self, entry: Item, question: Question) -> Watch:
        name = f"netwatch {entry.text('host')}"
        self._names[name] += 1
        if self._names[name] > 1:
            name = f"{name} {self._names[name]}"
        targets = (question.target,)
        watch = Watch(name, question.interface, (), targets, question.settings, origin=entry.origin)
        self.watches[name] = watch
        return watch

    def _switch(self, route: Item, watch: Watch, up: Effects, down: Effects, entry: Item) -> _Switch:
        untouched = RouteChange()
        when_up, when_down = up.routes.get(route, untouched), down.routes.get(route, untouched)
        switch = _Switch(watch.name, route, _distance(route, when_up), _distance(route, when_down), entry)
        if (route in up.routes) != (route in down.routes) and switch.up != switch.down:
            only = "up-script" if route in up.routes else "down-script"
            what = (
                f"only the {only}= of {entry.origin.item} switches the route in line {route.origin.line}; on RouterOS"
            )
            self._notes.warning(
                "netwatch-one-way", entry.origin, f"{what} it stays so, here it changes back with the host"
            )
        return switch

    # --- all together --------------------------------------------------------------------------------------------

    def _watched(self, route: Item, plan: _Plan) -> None:
        """The route with the watches; and without those that only set it back, at the greater distance."""
        taken = [switch.watch for switch in plan.switches if switch.down is None]
        set_back = [switch for switch in plan.switches if switch.down is not None]
        self.used.update(switch.watch for switch in plan.switches)
        _give(route, plan.usual_distance)
        route.watches = (*taken, *(switch.watch for switch in set_back))
        if set_back:
            farther = max(switch.down for switch in set_back if switch.down is not None)
            properties = {**route.properties, "distance": str(farther)}
            copy = Item(route.menu, route.origin, properties, learned=route.learned, watches=tuple(taken))
            self._behind[route] = copy

    def _put_behind(self) -> None:
        for menu in ROUTE_MENUS:
            routes = self._items.of(menu)
            pairs = [(route, self._behind.get(route)) for route in routes]
            routes[:] = [item for pair in pairs for item in pair if item is not None]

    def _by_place(self) -> dict[tuple[str, ...], list[Item]]:
        found: dict[tuple[str, ...], list[Item]] = {}
        for menu in ROUTE_MENUS:
            for route in self._items.of(menu):
                found.setdefault(_place(route), []).append(route)
        return found

    def _keep_behind(
        self, backup: _Switch, farthest: Mapping[_PlaceOfWatch, int], others: Mapping[tuple[str, ...], list[Item]]
    ) -> None:
        """A route that the loss brings forward may stay where it is behind all that the loss takes away.

        It must not change its place among the routes that are there anyway, before the loss or after it.
        """
        route = backup.route
        rival = farthest.get(_PlaceOfWatch(backup.watch, _place(route)), 0)
        wanted = backup.down or 1
        distance = max(wanted, rival + 1)
        places = (wanted, distance, distance if backup.up is None else backup.up)
        competing = others[_place(route)]
        self._comparisons_left -= len(competing)
        moved_past = max(places) > min(places) and any(
            min(places) <= there <= max(places)
            for other in (competing if self._comparisons_left >= 0 else ())
            if other is not route
            for there in self._distances(other, but=backup.watch)
        )
        behind = rival and (backup.up is None or backup.up > rival)
        if not behind or distance > _LAST_DISTANCE or moved_past or self._comparisons_left < 0:
            what = (
                f"{backup.entry.origin.item} brings the route in line {route.origin.line} forward while its host is "
                "lost, which can't be said here; give it a greater distance than the others, and leave it enabled"
            )
            self._notes.warning("script-not-run", backup.entry.origin, what)
            return
        _give(route, distance)
        self.used.add(backup.watch)

    def _distances(self, route: Item, but: str) -> Iterator[int]:
        """Where a route may stand, but for the place that it has while the watch `but` is up."""
        usual = _distance(route, RouteChange())
        if usual is not None and but not in route.watches:
            yield usual
        if (behind := self._behind.get(route)) is not None:
            yield _distance(behind, RouteChange()) or 1
        yield from self._forward.get(route, ())


@dataclass(frozen=True, slots=True)
class _PlaceOfWatch:
    """A watch, and a destination in a table."""

    watch: str
    place: tuple[str, ...]


def _distance(route: Item, change: RouteChange) -> int | None:
    """The distance of a route after a script; None when it is disabled."""
    disabled = route.text("disabled") in ("yes", "true") if change.disabled is None else change.disabled
    if disabled:
        return None
    text = route.text("distance")
    return change.distance or (int(text) if text.isdecimal() and len(text) < 4 else 1)


def _give(route: Item, distance: int | None) -> None:
    """Make it a route of that distance, or (None) a disabled one."""
    route.properties["disabled"] = "yes" if distance is None else "no"
    if distance is not None:
        route.properties["distance"] = str(distance)


def _place(route: Item) -> tuple[str, ...]:
    """Where a route competes: its menu, its destination, its table."""
    destination = route.text("dst-address") or ("::/0" if route.menu[0] == "ipv6" else "0.0.0.0/0")
    table = route.text("routing-table") or route.text("routing-mark") or MAIN_TABLE
    return (*route.menu, destination, table)
