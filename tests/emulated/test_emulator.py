"""`tools/emulator run`: the command's output and exit status come back, its changes do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.emulated

CHECKOUT = Path(__file__).resolve().parents[2]


def emulator(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHECKOUT / "tools/emulator", "run", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


SCRIPT = """
echo "$1 $GREETING"; echo trouble >/dev/stderr
touch changed-in-the-guest && ls changed-in-the-guest
ip -br link | wc -l
sleep 1000 &
exit 7
"""


def test_output_status_and_environment_pass_and_changes_stay_inside() -> None:
    done = emulator("--timeout", "60", "--env", "GREETING=it's  me", "--", "sh", "-c", SCRIPT, "sh", 'a "b"')
    assert done.returncode == 7, done.stderr
    assert done.stdout == 'a "b" it\'s  me\nchanged-in-the-guest\n1\n'
    assert done.stderr == "trouble\n"
    assert not (CHECKOUT / "changed-in-the-guest").exists()


def test_a_command_that_takes_too_long_is_ended() -> None:
    done = emulator("--timeout", "8", "--", "sleep", "1000")
    assert (done.returncode, done.stdout) == (124, "")


def test_a_guest_that_breaks_down_is_told_with_its_last_words() -> None:
    done = emulator("--timeout", "60", "--", "sh", "-c", "echo c >/proc/sysrq-trigger")
    assert done.returncode == 125
    assert "sysrq triggered crash" in done.stderr
