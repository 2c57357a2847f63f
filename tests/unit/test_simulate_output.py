"""`evenflow simulate`: what it prints and draws, what may be missing, how it ends, and its documents."""

from __future__ import annotations

import io
import json
import shlex
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from evenflow import cli
from evenflow.cli import simulate_progress
from evenflow.cli.simulate_options import _EPILOG
from evenflow.core.simulate import Simulation
from evenflow.kernel import files
from office import office_day, office_policy
from pages import read
from simulating import TOML, Capture, drawn, refused, write_flows


@pytest.fixture
def flows(tmp_path: Path) -> str:
    return write_flows(tmp_path / "flows.csv")


# --- what is printed and drawn --------------------------------------------------------------------------------------


def test_one_screen_for_people(capsys: Capture, flows: str) -> None:
    lines = drawn(capsys, TOML, flows, "--seed", "3").splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 110
    text = "\n".join(lines)
    assert "flows.csv · CSV · 400 flows, " in text
    assert "2025-11-20 12:00 to 2025-11-20 13:07 UTC" in text
    assert "66.7 %" in text
    assert "█ = 30 Mbit/s, its bandwidth" in text


def test_a_narrow_terminal_loses_columns_not_lines(
    capsys: Capture, flows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = drawn(capsys, TOML, flows).splitlines()
    heading = next(line for line in lines if line.startswith("uplink"))
    assert max(len(line) for line in lines if line.startswith(("uplink", "isp"))) <= 80
    assert "target" in heading
    assert "filled" in heading
    assert "of flows" not in heading


def test_plain_letters_where_there_are_no_others(flows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict"))
    assert cli.main(["simulate", TOML, flows, "--compare"]) == cli.DONE
    sys.stdout.flush()
    assert isinstance(sys.stdout, io.TextIOWrapper)
    text = sys.stdout.buffer.getvalue().decode("ascii")
    assert "####" in text
    assert "\\u" not in text


def test_pictures_are_written(capsys: Capture, flows: str, tmp_path: Path) -> None:
    files = [tmp_path / f"load.{suffix}" for suffix in ("png", "svg", "html")]
    drawn(capsys, TOML, flows, "--compare", *(word for file in files for word in ("--plot", str(file))))
    assert files[0].read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    svg = ET.parse(files[1]).getroot()
    texts = {element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")}
    page = read(files[2].read_text(encoding="utf-8"))
    for text in ("Share over time", "Each uplink against its bandwidth", "Compared", "isp1", "src-address"):
        assert text in texts
        assert text in page.texts
    assert "var(" not in files[1].read_text(encoding="utf-8")
    assert not [name for _, name, _ in page.attributes if name in {"src", "srcset", "href", "xlink:href"}]


def test_a_picture_that_can_not_be_written_is_told_before_anything_is_counted(
    capsys: Capture, flows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "open_flows", lambda _: pytest.fail("the flows were read"))
    place = str(tmp_path / "nowhere" / "load.svg")
    assert cli.main(["simulate", TOML, flows, "--plot", place]) == cli.UNTOLD
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"evenflow: {place} can't be written: No such file or directory" in captured.err


def test_a_picture_that_fails_late_does_not_take_the_answer_along(
    capsys: Capture, flows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert cli.main(["simulate", TOML, flows, "--json", "--plot", str(tmp_path / "a.svg")]) == cli.UNTOLD
    captured = capsys.readouterr()
    assert json.loads(captured.out)["flows"] == 400
    assert "a.svg can't be written: No space left on device" in captured.err


def test_the_first_look_leaves_no_file_behind(capsys: Capture, flows: str, tmp_path: Path) -> None:
    place = tmp_path / "load.svg"
    refused(capsys, str(tmp_path / "none.toml"), flows, "--plot", str(place))
    assert not place.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is(capsys: Capture, flows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(simulate_progress, "_SILENT_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    drawn(capsys, TOML, flows)
    assert "400 flows, " in terminal.getvalue()
    assert "a second" in terminal.getvalue()


def test_nobody_sees_it_elsewhere(capsys: Capture, flows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_progress, "_SILENT_S", 0.0)
    assert cli.main(["simulate", TOML, flows]) == cli.DONE
    assert capsys.readouterr().err == ""


# --- what may be missing --------------------------------------------------------------------------------------------


def run_without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`evenflow` where a package is not installed."""
    code = f"import sys; sys.modules[{module!r}] = None\nfrom evenflow.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("numpy", (), "simulate"),
        ("polars", (), "simulate"),
        ("numba", ("--engine", "numba"), "fast"),
        ("matplotlib", ("--plot", "load.png"), "simulate"),
    ],
)
def test_a_missing_package_is_one_error_that_names_the_extra(
    flows: str, module: str, options: tuple[str, ...], extra: str
) -> None:
    done = run_without(module, "simulate", TOML, flows, *options)
    assert done.returncode == cli.REFUSED
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"pip install 'evenflow[{extra}]'" in line


def test_other_commands_need_none_of_them() -> None:
    for module in ("numpy", "polars", "numba", "matplotlib"):
        done = run_without(module, "check", TOML)
        assert done.returncode == cli.DONE, done.stderr
    code = "import sys; from evenflow.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    question = ["trace", TOML, "--in", "USER_01", "--src", "10.10.1.5", "--dst", "198.51.100.7"]
    done = subprocess.run([sys.executable, "-c", code, *question], capture_output=True, text=True, check=True)
    assert not {"numpy", "polars", "numba", "matplotlib"} & set(done.stderr.split())
    assert "evenflow.core.trace" in done.stderr.split()


def test_svg_and_html_need_no_matplotlib(flows: str, tmp_path: Path) -> None:
    done = run_without("matplotlib", "simulate", TOML, flows, "--plot", str(tmp_path / "a.svg"))
    assert done.returncode == cli.DONE, done.stderr
    assert (tmp_path / "a.svg").exists()


# --- ends -----------------------------------------------------------------------------------------------------------


def test_a_reader_that_has_gone_is_no_error(flows: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m evenflow.cli simulate {TOML} {shlex.quote(flows)} --json; echo $? >&2"
    with subprocess.Popen(["sh", "-c", f"({command}) | true"], stderr=subprocess.PIPE, text=True) as process:
        _, errors = process.communicate(timeout=60)
    assert errors.split() == ["0"]


def test_a_full_disk_is_told(flows: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "evenflow.cli", "simulate", TOML, flows],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == cli.UNTOLD
    assert "standard output can't be written" in done.stderr


def test_an_interruption_ends_it(capsys: Capture, flows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Simulation, "add", interrupted)
    assert cli.main(["simulate", TOML, flows]) == cli.INTERRUPTED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("interrupted; ")


# --- documents ------------------------------------------------------------------------------------------------------


def test_the_page_shows_what_is_printed(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")
    (tmp_path / "office.toml").write_text(office_policy())
    (tmp_path / "flows.csv").write_text(office_day())
    monkeypatch.chdir(tmp_path)
    sessions = [block.partition("\n") for block in page.split("```\n$ evenflow ")[1:]]
    assert len(sessions) == 3
    for command, _, rest in sessions:
        assert rest.partition("```")[0] in drawn(capsys, *command.split()[1:])
    assert office_policy().splitlines()[-1] in page


def test_the_examples_of_the_help_are_commands() -> None:
    lines = [line.strip() for line in _EPILOG.splitlines() if "evenflow simulate " in line]
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line.partition("evenflow ")[2])
        assert cli.parser().parse_args(words).command == "simulate"
