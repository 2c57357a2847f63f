"""RouterOS scripts: what they say (`parse_statements`) and what they make of a router (`parse`).

Exports of RouterOS 6 and 7, scripts written by hand, and what people paste into forums. Whatever the input is, a
result comes back, in time linear in its length: each line is understood, kept, or told of in a finding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from evenflow.formats.routeros.collecting import collector_at_rest
from evenflow.formats.routeros.meaning import runnable, understand
from evenflow.formats.routeros.notes import UNSUPPORTED, Notes
from evenflow.formats.routeros.parser import GIVE_UP_AFTER
from evenflow.formats.routeros.pieces import parse_text
from evenflow.formats.routeros.script_routes import routes_of_scripts
from evenflow.formats.routeros.source import decode
from evenflow.formats.routeros.statement import (
    Argument,
    Code,
    FindExpression,
    FindTerm,
    Kind,
    Statement,
    Template,
    Value,
    Variable,
)
from evenflow.formats.routeros.unread import unread
from evenflow.model.finding import Finding, Origin, Unread, error
from evenflow.model.router import Router

__all__ = [
    "parse",
    "parse_statements",
    "Parsed",
    "ParsedStatements",
    "Statement",
    "Kind",
    "Argument",
    "Value",
    "Template",
    "Variable",
    "Code",
    "FindExpression",
    "FindTerm",
    "UNSUPPORTED",
]


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a script says and what it means.

    Attributes:
        router: what of it can run, also when there are errors.
        stated: the same with the rules that can't, each with an `UnsupportedMatch`, and the routes that scripts make.
        unread: what of it was not read.
    """

    router: Router
    statements: tuple[Statement, ...] = ()
    findings: tuple[Finding, ...] = ()
    stated: Router = field(default_factory=Router)
    unread: Unread = Unread.NOTHING


@dataclass(frozen=True, slots=True)
class ParsedStatements:
    """What a script says, not yet what it means."""

    statements: tuple[Statement, ...] = ()
    findings: tuple[Finding, ...] = ()


def parse(text: bytes | str, file: str = "") -> Parsed:
    """Read a script.

    Args:
        text: the script; bytes are decoded as UTF-8, UTF-16 with a byte order mark, or Windows-1252.
        file: the name that the findings and origins are to give.
    """
    with collector_at_rest():
        return _parsed(decode(text), Notes(file))


def _parsed(text: str, notes: Notes) -> Parsed:
    read = _read(text, notes)
    file = notes.file
    if read.findings:
        return Parsed(Router(file=file), read.statements, read.findings)
    stated = understand(read.statements, notes)
    router = runnable(stated)
    stated = replace(stated, routes=(*stated.routes, *routes_of_scripts(read.statements, stated)))
    findings = notes.findings()
    return Parsed(router, read.statements, findings, stated, unread(read.statements, findings))


def parse_statements(text: bytes | str, file: str = "") -> ParsedStatements:
    """Read a script as statements only; arguments as for `parse`."""
    notes = Notes(file)
    with collector_at_rest():
        read = _read(decode(text), notes)
    return ParsedStatements(read.statements, read.findings or notes.findings())


def _read(text: str, notes: Notes) -> ParsedStatements:
    """The statements; with the one finding that says it all if not one of them is of RouterOS, right or wrong."""
    parser = parse_text(text, notes)
    statements = tuple(parser.statements)
    if parser.understood or parser.refused:
        return ParsedStatements(statements)
    where = Origin(notes.file, 1)
    if all(statement.kind is Kind.COMMENT for statement in statements):
        what = "nothing is stated here; give a RouterOS script, such as what /export file=router writes"
        return ParsedStatements(statements, (error("empty", where, what),))
    first = f"the first {GIVE_UP_AFTER} lines" if parser.gave_up else "the file"
    what = f"in {first} not one line is a RouterOS command; give a script such as what /export file=router writes"
    return ParsedStatements(statements, (error("not-routeros", where, what),))
