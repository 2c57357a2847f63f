"""An hour of scripts that a fuzzer thinks up, by what they make the reader do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("EVENFLOW_FUZZ_S", "3600"))

#: What scripts consist of, in libFuzzer's form.
WORDS = (
    "/ip firewall mangle\\x0a", "/ip firewall nat\\x0a", "/ip route\\x0a", "add ", "set [find ", "chain=prerouting ",
    "action=mark-connection ", "per-connection-classifier=", ":foreach i in={1;2} do={", ":local x ", "} else={", "$x",
    ":for i from=1 to=3 do={", ":while ($x<3) do={", ":if (", "[:len ", "[find comment~", "(\\\"a\\\" . $x)", "->",
    "\\\\\\x0a", "=\\\\\\x0a", "gateway=", "/ip dhcp-client add interface=e script=", "jump-target=", "numbers=",
    "/tool netwatch add host=1.1.1.1 up-script=", "/ppp profile add name=default on-up=", "place-before=", "comment=",
    "$\\\"gateway-address\\\"", "[/ip route get ", "print\\x0a", "{", "}", "nth=2,1 ",
)  # fmt: skip


@pytest.mark.soak
def test_a_fuzzer_finds_no_crash_and_no_hang(tmp_path: Path) -> None:
    if find_spec("atheris") is None:
        missing = "the package atheris is missing; `make soak` installs it"
        if os.environ.get("EVENFLOW_REQUIRE_ALL"):
            pytest.fail(missing)
        pytest.skip(missing)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for file in (HERE.parent / "corpus" / "reading").glob("*.rsc"):
        shutil.copy(file, scripts)
    words = tmp_path / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    options = [f"-max_total_time={SECONDS}", "-max_len=2000", "-timeout=60", "-rss_limit_mb=4096", f"-dict={words}"]
    command = [sys.executable, str(HERE / "fuzz_routeros.py"), *options, str(scripts)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE.parent), str(HERE.parents[1] / "src")))}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:].decode(errors="replace")
