"""`docs/findings/`: a page for each code that can be told, whose example raises it and whose mended one does not."""

from __future__ import annotations

import ast
import contextlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

import evenflow
from evenflow import cli
from evenflow.formats.configuration import all_findings, parse
from evenflow.formats.routeros.mending import diff, mend
from evenflow.formats.routeros.mending.menders import MENDERS, WHY_LEFT

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {file.stem: file.read_text() for file in sorted((DOCS / "findings").glob("*.md")) if file.stem != "README"}
INDEX = (DOCS / "findings" / "README.md").read_text()

_CODE = re.compile(r"[a-z]+(?:-[a-z0-9]+)*")

#: Functions and methods that take the code of a finding among their arguments.
TELLING = {"error", "warning", "info", "Finding", "add", "tell", "refuse", "complain", "_wrong",
           "BadValueError", "MalformedError"}  # fmt: skip

#: Words that such calls have besides: keys of a policy, events of the daemon, defaults of parameters.
OTHER_WORDS = {
    "bandwidth", "buckets", "echo", "gateway", "interface", "lan", "loss", "profile", "program", "refused",
    "reload-refused", "reloaded", "started", "state", "stopped", "targets", "tier", "uplink", "webhook",
}  # fmt: skip

#: Told through a variable, or the default of a parameter, in which no call has it as a constant.
THROUGH_A_NAME = {"gateway-unreachable", "interface-down", "ipv6-left-out", "syntax"}

#: What takes half a million commands, another machine, or a broken one to be told.
WITHOUT_EXAMPLE = {
    "accept-unsupported", "bridge-port", "condition-twice", "fallback-left-out", "flows-compressed", "flows-unreadable",
    "foreign-route", "foreign-rule", "gateway-stated", "gateway-unreachable", "gateway-unresolved", "interface-down",
    "learnt-beside-others", "not-mendable", "not-said", "not-utf8", "route-conflict", "route-rule-stage",
    "settings-lost", "too-large", "too-long", "too-many-marks", "too-many-route-rules",
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks(code: str) -> list[Block]:
    found = re.findall(r"^```([a-z]*)\n(.*?)^```$", PAGES[code], re.MULTILINE | re.DOTALL)
    return [Block(language, text) for language, text in found]


def block(code: str, *languages: str) -> Block | None:
    return next((each for each in blocks(code) if each.language in languages), None)


def applied(text: str, change: str) -> str:
    """A text with a unified diff without context."""
    lines, shift = text.splitlines(), 0
    for found in re.finditer(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@\n((?:[-+].*\n?)*)", change, re.MULTILINE):
        count = int(found[2] or 1)
        at = int(found[1]) - (count > 0) + shift
        old = [row[1:] for row in found[3].splitlines() if row[0] == "-"]
        new = [row[1:] for row in found[3].splitlines() if row[0] == "+"]
        assert lines[at : at + count] == old
        lines[at : at + count] = new
        shift += len(new) - count
    return "\n".join(lines) + "\n"


def codes_of_the_source() -> set[str]:
    found = set()
    for file in Path(evenflow.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                given = [*(keyword.value for keyword in node.keywords if keyword.arg == "code")]
                given += node.args if _name(node.func) in TELLING else ()
                words = {each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)}
                found |= {word for word in words if _CODE.fullmatch(word)}
    return found - OTHER_WORDS | THROUGH_A_NAME


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def test_each_code_has_a_page_and_each_page_a_code() -> None:
    assert codes_of_the_source() == set(PAGES)


def test_the_index_has_each_page_once_as_the_page_has_it() -> None:
    rows = re.findall(r"^\| \[`([a-z0-9-]+)`\]\(\1\.md\) \| ([a-z, ]+) \| (yes)? ?\|$", INDEX, re.MULTILINE)
    assert sorted(code for code, _, _ in rows) == sorted(PAGES)
    for code, severity, mends in rows:
        title, _, head, *_ = PAGES[code].splitlines()
        assert title == f"# `{code}`"
        assert head.startswith(f"**{severity}** · ")
        assert head.endswith(" · `--fix` mends it") == bool(mends)
        assert (code in MENDERS) == bool(mends)


def test_what_is_mended_or_left_for_a_reason_is_a_code() -> None:
    assert set(MENDERS) | set(WHY_LEFT) <= set(PAGES)


@pytest.mark.parametrize("code", PAGES)
def test_a_page_is_short_and_says_what_to_do(code: str) -> None:
    assert 5 <= len(PAGES[code].splitlines()) <= 60
    assert "## Mend" in PAGES[code]


def test_all_others_have_an_example() -> None:
    assert {code for code in PAGES if not blocks(code)} == WITHOUT_EXAMPLE


def raised(text: str, language: str) -> set[str]:
    return {finding.code for finding in all_findings(parse(text.encode(), f"office.{language}"))}


CHECKED = [code for code in PAGES if block(code, "rsc", "toml") and not block(code, "console")]
ASKED = [code for code in PAGES if block(code, "console")]


@pytest.mark.parametrize("code", CHECKED)
def test_an_example_raises_the_code_and_the_mended_one_does_not(code: str) -> None:
    example, change = block(code, "rsc", "toml"), block(code, "diff")
    assert example is not None
    assert code in raised(example.text, example.language)
    if change is not None:
        assert code not in raised(applied(example.text, change.text), example.language)


@pytest.mark.parametrize("code", [code for code in CHECKED if code in MENDERS])
def test_what_fix_makes_of_an_example_is_as_the_page_shows_it(code: str) -> None:
    example, change = block(code, "rsc"), block(code, "diff")
    if example is None or change is None:
        pytest.fail("a page about a mend shows it")
    found = mend(example.text.encode(), "office.rsc")
    assert found is not None
    shown = applied(example.text, change.text)
    if code not in {each.finding.code for each in found.mends}:
        # The example is of the case that is the person's.
        assert code in {each.finding.code for each in found.left}
        return
    assert diff(shown.encode(), found.source, "office.rsc") == ()


def outcome(folder: Path, command: str, example: Block | None, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says in a folder with nothing but the example, which is the first file that it names."""
    words = shlex.split(command.removeprefix("$ "))
    folder.mkdir()
    (folder / "flows.csv").write_text("src,dst,proto\n192.168.1.9,198.51.100.7,tcp\n")
    if example is not None and example.language == "csv":
        (folder / "office.toml").write_text('lan = ["br0"]\n\n[uplink.fibre]\ninterface = "eth1"\n')
        (folder / "flows.csv").write_text(example.text)
    elif example is not None:
        (folder / words[2]).write_text(example.text)
    with contextlib.chdir(folder):
        cli.main(words[1:])
    said = capsys.readouterr()
    return said.out + said.err


@pytest.mark.parametrize("code", ASKED)
def test_a_command_raises_the_code_and_of_the_mended_example_does_not(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, example, change = block(code, "console"), block(code, "rsc", "toml", "csv"), block(code, "diff")
    assert asked is not None
    assert f"[{code}]" in outcome(tmp_path / "as-it-is", asked.text, example, capsys)
    if change is not None:
        assert example is not None
        mended = Block(example.language, applied(example.text, change.text))
        assert f"[{code}]" not in outcome(tmp_path / "mended", asked.text, mended, capsys)


def test_links_to_findings_lead_somewhere() -> None:
    for page in (
        *DOCS.glob("*.md"),
        *DOCS.glob("findings/*.md"),
        DOCS.parent / "README.md",
        DOCS.parent / "CONTRIBUTING.md",
    ):
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
