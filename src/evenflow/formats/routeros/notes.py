"""The findings of one reading, with a limit on how often the same thing is told."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from evenflow.model.finding import Finding, Origin, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Findings of one code that are told one by one; a file of prose would else give one for each line.
TOLD_ONE_BY_ONE = 20

#: What RouterOS does and evenflow can't: such a script runs only where the user says so, knowing each of them.
UNSUPPORTED = frozenset((
    "computed-value", "script-not-run", "unsupported-action", "unsupported-chain", "unsupported-find",
    "unsupported-matcher", "unsupported-property", "unsupported-value",
))  # fmt: skip

#: Of these each one is told, up to a number that nobody reads any more.
_TOLD_OF_UNSUPPORTED = 1000


class Notes:
    """Collects findings; of each code the first ones, then one with the count of the others."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._told: list[Finding] = []
        self._counts: Counter[str] = Counter()
        self._more: dict[str, Finding] = {}

    def add(self, severity: Severity, code: str, where: Origin, message: str) -> None:
        """Tell one thing."""
        self._counts[code] += 1
        if self._counts[code] <= _told_one_by_one(code):
            self._told.append(Finding(severity, code, where, message))
            return
        first = self._more.setdefault(code, Finding(severity, code, where, message))
        if severity is Severity.ERROR and first.severity is not Severity.ERROR:
            self._more[code] = Finding(severity, code, first.where, first.message)

    def error(self, code: str, where: Origin, message: str) -> None:
        """Tell a mistake."""
        self.add(Severity.ERROR, code, where, message)

    def warning(self, code: str, where: Origin, message: str) -> None:
        """Tell something that surprises."""
        self.add(Severity.WARNING, code, where, message)

    def info(self, code: str, where: Origin, message: str) -> None:
        """Tell something that is good to know."""
        self.add(Severity.INFO, code, where, message)

    def findings(self) -> tuple[Finding, ...]:
        """All that was told, by line."""
        return tuple(sorted((*self._told, *self._summaries()), key=lambda finding: finding.where.line))

    def _summaries(self) -> Iterable[Finding]:
        for code, first in self._more.items():
            count = self._counts[code] - _told_one_by_one(code)
            text = f"{count} more of the same from this line on; the first: {first.message}"
            yield Finding(first.severity, code, first.where, text)


def _told_one_by_one(code: str) -> int:
    return _TOLD_OF_UNSUPPORTED if code in UNSUPPORTED else TOLD_ONE_BY_ONE
