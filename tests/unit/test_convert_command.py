"""`evenflow convert`: files, options, exit statuses."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from evenflow import cli
from evenflow.formats import policy, routeros

EXAMPLES = Path(__file__).parents[2] / "examples"
POLICY, SCRIPT = str(EXAMPLES / "seed.toml"), str(EXAMPLES / "seed.rsc")


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_policy_becomes_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["convert", POLICY, str(tmp_path / "router.rsc")]) == 0
    text = (tmp_path / "router.rsc").read_text()
    assert routeros.parse(text).findings == ()
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/router.rsc: written\n"
    assert "[connections-not-flushed]" in said.err
    assert names(tmp_path) == ["router.rsc"]


def test_a_script_becomes_a_policy_of_some_ten_lines(tmp_path: Path) -> None:
    assert cli.main(["convert", SCRIPT, str(tmp_path / "router.toml")]) == 0
    text = (tmp_path / "router.toml").read_text()
    wanted = policy.parse(Path(POLICY).read_text()).policy
    found = policy.parse(text).policy
    assert found is not None
    assert wanted is not None
    assert len([line for line in text.splitlines() if line]) == 11
    assert (found.lan, found.balance.weights, found.balance.classifier) == (
        wanted.lan,
        wanted.balance.weights,
        wanted.balance.classifier,
    )
    said = [
        (u.name, u.interface, u.gateways, u.learn_gateway, u.masquerade, u.targets, u.health) for u in found.uplinks
    ]
    assert said == [
        (u.name, u.interface, u.gateways, u.learn_gateway, u.masquerade, u.targets, u.health) for u in wanted.uplinks
    ]


def test_standard_output_has_the_other_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["convert", POLICY, "-"]) == 0
    assert routeros.parse(capsys.readouterr().out).findings == ()
    assert cli.main(["convert", SCRIPT, "-"]) == 0
    assert policy.parse(capsys.readouterr().out).policy is not None
    assert cli.main(["convert", SCRIPT, "-", "--routeros", "7"]) == 0
    assert "/routing table\n" in capsys.readouterr().out


def test_nothing_is_overwritten_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "router.rsc"
    target.write_text("mine")
    target.chmod(0o640)
    assert cli.main(["convert", POLICY, str(target)]) == 1
    assert target.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert cli.main(["convert", POLICY, str(target), "--force"]) == 0
    assert "/ip firewall mangle" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert names(tmp_path) == ["router.rsc"]


def test_what_has_come_to_be_there_meanwhile_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "router.rsc"
    real = os.link

    def link(source: Path, place: Path) -> None:
        place.write_text("somebody else's")
        real(source, place)

    monkeypatch.setattr(os, "link", link)
    assert cli.main(["convert", POLICY, str(target)]) == 1
    assert target.read_text() == "somebody else's"
    assert names(tmp_path) == ["router.rsc"]


def test_a_failure_to_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "router.rsc"
    target.write_text("mine")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["convert", POLICY, str(target), "--force"]) == 3
    assert target.read_text() == "mine"
    assert names(tmp_path) == ["router.rsc"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["convert", POLICY, str(tmp_path / "no" / "router.rsc")]) == 1
    assert f"there is no folder {tmp_path / 'no'}" in capsys.readouterr().err


def test_a_device_is_not_overwritten(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.rsc")
    assert cli.main(["convert", POLICY, str(tmp_path / "pipe.rsc"), "--force"]) == 1
    assert stat.S_ISFIFO((tmp_path / "pipe.rsc").stat().st_mode)


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real.rsc").write_text("old")
    (tmp_path / "link.rsc").symlink_to("real.rsc")
    assert cli.main(["convert", POLICY, str(tmp_path / "link.rsc"), "--force"]) == 0
    assert (tmp_path / "link.rsc").is_symlink()
    assert (tmp_path / "real.rsc").read_text() != "old"


def test_json_has_the_findings_and_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "router.rsc")
    assert cli.main(["convert", POLICY, target, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"] == target
    assert said["text"] is None
    assert {"severity", "code", "file", "line", "message"} <= said["findings"][0].keys()
    assert cli.main(["convert", POLICY, "-", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"] is None
    assert said["text"] == Path(target).read_text()


def test_another_suffix_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["convert", POLICY, str(tmp_path / "router.txt")]) == 1
    assert "[unknown-suffix]" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_a_bad_policy_is_told_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("lan = 1\n")
    assert cli.main(["convert", str(tmp_path / "bad.toml"), str(tmp_path / "router.rsc")]) == 1
    assert "[wrong-type]" in capsys.readouterr().err
    assert names(tmp_path) == ["bad.toml"]


@pytest.mark.parametrize("text", ["", "Dear forum, it does not work.\n", "/ip route\nadd gateway=1.2.3.4.5\n"])
@pytest.mark.parametrize("target", ["b.rsc", "b.toml"])
def test_of_nothing_nothing_is_made(tmp_path: Path, text: str, target: str) -> None:
    (tmp_path / "a.rsc").write_text(text)
    assert cli.main(["convert", str(tmp_path / "a.rsc"), str(tmp_path / target)]) == 1
    assert names(tmp_path) == ["a.rsc"]


def test_a_script_with_an_error_is_written_without_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.rsc").write_text(f"{Path(SCRIPT).read_text()}\nadd gateway=1.2.3.4.5 routing-table=isp1\n")
    assert cli.main(["convert", str(tmp_path / "old.rsc"), str(tmp_path / "new.rsc")]) == 1
    assert "The route is left out" in capsys.readouterr().err
    assert "1.2.3.4.5" not in (tmp_path / "new.rsc").read_text()


@pytest.mark.parametrize(
    "options",
    [["--routeros", "5"], ["--routeros", "7.x"], ["--max-error-percent", "101"], ["--max-error-percent", "-1"]],
)
def test_bad_options_are_wrong_usage(options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["convert", POLICY, "-", *options])
    assert ended.value.code == 2


def test_the_release_of_a_script_counts_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for header, options, wanted in (
        ("7.16", [], "7.16"),
        ("6.48", [], "7.21"),
        ("7.16", ["--routeros", "7"], "7.21"),
        ("7.16", ["--routeros", "6"], "6.49"),
        ("7.16", ["--routeros", "7.4"], "7.4"),
    ):
        text = f"# nov/12/2025 09:14:02 by RouterOS {header}\n{Path(SCRIPT).read_text()}"
        (tmp_path / "router.rsc").write_text(text)
        out = tmp_path / "out.rsc"
        assert cli.main(["convert", str(tmp_path / "router.rsc"), str(out), "--force", *options]) == 0
        assert out.read_text().startswith(f"# To be run by RouterOS {wanted};")
    capsys.readouterr()


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["convert", "--help"])
    said = capsys.readouterr().out
    for word in ("examples:", "--routeros", "--max-error-percent", "--force", "standard output", "findings"):
        assert word in said
