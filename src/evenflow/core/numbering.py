"""Numbers for names: marks and tables have names in a configuration and numbers in the kernel.

A number is a function of the name (and, in the rare collision, of the other names): no memory is needed, the
same configuration always gets the same numbers, and a mark keeps its number when the configuration around it
changes, so that the connections that carry it still mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.pcc import jhash
from evenflow.model.dataplane import (
    CONNECTION_MARK_MASK,
    MAIN_TABLE_NUMBER,
    PACKET_MARK_MASK,
    PACKET_MARK_SHIFT,
    ROUTING_MARK_MASK,
    TABLE_BASE,
)
from evenflow.model.matcher import MarkKind, MarkMatch
from evenflow.model.router import MAIN_TABLE, MarkAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.model.health import Watch
    from evenflow.model.router import MangleRule, NatRule, Router

#: How many names each kind of number can hold.
CONNECTION_MARKS = CONNECTION_MARK_MASK
ROUTING_MARKS = ROUTING_MARK_MASK
PACKET_MARKS = PACKET_MARK_MASK >> PACKET_MARK_SHIFT


class TooManyNamesError(ValueError):
    """More names than numbers."""


def number(names: Iterable[str], count: int) -> dict[str, int]:
    """A number from 1 to `count` for each name, no two alike.

    Raises:
        TooManyNamesError: there are more names than numbers.
    """
    wanted = sorted(set(names))
    if len(wanted) > count:
        raise TooManyNamesError(f"{len(wanted)} names, and numbers for {count}")
    given: dict[str, int] = {}
    taken: set[int] = set()
    for name in wanted:
        candidate = jhash(name.encode(), 0) % count
        while candidate in taken:
            candidate = (candidate + 1) % count
        taken.add(candidate)
        given[name] = candidate + 1
    return given


@dataclass(frozen=True, slots=True)
class Numbers:
    """All numbers of a router. No-mark is 0 everywhere."""

    connection_marks: Mapping[str, int]
    routing_marks: Mapping[str, int]
    packet_marks: Mapping[str, int]

    def mark(self, kind: MarkKind, name: str | None) -> int:
        """The number of a mark, not shifted; 0 for no-mark."""
        if name is None:
            return 0
        table = {
            MarkKind.CONNECTION: self.connection_marks,
            MarkKind.ROUTING: self.routing_marks,
            MarkKind.PACKET: self.packet_marks,
        }
        return table[kind][name]

    def table(self, name: str) -> int:
        """The kernel's number of a routing table."""
        if name == MAIN_TABLE:
            return MAIN_TABLE_NUMBER
        return TABLE_BASE + self.routing_marks[name]

    def probe_mark(self, watch: Watch) -> int:
        """The routing mark of a watch's probes, whose table leads through what is watched; 0 when it needs none."""
        return self.routing_marks[probe_table(watch)] if needs_own_table(watch) else 0


def needs_own_table(watch: Watch) -> bool:
    """Whether probes go beyond the gateway: then a table of their own leads them, whatever the others say."""
    return bool(watch.gateways) and any(target.address is not None for target in watch.targets)


def probe_table(watch: Watch) -> str:
    """The name of that table; the star keeps it from any name in a file."""
    return f"*probe {watch.name}"


def number_router(router: Router) -> Numbers:
    """Numbers for every mark and table that a router names.

    Raises:
        TooManyNamesError: one kind has more names than our bits of the kernel's marks can hold.
    """
    asking: tuple[MangleRule | NatRule, ...] = (*router.mangle, *router.nat)
    routing = set(marks_named(asking, MarkKind.ROUTING))
    routing.update(table.name for table in router.tables)
    routing.update(route.table for route in router.routes)
    routing.update(probe_table(watch) for watch in router.watches if needs_own_table(watch))
    for rule in router.rules:
        routing.update(name for name in (rule.table, rule.routing_mark) if name)
    return Numbers(
        number(marks_named(asking, MarkKind.CONNECTION), CONNECTION_MARKS),
        number(routing, ROUTING_MARKS),
        number(marks_named(asking, MarkKind.PACKET), PACKET_MARKS),
    )


def marks_named(rules: Iterable[MangleRule | NatRule], kind: MarkKind) -> set[str]:
    """Every mark of one kind that a rule sets or asks for."""
    found: set[str | None] = set()
    for rule in rules:
        found.update(m.mark for m in rule.matchers if isinstance(m, MarkMatch) and m.kind is kind)
        action = rule.action
        if isinstance(action, MarkAction) and action.kind is kind:
            found.add(action.mark)
        if isinstance(action, SpreadAction) and kind is MarkKind.CONNECTION:
            found.update(action.owners)
            found.update(member.mark for member in action.pool)
    return {name for name in found if name is not None}
