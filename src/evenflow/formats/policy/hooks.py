"""The `[hooks]` table: who is told of events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.model.policy import Hooks

if TYPE_CHECKING:
    from evenflow.formats.policy.document import Table

_KEYS = ("program", "webhook")

#: A URL with a host, an optional port and path, and nothing that would have to be escaped (RFC 3986).
_URL = re.compile(r"https?://[A-Za-z0-9._~:@%\[\]-]+(?:[/?][!-\"$-~]*)?", re.ASCII)


def read_hooks(top: Table) -> Hooks:
    """Who is told; nobody where it can't be known because of a finding."""
    table = top.table("hooks", "hooks", 'write [hooks] and below it program = "/usr/local/bin/on-event"')
    if table is None:
        return Hooks()
    table.refuse_unknown(_KEYS)
    program = table.string("program", 'program = "/usr/local/bin/on-event"') or ""
    if "program" in table.values and not _is_absolute(program) and isinstance(table.values["program"], str):
        table.refuse("program", f'program "{program}" is not an absolute path; write it from / on')
    webhook = table.string("webhook", 'webhook = "https://192.0.2.1/events"') or ""
    if "webhook" in table.values and not _URL.fullmatch(webhook) and isinstance(table.values["webhook"], str):
        table.refuse("webhook", f'webhook "{webhook}" is not a URL; write one like "https://192.0.2.1/events"')
    return Hooks(program, webhook)


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and not path.endswith("/") and path.isprintable()
