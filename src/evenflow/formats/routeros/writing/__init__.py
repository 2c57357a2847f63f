"""RouterOS scripts, written: `render`.

`core.script_form` brings a router into the form that a script can have; `keys` is the table of what each release has.
"""

from __future__ import annotations

from evenflow.formats.routeros.writing.keys import CURRENT, KEYS, LAST_SIX, Span, has_key, has_menu
from evenflow.formats.routeros.writing.script import render

__all__ = ["CURRENT", "KEYS", "LAST_SIX", "Span", "has_key", "has_menu", "render"]
