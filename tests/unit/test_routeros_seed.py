"""The article's router, whole: examples/seed.rsc must read as exactly this, for ever."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from evenflow.formats.routeros import Kind, parse
from evenflow.model.finding import Finding, Origin, Severity
from evenflow.model.flow import ConnectionState, Family
from evenflow.model.health import ROUTEROS, ProbeMethod, ProbeTarget, Watch
from evenflow.model.matcher import (
    AddressType,
    AddressTypeMatch,
    Classifier,
    Direction,
    InInterface,
    MarkKind,
    MarkMatch,
    Matcher,
    OutInterface,
    PccMatch,
    StateMatch,
)
from evenflow.model.router import (
    CheckGateway,
    Gateway,
    Interface,
    InterfaceGateway,
    LearnedGateway,
    MangleAction,
    MangleRule,
    MarkAction,
    Masquerade,
    NatRule,
    Route,
    Router,
    RoutingTable,
)

SEED = Path(__file__).parents[2] / "examples" / "seed.rsc"
V4 = (Family.IPV4,)
DEFAULT = IPv4Network("0.0.0.0/0")
NO_MARK = MarkMatch(MarkKind.CONNECTION, None)
NEW = StateMatch(frozenset({ConnectionState.NEW}))
NOT_LOCAL = AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.LOCAL}), negated=True)
LAN = InInterface("USER_01")


def at(line: int, item: str) -> Origin:
    return Origin("seed.rsc", line, f"{item} add")


def mangle(line: int, chain: str, action: MangleAction, *matchers: Matcher) -> MangleRule:
    return MangleRule(chain, matchers, action, V4, "", at(line, "/ip firewall mangle"))


def marked(mark: str) -> MarkMatch:
    return MarkMatch(MarkKind.CONNECTION, mark)


def connection(mark: str) -> MarkAction:
    return MarkAction(MarkKind.CONNECTION, mark)


def routing(mark: str) -> MarkAction:
    return MarkAction(MarkKind.ROUTING, mark)


def pcc(remainder: int) -> PccMatch:
    return PccMatch(Classifier.BOTH_ADDRESSES_AND_PORTS, 3, remainder)


def route(line: int, table: str, gateway: Gateway, distance: int) -> Route:
    comment = "isp1" if isinstance(gateway, LearnedGateway) else ""
    watches = ("ether1",) if isinstance(gateway, LearnedGateway) else ()
    return Route(
        table,
        DEFAULT,
        (gateway,),
        distance,
        check_gateway=CheckGateway.PING,
        gateway_watches=watches,
        comment=comment,
        origin=at(line, "/ip route"),
    )


ISP1 = LearnedGateway("ether1", IPv4Address("100.64.1.1"))
ISP2 = InterfaceGateway("pppoe-out1")

EXPECTED = Router(
    mangle=(
        mangle(22, "prerouting", connection("isp1_conn"), NO_MARK, NEW, InInterface("ether1")),
        mangle(23, "prerouting", connection("isp2_conn"), NO_MARK, NEW, InInterface("pppoe-out1")),
        mangle(24, "output", routing("isp2"), marked("isp2_conn")),
        mangle(25, "output", routing("isp1"), marked("isp1_conn")),
        mangle(26, "prerouting", connection("isp1_conn"), NO_MARK, NEW, NOT_LOCAL, LAN, pcc(0)),
        mangle(28, "prerouting", connection("isp2_conn"), NO_MARK, NEW, NOT_LOCAL, LAN, pcc(2)),
        mangle(30, "prerouting", connection("isp1_conn"), NO_MARK, NEW, NOT_LOCAL, LAN, pcc(1)),
        mangle(32, "prerouting", routing("isp1"), marked("isp1_conn"), LAN),
        mangle(33, "prerouting", routing("isp2"), marked("isp2_conn"), LAN),
    ),
    nat=(
        NatRule("srcnat", (OutInterface("ether1"),), Masquerade(), V4, "", at(35, "/ip firewall nat")),
        NatRule("srcnat", (OutInterface("pppoe-out1"),), Masquerade(), V4, "", at(36, "/ip firewall nat")),
    ),
    tables=(RoutingTable("isp1", at(13, "/routing table")), RoutingTable("isp2", at(14, "/routing table"))),
    routes=(
        route(38, "isp1", ISP1, 1),
        route(39, "isp1", ISP2, 2),
        route(40, "isp2", ISP2, 1),
        route(41, "isp2", ISP1, 2),
        route(42, "main", ISP1, 1),
        route(43, "main", ISP2, 2),
    ),
    interfaces=(
        Interface("USER_01", "bridge", (IPv4Interface("10.10.0.1/16"),), origin=at(5, "/interface bridge")),
        Interface("ether2", "", (), "USER_01", origin=at(7, "/interface bridge port")),
        Interface("pppoe-out1", "pppoe", origin=at(9, "/interface pppoe-client")),
        Interface("ether3", origin=at(9, "/interface pppoe-client")),
        Interface("ether1", origin=at(16, "/ip dhcp-client")),
    ),
    watches=(
        Watch(
            "ether1", "ether1", (ISP1,), (ProbeTarget(ProbeMethod.ICMP, None),), ROUTEROS, origin=at(38, "/ip route")
        ),
    ),
)


def test_the_router() -> None:
    parsed = parse(SEED.read_bytes(), "seed.rsc")
    assert parsed.router == EXPECTED
    assert parsed.router.file == "seed.rsc"


def test_nothing_is_wrong_with_it() -> None:
    message = (
        "kept, but no part of routing and not run: user= of /interface pppoe-client; use-peer-dns= of /ip dhcp-client"
    )
    where = at(9, "/interface pppoe-client")
    assert parse(SEED.read_bytes(), "seed.rsc").findings == (Finding(Severity.INFO, "not-routing", where, message),)


def test_every_line_is_in_a_statement() -> None:
    text = SEED.read_text()
    statements = parse(text).statements
    lines = [line for each in statements for line in range(each.origin.line, each.last_line + 1)]
    assert lines == list(range(1, text.count("\n") + 1))
    assert {each.kind for each in statements} == {Kind.COMMENT, Kind.MENU, Kind.COMMAND}


def test_line_ends_of_windows_and_no_line_end_at_the_end_change_nothing() -> None:
    text = SEED.read_bytes()
    assert parse(text.replace(b"\n", b"\r\n"), "seed.rsc").router == EXPECTED
    assert parse(text.rstrip(b"\n"), "seed.rsc").router == EXPECTED
