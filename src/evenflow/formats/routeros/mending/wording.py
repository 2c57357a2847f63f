"""Mends of single words: FastTrack, `fib`, and what a web page has spoilt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.formats.routeros.mending.edits import AddFlag, ReplaceLine, SetProperty
from evenflow.formats.routeros.mending.script import NOT_ALONE, Decision, Way
from evenflow.formats.routeros.pasted import unlisted, untagged, visible
from evenflow.formats.routeros.scanner import TYPOGRAPHIC
from evenflow.formats.routeros.statement import Kind

if TYPE_CHECKING:
    from evenflow.formats.routeros.mending.script import Script
    from evenflow.model.finding import Finding

_TYPOGRAPHIC_SIGN = re.compile(f"[{TYPOGRAPHIC}]")


def fasttrack(script: Script, finding: Finding) -> Way | Decision:
    """`fasttrack`: only connections without a mark leave mangle behind."""
    line = finding.where.line
    if line not in script.commands or script.commands[line].get("connection-mark") is not None:
        return NOT_ALONE
    return Way("FastTrack takes only connections without a mark", (SetProperty(line, "connection-mark", "no-mark"),))


def table_without_fib(script: Script, finding: Finding) -> Way | Decision:
    """`table-without-fib`: with it packets are routed by the table."""
    if finding.where.line not in script.commands:
        return NOT_ALONE
    return Way("packets are routed by the table", (AddFlag(finding.where.line, "fib"),))


def lost_backslash(script: Script, finding: Finding) -> Way | Decision:
    r"""`lost-backslash`: a `\` at the end of the line before."""
    line = finding.where.line - 1
    text = script.text.lines[line - 1].text.rstrip()
    return Way("the command goes on with the next line", (ReplaceLine(line, f"{text} \\"),))


def typographic_quotes(script: Script, _: Finding) -> Way | Decision:
    """`typographic-quotes`: plain ones in the lines of commands."""
    of_commands = {n for s in script.commands.values() for n in range(s.origin.line, s.last_line + 1)}
    edits = tuple(
        ReplaceLine(number, _TYPOGRAPHIC_SIGN.sub('"', line.text))
        for number, line in enumerate(script.text.lines, start=1)
        if number in of_commands and _TYPOGRAPHIC_SIGN.search(line.text)
    )
    return Way('quotation marks are written as "', edits) if edits else NOT_ALONE


def invisible_signs(script: Script, _: Finding) -> Way | Decision:
    """`invisible-signs`: the lines without them."""
    edits = tuple(
        ReplaceLine(number, visible(line.text))
        for number, line in enumerate(script.text.lines, start=1)
        if visible(line.text) != line.text
    )
    return Way("signs that can't be seen are taken out", edits)


def page_tags(script: Script, _: Finding) -> Way | Decision:
    """`page-tags`: the lines without them, and commands without the marks of lists."""
    said = {s.origin.line for s in script.statements if s.kind in (Kind.COMMAND, Kind.MENU)}
    edits = []
    for number, line in enumerate(script.text.lines, start=1):
        text = untagged(line.text)
        text = unlisted(text) if number in said else text
        if text != line.text:
            edits.append(ReplaceLine(number, text))
    return Way("tags of web pages and marks of lists are taken out", tuple(edits))
