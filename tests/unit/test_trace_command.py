"""`evenflow trace`: questions, what is supposed, what can't be asked, and what is printed."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import evenflow
from evenflow import cli
from hotel import hotel_script
from schema import faults

EXAMPLES = Path(evenflow.__file__).parent / "examples"
RSC, TOML = str(EXAMPLES / "seed.rsc"), str(EXAMPLES / "seed.toml")
ENDS = ("--src", "10.10.1.5", "--dst", "198.51.100.7")
PORTS = ("--sport", "40000", "--dport", "443")
LAN = ("--in", "USER_01", *ENDS, *PORTS, "--seed", "1")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def hotel(tmp_path: Path) -> str:
    file = tmp_path / "hotel.rsc"
    file.write_text(hotel_script(), encoding="utf-8")
    return str(file)


def ask(capsys: Capture, *arguments: str) -> dict[str, Any]:
    status = cli.main(["trace", *arguments, "--json"])
    out = capsys.readouterr().out
    assert status == cli.DONE, out
    told: dict[str, Any] = json.loads(out)
    assert faults(told) == []
    return told


def drawn(capsys: Capture, *arguments: str) -> str:
    assert cli.main(["trace", *arguments]) == cli.DONE
    return capsys.readouterr().out


def refused(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert cli.main(["trace", *arguments, "--json"]) == cli.MISTAKE
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert isinstance(finding, dict)
    return finding


def notes(told: dict[str, Any]) -> str:
    return "\n".join(told["notes"])


# --- answers --------------------------------------------------------------------------------------------------------


def test_the_article_s_router_tells_the_uplink_and_why(capsys: Capture) -> None:
    told = ask(capsys, RSC, *LAN)
    assert (told["disposition"], told["uplink"], told["out_interface"]) == ("forwarded", "isp2", "pppoe-out1")
    assert (told["connection_mark"], told["routing_mark"], told["table"]) == ("isp2_conn", "isp2", "isp2")
    (hashed,) = [step for step in told["steps"] if step["hash"] is not None and step["matched"]]
    assert hashed["line"] == 28
    assert hashed["hash"]["hash"] == 0xC92CD886
    assert (hashed["hash"]["modulus"], hashed["hash"]["stream"], hashed["hash"]["owner"]) == (3, 2, "isp2_conn")
    assert hashed["hash"]["key"] == "0a0a0105" + "c6336407" + "9c40" + "01bb"
    assert hashed["change"] == {"kind": "connection", "before": None, "after": "isp2_conn"}
    (missed,) = [step for step in told["steps"] if step["line"] == 26]
    assert missed["failed"] == "per-connection-classifier=both-addresses-and-ports:3/0"
    assert missed["found"] == "stream 2"
    assert missed["hash"]["stream"] == 2


def test_script_and_policy_agree(capsys: Capture) -> None:
    """The policy's weights are the script's streams; what is hashed is the same."""
    streams = {}
    for port in range(40000, 40060):
        question = ("--in", "USER_01", *ENDS, "--sport", str(port), "--dport", "443", "--seed", "1")
        streams[port] = (ask(capsys, RSC, *question)["uplink"], ask(capsys, TOML, *question)["uplink"])
    assert {pair[0] for pair in streams.values()} == {"isp1", "isp2"}
    assert 0.5 < sum(pair[1] == "isp1" for pair in streams.values()) / len(streams) < 0.85


def test_an_address_that_nobody_stated_is_not_told(capsys: Capture) -> None:
    told = ask(capsys, RSC, *LAN)
    assert told["snat"] is None
    assert "192.0.0." not in json.dumps(told)
    assert "pppoe-out1" in notes(told)
    assert "the address of pppoe-out1" in drawn(capsys, RSC, *LAN)


def test_addresses_of_the_file_are_told(capsys: Capture, hotel: str) -> None:
    told = ask(capsys, hotel, "--in", "vlan107", "--src", "10.7.1.33", "--dst", "192.0.2.4", *PORTS)
    assert (told["uplink"], told["snat"], told["gateway"]) == ("to-fibre", "203.0.113.2", "203.0.113.1")


def test_a_lost_uplink_moves_what_it_had(capsys: Capture) -> None:
    question = ("--in", "USER_01", *ENDS, "--sport", "40000", "--dport", "443", "--seed", "1")
    for config, lost, left in ((RSC, "isp2", "isp1"), (TOML, "isp1", "isp2"), (TOML, "isp2", "isp1")):
        told = ask(capsys, config, *question, "--down", lost)
        assert told["uplink"] == left, (config, lost)
        assert ask(capsys, config, *question, "--no-carrier", lost)["uplink"] == left


def test_routes_that_were_passed_over_say_why(capsys: Capture) -> None:
    down = ask(capsys, RSC, *LAN, "--down", "isp2")
    whys = {look["line"]: look["why"] for step in down["steps"] for look in step["routes"] if not look["taken"]}
    assert whys == {40: "interface pppoe-out1 is down"}
    pulled = ask(capsys, RSC, *LAN, "--no-carrier", "isp2")
    assert {look["why"] for step in pulled["steps"] for look in step["routes"]} == {"its interface has no carrier", ""}
    watched = ask(capsys, TOML, "--in", "USER_01", *ENDS, *PORTS, "--mark", "isp1", "--down", "isp1")
    assert [look["why"] for step in watched["steps"] for look in step["routes"]] == ["isp1 is down", ""]


def test_with_every_uplink_lost_the_policy_says_unreachable(capsys: Capture) -> None:
    told = ask(capsys, TOML, *LAN, "--down", "isp1", "--down", "isp2")
    assert told["disposition"] == "unreachable"
    assert told["uplink"] is None
    assert "the host is unreachable" in drawn(capsys, TOML, *LAN, "--down", "isp1", "--down", "isp2")


def test_a_drained_uplink_gets_no_new_connections_and_keeps_the_old(capsys: Capture) -> None:
    assert ask(capsys, TOML, *LAN, "--drained", "isp1")["uplink"] == "isp2"
    assert ask(capsys, TOML, *LAN, "--drained", "isp1", "--mark", "isp1")["uplink"] == "isp1"


def test_other_weights(capsys: Capture) -> None:
    for uplink, other in (("isp1", "isp2"), ("isp2", "isp1")):
        told = ask(capsys, TOML, *LAN, "--set-weight", f"{uplink}=0", "--set-weight", f"{other}=5")
        assert told["uplink"] == other


def test_a_later_packet_goes_by_its_mark_and_is_not_hashed(capsys: Capture) -> None:
    for mark in ("isp1_conn", "isp2_conn"):
        told = ask(capsys, RSC, *LAN, "--mark", mark)
        assert told["uplink"] == mark.removesuffix("_conn")
        assert told["packet"]["known"]
        assert not [step for step in told["steps"] if step["hash"]]
        assert not [step for step in told["steps"] if step["stage"] == "srcnat" and step["failed"]]


def test_an_old_connection_of_a_lost_uplink_does_not_leak_its_address(capsys: Capture) -> None:
    told = ask(capsys, TOML, *LAN, "--mark", "isp1", "--down", "isp1")
    assert told["disposition"] == "dropped"
    assert "dropped and forgotten" in told["steps"][-1]["detail"]
    assert "dropped: masquerade: the connection has the address of ether1" in drawn(
        capsys, TOML, *LAN, "--mark", "isp1", "--down", "isp1"
    )


def test_the_reply_comes_in_where_the_packet_left(capsys: Capture) -> None:
    told = ask(capsys, RSC, *LAN, "--reply")
    assert told["packet"]["in_interface"] == told["first"]["out_interface"] == "pppoe-out1"
    assert (told["packet"]["source"], told["packet"]["destination_port"]) == ("198.51.100.7", 40000)
    assert (told["disposition"], told["out_interface"], told["dnat"]) == ("forwarded", "USER_01", "10.10.1.5")
    assert told["packet"]["connection_mark"] == "isp2_conn"


def test_a_server_behind_a_port_forward_answers_by_the_same_uplink(capsys: Capture, hotel: str) -> None:
    question = ("--in", "ether2", "--src", "192.0.2.200", "--dst", "198.51.100.130", "--dport", "8003", "--reply")
    told = ask(capsys, hotel, *question)
    first = told["first"]
    assert (first["dnat"], first["dnat_port"], first["out_interface"]) == ("10.0.0.23", 80, "bridge-office")
    assert (told["packet"]["source"], told["packet"]["source_port"]) == ("10.0.0.23", 80)
    assert (told["uplink"], told["connection_mark"], told["snat"]) == ("to-cable", "cable", "198.51.100.130")


def test_the_router_itself_answers_by_the_uplink_that_was_asked(capsys: Capture) -> None:
    told = ask(
        capsys, RSC, "--in", "ether1", "--src", "198.51.100.7", "--dst", "100.64.1.77", "--dport", "22", "--reply"
    )
    assert told["first"]["disposition"] == "delivered"
    assert (told["disposition"], told["uplink"], told["packet"]["in_interface"]) == ("sent", "isp1", None)
    assert "100.64.1.77 is the address of ether1" in notes(told)


def test_the_router_s_own_traffic(capsys: Capture, hotel: str) -> None:
    told = ask(capsys, hotel, "--local", "--dst", "192.0.2.77", "--proto", "icmp")
    assert (told["disposition"], told["uplink"]) == ("sent", "to-fibre")
    assert told["packet"]["source"] == "203.0.113.2"
    assert told["packet"]["source_port"] is None
    home = ask(capsys, hotel, "--local", "--dst", "10.0.0.9", "--proto", "udp", "--dport", "53")
    assert (home["uplink"], home["out_interface"], home["packet"]["source"]) == (None, "bridge-office", "10.0.0.1")


def test_icmp_has_no_ports_in_its_key(capsys: Capture) -> None:
    told = ask(capsys, RSC, "--in", "USER_01", *ENDS, "--proto", "icmp", "--seed", "1")
    assert {step["hash"]["key"] for step in told["steps"] if step["hash"]} == {"0a0a0105c6336407"}


def test_a_later_fragment_is_dropped_by_the_classifier_over_ports(capsys: Capture) -> None:
    told = ask(capsys, TOML, "--in", "USER_01", *ENDS, "--proto", "udp", "--fragment", "--seed", "1")
    assert told["disposition"] == "dropped"
    assert "fragment" in told["steps"][-1]["detail"]
    assert "on Linux" in notes(told)


def test_ipv6_where_the_gateway_is_learnt(capsys: Capture, tmp_path: Path) -> None:
    config = tmp_path / "six.toml"
    config.write_text('lan = ["br0"]\n[uplink.a]\ninterface = "wan0"\n[uplink.b]\ninterface = "wan1"\n')
    uplinks = set()
    for host in range(1, 9):
        ends = ("--src", f"fd00::{host}", "--dst", "2001:db8::7")
        told = ask(capsys, str(config), "--in", "br0", *ends, "--proto", "icmpv6", "--seed", "1")
        uplinks.add(told["uplink"])
        assert told["disposition"] == "forwarded"
    assert uplinks == {"a", "b"}


def test_a_number_is_a_protocol_too(capsys: Capture) -> None:
    assert ask(capsys, RSC, "--in", "USER_01", *ENDS, "--proto", "99")["packet"]["protocol"] == "99"
    assert ask(capsys, RSC, "--in", "USER_01", *ENDS, "--proto", "47")["packet"]["protocol"] == "gre"


def test_what_is_left_out_is_noted(capsys: Capture) -> None:
    told = ask(capsys, RSC, "--in", "USER_01", *ENDS)
    assert "--sport is left out: 49152 is used" in notes(told)
    assert "--dport is left out: 443 is used" in notes(told)
    assert "so 0 is used" in notes(told)
    assert told["seed"] == 0
    assert "left out" not in notes(ask(capsys, RSC, *LAN))


# --- for people -----------------------------------------------------------------------------------------------------


def test_three_hundred_rules_are_told_on_one_page(capsys: Capture, hotel: str) -> None:
    assert hotel_script().count("chain=") >= 300
    question = (
        "--in",
        "vlan107",
        "--src",
        "10.7.1.33",
        "--dst",
        "104.16.132.229",
        "--sport",
        "51514",
        "--dport",
        "443",
    )
    text = drawn(capsys, hotel, *question, "--seed", "42")
    lines = text.splitlines()
    assert len(lines) < 50
    assert max(map(len, lines)) <= 110
    assert re.search(r"13 rules not matching: 10 in-interface, 1 dst-address-type, .*\n.*\(hotel.rsc:\d+–\d+\)", text)
    assert "mark-connection dsl · floor 7 · chain floor7" in text
    assert "▶5 dsl◀" in text
    assert lines[-1].startswith("╰▶ forwarded by to-dsl: out by pppoe-dsl")
    every = drawn(capsys, hotel, *question, "--seed", "42", "--all")
    assert "✗ hotel.rsc:" in every
    assert "in-interface=vlan101, and it is vlan107" in every
    assert "rules not matching" not in every


def test_the_readme_shows_what_is_printed(capsys: Capture, hotel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    command, _, shown = readme.partition("$ evenflow trace hotel.rsc ")[2].partition("```")[0].partition("to-fibre\n")
    monkeypatch.chdir(Path(hotel).parent)
    assert drawn(capsys, "hotel.rsc", *(command + "to-fibre").replace("\\\n", " ").split()) == shown


def test_buckets_are_drawn_as_shares(capsys: Capture) -> None:
    text = drawn(capsys, TOML, *LAN)
    assert re.search(r"bucket [\d,]+ of 1,002 → isp\d", text)
    assert "668 of 1,002, 66.7 %" in text
    assert "new connections of the LAN" in text


def test_plain_letters_where_there_are_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict"))
    assert cli.main(["trace", TOML, *LAN]) == cli.DONE
    sys.stdout.flush()
    assert isinstance(sys.stdout, io.TextIOWrapper)
    text = sys.stdout.buffer.getvalue().decode("ascii")
    assert "+- prerouting" in text
    assert "\\u" not in text


def test_columns_are_kept(capsys: Capture, hotel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    text = drawn(capsys, hotel, "--in", "vlan107", "--src", "10.7.1.33", "--dst", "104.16.132.229", *PORTS)
    lines = [line for line in text.splitlines() if not line.startswith("note:")]
    assert max(map(len, lines)) <= 70
    assert all(line.startswith(("●", "│", "├", "╰", "   ")) for line in lines)


def test_a_name_can_not_play_tricks(capsys: Capture, tmp_path: Path) -> None:
    config = tmp_path / "odd.rsc"
    config.write_text(
        Path(RSC).read_text().replace("isp1_conn passthrough", 'isp1_conn comment="\\1B[31mred" passthrough'),
    )
    assert "\x1b" not in drawn(capsys, str(config), "--in", "ether1", "--src", "9.9.9.9", "--dst", "100.64.1.2")


# --- what can't be asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--dst", "10.0.0.300"), "'10.0.0.300' is not an IP address"),
        (("--dst", "fe80::1%eth0"), "leave %eth0 out"),
        (("--sport", "65536"), "'65536' is not a port"),
        (("--dport", "http"), "'http' is not a port"),
        (("--dport", "-1"), "argument --dport"),
        (("--dport", "٤"), "is not a port"),
        (("--proto", "tpc"), "'tpc' is no known protocol"),
        (("--proto", "256"), "'256' is no known protocol"),
        (("--state", "old"), "invalid choice: 'old'"),
        (("--seed", "4294967296"), "is not a number from 0 to 4294967295"),
        (("--set-weight", "isp1"), "write UPLINK=N"),
        (("--set-weight", "isp1=-1"), "write UPLINK=N"),
        (("--set-weight", "=3"), "write UPLINK=N"),
        (("--local",), "not allowed with argument --in"),
        (("--machine", "other"), "invalid choice: 'other'"),
    ],
)
def test_a_wrong_value_is_one_clear_error(capsys: Capture, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["trace", RSC, *LAN, *arguments])
    assert caught.value.code == cli.USAGE
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("error:") == 1


@pytest.mark.parametrize("missing", ["--in", "--dst"])
def test_what_must_be_said(capsys: Capture, missing: str) -> None:
    given = {"--in": "USER_01", "--src": "10.10.1.5", "--dst": "198.51.100.7"}
    arguments = [word for option, value in given.items() if option != missing for word in (option, value)]
    with pytest.raises(SystemExit) as caught:
        cli.main(["trace", RSC, *arguments])
    assert caught.value.code == cli.USAGE
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "file", "code", "said"),
    [
        (("--in", "USER_01", "--dst", "9.9.9.9"), "--src", "wrong-question", "who sends the packet"),
        (("--in", "USER_01", "--src", "fd00::1", "--dst", "9.9.9.9"), "--dst", "wrong-question", "is IPv4, and"),
        (("--in", "USER_02", *ENDS), "--in", "unknown-interface", "did you mean USER_01"),
        (("--in", "ether2", *ENDS), "--in", "bridge-port", "packets come in by USER_01"),
        ((*LAN, "--proto", "icmp"), "--sport", "wrong-question", "have ports"),
        (("--in", "USER_01", *ENDS, "--proto", "icmpv6"), "--proto", "wrong-question", "whose protocol is icmp"),
        ((*LAN, "--mark", "isp1"), "--mark", "unknown-mark", "did you mean isp1_conn"),
        ((*LAN, "--mark", "isp1_conn", "--state", "new"), "--mark", "wrong-question", "has no mark yet"),
        ((*LAN, "--mark", "isp1_conn", "--reply"), "--reply", "wrong-question", "leave --mark"),
        ((*LAN, "--fragment", "--reply"), "--reply", "wrong-question", "leave --fragment out"),
        ((*LAN, "--down", "isp3"), "--down", "unknown-uplink", "did you mean isp"),
        ((*LAN, "--no-carrier", "zzz"), "--no-carrier", "unknown-uplink", "only isp1, isp2"),
        ((*LAN, "--drained", "isp1"), "--drained", "not-drainable", "a RouterOS script says itself"),
        ((*LAN, "--set-weight", "isp1=3"), "--set-weight", "no-weights", "a RouterOS script has no weights"),
        ((*LAN, "--machine", "this"), RSC, "interface-missing", "this machine has no interface"),
        ((*LAN, "--live", "--machine", "supposed"), "--live", "wrong-question", "leave --machine out"),
    ],
)
def test_a_wrong_question_is_one_finding(
    capsys: Capture, arguments: tuple[str, ...], file: str, code: str, said: str
) -> None:
    finding = refused(capsys, RSC, *arguments)
    assert (finding["file"], finding["code"], finding["severity"]) == (file, code, "error")
    assert said in finding["message"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--set-weight", "isp9=1"), "unknown-uplink"),
        (("--set-weight", "isp1=0", "--set-weight", "isp2=0"), "no-weight"),
        (("--down", "isp1", "--down", "isp2", "--reply"), "no-reply"),
    ],
)
def test_a_policy_is_asked_wrongly(capsys: Capture, arguments: tuple[str, ...], code: str) -> None:
    assert refused(capsys, TOML, *LAN, *arguments)["code"] == code


def test_a_configuration_with_a_mistake_is_not_traced(capsys: Capture, tmp_path: Path) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(Path(TOML).read_text().replace('gateway = "auto"', 'gatway = "auto"'))
    assert refused(capsys, str(config), *LAN)["code"] == "unknown-key"
    assert refused(capsys, str(tmp_path / "none.toml"), *LAN)["code"] == "unreadable"


def test_more_than_a_kernel_can_is_a_finding(capsys: Capture, tmp_path: Path) -> None:
    rule = (
        "add action=mark-connection chain=prerouting new-connection-mark=m passthrough=yes per-connection-classifier="
    )
    config = tmp_path / "far.rsc"
    config.write_text("/ip firewall mangle\n" + "".join(f"{rule}src-address:{d}/0\n" for d in (61, 67, 71)))
    finding = refused(capsys, str(config), "--local", "--dst", "9.9.9.9", "--src", "8.8.8.8")
    assert finding["code"] == "denominators-too-far-apart"
