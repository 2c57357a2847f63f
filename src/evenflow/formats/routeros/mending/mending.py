"""Mending a script: one kind of finding after the other, each mend tried, read again, and kept only if it holds.

A mend holds when fewer findings of its kind are left, none of any other kind has come that is a warning or an error,
and packets that it is not about go where they went before. One that brings another finding to light that can be
mended takes that mend along, or is not made either.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.formats.configuration import all_findings, parse
from evenflow.formats.routeros.mending.edits import AddFlag, ReplaceLine, SetProperty, UneditableError
from evenflow.formats.routeros.mending.menders import MENDERS, WHY_ANY_IS_LEFT, WHY_LEFT
from evenflow.formats.routeros.mending.script import Decision, Script, Way, read_script
from evenflow.formats.routeros.mending.ways import keeps_ways, ways
from evenflow.formats.routeros.scanner import MalformedError
from evenflow.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from evenflow.formats.routeros.mending.edits import Edit
    from evenflow.model.finding import Finding

#: Mends that bring one another along; the longest chain is of a table, its route, and who watches it.
_MOST_TOGETHER = 4

_BY_NUMBER = Decision("commands of this file choose items of that menu by their numbers, which would be others then")

_WOULD_NOT_HOLD = "the usual mend was tried, and the script would not be right by it"


@dataclass(frozen=True, slots=True)
class Mend:
    """A finding of the file that is gone, and what was done; with what that brought to light and was mended along."""

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
class _Done:
    """What was done about a finding.

    Attributes:
        given: its place among those of the file; None where only another mend brought it to light.
    """

    given: int | None
    what: str


@dataclass(frozen=True, slots=True)
class _Tried:
    """A script with some mends."""

    script: Script
    done: tuple[_Done, ...]


class _Mending:
    """One script while it is being mended."""

    def __init__(self, script: Script, told: Iterable[Finding]) -> None:
        """`told`: the findings of the script with their witnesses."""
        self._given = tuple(told)
        self._script = script
        #: By the places of findings among `_given`; those of the latest mends.
        self._done: dict[int, tuple[str, ...]] = {}
        self._latest: tuple[int, ...] = ()

    def mended(self) -> Mended:
        """Mend what can be, until nothing more can."""
        while self._one_kind():
            pass
        content = self._script.text.encoded()
        still = set(self._recognised(self._script).values())
        mends = (Mend(self._given[place], "; ".join(done)) for place, done in self._done.items() if place not in still)
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
        done = {each.given: (each.what,) for each in tried.done if each.given is not None}
        # What the file did not have was brought about by these mends, or else by the ones before: it is told of them.
        brought = [each.what for each in tried.done if each.given is None]
        self._latest = tuple(done) or self._latest
        self._done |= done
        for place in self._latest:
            self._done[place] = tuple(dict.fromkeys((*self._done[place], *brought)))
        still = set(self._recognised(tried.script).values())
        for place, finding in enumerate(self._given):
            if place not in still and finding.severity is not Severity.INFO:
                self._done.setdefault(place, (f"gone with {code}",))
        self._script = tried.script

    def _tried(self, script: Script, findings: Sequence[Finding], left: int) -> _Tried | None:
        """The script with mends of these findings, and of what they bring to light."""
        answers = {finding: _answer(script, finding) for finding in findings}
        found = {finding: answer for finding, answer in answers.items() if isinstance(answer, Way)}
        edits = [edit for way in found.values() for edit in way.edits]
        new = _edited(script, edits)
        if not edits or new is None:
            return None
        places = self._recognised(script)
        done = tuple(_Done(places.get(finding), _what(finding, found)) for finding in found)
        come = _come(self._script, new)
        if not come or left == 0 or come[0] not in MENDERS:
            return _Tried(new, done)
        further = self._tried(new, new.of(come[0]), left - 1)
        return _Tried(new, done) if further is None else _Tried(further.script, (*done, *further.done))

    def _holds(self, new: Script, code: str) -> bool:
        old = self._script
        if len(new.of(code)) >= len(old.of(code)) or _come(old, new):
            return False
        return not MENDERS[code].keeps_ways or keeps_ways(old.ways, ways(new.router, old.router))

    # --- what is told ------------------------------------------------------------------------------------------------

    def _left(self) -> Iterable[Left]:
        places = self._recognised(self._script)
        for finding in self._script.findings:
            if finding.severity is Severity.INFO and finding.code not in {*MENDERS, *WHY_LEFT}:
                continue
            place = places.get(finding)
            line = self._script.text.original(finding.where.line)
            told = replace(finding, where=replace(finding.where, line=line)) if place is None else self._given[place]
            answer = _answer(self._script, finding) if finding.code in MENDERS else None
            if isinstance(answer, Decision):
                yield Left(told, answer.why, answer.proposal)
            elif isinstance(answer, Way):
                yield Left(told, _WOULD_NOT_HOLD)
            else:
                yield Left(told, WHY_LEFT.get(finding.code, WHY_ANY_IS_LEFT))

    def _recognised(self, script: Script) -> dict[Finding, int]:
        """The findings of a script that the file had from the beginning, and their places among those: no place twice.

        By what is the same of them, the most first; by the code alone only what nothing has been done about.
        """
        found: dict[Finding, int] = {}
        for known_by in (_all_of, _message_of, _line_of, _code_of):
            taken = {*found.values(), *(self._done if known_by is _code_of else ())}
            free: defaultdict[Hashable, deque[int]] = defaultdict(deque)
            for place, given in enumerate(self._given):
                if place not in taken:
                    free[known_by(given, given.where.line)].append(place)
            for finding in script.findings:
                places = free[known_by(finding, script.text.original(finding.where.line))]
                if finding not in found and places:
                    found[finding] = places.popleft()
        return found


# --- what findings are known by ------------------------------------------------------------------------------------

#: Lines that a message names: they move.
_LINES = re.compile(r"\blines? [0-9]+(?:(?:, | and )[0-9]+)*")


def _message(finding: Finding) -> str:
    return _LINES.sub("line", finding.message)


def _all_of(finding: Finding, line: int) -> Hashable:
    return finding.code, line, _message(finding)


def _message_of(finding: Finding, _: int) -> Hashable:
    return finding.code, _message(finding)


def _line_of(finding: Finding, line: int) -> Hashable:
    return finding.code, line


def _code_of(finding: Finding, _: int) -> Hashable:
    return finding.code


# --- one mend ------------------------------------------------------------------------------------------------------


def _answer(script: Script, finding: Finding) -> Way | Decision:
    answer = MENDERS[finding.code].mend(script, finding)
    return _BY_NUMBER if isinstance(answer, Way) and script.renumbers(answer.edits) else answer


def _what(finding: Finding, found: Mapping[Finding, Way]) -> str:
    """What was done about a finding; where one edit is for several, it is told of the line that is changed."""
    way = found[finding]
    changed = {edit.line for edit in way.edits if isinstance(edit, SetProperty | AddFlag | ReplaceLine)}
    told = {other.where.line for other, same in found.items() if same == way} & changed
    return f"gone with {finding.code}" if told and finding.where.line not in told else way.what


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
