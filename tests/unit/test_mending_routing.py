"""What mends routes: the ways that a table gets besides its own, which are nobody's but the uplinks', and distances."""

from __future__ import annotations

import pytest

from evenflow.formats.routeros.mending import Mended, diff, mend
from evenflow.formats.routeros.mending.routing import not_watched
from evenflow.formats.routeros.mending.script import Decision, read_script
from evenflow.model.finding import warning

LISTS = """\
/interface bridge
add name=LAN
/routing table
add fib name=t1
add fib name=t2
/ip address
add address=192.168.1.1/24 interface=LAN
"""
ADDRESSES = """\
add address=10.111.0.2/24 interface=ether1
add address=10.112.0.2/24 interface=ether2
"""
NEW = "connection-mark=no-mark"
BY = "dst-address-type=!local in-interface=LAN per-connection-classifier=both-addresses"
CONNECTED = """\
add action=accept chain=prerouting dst-address=10.111.0.0/24 in-interface=LAN
add action=accept chain=prerouting dst-address=10.112.0.0/24 in-interface=LAN
"""
DIVIDED = f"""\
add action=mark-connection chain=prerouting {NEW} in-interface=ether1 new-connection-mark=c1
add action=mark-connection chain=prerouting {NEW} in-interface=ether2 new-connection-mark=c2
add action=mark-connection chain=prerouting {NEW} {BY}:2/0 new-connection-mark=c1
add action=mark-connection chain=prerouting {NEW} {BY}:2/1 new-connection-mark=c2
add action=mark-routing chain=prerouting connection-mark=c1 in-interface=LAN new-routing-mark=t1
add action=mark-routing chain=prerouting connection-mark=c2 in-interface=LAN new-routing-mark=t2
add action=mark-routing chain=output connection-mark=c1 new-routing-mark=t1
add action=mark-routing chain=output connection-mark=c2 new-routing-mark=t2
"""
MANGLE = "/ip firewall mangle\n"
ONE = "add check-gateway=ping gateway=10.111.0.1 routing-table=t1\n"
TWO = "add check-gateway=ping gateway=10.112.0.1 routing-table=t2\n"
MAIN = """\
add check-gateway=ping distance=1 gateway=10.111.0.1
add check-gateway=ping distance=2 gateway=10.112.0.1
"""
BALANCED = LISTS + ADDRESSES + MANGLE + CONNECTED + DIVIDED + "/ip route\n"
OFFICE = BALANCED + ONE + TWO + MAIN
OF_SEVEN = "# 2025-01-01 00:00:00 by RouterOS {}\n"


def mended(text: str) -> Mended:
    found = mend(text.encode(), "a.rsc")
    assert found is not None
    return found


def come(text: str) -> list[str]:
    """The new lines."""
    lines = diff(text.encode(), mended(text).source, "a.rsc")
    return [line[1:] for line in lines[2:] if line.startswith("+")]


def left(text: str, code: str) -> list[tuple[str, tuple[str, ...]]]:
    """Why findings of a code are left, and what is proposed."""
    return [(each.why, each.proposal) for each in mended(text).left if each.finding.code == code]


def told(text: str) -> set[str]:
    return {finding.code for finding in mended(text).findings}


# --- by which route a table goes on --------------------------------------------------------------------------------


def test_the_routes_of_the_other_uplinks_are_copied() -> None:
    assert come(OFFICE) == [
        "add check-gateway=ping distance=2 gateway=10.112.0.1 routing-table=t1",
        "add check-gateway=ping distance=2 gateway=10.111.0.1 routing-table=t2",
    ]


@pytest.mark.parametrize("streams", [2, 3])
def test_what_a_client_makes_is_no_second_way_beside_the_route_by_its_interface(streams: int) -> None:
    """An address, the interface that it is on, and a DHCP client there are one uplink: t1 gets the other one only."""
    clients = "/ip dhcp-client\nadd interface=ether1\nadd default-route-distance=2 interface=ether2\n"
    routes = ONE.replace("10.111.0.1", "100.64.1.1%ether1") + TWO.replace("10.112.0.1", "100.64.2.1%ether2")
    divided = DIVIDED.replace("both-addresses:2/", f"both-addresses:{streams}/")
    found = come(clients + LISTS + MANGLE + divided + "/ip route\n" + routes)
    assert [line for line in found if "distance" in line] == [
        "add check-gateway=ping distance=2 gateway=100.64.2.1%ether2 routing-table=t1",
        "add check-gateway=ping distance=2 gateway=100.64.1.1%ether1 routing-table=t2",
    ]
    assert not any("dhcp-client" in line for line in found)


CLIENT = "/ip dhcp-client\nadd interface=ether3\n"
PPP = "/interface pppoe-client\nadd add-default-route=yes interface=sfp1 name=ether3 user=a\n"
REST_BY_MAIN = (BALANCED + ONE + TWO).replace("both-addresses:2/", "both-addresses:3/")


@pytest.mark.parametrize(
    ("version", "proposal"),
    [("7.18", ("/ip dhcp-client set [find interface=ether3] default-route-tables=main:1,t1:2",)), ("7.16", ())],
)
def test_a_gateway_that_is_learnt_is_left(version: str, proposal: tuple[str, ...]) -> None:
    text = OF_SEVEN.format(version) + CLIENT + REST_BY_MAIN
    assert not any("distance" in line for line in come(text))
    (why, lines), _ = left(text, "no-second-route")
    assert "learnt" in why
    assert lines == (*proposal, "/ip route add check-gateway=ping distance=3 gateway=10.112.0.1 routing-table=t1")


def test_the_interface_of_a_ppp_client_is_a_gateway() -> None:
    assert [line for line in come(PPP + REST_BY_MAIN) if "t1" in line and "gateway" in line] == [
        "add distance=2 gateway=ether3 routing-table=t1",
        "add check-gateway=ping distance=3 gateway=10.112.0.1 routing-table=t1",
    ]


OF_ANOTHER = REST_BY_MAIN.replace(TWO, "").replace("ether2", "ether3")


def test_a_table_without_a_route_gets_none_of_a_dhcp_client() -> None:
    text = OF_SEVEN.format("7.18") + CLIENT + OF_ANOTHER
    assert not any("dhcp-client" in line for line in come(text))
    ((why, proposal),) = left(text, "routing-mark-without-route")
    assert "learnt" in why
    assert proposal == ("/ip dhcp-client set [find interface=ether3] default-route-tables=main:1,t2:1",)


def test_a_table_without_a_route_gets_that_of_a_ppp_client() -> None:
    assert "/ip route add distance=1 gateway=ether3 routing-table=t2" in come(PPP + OF_ANOTHER)


def test_a_table_without_a_route_gets_none_by_two_uplinks() -> None:
    text = OFFICE.replace(TWO, "").replace(MAIN, "add check-gateway=ping gateway=10.111.0.1,10.112.0.1\n")
    assert not any("routing-table=t2" in line for line in come(text))
    assert left(text, "routing-mark-without-route")


# --- equal distances -----------------------------------------------------------------------------------------------

EQUAL = "add check-gateway=ping gateway=10.111.0.1\nadd check-gateway=ping gateway=10.112.0.1\n"
ALONE = LISTS + ADDRESSES + "/ip route\n" + EQUAL


@pytest.mark.parametrize("head", ["", OF_SEVEN.format("7.15")])
def test_main_that_spreads_by_itself_is_left(head: str) -> None:
    assert come(head + ALONE) == []
    ((why, proposal),) = left(head + ALONE, "equal-distance")
    assert "whether that is meant" in why
    assert proposal == ("/ip route add check-gateway=ping distance=2 gateway=10.112.0.1",)


def test_main_that_takes_either_or_is_not_what_divides_is_mended() -> None:
    line = "add check-gateway=ping distance=2 gateway=10.112.0.1"
    assert come("# jan/02/1970 00:00:00 by RouterOS 6.48.6\n" + ALONE) == [line]
    assert line in come(OF_SEVEN.format("7.15") + OFFICE.replace(MAIN, EQUAL))


def test_main_that_spreads_what_the_classifier_leaves_is_left() -> None:
    rest = DIVIDED.replace("both-addresses:2/", "both-addresses:3/")
    assert left(OFFICE.replace(DIVIDED, rest).replace(MAIN, EQUAL), "equal-distance")


def test_what_clients_add_goes_behind_what_is_watched() -> None:
    """Were it between them, a silent first line would keep what main routes, though the second is watched and well."""
    clients = "/ip dhcp-client\nadd disabled=no interface=ether1\nadd disabled=no interface=ether2\n"
    assert [line for line in come(OFFICE.replace(ADDRESSES, clients)) if "default-route" in line] == [
        "add default-route-distance=3 disabled=no interface=ether1",
        "add default-route-distance=4 disabled=no interface=ether2",
    ]


# --- tables that are strict by choice, or not balanced -------------------------------------------------------------


@pytest.mark.parametrize(
    "strict",
    [
        "/ip route add blackhole distance=254 dst-address=0.0.0.0/0 routing-table=t1\n",
        "/ip route add distance=254 dst-address=0.0.0.0/0 routing-table=t1 type=unreachable\n",
        "/routing rule add action=lookup-only-in-table routing-mark=t1 table=t1\n",
    ],
)
def test_a_table_that_keeps_what_has_its_mark_is_left_alone(strict: str) -> None:
    text = OFFICE.replace(TWO, TWO + TWO.replace("112", "111").replace("add", "add distance=2")) + strict
    assert "no-second-route" not in told(text)
    assert come(text) == []
    ((why, proposal),) = left(text, "no-way-left")
    assert "kept from main" in why
    assert proposal == ("/ip route add check-gateway=ping distance=2 gateway=10.112.0.1 routing-table=t1",)


def test_a_table_that_no_classifier_leads_to_is_left_and_lends_no_gateway() -> None:
    chosen = "add action=mark-routing chain=prerouting new-routing-mark=vpn passthrough=no src-address=192.168.1.50\n"
    text = (
        OFFICE.replace(CONNECTED, CONNECTED + chosen).replace("/routing table\n", "/routing table\nadd fib name=vpn\n")
        + "add gateway=wg-vpn routing-table=vpn\n"
    )
    assert not any("vpn" in line for line in come(text))
    assert len(come(text)) == 2
    ((why, _),) = left(text, "no-second-route")
    assert why.startswith("no classifier leads to table vpn")


# --- what is another's ---------------------------------------------------------------------------------------------


def test_a_table_whose_own_route_is_missing_gets_none_behind_that_of_another() -> None:
    backup = ONE.replace("t1", "t2").replace("add", "add distance=2")
    text = BALANCED + ONE + TWO.replace("t2", "t1").replace("add", "add distance=2") + backup + MAIN
    assert not any("gateway=" in line for line in come(text))
    ((why, proposal),) = left(text, "no-second-route")
    assert "by another uplink" in why
    assert proposal == ("/ip route add check-gateway=ping distance=1 gateway=10.112.0.1 routing-table=t2",)


def test_a_table_of_large_distances_only_is_its_own() -> None:
    far = TWO.replace("add", "add distance=3")
    text = OFFICE.replace(TWO, far) + "add check-gateway=ping distance=9 gateway=10.113.0.1\n"
    found = come(text)
    assert "add check-gateway=ping distance=4 gateway=10.111.0.1 routing-table=t2" in found
    assert not any("10.113.0.1" in line for line in found)


@pytest.mark.parametrize(
    "script",
    [
        '/tool netwatch add down-script="/ip route disable [find comment=A]" host=8.8.8.8\n',
        '/system script add name=x source=":foreach r in=[/ip route find where comment~\\"A\\"] do={ }"\n',
        "/ip route\nset [find comment=A] scope=30\n",
    ],
)
def test_routes_that_scripts_find_by_their_comments_are_not_copied(script: str) -> None:
    text = OFFICE.replace("gateway=10.112.0.1", "comment=A gateway=10.112.0.1") + script
    assert come(text) == []
    (why, proposal), _ = left(text, "no-second-route")
    assert "by their comments" in why
    assert proposal == ("/ip route add check-gateway=ping distance=2 comment=A gateway=10.112.0.1 routing-table=t1",)


def test_a_script_that_finds_something_else_is_no_reason() -> None:
    script = '/tool netwatch add down-script="/interface disable [find comment=A]" host=8.8.8.8\n'
    assert len(come(OFFICE + script)) == 2


def test_a_remark_behind_a_command_is_not_copied() -> None:
    text = OFFICE.replace("distance=2 gateway=10.112.0.1", "distance=2 gateway=10.112.0.1 # backup")
    assert "add check-gateway=ping distance=2 gateway=10.112.0.1 routing-table=t1" in come(text)


def test_a_remark_behind_a_rule_is_not_copied_either() -> None:
    lost = [rule for rule in DIVIDED.splitlines(keepends=True) if "connection-mark=c2" in rule and "new-r" in rule]
    text = OFFICE.replace("new-routing-mark=t1\n", "new-routing-mark=t1 # the first\n")
    for rule in lost:
        text = text.replace(rule, "")
    found = come(text)
    assert [line for line in found if "new-routing-mark=t2" in line] == [rule.strip() for rule in lost]


# --- why they are left ---------------------------------------------------------------------------------------------


def test_main_has_a_reason_of_its_own() -> None:
    chosen = "add action=mark-routing chain=prerouting new-routing-mark=t2 src-address=192.168.1.50\n"
    routes = "add check-gateway=ping gateway=10.111.0.1\n" + TWO
    ((why, _),) = left(LISTS + ADDRESSES + MANGLE + CONNECTED + chosen + "/ip route\n" + routes, "no-way-left")
    assert why.startswith("it has no table of its own")


def test_which_uplink_main_prefers_is_a_decision() -> None:
    """The router's own answers are looked up in main before a rule of output can mark them."""
    reasons = [why for why, _ in left(BALANCED + ONE + TWO, "output-not-routed")]
    assert len(reasons) == 2
    assert all(why.startswith("main has no default route") for why in reasons)


def test_what_is_watched_already_has_a_reason_of_its_own() -> None:
    script = read_script(OFFICE.encode(), "a.rsc")
    assert script is not None
    answers = [not_watched(script, warning("loss-not-followed", uplink.origin, "")) for uplink in script.uplinks]
    assert len(answers) == 2
    for answer in answers:
        assert isinstance(answer, Decision)
        assert "are watched" in answer.why
