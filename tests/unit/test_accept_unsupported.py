"""What RouterOS does and evenflow can't: it keeps a configuration from running, unless the user accepts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evenflow.cli import DONE, MISTAKE, main, parser
from evenflow.cli.telling import load, load_for_this_machine
from evenflow.errors import InputError
from evenflow.formats import configuration
from evenflow.model.finding import Severity
from evenflow.model.machine import Machine

SCRIPT = """\
/interface bridge add name=lan
/ip address
add address=10.0.0.1/24 interface=lan
add address=192.0.2.2/24 interface=ether1
/routing table add fib name=isp1
/ip firewall mangle
add action=mark-connection chain=prerouting hotspot=auth in-interface=lan new-connection-mark=guest
add action=mark-routing chain=prerouting connection-mark=guest new-routing-mark=isp1
add action=mark-routing chain=prerouting in-interface=lan new-routing-mark=isp1 limit=10,5:packet
/ip firewall nat add action=netmap chain=dstnat dst-address=192.0.2.0/24 to-addresses=10.0.0.0/24
/ip route
add gateway=192.0.2.1
add gateway=192.0.2.1 routing-table=isp1
"""
TRACE = ("--in", "lan", "--src", "10.0.0.5", "--dst", "198.51.100.7")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def script(tmp_path: Path) -> str:
    file = tmp_path / "router.rsc"
    file.write_text(SCRIPT)
    return str(file)


def test_each_thing_is_told_and_how_to_go_on(script: str, capsys: Capture) -> None:
    assert main(["trace", script, *TRACE]) == MISTAKE
    told = capsys.readouterr().err
    for line, code in ((7, "unsupported-matcher"), (9, "unsupported-matcher"), (10, "unsupported-action")):
        assert any(f":{line}: error:" in each and f"[{code}]" in each for each in told.splitlines())
    assert "3 things in it can't run here; --accept-unsupported runs the rest without them" in told


def test_what_is_accepted_is_told_and_left_out(script: str, capsys: Capture) -> None:
    assert main(["trace", script, *TRACE, "--accept-unsupported", "--machine", "supposed", "--json"]) == DONE
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert (answer["disposition"], answer["routing_mark"]) == ("forwarded", None)
    assert err.count("warning:") == 3
    assert "error:" not in err


def test_a_mistake_is_not_accepted(script: str, capsys: Capture) -> None:
    Path(script).write_text(SCRIPT + "add gateway=nowhere.\nadd gateway=192.0.2.1 distence=2\n")
    assert main(["trace", script, *TRACE, "--accept-unsupported"]) == MISTAKE
    told = capsys.readouterr().err
    assert "[unknown-property]" in told
    assert "--accept-unsupported" not in told


def test_the_rules_that_cannot_run_count_when_it_is_looked_over(script: str, capsys: Capture) -> None:
    """On RouterOS the rule for the hotspot sets the mark that another one asks for."""
    assert main(["check", script, "--json"]) == MISTAKE
    told = {each["code"] for each in json.loads(capsys.readouterr().out)["findings"]}
    assert "unsupported-matcher" in told
    assert "mark-never-set" not in told


def test_for_a_machine_it_must_be_accepted(script: str) -> None:
    with pytest.raises(InputError):
        load_for_this_machine(script, Machine())
    loaded = load(script, accept_unsupported=True)
    assert loaded.router is not None
    assert [rule.origin.line for rule in loaded.router.mangle] == [8]
    assert loaded.stated is not None
    assert [rule.origin.line for rule in loaded.stated.mangle] == [7, 8, 9]
    assert Severity.ERROR not in {finding.severity for finding in loaded.findings}


@pytest.mark.parametrize("command", ["check", "plan", "apply", "run"])
def test_the_commands_that_have_the_option(command: str) -> None:
    assert parser().parse_args([command, "a.rsc", "--accept-unsupported"]).accept_unsupported
    assert not parser().parse_args([command, "a.rsc"]).accept_unsupported


def test_where_all_of_it_runs_nothing_is_stated_besides() -> None:
    loaded = configuration.read(b"/ip route add gateway=192.0.2.1", "r.rsc", accept_unsupported=True)
    assert loaded.stated is None
