"""Reading one item: its values, and findings that say what is done about a bad one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.statement import written
from evenflow.formats.routeros.values import BadValueError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from evenflow.formats.routeros.items import Item
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.finding import Severity

    Read = TypeVar("Read")


class Reading:
    """One item being read. `ok` turns False with the first mistake on account of which it is left out."""

    def __init__(self, item: Item, notes: Notes, thing: str, then: str = "") -> None:
        """`thing`: what the item is, for "the rule is left out"; `then`: what follows from that."""
        self.item = item
        self.notes = notes
        self.thing = thing
        self.then = then
        self.ok = True

    def text(self, name: str) -> str:
        """The literal value of a property, "" if it is not given (or given as the empty string).

        Raises:
            BadValueError: only the running script knows the value.
        """
        value = self.item.properties.get(name, "")
        if isinstance(value, str):
            return value
        what = f"{written(value)[:60]} is known only when the script runs; write the value"
        raise BadValueError(what, "computed-value")

    def comment(self) -> str:
        """The comment, as far as it is literal."""
        return self.item.text("comment")

    def value(self, name: str, read: Callable[[str], Read], default: Read) -> Read:
        """A property read by `read`; `default` when it is not given, or is bad (then with a finding)."""
        try:
            text = self.text(name)
            return read(text) if text else default
        except BadValueError as problem:
            self.bad(name, problem)
            return default

    def needed(self, name: str, why: str = "") -> str:
        """A property that must be given; "" with a finding if it is not."""
        text = self.value(name, str, "")
        if not text and self.ok:
            self.refuse("missing-property", f"{name}= is missing{why}; add it")
        return text

    def bad(self, name: str, problem: BadValueError) -> None:
        """Tell of a value that can't be used."""
        self.refuse(problem.code, self._about(name, problem))

    def refuse(self, code: str, message: str) -> None:
        """Tell of a mistake on account of which the item is left out."""
        self.ok = False
        self._left_out(code, message)

    def unasked(self, name: str, problem: BadValueError) -> None:
        """Tell of a condition that can't be asked for: the item stays as stated, and is left out of what runs."""
        self._left_out(problem.code, self._about(name, problem))

    def _about(self, name: str, problem: BadValueError) -> str:
        return f"{name}={written(self.item.properties.get(name, ''))[:60]}: {problem}"

    def _left_out(self, code: str, message: str) -> None:
        self.notes.error(code, self.item.origin, f"{message}. The {self.thing} is left out{self.then}")

    def tell(self, severity: Severity, code: str, message: str) -> None:
        """Tell something; the item stays."""
        self.notes.add(severity, code, self.item.origin, message)
