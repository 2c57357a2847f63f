"""`evenflow check --fix`: what it prints, what it writes, and when it does neither."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from evenflow import cli
from evenflow.formats.routeros.mending import mend

CORPUS = Path(__file__).parents[1] / "corpus" / "faults"
FAULT = (CORPUS / "no-rule-in-output.rsc").read_bytes()
DECISION = (CORPUS / "dead-nat-rule.rsc").read_bytes()
POLICY = Path(__file__).parents[2] / "examples" / "seed.toml"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "office.rsc"
    file.write_bytes(FAULT)
    return file


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def mended() -> bytes:
    found = mend(FAULT, "office.rsc")
    assert found is not None
    assert found.source != FAULT
    return found.source


def test_it_shows_the_diff_and_tells_what_it_mends_and_writes_nothing(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(script), "--fix"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:2] == [f"--- {script}", f"+++ {script}"]
    assert sum(line.startswith("+add action=mark-routing chain=output") for line in said.out.splitlines()) == 2
    assert f"{script}:26: mended: the router's own answers" in said.err
    assert said.err.splitlines()[-1].endswith(
        "1 mended, 0 left; nothing is written: --output FILE or --in-place does it"
    )
    assert script.read_bytes() == FAULT
    assert names(script.parent) == ["office.rsc"]


def test_what_is_left_is_told_with_the_reason_and_the_proposal(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_bytes((CORPUS / "remainder-missing.rsc").read_bytes())
    assert cli.main(["check", str(script), "--fix"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{script}:19: left: " in said.err
    assert "(which mark gets remainder 2 is yours to say" in said.err
    proposed = [line for line in said.err.splitlines() if line.startswith("    add chain=prerouting")]
    assert [line.split("new-connection-mark=")[1].split()[0] for line in proposed] == ["isp1_conn", "isp2_conn"]
    assert all("per-connection-classifier=both-addresses:3/2" in line for line in proposed)


def test_an_error_that_is_left_is_the_exit_status(script: Path) -> None:
    script.write_bytes(FAULT + b"/ip route add gateway=1.2.3.4.5\n")
    assert cli.main(["check", str(script), "--fix"]) == 1


def test_output_writes_another_file_whole(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.chmod(0o600)
    target = script.with_name("new.rsc")
    assert cli.main(["check", str(script), "--fix", "--output", str(target)]) == 0
    assert target.read_bytes() == mended()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert script.read_bytes() == FAULT
    assert f"{target}: written, 1 mended, 0 left" in capsys.readouterr().err


def test_output_does_not_overwrite_unless_told(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = script.with_name("new.rsc")
    target.write_text("mine")
    assert cli.main(["check", str(script), "--fix", "-o", str(target)]) == 1
    assert "[exists]" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert cli.main(["check", str(script), "--fix", "-o", str(target), "--force"]) == 0
    assert target.read_bytes() == mended()


def test_output_to_standard_output_is_the_script(script: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["check", str(script), "--fix", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == mended()
    assert names(script.parent) == ["office.rsc"]


def test_in_place_keeps_the_old_one(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.chmod(0o640)
    assert cli.main(["check", str(script), "--fix", "--in-place"]) == 0
    kept = script.with_name("office.rsc.orig")
    assert (script.read_bytes(), kept.read_bytes()) == (mended(), FAULT)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (script, kept)} == {0o640}
    assert f"{script}: written, 1 mended, 0 left; as it was: {kept}" in capsys.readouterr().err
    assert names(script.parent) == ["office.rsc", "office.rsc.orig"]


def test_in_place_does_not_overwrite_what_was_kept_before(script: Path) -> None:
    kept = script.with_name("office.rsc.orig")
    kept.write_text("older")
    assert cli.main(["check", str(script), "--fix", "--in-place"]) == 1
    assert (script.read_bytes(), kept.read_text()) == (FAULT, "older")
    assert cli.main(["check", str(script), "--fix", "--in-place", "--force"]) == 0
    assert (script.read_bytes(), kept.read_bytes()) == (mended(), FAULT)


def test_in_place_leaves_a_file_alone_that_nothing_is_mended_of(script: Path) -> None:
    script.write_bytes(DECISION)
    before = script.stat()
    assert cli.main(["check", str(script), "--fix", "--in-place"]) == 0
    assert script.stat().st_mtime_ns == before.st_mtime_ns
    assert names(script.parent) == ["office.rsc"]


def test_in_place_a_second_time_has_nothing_to_do(script: Path) -> None:
    assert cli.main(["check", str(script), "--fix", "--in-place"]) == 0
    assert cli.main(["check", str(script), "--fix", "--in-place"]) == 0
    assert script.read_bytes() == mended()
    assert script.with_name(f"{script.name}.orig").read_bytes() == FAULT


@pytest.mark.parametrize(("target", "said"), [(".", "is a folder"), ("no/new.rsc", "there is no folder")])
def test_a_target_that_can_not_be_written_is_named(
    script: Path, target: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(script), "--fix", "--output", str(script.parent / target)]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"<html>no script</html>\n"])
def test_what_is_no_script_is_told_as_by_check(
    script: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_bytes(content)
    assert cli.main(["check", str(script), "--fix"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "error: " in line


def test_the_suffix_may_be_in_capitals(script: Path) -> None:
    assert cli.main(["check", str(script.rename(script.with_suffix(".RSC"))), "--fix"]) == 0


def test_json_has_all_of_it(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(script.with_name("new.rsc"))
    assert cli.main(["check", str(script), "--fix", "--json", "-o", target]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said.keys() == {"mended", "left", "diff", "written", "findings"}
    (done,) = said["mended"]
    assert (done["code"], done["line"]) == ("output-not-routed", 26)
    assert done["mend"].startswith("the router's own answers")
    assert done["witness"].endswith("--reply")
    assert said["written"] == target
    assert said["diff"].startswith(f"--- {script}\n")
    assert "output-not-routed" not in {finding["code"] for finding in said["findings"]}


def test_json_of_what_is_left(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_bytes(DECISION)
    assert cli.main(["check", str(script), "--fix", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (left,) = said["left"]
    assert (left["code"], left["proposal"], said["diff"], said["written"]) == ("dead-rule", [], "", None)
    assert left["why"]


@pytest.mark.parametrize("options", [["--output", "x.rsc"], ["--in-place"], ["--force"]])
def test_options_of_fix_without_it_are_wrong_usage(
    script: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(script), *options]) == 2
    assert f"{options[0]} goes with --fix only" in capsys.readouterr().err


def test_a_policy_is_not_mended(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(POLICY), "--fix"]) == 2
    assert "--fix mends RouterOS scripts (.rsc) only" in capsys.readouterr().err


def test_torn_bytes_are_not_written_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "torn.rsc"
    file.write_bytes("\ufeff/ip route\nadd gateway=1.2.3.4\n".encode("utf-16-le") + b"\n")
    assert cli.main(["check", str(file), "--fix", "--in-place"]) == 1
    assert "[not-mendable]" in capsys.readouterr().err
    assert names(tmp_path) == ["torn.rsc"]


def test_what_is_unsupported_can_be_accepted(script: Path) -> None:
    script.write_bytes(FAULT.replace(b"/ip route\n", b"add chain=srcnat action=masquerade tls-host=x\n/ip route\n"))
    assert cli.main(["check", str(script), "--fix"]) == 1
    assert cli.main(["check", str(script), "--fix", "--accept-unsupported"]) == 0
