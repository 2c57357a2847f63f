"""What holds of reading any bytes as a script: the property tests ask it, and the fuzzer of the long tests."""

from __future__ import annotations

import time

from evenflow.formats.routeros import Kind, Parsed, parse
from evenflow.formats.routeros.pasted import untagged, visible
from evenflow.formats.routeros.source import decode

#: What a line may have and still say nothing.
SAYS_NOTHING = " \t\v\f;\\"

#: What is left of such a line: nothing, or the prompt of the rest of a command.
NOTHING_SAID = ("", "...")

#: Processor seconds that any input may take, and seconds per character beyond: ten times what a small machine needs.
PATIENCE_S, PATIENCE_PER_CHARACTER_S = 1.0, 1e-4


def must_hold(source: bytes | str, patience: float = 1.0) -> Parsed:
    """Read it; an AssertionError says what does not hold. `patience` multiplies the time that it may take."""
    started = time.process_time()
    parsed = parse(source, "r.rsc")
    taken = time.process_time() - started
    assert taken < patience * (PATIENCE_S + PATIENCE_PER_CHARACTER_S * len(source)), taken
    lines = untagged(visible(decode(source))).split("\n")
    told = {finding.code for finding in parsed.findings}
    covered = {line for each in parsed.statements for line in range(each.origin.line, each.last_line + 1)}
    if "not-routeros" not in told and "too-long" not in told:
        for number, line in enumerate(lines, 1):
            assert number in covered or line.strip().strip(SAYS_NOTHING) in NOTHING_SAID, (number, line)
    for finding in parsed.findings:
        assert 1 <= finding.where.line <= len(lines), finding
        assert finding.message
    if any(each.kind is Kind.UNKNOWN for each in parsed.statements):
        assert told & {"not-a-command", "syntax", "no-menu", "not-routeros"}
    assert [finding.where.line for finding in parsed.findings] == sorted(f.where.line for f in parsed.findings)
    return parsed
