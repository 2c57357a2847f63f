"""A parsed TOML document under examination: values with their places, and the findings so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from evenflow.model.finding import Finding, Origin, error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.formats.policy.positions import Path, Position

#: What TOML guarantees, 64 bits, and all that anybody needs.
_MOST = 2**63 - 1


@dataclass(slots=True)
class Document:
    """The file's name, where each path stands, and what there is to tell."""

    file: str
    places: Mapping[Path, Position]
    findings: list[Finding] = field(default_factory=list)

    def origin(self, path: Path, item: str) -> Origin:
        """Where `path` stands; a path that is missing stands where the nearest table around it does."""
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return Origin(self.file, place.line, item)
        return Origin(self.file, 0, item)

    def complain(self, code: str, path: Path, item: str, message: str) -> None:
        """Add a finding of severity error at `path`."""
        self.findings.append(error(code, self.origin(path, item), message))


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the document. `item` names it in messages; "" is the top."""

    document: Document
    path: Path
    values: Mapping[str, Any]
    item: str

    def complain(self, code: str, key: str | Path, message: str) -> None:
        """Add a finding of severity error at a key of this table, or at a path below it."""
        below = (key,) if isinstance(key, str) else key
        self.document.complain(code, (*self.path, *below), self.item or str(below[0]), message)

    def refuse(self, key: str, what: str) -> None:
        """A value of this table that can't be used; `what` says why and what to write."""
        self.complain("bad-value", key, self.prefixed(what))

    def prefixed(self, text: str) -> str:
        """`text` behind the name of this table."""
        return f"{self.item}: {text}" if self.item else text

    def refuse_unknown(self, known: Iterable[str]) -> frozenset[str]:
        """A finding for each key that is not known; gives the known keys that were probably meant.

        A key that was meant is not missing, too: one mistake, one finding.
        """
        keys = tuple(known)
        meant = set()
        for key in self.values:
            if key in keys:
                continue
            close = get_close_matches(key.lower().replace("-", "_"), keys, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(keys)}"
            self.complain("unknown-key", key, self.prefixed(f"unknown key {key}; {hint}"))
            meant.update(close)
        return frozenset(meant)

    def table(self, key: str, item: str, example: str) -> Table | None:
        """The table at `key`; None when there is none, or it is something else (a finding then)."""
        value = self.values.get(key)
        if isinstance(value, dict):
            return Table(self.document, (*self.path, key), value, item)
        if value is not None:
            self.wrong_type(key, f"a table: {example}", value)
        return None

    def string(self, key: str, example: str) -> str | None:
        """The string at `key`; None when there is none, or it is something else (a finding then)."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        self.wrong_type(key, f"a string: {example}", value)
        return None

    def strings(self, key: str, example: str) -> tuple[tuple[int, str], ...] | None:
        """The list of strings at `key`, numbered; None when it is something else; without what is no string."""
        value = self.values.get(key)
        if not isinstance(value, list):
            self.wrong_type(key, f"a list of strings: {example}", value)
            return None
        for index, element in enumerate(value):
            if not isinstance(element, str):
                self.wrong_type((key, index), f"a list of strings: {example}", element)
        found = tuple((index, element) for index, element in enumerate(value) if isinstance(element, str))
        return found if found or not value else None

    def flag(self, key: str, *, default: bool) -> bool:
        """The truth value at `key`."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong_type(key, "true or false, without quotes", value)
        return default

    def whole_number(self, key: str, example: str) -> int | None:
        """The integer at `key`; None when there is none, or it is something else (a finding then)."""
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MOST:
            # Not shown: Python does not print numbers of thousands of digits, which TOML takes if they are hexadecimal.
            self.refuse(key, f"{key} is larger than any number that is possible here; write a smaller one")
            return None
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.wrong_type(key, f"a whole number: {example}", value)
        return None

    def wrong_type(self, key: str | Path, wanted: str, value: object) -> None:
        """A finding: the value at `key` is of another type than `wanted` describes."""
        name = key if isinstance(key, str) else f"an element of {key[0]}"
        self.complain("wrong-type", key, self.prefixed(f"{name} is {_type_in_words(value)}; it takes {wanted}"))


def _type_in_words(value: object) -> str:
    words = {str: "a string", bool: "true or false", int: "a number", float: "a number with a point", list: "a list"}
    words |= {dict: "a table", datetime: "a date", date: "a date", time: "a time"}
    return words[type(value)]
