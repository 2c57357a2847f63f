"""Answers that leave elsewhere, local traffic sent to uplinks, marks that come too late: each fault, and its twin."""

from __future__ import annotations

import pytest

from evenflow.core.lint.exact import exact_findings
from evenflow.formats import configuration
from evenflow.model.finding import Severity

HEAD = """\
/ip address add address=192.168.88.1/24 interface=bridge1
/ip address add address=192.168.99.1/24 interface=bridge2
/ip address add address=203.0.113.2/30 interface=ether1
/ip address add address=198.51.100.2/30 interface=ether2
/routing table add name=isp1 fib
/routing table add name=isp2 fib
/ip route add dst-address=0.0.0.0/0 gateway=203.0.113.1 routing-table=isp1 check-gateway=ping
/ip route add dst-address=0.0.0.0/0 gateway=198.51.100.1 routing-table=isp2 check-gateway=ping
/ip route add dst-address=0.0.0.0/0 gateway=203.0.113.1 distance=1 check-gateway=ping
/ip route add dst-address=0.0.0.0/0 gateway=198.51.100.1 distance=2 check-gateway=ping
/ip firewall nat add chain=srcnat out-interface=ether1 action=masquerade
/ip firewall nat add chain=srcnat out-interface=ether2 action=masquerade
"""

FORWARD = """\
/ip firewall nat
add chain=dstnat in-interface=ether1 protocol=tcp dst-port=443 action=dst-nat to-addresses=192.168.88.10
add chain=dstnat in-interface=ether2 protocol=tcp dst-port=443 action=dst-nat to-addresses=192.168.88.10
/ip firewall mangle
"""

BYPASS = "add chain=prerouting in-interface=bridge1 dst-address=192.168.0.0/16 action=accept\n" + "".join(
    f"add chain=prerouting in-interface=bridge1 dst-address={network} action=accept\n"
    for network in ("203.0.113.0/30", "198.51.100.0/30")
)

INBOUND = "".join(
    f"add chain=prerouting in-interface=ether{n} connection-state=new connection-mark=no-mark "
    f"action=mark-connection new-connection-mark=c{n}\n"
    for n in (1, 2)
)

OUTPUT = "".join(
    f"add chain=output connection-mark=c{n} action=mark-routing new-routing-mark=isp{n} passthrough=no\n"
    for n in (1, 2)
)

DIVIDE = "".join(
    "add chain=prerouting in-interface=bridge1 connection-mark=no-mark connection-state=new "
    f"action=mark-connection new-connection-mark=c{n} per-connection-classifier=src-address-and-port:2/{n - 1}\n"
    for n in (1, 2)
)

ROUTE = "".join(
    f"add chain=prerouting in-interface=bridge1 connection-mark=c{n} action=mark-routing new-routing-mark=isp{n}\n"
    for n in (1, 2)
)

RIGHT = BYPASS + INBOUND + OUTPUT + DIVIDE + ROUTE

#: What `exact_findings` tells of a right router.
GOOD_TO_KNOW = {"uplink-lost", "detection-time", "next-hop-only", "no-second-route"}


def codes(rules: str) -> set[str]:
    loaded = configuration.parse((HEAD + "/ip firewall mangle\n" + rules).encode(), "router.rsc")
    assert loaded.router is not None, loaded.findings
    return {finding.code for finding in exact_findings(loaded.router, loaded.findings)} - GOOD_TO_KNOW


def test_of_a_right_router_nothing_is_told() -> None:
    assert codes(RIGHT) == set()
    assert codes(FORWARD + RIGHT) == set()


DIVIDES_ALL = DIVIDE.replace("connection-mark=no-mark connection-state=new ", "")
ROUTES_NEW = ROUTE.replace("in-interface=bridge1", "in-interface=bridge1 connection-state=new")
ROUTES_AT_ONCE = "".join(f"{line} passthrough=no\n" for line in ROUTE.splitlines())

FAULTS = {
    "nothing marks what comes in": ("inbound-not-marked", RIGHT.replace(INBOUND, "")),
    "marked in input only": (
        "inbound-not-marked",
        FORWARD + RIGHT.replace(INBOUND, INBOUND.replace("prerouting", "input")),
    ),
    "no rule in output": ("output-not-routed", RIGHT.replace(OUTPUT, "")),
    "answers are divided, too": ("answers-marked-anew", FORWARD + RIGHT.replace(DIVIDE, DIVIDES_ALL)),
    "answers of servers get no routing mark": ("forward-not-routed", FORWARD + RIGHT.replace(ROUTE, ROUTES_NEW)),
    "local networks are sent to uplinks": ("connected-not-bypassed", RIGHT.replace(BYPASS, "")),
    "the bypass comes too late": ("connected-not-bypassed", INBOUND + OUTPUT + DIVIDE + ROUTES_AT_ONCE + BYPASS),
    "only what is for the router is divided": (
        "classifier-for-the-router",
        RIGHT.replace(DIVIDE, DIVIDE.replace("connection-state=new", "connection-state=new dst-address-type=local")),
    ),
    "routing marks before connection marks": ("marked-too-late", BYPASS + INBOUND + OUTPUT + ROUTE + DIVIDE),
}


def lines(code: str, text: str) -> list[int]:
    """The lines of which that is told."""
    loaded = configuration.parse(text.encode(), "router.rsc")
    assert loaded.router is not None, loaded.findings
    return [finding.where.line for finding in exact_findings(loaded.router, ()) if finding.code == code]


def test_gateways_that_nobody_watches_are_told_once_each() -> None:
    assert lines("gateway-not-watched", HEAD.replace(" check-gateway=ping", "")) == [7, 8]
    assert lines("gateway-not-watched", HEAD) == []


def test_a_table_with_one_way_is_good_to_know() -> None:
    second = "/ip route add dst-address=0.0.0.0/0 gateway=198.51.100.1 routing-table=isp1 distance=2\n"
    assert lines("no-second-route", HEAD) == [7, 8]
    assert lines("no-second-route", HEAD + second) == [8]


@pytest.mark.parametrize(("code", "rules"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told(code: str, rules: str) -> None:
    assert code in codes(rules)


def test_without_a_port_forward_its_answers_are_no_warning() -> None:
    rules = RIGHT.replace(DIVIDE, DIVIDES_ALL)
    loaded = configuration.parse((HEAD + "/ip firewall mangle\n" + rules).encode(), "router.rsc")
    assert loaded.router is not None
    told = [f for f in exact_findings(loaded.router, loaded.findings) if f.code == "answers-marked-anew"]
    assert {finding.severity.value for finding in told} == {"info"}
    assert all("if there were one" in finding.message for finding in told)


@pytest.mark.parametrize("rules", [RIGHT, RIGHT.replace(OUTPUT, "")])
def test_without_a_default_route_in_main_no_rule_of_output_is_asked(rules: str) -> None:
    """The rules that are there are not asked for once more."""
    text = "".join(line for line in HEAD.splitlines(keepends=True) if " distance=" not in line)
    loaded = configuration.parse(f"{text}/ip firewall mangle\n{rules}".encode(), "router.rsc")
    assert loaded.router is not None
    told = [f for f in exact_findings(loaded.router, loaded.findings) if f.code == "output-not-routed"]
    assert [finding.where.line for finding in told] == [7, 8]
    for finding in told:
        assert "before chain=output sees them" in finding.message
        assert finding.message.endswith("; add a default route to main")


def test_what_the_main_table_answers_rightly_needs_no_mark() -> None:
    """Answers by the uplink that main prefers are right without any mark; those by the other are not."""
    loaded = configuration.parse((HEAD + "/ip firewall mangle\n" + RIGHT.replace(INBOUND, "")).encode(), "router.rsc")
    assert loaded.router is not None
    told = [
        f for f in exact_findings(loaded.router, ()) if f.code == "inbound-not-marked" and "the router's" in f.message
    ]
    assert [finding.message.split(" get")[0] for finding in told] == ["connections that come in by isp2"]


def test_where_nothing_is_balanced_an_uplink_that_stands_by_is_no_warning() -> None:
    plain = configuration.parse(HEAD.encode(), "x.rsc").router
    assert plain is not None
    found = [finding for finding in exact_findings(plain, ()) if finding.code == "inbound-not-marked"]
    assert [finding.severity for finding in found] == [Severity.INFO]
