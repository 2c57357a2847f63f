"""Whatever the script: mending brings no fault, is done at once, and leaves every line that it is not about."""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.formats.configuration import all_findings, parse
from evenflow.formats.routeros.mending import Mended, mend
from evenflow.model.finding import Severity

FAULTS = sorted(
    file for file in (Path(__file__).parents[1] / "corpus" / "faults").glob("*.rsc") if ".right." not in file.name
)
#: Before it may stand what nobody sees, or what a web page has put there.
COMMAND = re.compile(rb"[^a-z/#]*(?:/routing table )?add ")
READING = sorted((Path(__file__).parents[1] / "corpus" / "reading").glob("*.rsc"))


def grave(source: bytes) -> Counter[str]:
    """Codes, and how many; also of what is not told of before all is read: it was there before."""
    findings = all_findings(parse(source, "a.rsc"), shown=False, withheld=True)
    return Counter(finding.code for finding in findings if finding.severity is not Severity.INFO)


def spoilt(source: bytes, number: int) -> bytes:
    """The script with some commands gone, doubled, moved, or with another's value: as people's scripts are."""
    random = Random(number)
    lines = source.split(b"\n")
    commands = [place for place, line in enumerate(lines) if line.startswith(b"add ")]
    for _ in range(random.randint(1, 3)):
        one, other = random.sample(commands, 2)
        match random.choice(("gone", "moved", "value", "value")):
            case "gone":
                lines[one] = b"# gone"
            case "moved":
                lines[one], lines[other] = lines[other], lines[one]
            case "value":
                words, others = lines[one].split(), lines[other].split()
                name = random.choice(words).partition(b"=")[0]
                value = next((word for word in others if word.startswith(name + b"=")), b"")
                lines[one] = b" ".join(value if word.startswith(name + b"=") else word for word in words)
    return b"\n".join(lines)


def must_hold(source: bytes, found: Mended) -> None:
    assert not grave(found.source) - grave(source)
    again = mend(found.source, "a.rsc")
    assert again is not None
    assert again.source == found.source
    assert bool(found.mends) == (found.source != source)


@settings(max_examples=35, deadline=None)
@given(st.sampled_from(FAULTS), st.integers(0, 1 << 32))
def test_mending_brings_no_fault_and_leaves_nothing_to_mend(file: Path, number: int) -> None:
    source = spoilt(file.read_bytes(), number)
    found = mend(source, "a.rsc")
    assert found is not None
    must_hold(source, found)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FAULTS), st.integers(0, 1 << 32), st.sampled_from([b"\n", b"\r\n"]))
def test_lines_that_no_mend_is_about_stay_in_their_order(file: Path, number: int, end: bytes) -> None:
    """All that is not a command stays, and so does every command that has no part in any mend."""
    source = spoilt(file.read_bytes(), number).replace(b"\n", end)
    found = mend(source, "a.rsc")
    assert found is not None
    before, after = (text.split(b"\n") for text in (source, found.source))
    assert [line for line in before if not COMMAND.match(line)] == [line for line in after if not COMMAND.match(line)]
    kept = sum(block.size for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks())
    assert len(before) - kept <= 12 * len(found.mends)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(READING))
def test_scripts_in_every_form_are_mended_as_well(file: Path) -> None:
    source = file.read_bytes()
    found = mend(source, "a.rsc")
    if found is not None:
        must_hold(source, found)
