"""Mending a script: one kind of finding after the other, each mend tried, read again, and kept only if it holds.

A mend holds when fewer findings of its kind are left, none of any other kind has come that is a warning or an error,
and packets that it is not about go where they went before. One that brings another finding to light that can be
mended takes that mend along, or is not made either.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.formats.configuration import all_findings, parse
from evenflow.formats.routeros.mending.edits import UneditableError
from evenflow.formats.routeros.mending.menders import MENDERS, WHY_ANY_IS_LEFT, WHY_LEFT
from evenflow.formats.routeros.mending.script import Decision, Script, Way, read_script
from evenflow.formats.routeros.mending.ways import ways
from evenflow.formats.routeros.scanner import MalformedError
from evenflow.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evenflow.formats.routeros.mending.edits import Edit
    from evenflow.model.finding import Finding

#: Mends that bring one another along; the longest chain is of a table, its route, and who watches it.
_MOST_TOGETHER = 4

_BY_NUMBER = Decision("commands of the file choose items of that menu by their numbers, which would be others then")

_WOULD_NOT_HOLD = "the usual mend was tried, and the script would not be right by it"


@dataclass(frozen=True, slots=True)
class Mend:
    """A finding that is mended: the finding as the file was given, and what was done."""

    finding: Finding
    what: str


@dataclass(frozen=True, slots=True)
class Left:
    """A finding that is left to the person, and why; `proposal` has lines to be pasted, perhaps after a choice."""

    finding: Finding
    why: str
    proposal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mended:
    """A script and what became of its findings.

    Attributes:
        source: the mended script; as it was given where nothing could be mended.
        mends: in the order of the lines, as all here; lines are those of the script as it was given.
        left: warnings and errors that are still there, and remarks of kinds that can be mended.
        findings: those of the mended script, with its lines.
    """

    source: bytes
    mends: tuple[Mend, ...] = ()
    left: tuple[Left, ...] = ()
    findings: tuple[Finding, ...] = ()


def mend(source: bytes, file: str, *, accept_unsupported: bool = False) -> Mended | None:
    """Mend a script; None where it can't be read as one, or not be written back as it is.

    Args:
        source: all of the file.
        file: its name, for the findings; it ends in `.rsc`.
        accept_unsupported: what RouterOS does and evenflow can't is no error, but a warning.
    """
    script = read_script(source, file, accept_unsupported=accept_unsupported)
    if script is None:
        return None
    told = all_findings(parse(source, file, accept_unsupported=accept_unsupported))
    return _Mending(script, told).mended()


@dataclass(frozen=True, slots=True)
class _Tried:
    """A script with some mends."""

    script: Script
    mends: tuple[Mend, ...]


class _Mending:
    """One script while it is being mended."""

    def __init__(self, script: Script, told: Iterable[Finding]) -> None:
        """`told`: the findings of the script with their witnesses."""
        self._given = tuple(told)
        self._script = script
        #: What was done about findings of the file, by what they say.
        self._done: dict[_Said, str] = {}

    def mended(self) -> Mended:
        """Mend what can be, until nothing more can."""
        while self._one_kind():
            pass
        content = self._script.text.encoded()
        left = Counter(map(_said, self._script.findings))
        mends = []
        for finding in self._given:
            said = _said(finding)
            if left[said]:
                left[said] -= 1
            elif said in self._done:
                mends.append(Mend(finding, self._done[said]))
        return Mended(
            content,
            tuple(sorted(mends, key=lambda each: each.finding.where.line)),
            tuple(self._left()),
            all_findings(parse(content, self._script.file, accept_unsupported=self._script.accept_unsupported)),
        )

    def _one_kind(self) -> bool:
        """Mend findings of the first kind of which any can be: all at once, or else the first that can."""
        for code in MENDERS:
            findings = self._script.of(code)
            for chosen in (findings, *((finding,) for finding in findings if len(findings) > 1)):
                tried = self._tried(self._script, chosen, _MOST_TOGETHER) if chosen else None
                if tried is not None and self._holds(tried.script, code):
                    self._take(tried, code)
                    return True
        return False

    def _take(self, tried: _Tried, code: str) -> None:
        """Take mends over, and note what else is gone by them."""
        old, new = (
            Counter(_said(finding) for finding in script.findings if finding.severity is not Severity.INFO)
            for script in (self._script, tried.script)
        )
        for done in tried.mends:
            self._done[_said(done.finding)] = done.what
        for said in old - new:
            self._done.setdefault(said, f"gone with {code}")
        self._script = tried.script

    def _tried(self, script: Script, findings: Sequence[Finding], left: int) -> _Tried | None:
        """The script with mends of these findings, and of what they bring to light."""
        answers = {finding: _answer(script, finding) for finding in findings}
        found = {finding: answer for finding, answer in answers.items() if isinstance(answer, Way)}
        edits = [edit for way in found.values() for edit in way.edits]
        new = _edited(script, edits)
        if not edits or new is None:
            return None
        mends = tuple(Mend(finding, way.what) for finding, way in found.items())
        come = _come(self._script, new)
        if not come or left == 0 or come[0] not in MENDERS:
            return _Tried(new, mends)
        further = self._tried(new, new.of(come[0]), left - 1)
        return _Tried(new, mends) if further is None else _Tried(further.script, (*mends, *further.mends))

    def _holds(self, new: Script, code: str) -> bool:
        fewer = len(new.of(code)) < len(self._script.of(code))
        if not fewer or _come(self._script, new):
            return False
        return not MENDERS[code].keeps_ways or ways(self._script.router) == ways(new.router)

    # --- what is told ------------------------------------------------------------------------------------------------

    def _left(self) -> Iterable[Left]:
        for finding in self._script.findings:
            if finding.severity is Severity.INFO and finding.code not in {*MENDERS, *WHY_LEFT}:
                continue
            given = self._as_given(finding, self._script)
            answer = _answer(self._script, finding) if finding.code in MENDERS else None
            if isinstance(answer, Decision):
                yield Left(given, answer.why, answer.proposal)
            elif isinstance(answer, Way):
                yield Left(given, _WOULD_NOT_HOLD)
            else:
                yield Left(given, WHY_LEFT.get(finding.code, WHY_ANY_IS_LEFT))

    def _as_given(self, finding: Finding, script: Script) -> Finding:
        """The finding with the line that it was told of, where it was there from the beginning."""
        said = _said(finding)
        known = next((one for one in self._given if _said(one) == said), None)
        line = script.text.original(finding.where.line)
        return known or replace(finding, where=replace(finding.where, line=line))


#: What a finding is known by, wherever it stands: lines move.
_Said = tuple[str, str]

_LINES = re.compile(r"\blines? [0-9][0-9, ]*")


def _said(finding: Finding) -> _Said:
    return finding.code, _LINES.sub("line", finding.message)


def _answer(script: Script, finding: Finding) -> Way | Decision:
    answer = MENDERS[finding.code].mend(script, finding)
    return _BY_NUMBER if isinstance(answer, Way) and script.renumbers(answer.edits) else answer


def _edited(script: Script, edits: Iterable[Edit]) -> Script | None:
    try:
        return script.edited(edits)
    except (UneditableError, MalformedError):
        return None


def _come(before: Script, after: Script) -> list[str]:
    """Codes of warnings and errors of which there are more, the first to be mended first."""
    more = Counter(after.grave()) - Counter(before.grave())
    order = {code: place for place, code in enumerate(MENDERS)}
    return sorted(more, key=lambda code: order.get(code, -1))
