"""What scripts come to: expressions, variables, loops, functions, as far as the file tells."""

from __future__ import annotations

import gc

import pytest

from evenflow.formats.routeros import Parsed, parse, running
from evenflow.model.router import AddressGateway

#: Variables that the expressions below speak of, and a route to find.
GIVEN = """
:local x 3
:local name isp1
:local list {10;20;30}
:local map {a="one"; "b"=two}
:local nested {{"ether1";1};{"ether2";2}}
/ip route add gateway=192.0.2.9 comment=known distance=7
"""


def comment(written: str) -> str:
    """What a comment that is given as an expression comes to; "" if only the running script knows."""
    parsed = parse(f"{GIVEN}/ip route add gateway=192.0.2.1 comment={written}")
    assert parsed.findings == ()
    return parsed.router.routes[-1].comment


def codes(parsed: Parsed) -> list[tuple[str, str]]:
    return [(finding.severity.value, finding.code) for finding in parsed.findings]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('("to_" . $name)', "to_isp1"),
        ('("to_" . $name . "_" . $x)', "to_isp1_3"),
        ('"to_$name-$x"', "to_isp1-3"),
        ('"n$($x + 1)"', "n4"),
        ('"n$[:len $name]"', "n4"),
        ("($x + 2 * 3)", "9"),
        ("(($x + 2) * 3)", "15"),
        ("($x - 5)", "-2"),
        ("(-$x)", "-3"),
        ("(7 / 2)", "3"),
        ("(-7 / 2)", "-3"),
        ("(7 % 4)", "3"),
        ("(2 < 10)", "true"),
        ("(2 > 10)", "false"),
        ("(10 <= 10)", "true"),
        ("(10 >= 11)", "false"),
        ('("2" = 2)', "true"),
        ('("a" != "b")', "true"),
        ('($name ~ "^isp")', "true"),
        ('($name ~ "^wan")', "false"),
        ("(!($x = 3))", "false"),
        ("($x = 3 && $name = isp1)", "true"),
        ("($x = 4 or $name = isp1)", "true"),
        ("($x = 3 and $x = 4)", "false"),
        ("($list->1)", "20"),
        ('($map->"a")', "one"),
        ('($map->"b")', "two"),
        ("($nested->1->0)", "ether2"),
        ("[:len $list]", "3"),
        ("[:len $name]", "4"),
        ("[:len [/ip route find]]", "1"),
        ("[:len [/ip route find comment=nobody]]", "0"),
        ("[:pick $name 0 3]", "isp"),
        ("[:pick $name 3]", "1"),
        ("[:pick $list 2]", "30"),
        ("[:len [:pick $list 0 2]]", "2"),
        ('[:len [:toarray "a,b,c"]]', "3"),
        ("[:tostr $x]", "3"),
        ("([:tonum $x] + 1)", "4"),
        ("[/ip route get [find comment=known] distance]", "7"),
        ("(198.51.100.1 . %ether1)", ""),  # what a bare % is here nobody knows
        ('(198.51.100.1 . "%ether1")', "198.51.100.1%ether1"),
    ],
)
def test_expressions(written: str, meant: str) -> None:
    assert comment(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "$nobody",
        '("a" . $nobody)',
        '("a" . $x + 1)',
        "($x / 0)",
        "($x % 0)",
        "($name + 1)",
        "($list . 1)",
        "($list->7)",
        '($map->"c")',
        "($map->0)",
        "(!$name)",
        "($name in $list)",
        '($name ~ "(i|s)+")',
        "[:resolve a.example]",
        "[:pick $name 3 1]",
        "[:len $x $x]",
        "[/system identity get name]",
        "[/ip route get [find] distance; :put 1]",
        "[/ip route get [find comment=nobody] distance]",
        "[/ip route get 0 nothing]",
        "($x +)",
        "(1.2.3)",
        "{1;2}",
        "$list",
        "[find]",
    ],
)
def test_values_that_only_the_running_script_knows(written: str) -> None:
    assert comment(written) == ""


def gateways(text: str) -> list[str]:
    parsed = parse(text)
    assert parsed.findings == ()
    return [str(gateway.address) for each in parsed.router.routes for gateway in each.gateways
            if isinstance(gateway, AddressGateway)]  # fmt: skip


def test_a_loop_variable_is_gone_behind_its_loop() -> None:
    parsed = parse(":for i from=1 to=2 do={ :put $i }\n/ip route add gateway=$i")
    assert codes(parsed) == [("error", "computed-value")]


def test_a_set_in_a_block_holds_behind_it_and_a_local_does_not() -> None:
    text = ":local gw 192.0.2.1\n:do {{ {} gw 192.0.2.2 }}\n/ip route add gateway=$gw"
    assert gateways(text.format(":set")) == ["192.0.2.2"]
    assert gateways(text.format(":local")) == ["192.0.2.1"]


def test_a_function_has_its_arguments_and_no_others() -> None:
    text = ":local route do={ /ip route add gateway=$gw distance=$1 }\n$route 5 gw=192.0.2.1\n$route 6\n"
    parsed = parse(text)
    assert [each.distance for each in parsed.router.routes] == [5]
    assert codes(parsed) == [("error", "computed-value")]


def test_a_function_that_is_never_called_does_nothing() -> None:
    assert gateways(":global f do={ /ip route add gateway=192.0.2.1 }\n/ip route add gateway=192.0.2.2") == [
        "192.0.2.2"
    ]


def test_items_are_found_as_they_are_when_the_loop_begins() -> None:
    loop = ":foreach r in=[/ip route find] do={ /ip route add copy-from=$r gateway=192.0.2.2 }"
    assert gateways(f"/ip route add gateway=192.0.2.1\n{loop}") == ["192.0.2.1", "192.0.2.2"]


def test_an_item_that_is_gone_is_not_selected() -> None:
    text = "/ip route add gateway=192.0.2.1 comment=a\n:foreach r in=[/ip route find] do={ /ip route remove $r; "
    assert codes(parse(text + "/ip route set $r distance=2 }")) == [("warning", "no-such-item")]


def test_a_loop_that_takes_too_long_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_MOST_RUN", 50)
    text = "/ip route add gateway=192.0.2.1\n:for i from=1 to=1000 do={ /ip route add gateway=192.0.2.2 }"
    parsed = parse(text)
    assert codes(parsed) == [("error", "script-not-run")]
    assert "goes on for too long" in parsed.findings[0].message
    assert len(parsed.router.routes) == 1


def test_a_script_calls_itself_without_end() -> None:
    parsed = parse(":global f do={ /ip route add gateway=192.0.2.1; $f }\n$f\n/ip route add gateway=192.0.2.2")
    assert [each.origin.line for each in parsed.router.routes] == [3]
    assert codes(parsed) == [("error", "script-not-run")]


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_afterwards_as_before(was_on: bool) -> None:  # noqa: FBT001  # a parameter of pytest's
    before = gc.isenabled()
    (gc.enable if was_on else gc.disable)()
    try:
        parse("/ip route add gateway=192.0.2.1")
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()
