"""`evenflow trace` where rules leave it to counters and chance which packets they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evenflow import cli
from unit.test_trace_command import LAN, RSC, Capture, ask, drawn, notes, refused

COUNTING = """\
/ip address
add address=10.0.0.1/24 interface=lan
add address=192.0.2.2/24 interface=ether1
add address=203.0.113.2/24 interface=ether2
/ip firewall mangle
add action=mark-connection chain=prerouting connection-state=new in-interface=lan new-connection-mark=odd nth=2,1
add action=mark-connection chain=prerouting connection-state=new in-interface=lan new-connection-mark=even nth=2,2
add action=mark-packet chain=prerouting in-interface=lan new-packet-mark=gold random=20
add action=mark-packet chain=prerouting in-interface=lan new-packet-mark=gold random=30
add action=mark-routing chain=prerouting connection-mark=odd in-interface=lan new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=even in-interface=lan new-routing-mark=isp2
/routing table
add fib name=isp1
add fib name=isp2
/ip route
add gateway=192.0.2.1 routing-table=isp1
add gateway=203.0.113.1 routing-table=isp2
"""


@pytest.fixture
def counting(tmp_path: Path) -> tuple[str, ...]:
    file = tmp_path / "counting.rsc"
    file.write_text(COUNTING)
    return str(file), "--in", "lan", "--src", "10.0.0.5", "--dst", "198.51.100.7", "--machine", "supposed"


def drawings(told: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What was drawn, by the lines of the rules."""
    return {step["line"]: step["drawn"][0] for step in told["steps"] if step["drawn"]}


@pytest.mark.parametrize(("number", "uplink"), [(None, "isp1"), (1, "isp1"), (2, "isp2"), (3, "isp1"), (8, "isp2")])
def test_the_number_of_the_packet_decides(
    capsys: Capture, counting: tuple[str, ...], number: int | None, uplink: str
) -> None:
    told = ask(capsys, *counting, *(() if number is None else ("--packet-number", str(number))))
    assert told["uplink"] == uplink
    turn = 2 if number is not None and number % 2 == 0 else 1
    assert drawings(told)[6] == {"condition": "nth=2,1", "number": turn, "of": 2, "matched": turn == 1}
    assert drawings(told)[7] == {"condition": "nth=2,2", "number": turn, "of": 2, "matched": turn == 2}
    which = "the first packet" if number is None else f"packet number {number} of"
    assert f"nth= counts from 1 here: this is {which}" in notes(told)


@pytest.mark.parametrize(
    ("options", "matched"),
    [
        ((), (False, False)),
        (("--chance", "29"), (False, True)),
        (("--chance", "8=0"), (True, False)),
        (("--chance", "0", "--chance", "9=30"), (True, False)),
    ],
)
def test_chance_falls_as_is_asked(
    capsys: Capture, counting: tuple[str, ...], options: tuple[str, ...], matched: tuple[bool, bool]
) -> None:
    told = ask(capsys, *counting, *options)
    assert (drawings(told)[8]["matched"], drawings(told)[9]["matched"]) == matched
    assert told["packet_mark"] == ("gold" if any(matched) else None)
    assert ("as --chance says" if options else "as it mostly falls") in notes(told)


def test_what_only_chance_speaks_against_is_shown(capsys: Capture, counting: tuple[str, ...]) -> None:
    told = drawn(capsys, *counting, "--chance", "8=0")
    assert "✓ counting.rsc:6 mark-connection odd" in told
    assert "nth=2,1: it is packet 1 of 2" in told
    assert "✗ counting.rsc:7 mark-connection even · nth=2,2, and it is packet 1 of 2" in told
    assert "random=20: it is a draw of 0 (0 to 99)" in told
    assert "✗ counting.rsc:9 mark-packet gold · random=30, and it is a draw of 50 (0 to 99)" in told


def test_an_answer_is_counted_behind_what_it_answers(capsys: Capture, counting: tuple[str, ...]) -> None:
    Path(counting[0]).write_text(f"{COUNTING}/ip firewall mangle add action=log chain=prerouting nth=3,2\n")
    told = ask(capsys, *counting, "--reply")
    assert drawings(told["first"])[18]["number"] == 1
    assert drawings(told)[18]["number"] == 2


def test_without_counters_nothing_is_said_of_them(capsys: Capture) -> None:
    told = ask(capsys, RSC, *LAN)
    assert "nth=" not in notes(told)
    assert "random=" not in notes(told)
    assert all(step["drawn"] == [] for step in told["steps"])


@pytest.mark.parametrize(
    ("options", "where", "said"),
    [
        (("--packet-number", "2"), "--packet-number", "no rule has nth=; leave it out"),
        (("--chance", "2"), "--chance", "no rule has random=; leave it out"),
        (("--chance", "28=2"), "--chance", "no rule in line 28 has random=; leave it out"),
    ],
)
def test_what_no_rule_leaves_to_chance(capsys: Capture, options: tuple[str, ...], where: str, said: str) -> None:
    finding = refused(capsys, RSC, *LAN, *options)
    assert (finding["file"], finding["code"], finding["message"]) == (where, "wrong-question", said)


@pytest.mark.parametrize(
    "options", [("--packet-number", "0"), ("--packet-number", "10000"), ("--chance", "100"), ("--chance", "x=1")]
)
def test_numbers_that_cannot_be(capsys: Capture, options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["trace", RSC, *LAN, *options])
    assert caught.value.code == cli.USAGE
    assert options[0] in capsys.readouterr().err
