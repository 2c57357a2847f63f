"""Every form of syntax that occurs in scripts: what statement it becomes."""

from __future__ import annotations

import pytest

from evenflow.formats.routeros import (
    Code,
    FindExpression,
    FindTerm,
    Kind,
    Statement,
    Template,
    Variable,
    parse_statements,
)
from evenflow.model.finding import Origin

MANGLE = ("ip", "firewall", "mangle")


def read(text: bytes | str) -> list[Statement]:
    parsed = parse_statements(text, "r.rsc")
    assert parsed.findings == ()
    return list(parsed.statements)


def commands(text: bytes | str) -> list[Statement]:
    return [statement for statement in read(text) if statement.kind is Kind.COMMAND]


def only(text: bytes | str) -> Statement:
    (statement,) = commands(text)
    return statement


def given(statement: Statement) -> dict[str, object]:
    return {argument.name: argument.value for argument in statement.arguments}


@pytest.mark.parametrize(
    "text",
    [
        "/ip firewall mangle\nadd chain=prerouting action=accept",
        "/ip firewall mangle add chain=prerouting action=accept",
        "/ip/firewall/mangle\nadd chain=prerouting action=accept",
        "/ip/firewall/mangle/add chain=prerouting action=accept",
        "/ip/firewall/mangle add chain=prerouting action=accept",
        "/ip firewall\nmangle add chain=prerouting action=accept",
        "/ip firewall\nmangle\nadd chain=prerouting action=accept",
        "/ip firewall nat\n.. mangle add chain=prerouting action=accept",
        "/ip firewall nat\n/ip firewall mangle\nadd chain=prerouting action=accept",
        "/ip firewall mangle; add chain=prerouting action=accept;",
        "ip firewall mangle\nadd chain=prerouting action=accept",
        "ip firewall mangle add chain=prerouting action=accept",
        "/ip route\nip firewall mangle\nadd chain=prerouting action=accept",
        "/ip fi man\nadd ch=prerouting act=accept",
        "/ip fire mang a chain=prerouting action=accept",
        "  \t/ip firewall mangle  \n\t add   chain=prerouting\taction=accept  ",
        "/ip firewall mangle\r\nadd chain=prerouting action=accept\r\n",
        "/ip firewall mangle\radd chain=prerouting action=accept\r",
        "\ufeff/ip firewall mangle\nadd chain=prerouting action=accept",
        b"\xef\xbb\xbf/ip firewall mangle\nadd chain=prerouting action=accept",
        "/ip firewall mangle\nadd chain=prerouting action=accept".encode("utf-16"),
        "/ip firewall mangle\nadd chain=prerouting \\\n    action=accept",
        "/ip firewall mangle\nadd chain=prerouting \\\naction=accept",
        "/ip firewall mangle\nadd chain=\\\n    prerouting action=accept",
        "/ip firewall mangle\nadd chain=\\\r\n    prerouting action=accept",
        "/ip firewall mangle\nadd chain=prerouting\\\n    action=accept",
        "/ip firewall mangle\nadd chain=pre\\\n    routing action=accept",
        "/ip firewall mangle\nadd chain=prerouting \\  \n action=accept",
        "/ip firewall mangle \\\n add chain=prerouting action=accept",
        '/ip firewall mangle\nadd chain="prerouting" action="acc\\\n    ept"',
        "/ip firewall mangle\n{\nadd chain=prerouting action=accept\n}",
        "{ /ip firewall mangle; add chain=prerouting action=accept }",
        "{\n/ip firewall mangle\n{ add chain=prerouting action=accept}}",
        "[admin@MikroTik] > /ip firewall mangle add chain=prerouting action=accept",
        "[admin@Mikro-Tik] /ip firewall mangle> add chain=prerouting action=accept",
    ],
)
def test_one_rule_however_it_is_written(text: bytes | str) -> None:
    statement = only(text)
    assert (statement.menu, statement.command) == (MANGLE, "add")
    assert given(statement) == {"chain": "prerouting", "action": "accept"}
    assert (statement.positional, statement.flags, statement.unset) == ((), (), ())


def test_the_line_of_a_statement_and_of_its_arguments() -> None:
    statement = only("# a\n\n/ip firewall mangle\nadd chain=prerouting \\\n  action=\\\n  accept comment=x\n")
    assert statement.origin == Origin("r.rsc", 4, "/ip firewall mangle add")
    assert statement.last_line == 6
    assert [argument.line for argument in statement.arguments] == [4, 5, 6]


def test_a_one_line_command_leaves_the_menu_as_it_was() -> None:
    first, second = commands("/ip route\n/ip firewall mangle add chain=a\nadd gateway=192.0.2.1")
    assert (first.menu, second.menu) == (MANGLE, ("ip", "route"))


def test_a_group_leaves_the_menu_as_it_was() -> None:
    (inner, outer) = commands("/ip route\n{\n/ip address\nadd address=192.0.2.1/24\n}\nadd gateway=192.0.2.1")
    assert (inner.menu, outer.menu) == (("ip", "address"), ("ip", "route"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"a b"', "a b"),
        ('""', ""),
        (r'"\"\\\n\r\t\$\_\a\b\f\v\?"', '"\\\n\r\t$ \a\b\f\v?'),
        (r'"\41\42"', "AB"),
        (r'"caf\C3\A9"', "café"),
        (r'"caf\E9"', "café"),
        ('"caf\u00e9"', "café"),
        ('"a\\\n    b"', "ab"),
        ('"a\\\nb"', "ab"),
        ('"a \\\n    \\nb"', "a \nb"),
        ('"a # b; c } d"', "a # b; c } d"),
        ("a=b", "a=b"),
        ("#a", "#a"),
        ("a#b", "a#b"),
        ('"a"b', "ab"),
        ('!"a b"', "!a b"),
        ('"a","b"', "a,b"),
        ('("a b")', "a b"),
        ("a\\_b", "a b"),
        ("a,\\\n  b", "a,b"),
        ('"50%"', "50%"),
        ('"$"', "$"),
        ('"5 $ a"', "5 $ a"),
    ],
)
def test_values(written: str, meant: str) -> None:
    assert only(f"/ip route add comment={written} distance=1").get("comment") == meant
    assert only(f"/ip route add distance=1 comment={written}").get("comment") == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("$gw", Template((Variable("gw"),))),
        ('$"gw-1"', Template((Variable("gw-1"),))),
        ("($gw)", Template((Variable("gw"),))),
        ('(($"gw-1"))', Template((Variable("gw-1"),))),
        ('"$gw"', Template((Variable("gw"),))),
        ('"a$gw%b"', Template(("a", Variable("gw"), "%b"))),
        ("$gw%ether1", Template((Variable("gw"), "%ether1"))),
        ('"$(1 + 2)"', Code("(1 + 2)", 1)),
        ('"a$[:len "x]"]"', Template(("a", Code('[:len "x]"]', 1)))),
        ("[:resolve a.example]", Code("[:resolve a.example]", 1)),
        ("($a . $b)", Code("($a . $b)", 1)),
        ("{1;2}", Code("{1;2}", 1)),
    ],
)
def test_values_that_only_the_running_script_knows(written: str, meant: object) -> None:
    assert only(f"/ip route add gateway={written} distance=1").get("gateway") == meant


def test_bytes_of_windows_1252_and_beyond() -> None:
    assert only(b"/ip route add comment=caf\xe9 gateway=x").get("comment") == "café"
    assert only(b"/ip route add comment=b\x93a\x94 gateway=x").get("comment") == "b“a”"
    assert only(b"/ip route add comment=\x81 gateway=x").get("comment") == "\x81"
    assert only("/ip route add comment=café gateway=x".encode()).get("comment") == "café"


def test_carriage_returns_within_a_line_are_blanks() -> None:
    assert given(only("/ip route add distance=1\rgateway=x\n")) == {"distance": "1", "gateway": "x"}


@pytest.mark.parametrize(
    ("conditions", "alternatives"),
    [
        ("", ((),)),
        ("where", ((),)),
        ("comment=isp1", ((FindTerm("comment", "=", "isp1"),),)),
        ('where comment="isp 1"', ((FindTerm("comment", "=", "isp 1"),),)),
        ("a=1 b=2", ((FindTerm("a", "=", "1"), FindTerm("b", "=", "2")),)),
        ("a=1 and b!=2", ((FindTerm("a", "=", "1"), FindTerm("b", "!=", "2")),)),
        ("a=1 && b~2", ((FindTerm("a", "=", "1"), FindTerm("b", "~", "2")),)),
        ("a=1 or b=2", ((FindTerm("a", "=", "1"),), (FindTerm("b", "=", "2"),))),
        ("disabled", ((FindTerm("disabled", "=", "yes"),),)),
        ("!dynamic", ((FindTerm("dynamic", "!=", "yes"),),)),
        ("distance>1", ((FindTerm("distance", ">", "1"),),)),
        ("comment=$x", ((FindTerm("comment", "=", Template((Variable("x"),))),),)),
        ("(a=1 or b=2) c=3",
         ((FindTerm("a", "=", "1"), FindTerm("c", "=", "3")), (FindTerm("b", "=", "2"), FindTerm("c", "=", "3")))),
        ("([:len $x]) > 3", None),
    ],
)  # fmt: skip
def test_find(conditions: str, alternatives: object) -> None:
    statement = only(f"/ip route set [ find {conditions} ] distance=2")
    (found,) = statement.positional
    assert isinstance(found, FindExpression)
    assert (found.menu, found.alternatives) == (None, alternatives)


@pytest.mark.parametrize("path", ["/ip route", "/ip/route", "ip route", "/ip/route/"])
def test_find_in_another_menu(path: str) -> None:
    (found,) = only(f"/ip route set [{path} find comment=a] distance=2").positional
    assert isinstance(found, FindExpression)
    assert found.menu == ("ip", "route")


def test_selectors() -> None:
    assert only("/ip route set 0 distance=2").positional == ("0",)
    assert only("/ip route set numbers=0,1 distance=2").get("numbers") == "0,1"
    assert only("/interface ethernet set ether1 name=a").positional == ("ether1",)
    assert only("/ip route remove 3").positional == ("3",)
    assert only("/ip firewall mangle add chain=a place-before=0").get("place-before") == "0"


def test_flags_and_unset_properties() -> None:
    table = only("/routing table add disabled=no fib name=isp1")
    assert table.flags == ("fib",)
    assert only("/ip route add blackhole dst-address=10.0.0.0/8").flags == ("blackhole",)
    assert only("/routing table add fib=yes name=a").get("fib") == "yes"
    verbose = only("/ip firewall mangle add chain=a !connection-mark !src-addr action=accept")
    # `src-addr` stands for several properties, so it stays as it is.
    assert verbose.unset == ("connection-mark", "src-addr")


def test_comments() -> None:
    first, menu, second, command = read("# one\n  # two\n/ip route # three\n#four\nadd gateway=x # five; }\n")
    assert (first.kind, first.text, first.origin.line, first.last_line) == (Kind.COMMENT, "# one\n  # two", 1, 2)
    assert menu.kind is Kind.MENU
    assert second.text == "#four"
    assert given(command) == {"gateway": "x"}


def test_scripting_statements_are_kept() -> None:
    text = ":local x 5\n:foreach i in=[/ip route find] do={\n  /ip route set $i distance=2\n}\n"
    text += ':if ($x=1) do={:put "}"} else={}'
    local, loop, condition = read(text)
    assert {each.kind for each in (local, loop, condition)} == {Kind.SCRIPT}
    assert (local.command, local.positional) == ("local", ("x", "5"))
    assert (loop.command, loop.origin.line, loop.last_line) == ("foreach", 2, 4)
    assert loop.positional == ("i",)
    assert isinstance(loop.get("in"), FindExpression)
    (inner,) = loop.body
    assert (inner.menu, inner.command, inner.origin.line) == (("ip", "route"), "set", 3)
    assert inner.positional == (Template((Variable("i"),)),)
    assert [each.command for each in condition.body] == ["put"]


def test_scripting_statements_without_their_colon() -> None:
    text = 'if (($"bound")=1) do={\nlocal gwip ($"gateway-address")\nlog info $gwip\n}\n'
    (condition,) = read(text)
    assert condition.command == "if"
    assert [(each.kind, each.command) for each in condition.body] == [(Kind.SCRIPT, "local"), (Kind.SCRIPT, "log")]
    assert condition.body[0].positional == ("gwip", Template((Variable("gateway-address"),)))


def test_calls_and_bracketed_commands() -> None:
    call, bracketed = read("/ip route\n$myFunction a=1\n[/ip route disable 0]")[1:]
    assert (call.kind, call.text) == (Kind.SCRIPT, "$myFunction a=1")
    assert bracketed.text == "[/ip route disable 0]"


def test_a_script_in_a_string_and_in_braces() -> None:
    text = '/system script\nadd name=a source="/ip route\\r\\\n    \\n\\tset 0 distance=\\"1\\""\n'
    text += 'add name=b source={\n:put "}"\n}'
    first, second = commands(text)
    assert first.get("source") == '/ip route\r\n\tset 0 distance="1"'
    assert second.get("source") == Code('{\n:put "}"\n}', 4)
    assert second.last_line == 6


def test_a_string_of_a_script_may_run_over_lines() -> None:
    statement = only('/system script add name=a source="\n:put 1\n:put 2\n"')
    assert statement.get("source") == "\n:put 1\n:put 2\n"
    assert statement.last_line == 4


def test_a_menu_outside_routing_takes_any_property() -> None:
    statement = only("/routing ospf interface-template add area=a passive .x=1")
    assert given(statement) == {"area": "a", ".x": "1"}
    assert statement.positional == ("passive",)


def test_commands_that_configure_nothing_are_kept() -> None:
    text = "/ip route\nprint where distance>1\nexport\n/system reboot\n/tool fetch url=http://a.example/ mode=http\n"
    assert [each.command for each in commands(text)] == ["print", "export", "reboot", "fetch"]
