"""The difference between two states of a script, to look at."""

from __future__ import annotations

import difflib

from evenflow.formats.routeros.source import decode


def diff(before: bytes, after: bytes, file: str) -> tuple[str, ...]:
    """Lines of a unified diff, without line ends; what would not show, or play tricks on a terminal, as escapes."""
    old, new = (decode(source).removesuffix("\n").split("\n") for source in (before, after))
    lines = difflib.unified_diff(old, new, file, file, lineterm="")
    return tuple("".join(_plain(sign) for sign in line) for line in lines)


def _plain(sign: str) -> str:
    return sign if sign.isprintable() or sign == "\t" else sign.encode("unicode_escape").decode("ascii")
