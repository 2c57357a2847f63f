"""`-` as a configuration: a RouterOS script on standard input."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = b"""\
/ip firewall mangle
add action=mark-routing chain=prerouting in-interface=LAN new-routing-mark=isp1
/ip route
add gateway=203.0.113.1 routing-table=isp1 check-gateway=pin
"""


def run(*words: str, given: bytes = SCRIPT, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "evenflow.cli", *words]
    return subprocess.run(command, input=given, capture_output=True, check=False, cwd=cwd)


def test_it_is_checked_with_the_lines_of_what_was_given() -> None:
    done = run("check", "-")
    assert done.returncode == 1
    assert b"-:4: error: " in done.stdout


def test_it_is_mended_and_converted(tmp_path: Path) -> None:
    script = SCRIPT.replace(b"pin\n", b"ping\n").replace(b"203.0.113.1", b"pppoe-out1")
    mended = run("check", "-", "--fix", "--output", "new.rsc", given=script, cwd=tmp_path)
    assert b"new.rsc: written" in mended.stderr
    assert b"check-gateway" not in (tmp_path / "new.rsc").read_bytes()
    assert run("convert", "-", "a.rsc", given=script, cwd=tmp_path).returncode == 0
    assert b"new-routing-mark=isp1" in (tmp_path / "a.rsc").read_bytes()


def test_nothing_given_is_told() -> None:
    done = run("check", "-", given=b"")
    assert done.returncode == 1
    assert b"empty" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"), [(("check", "-", "--fix", "--in-place"), b"--output"), (("run", "-"), b"write it to a file")]
)
def test_what_needs_a_file_says_so(words: tuple[str, ...], told: bytes) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert told in done.stderr
