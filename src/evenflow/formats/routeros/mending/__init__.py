"""Mending scripts: what `evenflow check --fix` makes of one. Text in, text out; nobody's line is touched but those."""

from evenflow.formats.routeros.mending.diff import diff
from evenflow.formats.routeros.mending.mending import Left, Mend, Mended, mend

__all__ = ["Left", "Mend", "Mended", "diff", "mend"]
