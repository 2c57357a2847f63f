"""Findings that only exact semantics can show, and the packets that show them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from evenflow.cli import main
from evenflow.core.lint.exact import exact_findings
from evenflow.formats import configuration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evenflow.model.finding import Finding

HEAD = """\
/interface list add name=WAN
/interface list member add list=WAN interface=ether1
/interface list member add list=WAN interface=ether2
/ip address add address=192.168.88.1/24 interface=bridge1
/ip address add address=203.0.113.2/30 interface=ether1
/ip address add address=198.51.100.2/30 interface=ether2
/routing table add name=isp1 fib
/routing table add name=isp2 fib
/ip route add dst-address=0.0.0.0/0 gateway=203.0.113.1 routing-table=isp1 check-gateway=ping
/ip route add dst-address=0.0.0.0/0 gateway=198.51.100.1 routing-table=isp2 check-gateway=ping
/ip route add dst-address=0.0.0.0/0 gateway=203.0.113.1 distance=1 check-gateway=ping
/ip route add dst-address=0.0.0.0/0 gateway=198.51.100.1 distance=2 check-gateway=ping
"""

#: Halves by address, and the routing marks for them.
HALVES = """\
/ip firewall mangle
add chain=prerouting in-interface=bridge1 connection-mark=no-mark action=mark-connection new-connection-mark=c1 \
per-connection-classifier=both-addresses:2/0
add chain=prerouting in-interface=bridge1 connection-mark=no-mark action=mark-connection new-connection-mark=c2 \
per-connection-classifier=both-addresses:2/1
add chain=prerouting in-interface=bridge1 connection-mark=c1 action=mark-routing new-routing-mark=isp1 passthrough=no
add chain=prerouting in-interface=bridge1 connection-mark=c2 action=mark-routing new-routing-mark=isp2 passthrough=no
"""


def findings_of(rules: str, head: str = HEAD) -> tuple[str, tuple[Finding, ...]]:
    text = head + rules
    loaded = configuration.parse(text.encode(), "router.rsc")
    assert loaded.router is not None, loaded.findings
    return text, exact_findings(loaded.router, loaded.findings)


def of_code(code: str, findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.code == code]


def traced(finding: Finding, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    """What the command of a finding answers."""
    words = shlex.split(finding.witness)
    assert words[:3] == ["evenflow", "trace", "router.rsc"]
    file = tmp_path / "router.rsc"
    file.write_text(text)
    assert main(["trace", str(file), *words[3:], "--json"]) == 0
    answer: Mapping[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def lines_matched(answer: Mapping[str, Any]) -> set[int]:
    return {step["line"] for step in answer["steps"] if step["matched"]}


def lines_asked(answer: Mapping[str, Any]) -> set[int]:
    return {step["line"] for step in answer["steps"]}


DEAD = {
    "taken before": (
        "add chain=prerouting in-interface=bridge1 connection-mark=c2 protocol=udp action=accept",
        "taken before by the rule in line 17",
    ),
    "conditions that exclude each other": (
        "add chain=prerouting in-interface=bridge1 in-interface-list=WAN action=accept",
        "in-interface=bridge1 and in-interface-list=WAN exclude each other",
    ),
    "a port of a protocol without ports": (
        "add chain=prerouting protocol=icmp dst-port=53 action=accept",
        "protocol=icmp and dst-port=53 exclude each other",
    ),
    "an interface to leave by before routing": (
        "add chain=prerouting out-interface=ether1 action=accept",
        "no packet that comes to prerouting is as it asks",
    ),
    "a mark that is set later": (
        "add chain=prerouting in-interface=ether1 connection-state=new connection-mark=c1 action=accept",
        "no packet that comes to prerouting is as it asks",
    ),
    "after a rule for all": (
        "add chain=forward action=accept\nadd chain=forward dst-address=10.1.1.1 action=accept",
        "taken before by the rule in line 18",
    ),
    "of rules for some and for all, the one for all": (
        (
            "add chain=forward protocol=!udp action=accept\nadd chain=forward dst-address=10.1.0.0/16 action=accept\n"
            "add chain=forward protocol=udp src-address=10.0.0.0/8 action=accept\n"
            "add chain=forward dst-address=10.1.1.1 action=accept"
        ),
        "taken before by the rule in line 19; ",
    ),
    "of several those that are needed": (
        (
            "add chain=forward protocol=!udp action=accept\n"
            "add chain=forward src-address=10.0.0.0/8 action=accept\n"
            "add chain=forward protocol=udp dst-address=10.0.0.0/8 action=accept\n"
            "add chain=forward dst-address=10.1.1.1 action=accept"
        ),
        "taken before by the rules in lines 20, 18; ",
    ),
    "not by a rule that only marks": (
        (
            "add chain=forward action=mark-connection new-connection-mark=c9\nadd chain=forward action=accept\n"
            "add chain=forward connection-mark=c9 protocol=udp action=accept"
        ),
        "taken before by the rule in line 19; ",
    ),
}


@pytest.mark.parametrize(("rules", "why"), DEAD.values(), ids=DEAD)
def test_a_dead_rule_is_told_with_the_reason(rules: str, why: str) -> None:
    _, findings = findings_of(HALVES + rules + "\n")
    dead = of_code("dead-rule", findings)
    assert [finding.where.line for finding in dead] == [18 + rules.count("\n")]
    assert why in dead[0].message


def test_rules_that_something_matches_are_not_called_dead() -> None:
    alive = """\
add chain=prerouting in-interface=!bridge1 connection-mark=no-mark action=mark-connection new-connection-mark=in1
add chain=prerouting connection-state=established connection-mark=in1 action=accept
add chain=output connection-mark=in1 action=mark-routing new-routing-mark=isp1
add chain=forward out-interface=ether1 protocol=tcp tcp-flags=syn action=change-mss new-mss=1360
add chain=prerouting action=jump jump-target=own dst-address-type=!local
add chain=own src-address=192.168.88.0/25 action=return
add chain=own action=log
/ip firewall nat
add chain=srcnat out-interface=ether1 action=masquerade
add chain=srcnat out-interface-list=WAN action=masquerade
add chain=dstnat in-interface=ether1 protocol=tcp dst-port=80 action=dst-nat to-addresses=192.168.88.9
"""
    _, findings = findings_of(HALVES + alive)
    assert not of_code("dead-rule", findings)


def test_of_two_equal_nat_rules_the_second_is_dead() -> None:
    nat = "/ip firewall nat\n" + "add chain=srcnat out-interface=ether1 action=masquerade\n" * 2
    _, findings = findings_of(HALVES + nat)
    assert [finding.where.line for finding in of_code("dead-rule", findings)] == [20]


def test_a_dead_rule_is_shown_by_a_packet_that_another_rule_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, findings = findings_of(HALVES + DEAD["taken before"][0] + "\n")
    (dead,) = of_code("dead-rule", findings)
    assert dead.where.line not in lines_matched(traced(dead, text, tmp_path, capsys))


def test_a_missing_remainder_is_shown_by_a_packet_that_no_rule_marks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, findings = findings_of(HALVES.replace(":2/", ":3/"))
    (missing,) = of_code("pcc-remainder", findings)
    answer = traced(missing, text, tmp_path, capsys)
    assert {14, 15} <= lines_asked(answer)
    assert not {14, 15} & lines_matched(answer)
    assert answer["connection_mark"] is None


def test_a_mark_that_is_not_routed_is_shown_by_a_packet_that_gets_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, findings = findings_of("\n".join(HALVES.splitlines()[:4]) + "\n")
    (not_routed,) = of_code("mark-not-routed", findings)
    answer = traced(not_routed, text, tmp_path, capsys)
    assert not_routed.where.line in lines_matched(answer)
    assert answer["connection_mark"] == "c2"
    assert answer["routing_mark"] is None


# --- what the loss of an uplink means -----------------------------------------------------------------------------


def test_where_the_share_of_a_lost_uplink_goes() -> None:
    _, findings = findings_of(HALVES)
    told = {finding.message for finding in of_code("uplink-lost", findings)}
    assert told == {
        "when isp1 is lost, its 50 % of new connections from bridge1 go elsewhere: 50 % to isp2",
        "when isp2 is lost, its 50 % of new connections from bridge1 go elsewhere: 50 % to isp1",
    }


def test_a_main_route_that_nobody_watches_keeps_the_dead_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, findings = findings_of(HALVES, HEAD.replace("distance=1 check-gateway=ping", "distance=1"))
    (stays,) = of_code("loss-not-followed", findings)
    assert "when isp1 is lost, its 50 % of new connections from bridge1 still go there (50 %)" in stays.message
    assert traced(stays, text, tmp_path, capsys)["uplink"] == "isp1"
    assert (stays.where.line, text.splitlines()[10]) == (
        11,
        "/ip route add dst-address=0.0.0.0/0 gateway=203.0.113.1 distance=1",
    )


def test_the_route_that_nobody_watches_is_named_and_not_the_first_one() -> None:
    """Main is watched, and stands first."""
    main = "/ip route add gateway=203.0.113.1 check-gateway=ping\n"
    unwatched = HEAD.replace(" routing-table=isp1 check-gateway=ping", " routing-table=isp1")
    text, findings = findings_of(HALVES, main + unwatched)
    (stays,) = of_code("loss-not-followed", findings)
    assert "routing-table=isp1" in text.splitlines()[stays.where.line - 1]
    assert stays.message.endswith("; add check-gateway to this default route by it")
    also = "/ip route add gateway=203.0.113.1 routing-table=isp1 distance=9\n"
    (stays,) = of_code("loss-not-followed", findings_of(also + HALVES, main + unwatched)[1])
    assert stays.message.endswith("; add check-gateway to this default route by it, and to that in line 14")


def test_a_table_without_another_way_is_told_with_a_packet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = "/routing rule add action=lookup-only-in-table table=isp2 routing-mark=isp2\n"
    text, findings = findings_of(HALVES + only)
    (cut,) = of_code("no-way-left", findings)
    assert "when isp2 is lost, its 50 % of new connections from bridge1 have no way left" in cut.message
    assert traced(cut, text, tmp_path, capsys)["out_interface"] is None
    alive = cut.witness.removesuffix(" --down isp2")
    assert main([*shlex.split(alive.replace("router.rsc", str(tmp_path / "router.rsc")))[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["uplink"] == "isp2"


def test_the_shares_of_a_policy_go_by_the_weights() -> None:
    policy = """\
lan = ["br0"]
[uplink.fibre]
interface = "eth1"
gateway = "192.0.2.1"
[uplink.dsl]
interface = "eth2"
gateway = "198.51.100.1"
[uplink.lte]
interface = "eth3"
gateway = "203.0.113.1"
[balance]
weights = { fibre = 2, dsl = 1, lte = 1 }
buckets = 12
"""
    loaded = configuration.parse(policy.encode(), "my.toml")
    assert loaded.router is not None, loaded.findings
    lost = of_code("uplink-lost", exact_findings(loaded.router, loaded.findings))
    assert [finding.message for finding in lost] == [
        "when fibre is lost, its 50 % of new connections from br0 go elsewhere: 25 % to dsl, 25 % to lte",
        "when dsl is lost, its 25 % of new connections from br0 go elsewhere: 16.7 % to fibre, 8.33 % to lte",
        "when lte is lost, its 25 % of new connections from br0 go elsewhere: 16.7 % to fibre, 8.33 % to dsl",
    ]


#: Halves by counters, and a rule for what they leave.
COUNTED = """\
/ip firewall mangle
add chain=prerouting in-interface=bridge1 connection-state=new action=mark-connection new-connection-mark=c1 nth=2,1
add chain=prerouting in-interface=bridge1 connection-state=new connection-mark=no-mark action=mark-connection \
new-connection-mark=c2 {0}
add chain=prerouting in-interface=bridge1 connection-state=new connection-mark=no-mark action=log
add chain=prerouting in-interface=bridge1 connection-mark=c1 action=mark-routing new-routing-mark=isp1 passthrough=no
add chain=prerouting in-interface=bridge1 connection-mark=c2 action=mark-routing new-routing-mark=isp2 passthrough=no
"""


@pytest.mark.parametrize(("second", "dead"), [("nth=2,1", []), ("random=99", []), ("nth=1,1", [16]), ("", [16])])
def test_only_what_is_certain_makes_a_rule_dead(second: str, dead: list[int]) -> None:
    _, findings = findings_of(COUNTED.format(second))
    assert [finding.where.line for finding in of_code("dead-rule", findings)] == dead


def test_what_a_loss_moves_is_the_mean_over_the_counters() -> None:
    _, findings = findings_of(COUNTED.format("nth=2,1"))
    said = {finding.where.line: finding.message for finding in of_code("uplink-lost", findings)}
    # Half by isp1; a quarter by isp2; the rest has no mark, and goes by main's nearest, which is isp1.
    assert "when isp1 is lost, its 75 % of new connections" in said[9]
    assert "when isp2 is lost, its 25 % of new connections" in said[10]


#: Rules of `HALVES` that can't be read: of one the syntax, of one a value.
UNREAD = HALVES.replace("both-addresses:2/0", "both-addresses:2/0 2/1").replace("addresses:2/1", "adresses:2/1")


def checked(text: str) -> set[str]:
    return {finding.code for finding in configuration.all_findings(configuration.parse(text.encode(), "router.rsc"))}


def test_nothing_is_told_that_may_follow_from_a_rule_that_was_not_read() -> None:
    assert checked(HEAD + UNREAD) == {"syntax", "bad-value", "no-second-route"}
    unwatched = HEAD.replace(" check-gateway=ping", "")
    assert checked(unwatched + UNREAD) == {"syntax", "bad-value", "no-second-route", "gateway-not-watched"}


@pytest.mark.parametrize(
    "line",
    [
        "/ip route add gateway=203.0.113.1 distance=x",
        "/ip route\nadd gateway=203.0.113.1 3",
        "/ip address add address=192.168.89.1/99 interface=bridge2",
        '/system script\nadd name=x source="',
        '/ip firewall filter add chain=forward comment="',
    ],
)
def test_nothing_is_told_that_may_follow_from_a_route_that_was_not_read(line: str) -> None:
    """Of a line that names its menu and can't be read nobody knows of which menu it is."""
    assert checked(f"{HEAD}{HALVES}{line}\n") <= {"bad-value", "syntax"}


def test_what_has_nothing_to_do_with_routing_leaves_nothing_open() -> None:
    """Only what `lint` tells waits for any mistake to be mended."""
    told = checked(HEAD + HALVES) - {"detection-time", "next-hop-only"}
    assert {"inbound-not-marked", "uplink-lost"} <= told
    assert checked(f'{HEAD}{HALVES}/ip firewall filter\nadd chain=forward comment="\n') == told | {"syntax"}


#: A host of the office comes in by the interface of the office, although a line of the file speaks of others before.
OFFICE = """\
/ip address
add address=198.18.0.2/24 interface=ether1
add address=192.168.88.1/24 interface=bridge1
add address=172.16.7.1/24 interface=bridge2
/ip route
add gateway=198.18.0.1
/ip firewall mangle
add chain=prerouting action=mark-routing new-routing-mark=nowhere """


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("", "--in bridge1 --src 192.168.88.10 --dst 198.51.100.7"),
        ("src-address=172.16.0.0/12", "--in bridge2 --src 172.16.7.10 --dst 198.51.100.7"),
        ("src-address=10.9.0.0/16", "--in bridge1 --src 10.9.0.1 --dst 198.51.100.7"),
        ("in-interface=ether1", "--in ether1 --src 198.18.0.10 --dst 198.51.100.7"),
        ("src-address=!128.0.0.0/1", "--in bridge1 --src 1.0.0.1 --dst 198.51.100.7"),
        ("dst-address-type=local", "--in bridge1 --src 192.168.88.10 --dst 172.16.7.1"),
        ("dst-address=127.0.0.0/8", "--in bridge1 --src 192.168.88.10 --dst 127.0.0.1"),
    ],
)
def test_a_packet_that_shows_is_one_that_somebody_may_send(asked: str, shown: str) -> None:
    (finding,) = of_code("routing-mark-without-route", findings_of(asked + "\n", OFFICE)[1])
    assert f" {shown} " in finding.witness


def test_no_packet_is_shown_that_could_come_in_by_the_loopback_device_only() -> None:
    rules = "in-interface=!ether1\n"
    (finding,) = of_code("routing-mark-without-route", findings_of(rules, OFFICE[OFFICE.index("/ip route") :])[1])
    assert finding.witness == ""
