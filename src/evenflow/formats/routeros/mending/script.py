"""A script that is to be mended: its text, what it says, what it means, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from evenflow.core.uplinks import uplinks
from evenflow.formats import configuration
from evenflow.formats.routeros import parse_statements
from evenflow.formats.routeros.mending.edits import commands_of, edited, menu_of
from evenflow.formats.routeros.mending.text import source_text
from evenflow.formats.routeros.mending.ways import ways
from evenflow.formats.routeros.statement import Kind, Template, written
from evenflow.formats.routeros.variables import flat
from evenflow.model.finding import Severity, Unread
from evenflow.model.router import JumpAction

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from evenflow.core.uplinks import RouterUplink
    from evenflow.formats.routeros.mending.edits import Edit
    from evenflow.formats.routeros.mending.text import SourceText
    from evenflow.formats.routeros.mending.ways import Fate
    from evenflow.formats.routeros.statement import MenuPath, Statement, Value
    from evenflow.model.finding import Finding
    from evenflow.model.router import MangleRule, Router


@dataclass(frozen=True, slots=True)
class Way:
    """How a finding is mended.

    Attributes:
        what: what the edits do, in words.
    """

    what: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a finding is the person's to mend.

    Attributes:
        proposal: lines that would do it one way, ready to be pasted.
    """

    why: str
    proposal: tuple[str, ...] = ()


#: Numbers of items: `3`, `3,5`, `0-2`.
_NUMBERS = re.compile(r"[0-9]+(?:[-,][0-9]+)*")

#: Why nothing is made of a gateway that is a word which nothing else in the file speaks of.
PLACEHOLDER = Decision(
    "nothing else in the file speaks of an interface of that name; if it stands for an address, write that"
)

#: Why a command that is not among `Script.commands` is left.
NOT_ALONE = Decision("its command is made by a loop or a script, or shares its line with others; edit it by hand")


@dataclass(frozen=True)
class Script:
    """A script as it is at some point of mending; `router` has the rules that can't run here, too.

    Attributes:
        withheld: with `findings`, what may follow from lines that were not read: a mend by which they are read would
            else bring it to light.
    """

    file: str
    text: SourceText
    statements: tuple[Statement, ...]
    router: Router
    findings: tuple[Finding, ...]
    accept_unsupported: bool = False
    withheld: tuple[Finding, ...] = ()

    @cached_property
    def commands(self) -> Mapping[int, Statement]:
        """By their first lines, the commands that can be edited."""
        return commands_of(self.statements)

    @cached_property
    def uplinks(self) -> tuple[RouterUplink, ...]:
        """The uplinks of the router."""
        return uplinks(self.router)

    @cached_property
    def ways(self) -> Mapping[str, tuple[Fate, ...]]:
        """What becomes of connections of local hosts."""
        return ways(self.router)

    def of(self, code: str) -> tuple[Finding, ...]:
        """The findings of one code."""
        return tuple(finding for finding in self.findings if finding.code == code)

    def grave(self) -> Iterator[str]:
        """The code of each warning, and twice that of each error: a warning that becomes one counts as more."""
        for finding in self.withheld or self.findings:
            if finding.severity is not Severity.INFO:
                yield finding.code
            if finding.severity is Severity.ERROR:
                yield finding.code

    def rule(self, line: int) -> MangleRule | None:
        """The mangle rule that is made on a line, where it is one that can be edited."""
        if line not in self.commands:
            return None
        return next((rule for rule in self.router.mangle if rule.origin.line == line), None)

    def can_edit(self, *rules: MangleRule) -> bool:
        """Whether each of the rules has a command of its own."""
        return all(rule.origin.line in self.commands for rule in rules)

    def gate(self, rule: MangleRule) -> MangleRule | None:
        """The rule of `prerouting` by which packets come to a rule: itself, or the first jump to its chain."""
        if rule.chain == "prerouting":
            return rule
        jumps = (each for each in self.router.mangle if each.chain == "prerouting")
        return next((j for j in jumps if isinstance(j.action, JumpAction) and j.action.chain == rule.chain), None)

    def renumbers(self, edits: Iterable[Edit]) -> bool:
        """Whether edits put items elsewhere that commands of the file choose by their numbers."""
        return any(menu_of(edit, self.commands) in self._numbered for edit in edits)

    @cached_property
    def _numbered(self) -> frozenset[MenuPath]:
        """Menus of which a command chooses items by number: `disable 7`, `add place-before=0`."""
        statements = tuple(flat(self.statements))
        counting = {written(each.positional[0]) for each in statements if _sets_number(each)}
        return frozenset(each.menu for each in statements if _chooses_by_number(each, counting))

    def edited(self, edits: Iterable[Edit]) -> Script | None:
        """The script with some edits, read anew; None where it can't be read any more.

        Raises:
            UneditableError, MalformedError: as `edits.edited`.
        """
        return _script(edited(self.text, self.statements, edits), self.file, accept_unsupported=self.accept_unsupported)


def _sets_number(statement: Statement) -> bool:
    """Whether it gives a variable a number: `:for i from=0 to=3`, `:local n 7`."""
    if statement.kind is not Kind.SCRIPT or not statement.positional:
        return False
    return statement.command == "for" or any(_is_number(value) for value in statement.positional[1:])


def _chooses_by_number(statement: Statement, counting: Container[object]) -> bool:
    """`counting`: the names of variables that numbers are given."""
    if statement.kind is not Kind.COMMAND:
        return False
    given = [value for value in statement.positional if statement.command != "add"]
    given += [each.value for each in statement.arguments if each.name in ("numbers", "place-before", "destination")]
    return any(_is_number(value) or (isinstance(value, Template) and value.variable in counting) for value in given)


def _is_number(value: Value) -> bool:
    return isinstance(value, str) and _NUMBERS.fullmatch(value.strip()) is not None


def read_script(source: bytes, file: str, *, accept_unsupported: bool = False) -> Script | None:
    """A script to be mended; None where it can't be: it means no router, or can't be written back as it is."""
    text = source_text(source)
    return None if text is None else _script(text, file, accept_unsupported=accept_unsupported)


def _script(text: SourceText, file: str, *, accept_unsupported: bool) -> Script | None:
    content = text.encoded()
    loaded = configuration.parse(content, file, accept_unsupported=accept_unsupported)
    if loaded.router is None:
        return None
    statements = parse_statements(content, file).statements
    findings = configuration.all_findings(loaded, shown=False)
    whole = loaded.unread is Unread.NOTHING
    withheld = () if whole else configuration.all_findings(loaded, shown=False, withheld=True)
    return Script(file, text, statements, loaded.stated or loaded.router, findings, accept_unsupported, withheld)
