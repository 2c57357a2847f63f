"""What is told of text that is not, or not quite, RouterOS."""

from __future__ import annotations

import pytest

from evenflow.formats.routeros import Kind, Parsed, parse, parse_statements, parser
from evenflow.formats.routeros.notes import TOLD_ONE_BY_ONE
from evenflow.model.finding import Origin, Severity
from evenflow.model.router import AcceptAction, Router


def codes(parsed: Parsed) -> list[tuple[str, str, int]]:
    return [(finding.severity.value, finding.code, finding.where.line) for finding in parsed.findings]


@pytest.mark.parametrize("text", ["", "\n\n", "  \t\r\n", "# only this\n\n# and that", b"", "\ufeff", ";;\n;"])
def test_an_empty_file(text: str | bytes) -> None:
    parsed = parse(text, "r.rsc")
    (finding,) = parsed.findings
    assert (finding.severity, finding.code, finding.where) == (Severity.ERROR, "empty", Origin("r.rsc", 1))
    assert parsed.router == Router(file="r.rsc")
    assert parse_statements(text, "r.rsc").findings == parsed.findings


@pytest.mark.parametrize(
    "text",
    [
        "Hello, this is a letter.\nIt has two lines.",
        'lan = ["br0"]\n\n[uplink.isp1]\ninterface = "eth1"\ngateway = "auto"\n',
        '{"a": [1, 2, {"b": "c"}]}',
        "{\n}\n",
        "#!/bin/sh\nip route add default via 192.0.2.1 dev eth0\n",
        "import os\nif x:\n    print(1)\nfor a in b:\n    pass\n",
        "<html><body>/ip route</body></html>",
        "set the gateway to what your provider says\nadd a rule\nfind out more",
        "ip\ninterface\nrouting\n/\n",
        "\x00\x01\x02",
        bytes(range(256)),
        "a\n" * 50_000,
        "add chain=prerouting",
    ],
)
def test_a_file_that_is_something_else(text: str | bytes) -> None:
    parsed = parse(text, "r.rsc")
    (finding,) = parsed.findings
    assert (finding.severity, finding.code, finding.where) == (Severity.ERROR, "not-routeros", Origin("r.rsc", 1))
    assert parsed.router == Router(file="r.rsc")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/ip/firewall/nat add chain=srcnat action=masquerade add chain=dstnat action=accept", [(1, "syntax")]),
        ('/ip route add gateway=192.0.2.1 comment="never closed', [(1, "syntax")]),
        ("/routing table add name=isp1 fibAnd then the next step", [(1, "syntax")]),
        (
            "add action=accept chain=input in-interface=lan\nset [find comment=x] name=a chain=b",
            [(1, "no-menu"), (2, "no-menu")],
        ),
        (
            "add action=mark-routing chain=output\nconnection-mark=c1\n    new-routing-mark=r1 passthrough=no",
            [(1, "no-menu"), (2, "syntax"), (3, "syntax")],
        ),
    ],
)
def test_a_file_of_nothing_but_wrong_commands_is_of_routeros(text: str, found: list[tuple[int, str]]) -> None:
    parsed = parse(text, "r.rsc")
    assert codes(parsed) == [("error", code, line) for line, code in found]
    assert parsed.router == Router(file="r.rsc")


@pytest.mark.parametrize("text", ["set name=x\nset address=y", "add name=a color=b size=c", "add gateway=192.0.2.1"])
def test_commands_of_other_languages_are_not_of_routeros(text: str) -> None:
    assert codes(parse(text)) == [("error", "not-routeros", 1)]


RULES = "/ip firewall mangle\n{}\nadd chain=prerouting\n"


@pytest.mark.parametrize(
    "line",
    [
        "Now we mark packets based on the connection marks created above.",
        "set the rule as you like",
        "a rule that accepts",
        "in the above example",
        "e) the last one",
        "ip addresses are these",
        "route it",
        "- Works with dynamic and static IPs",
        "it's \"quoted",
        "1. Packages",
        "(optional)",
        "[optional]",
        "→ “3” means three",
        ":nonsense here",
        "local networks are these",
        "log in to the router",
        "if you like",
        "$ ls",
        "Columns: DST-ADDRESS, GATEWAY",
        " 0  As 0.0.0.0/0  192.0.2.1  main",
    ],
)
def test_prose_between_the_commands(line: str) -> None:
    parsed = parse(RULES.format(line))
    assert codes(parsed) == [("warning", "not-a-command", 2)]
    assert [rule.action for rule in parsed.router.mangle] == [AcceptAction()]
    (kept,) = [each for each in parsed.statements if each.kind is Kind.UNKNOWN]
    assert kept.text == line.strip()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('add chain=a comment="never closed', "a string is not closed"),
        ("add chain=a comment=[find", "a [ is not closed"),
        ("add chain=a comment={", "a { is not closed"),
        ("add chain=a comment=(]", "don't pair"),
        ("add chain=a ]", "] closes nothing"),
        ("add chain=a }", "} closes nothing"),
        ("}", "closes nothing"),
        ("add chain=a nonsense", '"nonsense" is no property with its value'),
        ("add chain = a", '"chain" is no property with its value'),
        ("add 0 chain=a", '"0" is no property'),
        ("set 0 1 chain=a", '"1" is no property'),
        ("add chain=a comment=" + "(" * 70 + ")" * 70, "nested too deep"),
        ("add " + "chain=a " * 1100, "more than 1000 arguments"),
        ("new-connection-mark=a", "it is a part of a command; put it behind the others"),
        ("/i firewall", "i stands for several things in /"),
        ("/ip firewall mangle [find]", "after /ip firewall mangle comes neither"),
    ],
)
def test_malformed_commands(line: str, said: str) -> None:
    parsed = parse(RULES.format(line))
    assert codes(parsed) == [("error", "syntax", 2)]
    assert said in parsed.findings[0].message
    assert len(parsed.router.mangle) == 1


@pytest.mark.parametrize(
    "line",
    [
        "/routing table add name=isp1 fibPer-Host Download Marking",
        "/ip route add gateway=192.0.2.1 And then we go on with this",
        "/ip route add the routes that you need",
        "/interface list add name=WAN Now put all of the uplinks in",
        "ip route add gateway=192.0.2.1 And then we go on",
        "add chain=a And then we go on",
        "/ip address add address=192.0.2.2/24 interface=a add address=192.0.2.3/24 interface=b",
        "/tool fetch\n/ip dhcp-client add interface=a Then the next three steps",
    ],
)
def test_a_line_that_begins_with_a_command_is_no_prose(line: str) -> None:
    parsed = parse(RULES.format(line))
    assert [(severity, code) for severity, code, _ in codes(parsed)] == [("error", "syntax")]


PRINTED = """\
 0   ;;; to the first line
     chain=srcnat action=masquerade out-interface=ether1 log=no log-prefix=""
 1 X chain=srcnat action=masquerade out-interface=ether2
     src-address=192.0.2.0/24
 2  D name="isp1"
"""


@pytest.mark.parametrize(
    "before", ["/ip firewall nat print", "/ip address", "[admin@office] > ip firewall nat print", "/ip firewall filter"]
)
def test_what_print_shows_is_no_script(before: str) -> None:
    parsed = parse(
        f"/ip address add address=192.0.2.2/24 interface=a\n{before}\n{PRINTED}/ip route add gateway=192.0.2.1"
    )
    assert codes(parsed) == [("warning", "not-a-command", 3), *(("error", "syntax", line) for line in (4, 5, 6, 7))]
    assert {each.message.partition("can't be read: ")[2] for each in parsed.findings[1:]} == {
        "it is what print shows, and no command; give what /export writes"
    }
    assert len(parsed.router.routes) == 1


def test_behind_what_print_shows_prose_is_prose() -> None:
    text = (
        f"/ip firewall nat\n{PRINTED}as you see, chain=srcnat takes it\nadd chain=srcnat action=masquerade\nname=isp1"
    )
    assert codes(parse(text))[5:] == [("warning", "not-a-command", 7), ("warning", "not-a-command", 9)]


def test_a_string_that_is_not_closed_does_not_swallow_the_next_lines() -> None:
    text = '/ip firewall mangle\nadd chain=a comment="x\nadd chain=b comment="y"\nadd chain=c\n'
    assert [rule.chain for rule in parse(text).router.mangle] == ["b", "c"]


def test_a_command_before_any_menu() -> None:
    parsed = parse("add chain=prerouting\n/ip route add gateway=192.0.2.1")
    assert codes(parsed) == [("error", "no-menu", 1)]


@pytest.mark.parametrize(
    ("menu", "severity"),
    [
        ("/ip firewall mangel", "error"),
        ("/ip firwall mangle", "error"),
        ("/routing tables", "error"),
        ("/ip something", "warning"),
        ("/something else", "warning"),
    ],
)
def test_unknown_menus(menu: str, severity: str) -> None:
    parsed = parse(f"/ip route\nadd gateway=192.0.2.1\n{menu}\nadd chain=a\nadd chain=b\n{menu} add chain=c\n")
    assert codes(parsed) == [(severity, "unknown-menu", 3)]
    assert len(parsed.router.routes) == 1
    path = tuple(menu[1:].split())
    assert [each.menu for each in parsed.statements if each.command == "add"][1:] == [path] * 3


def test_unknown_menus_that_have_nothing_to_do_with_routing_are_kept() -> None:
    assert codes(parse("/ip route print\n/user settings policies add name=a")) == []


def test_an_unknown_command() -> None:
    parsed = parse("/ip route\n/ip route frobnicate x=1")
    assert codes(parsed) == [("error", "unknown-command", 2)]


def test_groups_that_are_not_closed() -> None:
    assert codes(parse("/ip route\n{\nadd gateway=192.0.2.1\n")) == [("warning", "unclosed-group", 2)]


def test_blocks_and_groups_that_are_nested_too_deep() -> None:
    blocks = "/ip route\n" + ":if (1) do={" * 20 + "}" * 20
    assert codes(parse(blocks)) == [("error", "too-deep", 2)]
    groups = "/ip route\n" + "{\n" * 20 + "}\n" * 16
    assert codes(parse(groups)) == [("error", "syntax", line) for line in range(18, 22)]


def test_menus_without_bearing_are_told_of_once() -> None:
    text = "/system identity\nset name=a\n/ip dns\nset servers=192.0.2.1\n/ip dns\nset servers=192.0.2.2\n"
    text += "/queue simple\nadd x=1\n"
    parsed = parse(text)
    assert codes(parsed) == [("info", "not-routing", 2)]
    assert parsed.findings[0].message.endswith(": /system identity; /ip dns; /queue simple")


@pytest.mark.parametrize("menu", ["/routing ospf instance", "/ip vrf", "/interface lte apn", "/ip ipsec policy"])
def test_menus_that_can_change_routing_but_are_not_followed(menu: str) -> None:
    parsed = parse(f"{menu}\nadd name=a")
    assert codes(parsed) == [("warning", "not-followed", 2)]
    assert parsed.findings[0].message.startswith(menu)


def test_the_same_finding_is_told_so_many_times_and_then_counted() -> None:
    parsed = parse("/ip route\n" + "add gateway=\n" * 100)
    assert len(parsed.findings) == TOLD_ONE_BY_ONE + 1
    last = parsed.findings[-1]
    assert last.message.startswith("80 more of the same from this line on; the first: gateway= is missing")
    assert last.where.line == TOLD_ONE_BY_ONE + 2
    assert last.severity is Severity.ERROR


def test_findings_come_in_the_order_of_lines() -> None:
    text = "/ip route\nadd gateway=a%b\nnonsense, really\nadd distance=1\n/ip firewall mangle\nadd action=x\n"
    lines = [finding.where.line for finding in parse(text).findings]
    assert lines == sorted(lines)
    assert len(lines) >= 4


def test_a_file_of_more_statements_than_any_router_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "GIVE_UP_AFTER", 50)
    monkeypatch.setattr(parser, "MAX_STATEMENTS", 100)
    parsed = parse("/ip route\n" + "print\n" * 200)
    assert len(parsed.statements) == 100
    assert [finding.code for finding in parsed.findings] == ["too-long"]
