"""Wrong input: one clear finding or error with file, line and what to do; the exit status; the kernel untouched."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from evenflow import cli
from evenflow.errors import SystemRefusedError
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.lock import only_one
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NetlinkError, NetlinkSocket
from lab.test_coexistence import EXAMPLES, build, evenflow, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def test_output_may_be_cut_off() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "evenflow.cli", "check", str(EXAMPLES / "seed.toml")]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr
