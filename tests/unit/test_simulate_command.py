"""`evenflow simulate`: what it counts, what can be asked and what can't."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from evenflow import cli
from hotel import hotel_script
from simulating import RSC, TOML, Capture, ask, drawn, flows_of, refused, write_flows


@pytest.fixture
def flows(tmp_path: Path) -> str:
    return write_flows(tmp_path / "flows.csv")


def rows_of(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(file).read_text().splitlines()))


def by_trace(capsys: Capture, config: str, file: str, *options: str) -> Counter[str | None]:
    """What `evenflow trace` says of each flow of a file."""
    found: Counter[str | None] = Counter()
    for row in rows_of(file):
        question = ["--in", "USER_01", "--src", row["src"], "--dst", row["dst"], "--proto", row["proto"]]
        ports = [] if row["proto"] == "icmp" else ["--sport", row["sport"], "--dport", row["dport"]]
        assert cli.main(["trace", config, *question, *ports, *options, "--json"]) == cli.DONE
        found[json.loads(capsys.readouterr().out)["uplink"]] += 1
    return found


# --- what is counted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [RSC, TOML])
def test_each_flow_gets_the_uplink_that_trace_gives_it(capsys: Capture, tmp_path: Path, config: str) -> None:
    file = write_flows(tmp_path / "few.csv", 60)
    told = ask(capsys, config, file, "--seed", "5")
    assert flows_of(told) == by_trace(capsys, config, file, "--seed", "5")
    assert told["flows"] == told["balanced_flows"] == 60


def test_the_sums_agree(capsys: Capture, flows: str) -> None:
    told = ask(capsys, TOML, flows)
    rows = rows_of(flows)
    assert told["flows"] == len(rows) == sum(flows_of(told).values())
    assert told["bytes"] == sum(int(row["bytes"]) for row in rows)
    assert told["bytes"] == sum(uplink["bytes"] for uplink in told["uplinks"].values())
    for name, uplink in told["uplinks"].items():
        assert uplink["share"] == pytest.approx(uplink["bytes"] / told["bytes"], abs=1e-6)
        assert uplink["flows_share"] == pytest.approx(uplink["flows"] / told["flows"], abs=1e-6)
        assert sum(told["series"][name]) == pytest.approx(uplink["bytes"], abs=len(told["series"][name]))
    assert {name: round(uplink["target"], 4) for name, uplink in told["uplinks"].items()} == {
        "isp1": 0.6667, "isp2": 0.3333,
    }  # fmt: skip


def test_without_bytes_and_times_flows_are_counted(capsys: Capture, tmp_path: Path) -> None:
    told = ask(capsys, RSC, write_flows(tmp_path / "plain.csv", columns="src,dst,proto,sport,dport"))
    assert told["bytes"] is None
    assert told["steps"] is None
    for uplink in told["uplinks"].values():
        assert (uplink["bytes"], uplink["busiest"]) == (None, None)
        assert uplink["share"] == uplink["flows_share"]


def test_the_busiest_minute_is_set_against_the_bandwidth(capsys: Capture, flows: str) -> None:
    told = ask(capsys, TOML, flows)
    uplink = told["uplinks"]["isp1"]
    busiest = uplink["busiest"]
    first = told["steps"]["start_s"] + 60 * told["series"]["isp1"].index(max(told["series"]["isp1"]))
    assert (busiest["start_s"], busiest["length_s"]) == (first, 60)
    assert uplink["bandwidth_bps"] == 30_000_000
    assert busiest["rate_bps"] == pytest.approx(max(told["series"]["isp1"]) * 8 / 60, abs=1)
    assert busiest["of_bandwidth"] == pytest.approx(busiest["rate_bps"] / 30_000_000, abs=1e-6)


def test_seed_and_weights_change_what_goes_where(capsys: Capture, flows: str) -> None:
    assert flows_of(ask(capsys, TOML, flows, "--seed", "1")) != flows_of(ask(capsys, TOML, flows, "--seed", "2"))
    told = ask(capsys, TOML, flows, "--set-weight", "isp1=0")
    assert flows_of(told) == {"isp1": 0, "isp2": 400}


def test_a_loss_moves_what_was_there_and_nothing_else(capsys: Capture, flows: str) -> None:
    before = flows_of(ask(capsys, TOML, flows))
    for lost in ("isp2", "pppoe-out1"):
        told = ask(capsys, TOML, flows, "--down", lost)
        assert flows_of(told) == {"isp1": 400, "isp2": 0}
        assert told["moved"]["uplinks"] == {"isp2": before["isp2"]}
        assert (told["moved"]["flows"], told["moved"]["needless"]) == (before["isp2"], 0)
    assert "none needlessly" in drawn(capsys, TOML, flows, "--down", "isp2")
    assert ask(capsys, TOML, flows)["moved"] is None


def test_the_interface_decides_which_rules_apply(capsys: Capture, tmp_path: Path) -> None:
    hotel = tmp_path / "hotel.rsc"
    hotel.write_text(hotel_script(), encoding="utf-8")
    file = tmp_path / "flows.csv"
    file.write_text("src,dst,proto,sport,dport\n10.7.1.33,104.16.132.229,tcp,51514,443\n")
    asked = (str(hotel), str(file), "--seed", "42")
    here = ask(capsys, *asked)
    assert flows_of(here)["to-dsl"] == 1
    assert here["uplinks"] == ask(capsys, *asked, "--in", "vlan107")["uplinks"]
    # What comes in by an uplink is marked with it, and is not divided.
    assert flows_of(ask(capsys, *asked, "--in", "ether1"))["to-dsl"] == 0


def test_what_is_no_flow_is_told_with_its_line(capsys: Capture, tmp_path: Path) -> None:
    file = Path(write_flows(tmp_path / "flows.csv", 20))
    lines = file.read_text().splitlines()
    lines[7:7] = ["printer,198.51.100.1,tcp,1,2,3,4", "scanner,198.51.100.1,tcp,1,2,3,4"]
    file.write_text("\n".join(lines) + "\n")
    told = ask(capsys, TOML, str(file))
    (skipped,) = told["skipped"]
    assert (skipped["rows"], skipped["first"]) == (2, 8)
    assert "printer" in skipped["example"]
    text = drawn(capsys, TOML, str(file))
    assert "✗ 2 lines passed over" in text
    assert "the first is line 8: " in text


def test_numba_says_the_same(capsys: Capture, flows: str) -> None:
    told = ask(capsys, RSC, flows, "--engine", "numba")
    assert told == ask(capsys, RSC, flows, "--engine", "numpy")


def test_where_nothing_leaves_by_an_uplink_nothing_is_judged(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "none.csv"
    for rows in ("", "10.10.1.7,224.0.0.251,udp,5353,5353\n"):
        file.write_text(f"src,dst,proto,sport,dport\n{rows}")
        told = ask(capsys, TOML, str(file), "--compare")
        assert (told["balanced_flows"], told["recommended"]) == (0, None)
        assert [uplink["share"] for uplink in told["uplinks"].values()] == [0, 0]
        text = drawn(capsys, TOML, str(file), "--compare")
        assert "no flow leaves by an uplink" in text
        assert "✗" not in text


# --- several at once ------------------------------------------------------------------------------------------------


def test_seeds_show_how_much_hangs_on_the_seed(capsys: Capture, flows: str) -> None:
    told = ask(capsys, TOML, flows, "--seeds", "4")
    assert [one["seed"] for one in told["seeds"]] == [0, 1, 2, 3]
    for one in told["seeds"]:
        alone = ask(capsys, TOML, flows, "--seed", str(one["seed"]))
        assert {name: uplink["flows"] for name, uplink in one["uplinks"].items()} == flows_of(alone)
    assert "under 4 seeds · 0 to 3" in drawn(capsys, TOML, flows, "--seeds", "4")


def test_the_usual_ways_are_compared_unless_told_otherwise(capsys: Capture, flows: str) -> None:
    told = ask(capsys, TOML, flows, "--compare")
    names = [one["name"] for one in told["compared"]]
    assert names[:3] == ["both-addresses-and-ports (as it is)", "src-address", "both-addresses"]
    assert "both-addresses-and-ports isp1=3 isp2=1" in names
    assert told["recommended"]["reasons"]
    chosen = told["compared"][told["recommended"]["place"]]["name"]
    text = drawn(capsys, TOML, flows, "--compare")
    assert f"✓ take {chosen}" in text
    assert text.count(chosen) >= 2


def test_each_way_is_what_its_own_configuration_would_do(capsys: Capture, flows: str, tmp_path: Path) -> None:
    told = ask(capsys, TOML, flows, "--compare", "src-address", "both-addresses:isp1=1", ":isp1=0,isp2=1")
    loads = [flows_of(one) for one in told["compared"]]
    assert loads[0] == flows_of(ask(capsys, TOML, flows))
    assert told["compared"][2]["weights"] == {"isp1": 1, "isp2": 1}
    assert loads[3] == {"isp1": 0, "isp2": 400}
    for place, classifier, weight in ((1, "src-address", 2), (2, "both-addresses", 1)):
        text = Path(TOML).read_text().replace('"both-addresses-and-ports"', f'"{classifier}"')
        config = tmp_path / f"{classifier}.toml"
        config.write_text(text.replace("isp1 = 2", f"isp1 = {weight}"))
        assert loads[place] == flows_of(ask(capsys, str(config), flows))
    assert told["compared"][1]["stickiness"]["clients_split"] == 0
    assert told["compared"][2]["stickiness"]["pairs_split"] == 0


def test_a_script_can_be_compared_too(capsys: Capture, flows: str, tmp_path: Path) -> None:
    told = ask(capsys, RSC, flows, "--compare", "src-address", "both-addresses-and-ports:isp2=1")
    script = tmp_path / "other.rsc"
    script.write_text(Path(RSC).read_text().replace("both-addresses-and-ports", "src-address"))
    assert flows_of(told["compared"][1]) == flows_of(ask(capsys, str(script), flows))
    assert flows_of(told["compared"][2]) == {"isp1": 0, "isp2": 400}
    assert [uplink["target"] for uplink in told["compared"][2]["uplinks"].values()] == [0.0, 1.0]


def test_ways_are_compared_under_a_loss_as_well(capsys: Capture, flows: str) -> None:
    told = ask(capsys, TOML, flows, "--down", "isp1", "--compare", "src-address")
    assert [flows_of(one)["isp1"] for one in told["compared"]] == [0, 0]


# --- what can't be asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seeds", "0"), "is not a number from 1 to 100"),
        (("--seeds", "1001"), "is not a number from 1 to 100"),
        (("--top", "x"), "is not a number from 1 to 1000"),
        (("--seed", "-1"), "argument --seed"),
        (("--engine", "c"), "invalid choice: 'c'"),
        (("--plot", "load.jpg"), "its name must end in .png, .svg or .html"),
        (("--compare", "src-adress"), "'src-adress' is no classifier; there are: src-address, "),
        (("--compare", "src-address:isp1"), "write UPLINK=N"),
        (("--set-weight", "isp1"), "write UPLINK=N"),
        (("--machine", "other"), "invalid choice: 'other'"),
    ],
)
def test_a_wrong_value_is_one_clear_error(capsys: Capture, flows: str, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["simulate", RSC, flows, *arguments])
    assert caught.value.code == cli.USAGE
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("error:") == 1


@pytest.mark.parametrize(
    ("config", "arguments", "where", "code", "said"),
    [
        (RSC, ("--in", "USER_02"), "--in", "unknown-interface", "did you mean USER_01"),
        (RSC, ("--in", "ether2"), "--in", "bridge-port", "packets come in by USER_01"),
        (RSC, ("--down", "isp3"), "--down", "unknown-uplink", "did you mean isp"),
        (RSC, ("--set-weight", "isp1=3"), "--set-weight", "no-weights", "a RouterOS script has no weights"),
        (TOML, ("--set-weight", "isp9=3"), "--set-weight", "unknown-uplink", "there is no uplink isp9"),
        (RSC, ("--machine", "this"), RSC, "interface-missing", "this machine has no interface"),
        (RSC, ("--live", "--machine", "supposed"), "--live", "wrong-question", "leave --machine out"),
        (TOML, ("--seeds", "3", "--seed", "1"), "--seeds", "wrong-question", "leave it out, or --seed"),
        (TOML, ("--seeds", "3", "--compare"), "--seeds", "wrong-question", "leave it out, or --compare"),
        (TOML, ("--seeds", "3", "--live"), "--seeds", "wrong-question", "leave it out, or --live"),
        (TOML, ("--compare", "src-address:isp9=1"), "--compare", "unknown-uplink", "there is no uplink isp9"),
        (RSC, ("--compare", "src-address:isp9=1"), "--compare", "unknown-uplink", "there is no uplink isp9"),
        (RSC, ("--compare", ":isp1=0"), "--compare", "no-weight", "all weights would be 0"),
    ],
)
def test_a_wrong_question_is_one_finding(  # noqa: PLR0917 - what is asked, and what is said
    capsys: Capture, flows: str, config: str, arguments: tuple[str, ...], where: str, code: str, said: str
) -> None:
    finding = refused(capsys, config, flows, *arguments)
    assert (finding["file"], finding["code"], finding["severity"]) == (where, code, "error")
    assert said in finding["message"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "flows-empty"),
        (b"a,b,c\n1,2,3\n", "flows-columns"),
        (b"\x7fELF\0\0\0\0", "flows-unknown"),
        (b"\x1f\x8b\x08\x00\x00", "flows-compressed"),
    ],
)
def test_a_file_without_flows_is_one_finding(capsys: Capture, tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "odd.csv"
    file.write_bytes(content)
    assert refused(capsys, TOML, str(file))["code"] == code


def test_files_that_are_not_there(capsys: Capture, flows: str, tmp_path: Path) -> None:
    for arguments in ((str(tmp_path / "none.toml"), flows), (TOML, str(tmp_path / "none.csv")), (TOML, str(tmp_path))):
        assert refused(capsys, *arguments)["code"] == "unreadable"


# --- counters and chance -------------------------------------------------------------------------------------------

HALVES = """\
/ip address
add address=10.0.0.1/24 interface=lan
add address=192.0.2.2/24 interface=ether1
add address=203.0.113.2/24 interface=ether2
/ip firewall mangle
add action=mark-connection chain=prerouting connection-state=new in-interface=lan new-connection-mark=a {0}
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=b
add action=mark-routing chain=prerouting connection-mark=a in-interface=lan new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=b in-interface=lan new-routing-mark=isp2
/routing table
add fib name=isp1
add fib name=isp2
/ip route
add gateway=192.0.2.1 routing-table=isp1
add gateway=203.0.113.1 routing-table=isp2
"""


@pytest.fixture
def thousand(tmp_path: Path) -> str:
    file = tmp_path / "thousand.csv"
    rows = (f"10.0.0.{2 + number % 200},198.51.100.7,tcp,{1024 + number},443,100" for number in range(1000))
    file.write_text("\n".join(["src,dst,proto,sport,dport,bytes", *rows]))
    return str(file)


def halves(tmp_path: Path, asked: str) -> str:
    file = tmp_path / "halves.rsc"
    file.write_text(HALVES.format(asked))
    return str(file)


def test_counters_divide_flow_by_flow(capsys: Capture, tmp_path: Path, thousand: str) -> None:
    told = ask(capsys, halves(tmp_path, "nth=5,2"), thousand, "--machine", "supposed")
    assert {name: one["flows"] for name, one in told["uplinks"].items()} == {"isp1": 200, "isp2": 800}
    assert {name: one["target"] for name, one in told["uplinks"].items()} == {"isp1": 0.2, "isp2": 0.8}
    assert "counters and chance (nth=, random=) run as if the router had just been started" in told["notes"][-1]


def test_chance_is_drawn_from_the_seed(capsys: Capture, tmp_path: Path, thousand: str) -> None:
    """Of 1,000 draws with 30 of 100 between 215 and 385 match: six standard deviations."""
    file = halves(tmp_path, "random=30")
    first, again, other = (
        ask(capsys, file, thousand, "--machine", "supposed", "--seed", seed)["uplinks"]["isp1"]["flows"]
        for seed in ("1", "1", "2")
    )
    assert first == again
    assert 215 <= first <= 385
    assert first != other


def test_what_chance_makes_of_a_share_is_told(capsys: Capture, tmp_path: Path, thousand: str) -> None:
    """1.96 standard deviations of 1,000 draws, each of as many bytes."""
    told = ask(capsys, halves(tmp_path, "random=30"), thousand, "--machine", "supposed")
    interval = told["uplinks"]["isp1"]["chance"]
    off = 1.96 * (0.3 * 0.7 / 1000) ** 0.5
    assert (interval["low"], interval["high"]) == pytest.approx((0.3 - off, 0.3 + off), abs=1e-6)


def test_what_divides_by_counters_has_no_other_classifier(capsys: Capture, tmp_path: Path, thousand: str) -> None:
    finding = refused(
        capsys, halves(tmp_path, "nth=2,1"), thousand, "--machine", "supposed", "--compare", "src-address"
    )
    assert (finding["file"], finding["code"]) == ("--compare", "no-classifier")
