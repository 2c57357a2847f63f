"""What mends a script, fault by fault, where the corpus has no file for it; and what is not touched."""

from __future__ import annotations

import pytest

from evenflow.formats.routeros.mending import Mended, diff, mend

HEAD = """\
/ip address
add address=192.168.1.1/24 interface=LAN
add address=10.111.0.2/24 interface=WAN1
add address=10.112.0.2/24 interface=WAN2
/routing table
add fib name=to_WAN1
add fib name=to_WAN2
/ip firewall mangle
"""
BY = "per-connection-classifier=both-addresses"
LOCAL = "dst-address-type=!local in-interface=LAN"
NEW = "connection-mark=no-mark connection-state=new"
INBOUND = f"""\
add action=accept chain=prerouting dst-address=10.111.0.0/24 in-interface=LAN
add action=accept chain=prerouting dst-address=10.112.0.0/24 in-interface=LAN
add action=mark-connection chain=prerouting {NEW} in-interface=WAN1 new-connection-mark=c1
add action=mark-connection chain=prerouting {NEW} in-interface=WAN2 new-connection-mark=c2
"""
DIVIDED = f"""\
add action=mark-connection chain=prerouting {NEW} {LOCAL} new-connection-mark=c1 {BY}:2/0
add action=mark-connection chain=prerouting {NEW} {LOCAL} new-connection-mark=c2 {BY}:2/1
"""
ROUTED = """\
add action=mark-routing chain=prerouting connection-mark=c1 in-interface=LAN new-routing-mark=to_WAN1
add action=mark-routing chain=prerouting connection-mark=c2 in-interface=LAN new-routing-mark=to_WAN2
"""
OUTPUT = """\
add action=mark-routing chain=output connection-mark=c1 new-routing-mark=to_WAN1
add action=mark-routing chain=output connection-mark=c2 new-routing-mark=to_WAN2
"""
ROUTES = """\
/ip route
add check-gateway=ping distance=1 gateway=10.111.0.1 routing-table=to_WAN1
add check-gateway=ping distance=2 gateway=10.112.0.1 routing-table=to_WAN1
add check-gateway=ping distance=1 gateway=10.112.0.1 routing-table=to_WAN2
add check-gateway=ping distance=2 gateway=10.111.0.1 routing-table=to_WAN2
add check-gateway=ping distance=1 gateway=10.111.0.1
add check-gateway=ping distance=2 gateway=10.112.0.1
"""
RIGHT = HEAD + INBOUND + DIVIDED + ROUTED + OUTPUT + ROUTES


def mended(text: str | bytes) -> Mended:
    found = mend(text.encode() if isinstance(text, str) else text, "a.rsc")
    assert found is not None
    return found


def changes(text: str) -> list[str]:
    """The lines that go and come."""
    lines = diff(text.encode(), mended(text).source, "a.rsc")
    return [line for line in lines[2:] if line.startswith(("+", "-"))]


def without(text: str, *parts: str) -> str:
    for part in parts:
        assert part in text
        text = text.replace(part, "")
    return text


def test_of_a_right_script_nothing_is_said() -> None:
    found = mended(RIGHT)
    assert (found.source, found.mends, found.left) == (RIGHT.encode(), (), ())


def test_what_is_only_of_another_uplink_is_mended_as_well() -> None:
    """A seed under which no answer goes astray on the first uplink is not a reason to leave it unmarked."""
    assert changes(RIGHT.replace(INBOUND, "").replace(OUTPUT, "")) == [
        "+add action=accept chain=prerouting dst-address=10.111.0.0/24 in-interface=LAN",
        "+add action=accept chain=prerouting dst-address=10.112.0.0/24 in-interface=LAN",
        f"+add action=mark-connection chain=prerouting {NEW} in-interface=WAN1 new-connection-mark=c1",
        f"+add action=mark-connection chain=prerouting {NEW} in-interface=WAN2 new-connection-mark=c2",
        "+add action=mark-routing chain=output connection-mark=c1 new-routing-mark=to_WAN1 passthrough=no",
        "+add action=mark-routing chain=output connection-mark=c2 new-routing-mark=to_WAN2 passthrough=no",
    ]


def test_the_routers_answers_to_local_hosts_are_not_led_away_by_a_mend() -> None:
    """With a rule in output, connections to the router itself must not be divided: that is mended along with it."""
    found = changes(without(RIGHT, OUTPUT, "dst-address-type=!local "))
    assert [change for change in found if "per-connection" in change and change[0] == "+"] == [
        f"+{rule}" for rule in DIVIDED.splitlines()
    ]
    assert sum("chain=output" in change for change in found) == 2


def test_a_classifier_whose_marks_lead_nowhere_gets_rules_for_them() -> None:
    assert changes(RIGHT.replace(ROUTED, "").replace(OUTPUT, "")) == [
        "+add action=mark-routing chain=prerouting connection-mark=c1 in-interface=LAN new-routing-mark=to_WAN1",
        "+add action=mark-routing chain=prerouting connection-mark=c2 in-interface=LAN new-routing-mark=to_WAN2",
        "+add action=mark-routing chain=output connection-mark=c1 new-routing-mark=to_WAN1 passthrough=no",
        "+add action=mark-routing chain=output connection-mark=c2 new-routing-mark=to_WAN2 passthrough=no",
    ]


def test_a_classifier_that_does_not_say_whose_packets_it_takes_gets_none() -> None:
    text = without(RIGHT, ROUTED, OUTPUT, " in-interface=LAN")
    assert {each.finding.code for each in mended(text).left} >= {"mark-not-routed"}


def test_a_rule_that_stops_before_the_routing_mark_lets_its_packets_go_on() -> None:
    stopping = DIVIDED.replace(BY, f"passthrough=no {BY}")
    assert changes(RIGHT.replace(DIVIDED, stopping)) == [
        *(f"-{rule}" for rule in stopping.splitlines()),
        *(f"+{rule}" for rule in DIVIDED.replace(BY, f"passthrough=yes {BY}").splitlines()),
    ]


def test_a_table_without_a_route_gets_that_of_the_interface_that_its_connections_come_in_by() -> None:
    lost = [each for each in ROUTES.splitlines(keepends=True) if "to_WAN2" in each]
    assert changes(without(RIGHT, *lost)) == [f"+{each.strip()}" for each in lost]


def test_distances_keep_the_order_of_the_file() -> None:
    main = "add check-gateway=ping distance=2 gateway=10.112.0.1\n"
    third = "add check-gateway=ping distance=2 gateway=10.113.0.1\n"
    first = "add check-gateway=ping distance=1 gateway=10.111.0.1\n"
    equal = RIGHT.replace(first + main, first + main.replace("=2", "=1") + third)
    found = changes(equal)
    assert "+add check-gateway=ping distance=2 gateway=10.112.0.1" in found
    assert "+add check-gateway=ping distance=3 gateway=10.113.0.1" in found


def test_tables_are_declared_where_routeros_7_runs_the_script_only() -> None:
    declared = "/routing table\nadd fib name=to_WAN1\nadd fib name=to_WAN2\n"
    tables = ["+/routing table add fib name=to_WAN1", "+/routing table add fib name=to_WAN2"]
    assert sorted(changes(without(RIGHT, declared))) == tables
    six = without(RIGHT, declared).replace("routing-table=", "routing-mark=")
    assert changes(six) == []
    assert changes("# jan/02/1970 00:00:00 by RouterOS 6.48.6\n" + without(RIGHT, declared)) == []


@pytest.mark.parametrize("uplinks", [("LANS", "LANZ"), ("lans", "LANS")])
def test_the_name_of_a_list_that_has_members_is_taken(uplinks: tuple[str, str]) -> None:
    right, wrong = uplinks
    lists = f"/interface list\nadd name={right}\n/interface list member\nadd interface=LAN list={right}\n"
    text = lists + RIGHT.replace("in-interface=LAN", f"in-interface-list={right}")
    assert mended(text).mends == ()
    slip = text.replace(
        f"connection-mark=c2 in-interface-list={right}", f"connection-mark=c2 in-interface-list={wrong}"
    )
    assert changes(slip) == [
        f"-{ROUTED.splitlines()[1].replace('in-interface=LAN', f'in-interface-list={wrong}')}",
        f"+{ROUTED.splitlines()[1].replace('in-interface=LAN', f'in-interface-list={right}')}",
    ]


def test_the_name_of_a_chain_that_has_rules_is_taken() -> None:
    jumping = DIVIDED.replace("chain=prerouting", "chain=divide")
    text = RIGHT.replace(DIVIDED, f"add action=jump chain=prerouting jump-target=divde\n{jumping}")
    assert changes(text)[:2] == [
        "-add action=jump chain=prerouting jump-target=divde",
        "+add action=jump chain=prerouting jump-target=divide",
    ]


def test_a_mark_in_the_property_of_another_action_goes_by_its_name() -> None:
    rule = ROUTED.splitlines()[1]
    wrong = rule.replace("action=mark-routing", "action=mark-connection")
    assert changes(RIGHT.replace(rule, wrong)) == [f"-{wrong}", f"+{rule}"]


# --- what is not touched -------------------------------------------------------------------------------------------


def test_what_a_loop_makes_is_left() -> None:
    loop = ':foreach n in={1;2} do={\n/ip route add gateway=("10.11" . $n . ".0.1") routing-table=("to_WAN" . $n)\n}\n'
    text = HEAD + INBOUND + DIVIDED + ROUTED + OUTPUT + loop + "".join(ROUTES.splitlines(keepends=True)[-2:])
    found = mended(text)
    assert found.source == text.encode()
    assert {each.finding.code for each in found.left} >= {"no-second-route"}


def test_comments_line_ends_and_the_encoding_stay() -> None:
    text = without(RIGHT, OUTPUT).replace(HEAD, f"# Büro, 2ter Stock\n{HEAD}").replace("\n", "\r\n")
    source = text.encode("cp1252").removesuffix(b"\r\n")
    found = mended(source)
    assert {each.finding.code for each in found.mends} == {"output-not-routed"}
    kept = [each for each in found.source.splitlines(keepends=True) if b"chain=output" not in each]
    assert b"".join(kept) == source
    assert b"".join(found.source.split(b"\r\n")).count(b"\n") == 0


def test_a_mend_that_brings_another_fault_is_not_made() -> None:
    """Without a default route in main the router's own packets have no way, whatever rule there is in output."""
    main = "".join(ROUTES.splitlines(keepends=True)[-2:])
    text = without(RIGHT, INBOUND, OUTPUT, *main.splitlines(keepends=True))
    found = mended(text)
    assert "inbound-not-marked" in {each.finding.code for each in found.left}
    assert b"in-interface=WAN1" not in found.source.replace(b"interface=WAN1\n", b"")


def test_what_is_no_script_is_left_as_it_is() -> None:
    found = mended("Dear forum, it does not work.\n")
    assert [each.finding.code for each in found.left] == ["not-routeros"]
    assert mend(b"\xff\xfea\x00b", "a.rsc") is None
