"""The statements of a whole file, of a script in a string, and of one in braces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.parser import Parser
from evenflow.formats.routeros.pasted import cleaned
from evenflow.formats.routeros.scanner import Budget, Scanner

if TYPE_CHECKING:
    from evenflow.formats.routeros.menus import Menu
    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.statement import Code, Statement


def parse_text(text: str, notes: Notes) -> Parser:
    """Read a whole file; the reader, with its statements."""
    text = cleaned(text, notes)
    parser = Parser(Scanner(text, budget=Budget(2 * len(text) + (1 << 20))), notes)
    parser.run()
    return parser


def parse_embedded(text: str, line: int, notes: Notes) -> tuple[Statement, ...]:
    """Read a script that stands in a string: every statement counts as being on `line`."""
    parser = Parser(Scanner(text, line, same_line=True), notes, depth=1)
    parser.run()
    return tuple(parser.statements)


def parse_block(block: Code, menu: Menu, notes: Notes) -> tuple[Statement, ...]:
    """Read the statements of a piece in braces, said to `menu` unless they name another."""
    parser = Parser(Scanner(block.text[1:-1], block.line), notes, menu, depth=1)
    parser.run()
    return tuple(parser.statements)
