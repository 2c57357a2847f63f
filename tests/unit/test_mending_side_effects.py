"""What mends must leave alone: items that are chosen by number, other marks, other findings."""

from __future__ import annotations

from evenflow.formats.routeros.mending import Mended, mend

HEAD = """\
/ip address
add address=192.168.88.1/24 interface=LAN
add address=203.0.113.2/30 interface=ether1
add address=198.51.100.2/30 interface=ether2
/ip firewall mangle
"""

DIVIDED = "".join(
    "add action=mark-connection chain=prerouting dst-address-type=!local in-interface=LAN "
    f"new-connection-mark=c{n} per-connection-classifier=src-address:2/{n - 1}\n"
    for n in (1, 2)
) + "".join(
    f"add action=mark-routing chain=prerouting connection-mark=c{n} in-interface=LAN new-routing-mark=t{n}\n"
    for n in (1, 2)
)

INBOUND = """\
add action=mark-connection chain={chain} in-interface=ether1 new-connection-mark=c1
add action=mark-connection chain={chain} in-interface=ether2 new-connection-mark=c2
"""

ROUTED = """\
add action=mark-routing chain=output connection-mark=c1 new-routing-mark=t1
add action=mark-routing chain=output connection-mark=c2 new-routing-mark=t2
/ip firewall nat
add action=masquerade chain=srcnat out-interface=ether1
add action=masquerade chain=srcnat out-interface=ether2
add action=dst-nat chain=dstnat dst-port=25 in-interface=ether2 protocol=tcp to-addresses=192.168.88.25
/ip route
add check-gateway=ping gateway=203.0.113.1 routing-mark=t1
add check-gateway=ping gateway=198.51.100.1 routing-mark=t2
add check-gateway=ping distance=1 gateway=203.0.113.1
add check-gateway=ping distance=2 gateway=198.51.100.1
"""

BYPASS = """\
add action=accept chain=prerouting dst-address=192.168.88.0/24 in-interface=LAN
add action=accept chain=prerouting dst-address=203.0.113.0/30 in-interface=LAN
add action=accept chain=prerouting dst-address=198.51.100.0/30 in-interface=LAN
"""

UNMARKED = DIVIDED.replace(" dst-", " connection-mark=no-mark dst-")

NOT_BYPASSED = HEAD + INBOUND.format(chain="prerouting") + UNMARKED + ROUTED


def of(script: str) -> Mended:
    made = mend(script.encode(), "x.rsc")
    assert made is not None
    return made


def added(script: str) -> list[str]:
    """Lines of the mended script that the given one has not."""
    before = script.splitlines()
    return [line for line in of(script).source.decode().splitlines() if line not in before]


def test_items_that_are_chosen_by_number_keep_their_numbers() -> None:
    assert any(line.startswith("add action=accept") for line in added(NOT_BYPASSED))
    for command in (
        "/ip firewall mangle disable 7",
        "/ip firewall mangle\nadd chain=output action=accept place-before=0",
    ):
        script = f"{NOT_BYPASSED}{command}\n"
        assert not any("mangle" in line or "chain=prerouting" in line for line in added(script))
        (left,) = (each for each in of(script).left if each.finding.code == "connected-not-bypassed")
        assert "numbers" in left.why


def test_numbers_of_another_menu_are_no_hindrance() -> None:
    assert any(line.startswith("add action=accept") for line in added(f"{NOT_BYPASSED}/ip firewall filter disable 0\n"))


def test_what_is_bypassed_already_is_not_bypassed_again() -> None:
    guests = UNMARKED.replace("in-interface=LAN", "in-interface=guest")
    script = NOT_BYPASSED.replace("/ip firewall mangle\n", f"/ip firewall mangle\n{BYPASS}{guests}", 1)
    lines = [line for line in added(script) if line.startswith("add action=accept")]
    assert lines
    assert all("in-interface=guest" in line for line in lines)


def test_a_rule_that_asks_for_more_is_no_bypass() -> None:
    late = "add action=accept chain=prerouting dst-address=0.0.0.0/0 dst-port=123 protocol=udp\n"
    script = NOT_BYPASSED.replace("/ip firewall nat\n", f"{late}/ip firewall nat\n", 1)
    lines = of(script).source.decode().splitlines()
    assert any(line.startswith("add action=accept") and "203.0.113.0/30" in line for line in added(script))
    assert lines.index(late.strip()) > max(n for n, line in enumerate(lines) if "per-connection" in line)


def test_rules_that_move_from_input_leave_marked_connections_their_marks() -> None:
    divided = UNMARKED.replace(" dst-", " connection-state=new dst-")
    script = HEAD + BYPASS + INBOUND.format(chain="input") + divided + ROUTED
    moved = [line for line in added(script) if "in-interface=ether" in line]
    assert len(moved) == 2
    assert all("chain=prerouting" in line and "connection-mark=no-mark" in line for line in moved)


def test_nothing_is_told_as_mended_that_is_left_or_was_not_there() -> None:
    for script in (NOT_BYPASSED, HEAD + DIVIDED + ROUTED, HEAD + INBOUND.format(chain="input") + DIVIDED + ROUTED):
        made = of(script)
        mended, left = ({each.finding for each in some} for some in (made.mends, made.left))
        assert not mended & left
        assert all(finding.where.line <= len(script.splitlines()) for finding in mended)


def test_a_gateway_that_may_stand_for_an_address_is_left() -> None:
    """Tutorials write `gateway=GW1`; without check-gateway the route would not be watched once the address is there."""
    script = HEAD + DIVIDED + ROUTED.replace("203.0.113.1", "GW1").replace("198.51.100.1", "GW2")
    assert not any("in-interface=GW" in line for line in added(script))
    assert of(script).source.decode().count("check-gateway=ping") >= script.count("check-gateway=ping")
    left = {each.finding.code: each.why for each in of(script).left}
    assert "stands for an address" in left["check-without-effect"]
    named = script.replace("ether1", "GW1").replace("ether2", "GW2")
    assert "check-gateway" not in of(named).source.decode()


def test_marks_of_their_own_for_what_comes_in_get_a_way_for_answers_of_local_hosts() -> None:
    own = INBOUND.format(chain="input").replace("=c", "=in")
    routed = ROUTED.replace("connection-mark=c", "connection-mark=in")
    script = HEAD + BYPASS + own + UNMARKED + routed
    asked = ("connection-mark=in1", "connection-mark=in2")
    assert [line for line in added(script) if "mark-routing" in line] == [
        f"add action=mark-routing chain=prerouting {mark} in-interface=LAN new-routing-mark=t{n + 1} passthrough=no"
        for n, mark in enumerate(asked)
    ]
    assert not any("not-" in each.finding.code for each in of(script).left)
