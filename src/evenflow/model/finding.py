"""What we tell a person about what they wrote."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(enum.Enum):
    """How much a finding matters. Only `ERROR` makes a command refuse."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Unread(enum.Enum):
    """What of a file was not read on account of a mistake, as far as it matters: nothing can be told of its absence.

    With `ROUTES` it may be anything: routes, what watches them, interfaces and their addresses; with `RULES` only rules
    of the firewall, and lists that they ask for.
    """

    NOTHING = "nothing"
    RULES = "rules"
    ROUTES = "routes"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written.

    Attributes:
        file: the name that the user gave, or "" when there is none.
        line: 1-based line in it, 0 when it is about the file as a whole.
        item: the thing in the words of the file: "uplink isp2", "/ip firewall mangle add …".
    """

    file: str = ""
    line: int = 0
    item: str = ""

    def __str__(self) -> str:
        """`file:line`, as compilers write it, or what is known of it."""
        place = self.file or "<input>"
        return f"{place}:{self.line}" if self.line else place


NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell.

    Attributes:
        severity: how much it matters.
        code: stable kebab-case name of this kind of finding, e.g. "unknown-key".
        where: the place in the user's own file.
        message: what is wrong, then what to do, in the words of the file.
        witness: the command that shows it with one packet; "" where no packet does.
    """

    severity: Severity
    code: str
    where: Origin
    message: str
    witness: str = ""

    def __str__(self) -> str:
        """One line as a compiler would print it, whatever a file's name or content brings along."""
        return printable(f"{self.where}: {self.severity.value}: {self.message} [{self.code}]")


def printable(text: str) -> str:
    """`text` with all that would not show, or could play tricks on a terminal (line ends, too), as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def error(code: str, where: Origin, message: str) -> Finding:
    """A finding of severity error."""
    return Finding(Severity.ERROR, code, where, message)


def warning(code: str, where: Origin, message: str) -> Finding:
    """A finding of severity warning."""
    return Finding(Severity.WARNING, code, where, message)


def info(code: str, where: Origin, message: str) -> Finding:
    """A finding of severity info."""
    return Finding(Severity.INFO, code, where, message)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether one of them is of severity error."""
    return any(finding.severity is Severity.ERROR for finding in findings)
