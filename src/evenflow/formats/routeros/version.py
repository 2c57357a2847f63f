"""The release of RouterOS that a script is of, as far as it says: exports begin with a comment that names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.routeros.statement import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.statement import Statement

_HEADER = re.compile(r"#.{0,80}\bby RouterOS ([0-9]{1,3})\.([0-9]{1,3})")


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """`major.minor`, as in 7.21."""

    major: int
    minor: int = 0


def version_of(statements: Iterable[Statement]) -> Version | None:
    """What the header of an export says; None when there is none."""
    comments = (_HEADER.match(statement.text) for statement in statements if statement.kind is Kind.COMMENT)
    found = next((match for match in comments if match), None)
    return Version(int(found[1]), int(found[2])) if found else None
