"""Scripts with one fault each, and their twins without it: `tests/corpus/faults/NAME.rsc` and `NAME.right.rsc`.

The first line of each says which finding is told of it, or is not; the second what the shares of the uplinks are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.core.lint.exact import exact_findings
from evenflow.core.uplinks import uplinks
from evenflow.formats import configuration
from evenflow.model.finding import Severity

if TYPE_CHECKING:
    from evenflow.formats.configuration import Loaded
    from evenflow.model.finding import Finding

CORPUS = Path(__file__).parents[1] / "corpus" / "faults"
FILES = sorted(CORPUS.glob("*.rsc"))
TOLD, NOT_TOLD, SHARES = "# told: ", "# not told: ", "# shares: "

#: What a right script may be told besides: it follows from what it leaves open, not from a mistake.
GOOD_TO_KNOW = {"by-chance", "detection-time", "next-hop-only", "no-second-route", "not-routing", "uplink-lost"}


def loaded(file: Path) -> Loaded:
    return configuration.parse(file.read_bytes(), file.name)


def findings(file: Path) -> tuple[Finding, ...]:
    found = loaded(file)
    assert found.router is not None
    return exact_findings(found.router, found.findings)


def test_each_fault_has_a_twin() -> None:
    names = {file.name.removesuffix(".rsc") for file in FILES}
    faults = {name for name in names if not name.endswith(".right")}
    assert len(faults) >= 30
    assert names == faults | {f"{name}.right" for name in faults}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_fault_is_told_and_its_twin_has_none(file: Path) -> None:
    first, second, *_ = file.read_text().splitlines()
    codes = {finding.code for finding in findings(file)}
    if first.startswith(TOLD):
        assert first.removeprefix(TOLD) in codes
    else:
        assert first.removeprefix(NOT_TOLD) not in codes
    router = loaded(file).router
    assert router is not None
    shares = ", ".join(f"{uplink.name} {uplink.target}" for uplink in uplinks(router) if uplink.target)
    assert shares == second.removeprefix(SHARES)


@pytest.mark.parametrize("file", [file for file in FILES if ".right." in file.name], ids=lambda file: file.name)
def test_a_right_script_gets_no_warning(file: Path) -> None:
    told = [finding for finding in findings(file) if finding.code not in GOOD_TO_KNOW]
    assert [str(finding) for finding in told if finding.severity is not Severity.INFO] == []
