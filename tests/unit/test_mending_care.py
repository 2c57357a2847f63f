"""What a mend must not do besides: move rules that are known by numbers, change other connections, claim too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evenflow.formats.configuration import all_findings, parse
from evenflow.formats.routeros.mending import Mended, diff, mend
from evenflow.formats.routeros.mending.ways import keeps_ways, ways

if TYPE_CHECKING:
    from evenflow.model.router import Router

HEAD = """\
/interface list
add name=LAN
/interface list member
add interface=lan list=LAN
/ip address
add address=192.168.1.1/24 interface=lan
add address=10.111.0.2/24 interface=WAN1
add address=10.112.0.2/24 interface=WAN2
/routing table
add fib name=t1
add fib name=t2
/ip firewall mangle
"""
FIRST = "connection-mark=no-mark connection-state=new"
BYPASS = """\
add action=accept chain=prerouting dst-address=10.111.0.0/24 in-interface-list=LAN
add action=accept chain=prerouting dst-address=10.112.0.0/24 in-interface-list=LAN
"""
INBOUND = f"""\
add action=mark-connection chain=prerouting {FIRST} in-interface=WAN1 new-connection-mark=c1
add action=mark-connection chain=prerouting {FIRST} in-interface=WAN2 new-connection-mark=c2
"""
BY = "dst-address-type=!local in-interface-list=LAN new-connection-mark"
PCC = "per-connection-classifier=src-address"
LAX = f"""\
add action=mark-connection chain=prerouting {BY}=c1 {PCC}:2/0
add action=mark-connection chain=prerouting {BY}=c2 {PCC}:2/1
"""
DIVIDED = LAX.replace("prerouting dst", f"prerouting {FIRST} dst")
ROUTED = """\
add action=mark-routing chain=prerouting connection-mark=c1 in-interface-list=LAN new-routing-mark=t1
add action=mark-routing chain=prerouting connection-mark=c2 in-interface-list=LAN new-routing-mark=t2
"""
OUTPUT = """\
add action=mark-routing chain=output connection-mark=c1 new-routing-mark=t1
add action=mark-routing chain=output connection-mark=c2 new-routing-mark=t2
"""
ROUTES = """\
/ip route
add check-gateway=ping distance=1 gateway=10.111.0.1 routing-table=t1
add check-gateway=ping distance=2 gateway=10.112.0.1 routing-table=t1
add check-gateway=ping distance=1 gateway=10.112.0.1 routing-table=t2
add check-gateway=ping distance=2 gateway=10.111.0.1 routing-table=t2
add check-gateway=ping distance=1 gateway=10.111.0.1
add check-gateway=ping distance=2 gateway=10.112.0.1
"""
RIGHT = HEAD + BYPASS + INBOUND + DIVIDED + ROUTED + OUTPUT + ROUTES


def mended(text: str) -> Mended:
    found = mend(text.encode(), "a.rsc")
    assert found is not None
    return found


def changes(text: str) -> list[str]:
    """The lines that go and come."""
    lines = diff(text.encode(), mended(text).source, "a.rsc")
    return [line for line in lines[2:] if line.startswith(("+", "-"))]


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def router(text: str) -> Router:
    found = parse(text.encode(), "a.rsc").router
    assert found is not None
    return found


def test_the_script_of_these_tests_is_right() -> None:
    found = mended(RIGHT)
    assert (found.source, found.mends, found.left) == (RIGHT.encode(), (), ())


# --- items that are chosen by their numbers --------------------------------------------------------------------------

#: It is item 8 where the two rules of output are missing.
OLD = "add action=mark-packet chain=forward new-packet-mark=old\n"
WITHOUT_OUTPUT = replaced(RIGHT, (OUTPUT, OLD))


@pytest.mark.parametrize(
    "by_number",
    [
        "disable 8",
        "disable 8,8",
        "set 8 comment=x",
        "set numbers=8 comment=x",
        "remove 8",
        "move 8 destination=7",
        "move 8 7",
        "add action=accept chain=forward place-before=8",
        ":for i from=8 to=8 do={ disable $i }",
        ":local n 8\n/ip firewall mangle\ndisable $n",
    ],
)
def test_no_rule_is_put_among_those_that_commands_choose_by_number(by_number: str) -> None:
    text = replaced(WITHOUT_OUTPUT, (OLD, f"{OLD}{by_number}\n"))
    found = mended(text)
    assert found.source == text.encode()
    (left,) = [each for each in found.left if each.finding.code == "output-not-routed"]
    assert "by their numbers" in left.why


@pytest.mark.parametrize(
    "harmless",
    [
        "disable [find new-packet-mark=old]",
        ":foreach r in=[find new-packet-mark=old] do={ disable $r }",
        "/ip route\nset 0 comment=8\n/ip firewall mangle",
        "# disable 8",
    ],
)
def test_other_choices_are_no_hindrance(harmless: str) -> None:
    text = replaced(WITHOUT_OUTPUT, (OLD, f"{OLD}{harmless}\n"))
    assert [each.finding.code for each in mended(text).mends] == ["output-not-routed"]


def test_rules_that_stay_in_their_places_may_be_changed() -> None:
    text = replaced(RIGHT, (DIVIDED, LAX), (OUTPUT, f"{OUTPUT}{OLD}disable 10\n"))
    assert [each.finding.code for each in mended(text).mends] == ["answers-marked-anew"]


# --- what is told ----------------------------------------------------------------------------------------------------


def test_what_a_mend_brings_along_is_told_of_that_mend() -> None:
    """With rules in output the router's answers to local hosts go astray: that was no finding of the file."""
    text = replaced(RIGHT, (OUTPUT, ""), ("dst-address-type=!local ", ""))
    given = all_findings(parse(text.encode(), "a.rsc"))
    assert "router-not-answering" not in {finding.code for finding in given}
    (done,) = mended(text).mends
    assert done.finding in given
    assert done.what.split("; ") == [
        "the router's own answers leave by the uplink that the connection came in by",
        "only what is not for the router itself is divided",
    ]


def test_what_is_told_only_when_all_is_read_keeps_nothing_from_being_read() -> None:
    """While a rule can't be read, no other is called dead: that one was dead before."""
    routed, dead = ROUTED.splitlines()[1], "add action=accept chain=forward\n"
    text = replaced(RIGHT, (routed, routed.replace("new-routing", "new-connection")), (OUTPUT, OUTPUT + dead + dead))
    given = all_findings(parse(text.encode(), "a.rsc"))
    assert [finding.code for finding in given] == ["missing-property"]
    found = mended(text)
    assert [each.finding.code for each in found.mends] == ["missing-property"]
    assert [each.finding.code for each in found.left] == ["dead-rule"]


#: Several commands on a line, and a loop: some findings are of one line, and of most nothing can be done.
CROWDED = """\
/routing table add name=t1 fib; /routing table add name=t2
/ip address add address=192.168.88.1/24 interface=bridge1; /ip address add address=203.0.113.2/30 interface=ether1
/ip address add address=192.0.2.2/30 interface=ether2 # second line
/ip firewall mangle
:foreach k,v in={"0"="c1";"1"="c2"} do={ add chain=prerouting action=mark-connection new-connection-mark=$v \
in-interface=bridge1 dst-address-type=!local per-connection-classifier="both-addresses:2/$k" }
add chain=prerouting action=mark-routing connection-mark=c1 in-interface=bridge1 new-routing-mark=t1 ; \
add chain=prerouting action=mark-routing connection-mark=c2 in-interface=bridge1 new-routing-mark=t2
{
  :local gw1 203.0.113.1
  /ip route add gateway=$gw1 routing-table=t1
  /ip route add gateway=192.0.2.1 routing-table=t2
  /ip route add gateway=$gw1 distance=1
  /ip route add gateway=192.0.2.1 distance=1 # backup
}
"""


@pytest.mark.parametrize("text", [CROWDED, replaced(RIGHT, (OUTPUT, ""), (ROUTED, ROUTED.splitlines()[0] + "\n"))])
def test_a_finding_is_either_mended_or_left(text: str) -> None:
    found = mended(text)
    given = all_findings(parse(text.encode(), "a.rsc"))
    mends, left = [each.finding for each in found.mends], [each.finding for each in found.left]
    assert mends
    assert set(mends) <= set(given)
    assert len(set(mends)) == len(mends)
    assert not set(mends) & set(left)
    codes = [finding.code for finding in found.findings]
    for code in {finding.code for finding in mends}:
        many = sum(finding.code == code for finding in given) - sum(finding.code == code for finding in mends)
        assert codes.count(code) <= many


def test_findings_that_say_the_same_of_two_lines_are_told_apart() -> None:
    """One edit is for both: it is told of the line that it changes."""
    text = replaced(RIGHT, (DIVIDED, DIVIDED.replace(":2/1", ":2/0")))
    first = 1 + text.splitlines().index(DIVIDED.splitlines()[0])
    told = [(each.finding.code, each.finding.where.line, each.what) for each in mended(text).mends]
    assert told == [
        ("pcc-remainder", first, "gone with pcc-remainder"),
        ("pcc-remainder", first + 1, "the rule takes remainder 1, the only one left"),
    ]


# --- connections that a mend is not about ----------------------------------------------------------------------------

VOIP = "add action=mark-connection chain=prerouting dst-port=5060 in-interface-list=LAN{} new-connection-mark=voip \
protocol=udp\n"


def test_answers_are_kept_out_by_no_mark() -> None:
    assert changes(replaced(RIGHT, (DIVIDED, LAX))) == [
        *(f"-{rule}" for rule in LAX.splitlines()),
        *(f"+{rule}" for rule in LAX.replace("prerouting dst", "prerouting connection-mark=no-mark dst").splitlines()),
    ]


def test_connections_that_an_earlier_rule_has_marked_are_divided_as_before() -> None:
    text = replaced(RIGHT, (DIVIDED, VOIP.format(" connection-mark=no-mark") + LAX))
    new = LAX.replace("prerouting dst", "prerouting connection-state=new dst")
    assert changes(text) == [*(f"-{rule}" for rule in LAX.splitlines()), *(f"+{rule}" for rule in new.splitlines())]


def test_where_an_earlier_rule_marks_each_packet_no_limit_is_right() -> None:
    """With connection-state=new, the second packet would be of mark voip, which leads nowhere."""
    text = replaced(RIGHT, (DIVIDED, VOIP.format("") + LAX))
    found = mended(text)
    assert found.source == text.encode()
    assert [(each.finding.code, each.why) for each in found.left] == [
        ("answers-marked-anew", "the usual mend was tried, and the script would not be right by it")
    ]


def test_where_answers_have_no_mark_yet_both_are_needed() -> None:
    in_input = replaced(INBOUND, ("prerouting", "input"), (f"{FIRST} ", ""))
    text = replaced(RIGHT, (INBOUND, in_input), (DIVIDED, LAX))
    assert changes(text) == [
        *(f"-{rule}" for rule in (in_input + LAX).splitlines()),
        *(f"+{rule}" for rule in (INBOUND + DIVIDED).splitlines()),
    ]


@pytest.mark.parametrize("asked", ["", "connection-mark=no-mark ", "connection-state=new ", f"{FIRST} "])
def test_rules_of_input_take_only_first_packets_in_prerouting(asked: str) -> None:
    in_input = replaced(INBOUND, ("prerouting", "input"), (f"{FIRST} ", asked))
    text = replaced(RIGHT, (INBOUND, in_input))
    new = INBOUND if not asked else INBOUND.replace(f"{FIRST} ", asked)
    assert [line for line in changes(text) if line[0] == "+"] == [f"+{rule}" for rule in new.splitlines()]


# --- ways ------------------------------------------------------------------------------------------------------------

MAIL = "add action=mark-connection chain=prerouting connection-mark=no-mark in-interface-list=LAN \
new-connection-mark=mail src-address=192.168.1.25\n"


def kept(before: str, after: str) -> bool:
    old, new = router(before), router(after)
    return keeps_ways(ways(old), ways(new, old))


def test_answers_that_take_a_mark_away_are_seen() -> None:
    in_input = replaced(INBOUND, ("prerouting", "input"), (f"{FIRST} ", ""))
    before = replaced(RIGHT, (INBOUND, in_input + MAIL))
    assert kept(before, before)
    assert kept(before, before.replace(in_input, INBOUND))
    assert not kept(before, before.replace(in_input, in_input.replace("input", "prerouting")))


@pytest.mark.parametrize(
    "asked",
    [
        "dst-port=5060 protocol=udp",
        "src-port=5060 protocol=udp",
        "protocol=gre",
        "src-address=192.168.1.77",
        "dst-address=100.64.0.0/10",
        "dst-address-list=shops",
        "src-address-list=!phones",
    ],
)
def test_connections_of_each_kind_that_rules_ask_for_are_tried(asked: str) -> None:
    lists = "/ip firewall address-list\nadd address=100.64.0.9 list=shops\nadd address=192.168.1.88 list=phones\n"
    rule = (
        f"add action=mark-routing chain=prerouting in-interface-list=LAN {asked} new-routing-mark=t2 passthrough=no\n"
    )
    before = lists + replaced(RIGHT, (INBOUND, rule + INBOUND))
    after = before.replace(rule, rule.replace("t2", "t1"))
    assert kept(before, before)
    assert not kept(before, after)


def test_later_packets_may_come_to_go_where_the_first_one_went() -> None:
    limited = ROUTED.replace("connection-mark", "connection-state=new connection-mark")
    before = replaced(RIGHT, (ROUTED, limited))
    assert kept(before, RIGHT)
    assert not kept(RIGHT, before)


# --- bypasses --------------------------------------------------------------------------------------------------------

GUESTS = LAX.replace("-list=LAN", "=guest") + ROUTED.replace("-list=LAN", "=guest")


def test_only_bypasses_that_are_missing_are_added() -> None:
    """Networks of uplinks, and of the other house, for guests; for those of the list they are there."""
    text = replaced(
        RIGHT,
        (OUTPUT, OUTPUT + GUESTS),
        ("add address=10.111", "add address=10.5.0.1/24 interface=guest\nadd address=10.111"),
    )
    rule = "+add action=accept chain=prerouting dst-address={} in-interface={}".format
    added = [line for line in changes(text) if "accept" in line]
    assert rule("192.168.1.0/24", "guest") in added
    assert rule("10.111.0.0/24", "guest") in added
    assert not [line for line in added if "-list=LAN" in line and "10.5.0.0/24" not in line]
    assert "connected-not-bypassed" not in {finding.code for finding in mended(text).findings}


@pytest.mark.parametrize(
    "late",
    [
        "dst-address=0.0.0.0/0 dst-port=123 protocol=udp",
        "dst-address=10.0.0.0/8 dst-port=123 protocol=udp",
        "dst-address=10.0.0.0/8",
        "dst-address=0.0.0.0/0",
    ],
)
def test_a_late_accept_of_something_else_is_no_bypass(late: str) -> None:
    rule = f"add action=accept chain=prerouting {late} in-interface-list=LAN\n"
    text = replaced(RIGHT, (BYPASS, ""), (ROUTED, ROUTED + rule))
    found = changes(text)
    assert sorted(found) == sorted(f"+{each}" for each in BYPASS.splitlines())


def test_an_accept_of_some_packets_to_a_network_is_no_bypass_of_it() -> None:
    time = "add action=accept chain=prerouting dst-address=10.111.0.0/24 dst-port=123 in-interface=lan protocol=udp\n"
    text = replaced(RIGHT, (BYPASS, time))
    assert sorted(changes(text)) == sorted(f"+{each}" for each in BYPASS.splitlines())


def test_a_late_accept_of_the_network_alone_is_moved() -> None:
    """Of one interface, where those that are asked for are a list of which that is all."""
    late = BYPASS.replace("-list=LAN", "=lan")
    text = replaced(RIGHT, (BYPASS, ""), (ROUTED, ROUTED + late))
    moved = late.splitlines()
    assert sorted(changes(text)) == sorted(f"{sign}{rule}" for rule in moved for sign in "+-")
