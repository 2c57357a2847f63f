"""Wrong input: one clear finding or error with file, line and what to do; the exit status; the kernel untouched."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from evenflow import cli
from evenflow.errors import SystemRefusedError
from evenflow.kernel import files
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.lock import only_one
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NetlinkError, NetlinkSocket
from evenflow.kernel.rtnetlink import RouteNetlink
from lab.test_coexistence import EXAMPLES, build, evenflow, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from evenflow.kernel.netlink import Request

TOML = (EXAMPLES / "seed.toml").read_text()
RSC = (EXAMPLES / "seed.rsc").read_text()


def garbage() -> str:
    """10 MB of text that is no script."""
    draw = random.Random(1)
    letters = "abcdefgh \"'$%&?!()<>|*+-,.0123456789"
    return "\n".join("".join(draw.choices(letters, k=99)) for _ in range(100_000))


CASES = {
    "unknown key": ("x.toml", TOML.replace("gateway = ", "gatewy = "), 6, "unknown-key", "did you mean gateway"),
    "unknown key at the top": ("x.toml", TOML.replace("lan =", "lann ="), 2, "unknown-key", "did you mean lan"),
    "missing interface": ("x.toml", TOML.replace("ether1", "ether9"), 4, "interface-missing", "did you mean ether"),
    "shared interface": ("x.toml", TOML.replace("pppoe-out1", "ether1"), 10, "interface-shared", "give each"),
    "empty policy": ("x.toml", "", 0, "empty", "a policy has"),
    "empty script": ("x.rsc", "\n\n", 1, "empty", "/export"),
    "remainder": ("x.rsc", RSC.replace("ports:3/2", "ports:3/3"), 28, "pcc-remainder", "use 0 to 2"),
    "mark that nothing routes": (
        "x.rsc",
        "".join(line for line in RSC.splitlines(keepends=True) if "new-routing-mark=isp2" not in line),
        27,
        "mark-not-routed",
        "add a mark-routing rule",
    ),
    "missing interface of a script": ("x.rsc", RSC.replace("ether1", "ether9"), 0, "interface-missing", "there are"),
    "garbage": ("x.rsc", garbage(), 1, "not-routeros", "/export"),
    "truncated policy": ("x.toml", TOML[:300], 11, "toml-syntax", "not TOML"),
    "not UTF-8": ("x.toml", "# \udce4\nlan = []", 1, "not-utf8", "save it as UTF-8"),
    "neither of the two": ("x.conf", TOML, 0, "unknown-suffix", "(.toml)"),
}


@pytest.fixture
def machine() -> Iterator[NetworkNamespace]:
    with NetworkNamespace.create() as made:
        build(made)
        yield made


def errors(said: str) -> list[dict[str, object]]:
    return [finding for finding in json.loads(said)["findings"] if finding["severity"] == "error"]


@pytest.mark.kernel
@pytest.mark.parametrize("case", CASES)
def test_one_error_that_says_where_and_what_to_do(
    case: str, machine: NetworkNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content, line, code, mend = CASES[case]
    file = tmp_path / name
    file.write_bytes(content.encode(errors="surrogateescape"))
    before = snapshot(machine)
    assert evenflow(machine, "apply", str(file), "--json") == cli.MISTAKE
    found = errors(capsys.readouterr().out)
    assert {finding["code"] for finding in found} == {code}
    assert len(found) == 1 or code in ("interface-missing", "unknown-key")
    assert found[0]["file"] == str(file)
    assert found[0]["line"] == line or line == 0
    assert mend in str(found[0]["message"])
    assert evenflow(machine, "apply", str(file)) == cli.MISTAKE
    assert f"error: {found[0]['message']}" in capsys.readouterr().err
    assert snapshot(machine) == before


@pytest.mark.kernel
def test_an_interface_that_is_down(machine: NetworkNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    machine.run(["ip", "link", "set", "ether1", "down"])
    before = snapshot(machine)
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.toml")) == cli.MISTAKE
    assert "ip link set ether1 up" in capsys.readouterr().err
    assert snapshot(machine) == before


@pytest.mark.kernel
def test_a_file_that_is_not_there(machine: NetworkNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert evenflow(machine, "apply", "/nowhere/router.toml") == cli.MISTAKE
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["fifo", "device", "socket", "folder"])
def test_what_is_no_file(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither does it wait for a writer for ever, nor read zeros until the memory is full."""
    file = tmp_path / "x.rsc"
    with socket.socket(socket.AF_UNIX) as listening:
        match kind:
            case "fifo":
                os.mkfifo(file)
            case "device":
                file.symlink_to("/dev/zero")
            case "socket":
                listening.bind(str(file))
            case _:
                file.mkdir()
        assert cli.main(["check", str(file), "--json"]) == cli.MISTAKE
    (found,) = errors(capsys.readouterr().out)
    assert found["code"] == "unreadable"
    assert ("is a directory" if kind == "folder" else "no regular file") in str(found["message"])


@pytest.mark.parametrize("limit", [100, 1 << 22])
def test_no_more_is_read_than_may_be(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever size a file says that it has: those of /proc say 0."""
    file = tmp_path / "x.rsc"
    file.symlink_to("/proc/self/maps")
    monkeypatch.setattr(files, "SIZE_LIMIT_BYTES", limit)
    assert cli.main(["check", str(file), "--json"]) == cli.MISTAKE
    assert [found["code"] for found in errors(capsys.readouterr().out)] == [
        "too-large" if limit == 100 else "not-routeros"
    ]


def test_one_finding_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a\nb\x1b[31m.toml"
    file.write_text('lan = ["br0"]\n[uplink."\\u001b[2J"]\ninterface = "eth1"\n')
    assert cli.main(["check", str(file)]) == cli.MISTAKE
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert "a\\nb\\x1b[31m.toml:2: error: uplink \\x1b[2J" in line


@pytest.mark.kernel
def test_no_nf_tables(
    machine: NetworkNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = NetlinkSocket.request

    def without(self: NetlinkSocket, request: Request) -> list[bytes]:
        if request.kind >> 8 == 10:  # NFNL_SUBSYS_NFTABLES
            raise NetlinkError(22)
        return real(self, request)

    monkeypatch.setattr(NetlinkSocket, "request", without)
    before = snapshot(machine)
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.toml")) == cli.REFUSED
    assert "modprobe nf_tables" in capsys.readouterr().err
    assert snapshot(machine) == before


@pytest.mark.kernel
def test_a_second_instance(machine: NetworkNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with machine.entered(), only_one():
        assert cli.main(["apply", str(EXAMPLES / "seed.toml")]) == cli.REFUSED
    assert f"another evenflow (process {os.getpid()})" in capsys.readouterr().err
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.toml")) == cli.DONE


@pytest.mark.kernel
def test_no_permission(machine: NetworkNamespace) -> None:
    """A process without capabilities: what an ordinary user on a router is."""
    before = snapshot(machine)
    command = [sys.executable, "-m", "evenflow.cli", "apply", str(EXAMPLES / "seed.toml")]
    with machine.entered():
        done = subprocess.run(
            ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command], capture_output=True, text=True, check=False
        )
    assert done.returncode == cli.REFUSED
    assert "CAP_NET_ADMIN" in done.stderr
    assert "sudo" in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(machine) == before


@pytest.mark.kernel
def test_a_refusal_half_way_leaves_the_old_state(
    machine: NetworkNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.toml")) == cli.DONE
    before = snapshot(machine)
    real, count = LinuxKernel.execute, 0

    def refuses_the_fifth(self: LinuxKernel, operation: object) -> None:
        nonlocal count
        count += 1
        if count == 5:
            raise SystemRefusedError("told to")
        real(self, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(LinuxKernel, "execute", refuses_the_fifth)
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.rsc")) == cli.REFUSED
    assert "told to" in capsys.readouterr().err
    after = snapshot(machine)
    assert {key for key in after if key != "nft"} == {key for key in before if key != "nft"}
    assert {key for key in after if after[key] != before[key]} <= {"nft"}
    monkeypatch.undo()
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.toml")) == cli.DONE
    assert "in sync" in capsys.readouterr().out


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("change", "done"),
    [
        ("flush set inet evenflow sysctls_before", "changed the set sysctls_before of evenflow's nft table"),
        ("delete table inet evenflow", "deleted evenflow's nft table"),
    ],
)
def test_settings_from_before_that_somebody_took_away(
    change: str, done: str, machine: NetworkNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(EXAMPLES / "seed.toml")
    for command in (["apply", file], ["down"]):
        machine.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"])
        assert evenflow(machine, "apply", file) == cli.DONE
        machine.run(["nft", *change.split()])
        capsys.readouterr()
        assert evenflow(machine, *command) == cli.DONE
        said = capsys.readouterr().err
        assert f"warning: somebody has {done}" in said
        assert ("net/ipv4/ip_forward" in said) == (command[0] == "apply")
        assert evenflow(machine, *command) == cli.DONE
        assert capsys.readouterr().err == ""
        assert evenflow(machine, "down") == cli.DONE
        assert "evenflow" not in machine.run(["nft", "list", "tables"])


@pytest.mark.kernel
def test_a_route_of_ours_by_a_nexthop_object_goes(
    machine: NetworkNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["apply", str(EXAMPLES / "seed.toml")], ["down"]):
        machine.run(["ip", "nexthop", "replace", "id", "7", "via", "100.64.1.5", "dev", "ether1"])
        route = ["192.0.2.0/24", "nhid", "7", "table", "20700", "proto", "239"]
        machine.run(["ip", "route", "add", *route])
        assert evenflow(machine, *command) == cli.DONE
        assert "nhid" not in machine.run(["ip", "route", "show", "table", "all"])
    assert capsys.readouterr().err == ""


@pytest.mark.kernel
def test_what_reads_back_otherwise_is_named(
    machine: NetworkNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.run(["ip", "route", "add", "192.0.2.0/24", "via", "100.64.1.5", "table", "20700", "proto", "239"])
    monkeypatch.setattr(RouteNetlink, "delete_route", lambda *_: None)
    assert evenflow(machine, "down") == cli.REFUSED
    assert "ip route del 192.0.2.0/24 via 100.64.1.5 dev ether1 table 20700 metric 0" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("check", "plan", "apply", "down", "lab", "Exit status"))


@pytest.mark.parametrize("arguments", [[], ["apply"], ["aply", "x.toml"], ["plan", "x.toml", "--seed", "-1"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == cli.USAGE
    assert "usage:" in capsys.readouterr().err


def run(command: Sequence[str], output: str = os.devnull, **environment: str) -> subprocess.CompletedProcess[str]:
    """evenflow with its standard output written to a file."""
    with open(output, "ab") as out:  # noqa: PTH123 - a device
        return subprocess.run(
            [sys.executable, "-m", "evenflow.cli", *command],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )


@pytest.mark.kernel
def test_a_change_is_done_although_nothing_can_be_said_of_it(machine: NetworkNamespace) -> None:
    file = str(EXAMPLES / "seed.toml")
    for command in (["apply", file], ["down"], ["apply", file, "--json"], ["down", "--json"]):
        with machine.entered():
            done = run(command, "/dev/full")
        assert done.returncode == cli.UNTOLD
        assert done.stderr.endswith(
            "what was asked for is done, but standard output can't be written: No space left on device\n"
        )
        there = "table inet evenflow" in machine.run(["nft", "list", "tables"])
        assert there == (command[0] == "apply")


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("size", [1, 3000])
def test_output_that_can_not_be_written(options: list[str], size: int, tmp_path: Path) -> None:
    """Little of it is written at the end, much of it meanwhile."""
    file = tmp_path / "x.toml"
    file.write_text('lan = ["br0"]\n[uplink.a]\ninterface = "e1"\n' + "".join(f"x{n} = 1\n" for n in range(size)))
    done = run(["check", str(file), *options], "/dev/full")
    assert done.returncode in (cli.MISTAKE, cli.UNTOLD)
    assert done.stderr == "evenflow: standard output can't be written: No space left on device\n"
    help_ = run(["--help"], "/dev/full")
    assert (help_.returncode, help_.stderr) == (cli.UNTOLD, done.stderr)


def test_a_full_standard_error_changes_no_exit_status(tmp_path: Path) -> None:
    with open("/dev/full", "ab") as full:  # noqa: PTH123 - a device
        for file, status in ((EXAMPLES / "seed.toml", cli.DONE), (tmp_path / "not-there.toml", cli.MISTAKE)):
            command = [sys.executable, "-m", "evenflow.cli", "check", str(file)]
            assert subprocess.run(command, stdout=subprocess.DEVNULL, stderr=full, check=False).returncode == status


def test_letters_that_the_terminal_lacks(tmp_path: Path) -> None:
    file, out = tmp_path / "bü\udcff.toml", tmp_path / "out"
    file.write_text('lan = ["日本"]\n[uplink."süd"]\ninterface = "eth1"\ngatewy = 1\n')
    for options in ([], ["--json"]):
        out.write_bytes(b"")
        done = run(["check", str(file), *options], str(out), PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (cli.MISTAKE, "")
        assert out.read_bytes().isascii()
    (found,) = errors(out.read_text())
    assert found["file"] == str(file)
    assert "uplink süd" in str(found["message"])


@pytest.mark.parametrize("place", ["not/there.html", "."])
def test_a_report_that_can_not_be_written(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so before it has played for half a minute."""
    assert cli.main(["lab", "--html", str(tmp_path / place)]) == cli.USAGE
    assert "choose another with --html" in capsys.readouterr().err


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("mount", "mend"),
    [
        ("mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys", "what holds already is not written"),
        ("mount -t tmpfs none /proc/sys", "/proc must be mounted"),
        ("mount -t tmpfs none /proc", "/proc must be mounted"),
    ],
)
def test_a_proc_that_does_not_serve(mount: str, mend: str, machine: NetworkNamespace) -> None:
    before = snapshot(machine)
    evenflow_ = f"{sys.executable} -m evenflow.cli"
    with machine.entered():
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", f"{mount} && {evenflow_} apply {EXAMPLES / 'seed.toml'}"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (cli.REFUSED, "")
    assert done.stderr.startswith("evenflow: ")
    assert mend in done.stderr
    assert snapshot(machine) == before


def test_output_may_be_cut_off() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "evenflow.cli", "check", str(EXAMPLES / "seed.toml")]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr
