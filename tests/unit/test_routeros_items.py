"""What `set`, `remove`, `enable`, `disable`, `move` and `unset` do to items made before."""

from __future__ import annotations

import pytest

from evenflow.formats.routeros import Parsed, parse

THREE = "/ip route\nadd comment=a gateway=192.0.2.1\nadd comment=b gateway=192.0.2.2\nadd comment=c gateway=192.0.2.3\n"


def codes(parsed: Parsed) -> list[tuple[str, str]]:
    return [(finding.severity.value, finding.code) for finding in parsed.findings]


def distances(text: str) -> dict[str, int]:
    parsed = parse(THREE + text)
    assert parsed.findings == ()
    return {route.comment: route.distance for route in parsed.router.routes}


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("0", "a"),
        ("0,2", "ac"),
        ("numbers=1", "b"),
        ("numbers=[find comment=c]", "c"),
        ("[find]", "abc"),
        ("[find comment=b]", "b"),
        ('[ find where comment="b" ]', "b"),
        ("[find com=b]", "b"),
        ("[find comment!=b]", "ac"),
        ("[find comment=a or comment=c]", "ac"),
        ("[find comment=a and gateway=192.0.2.1]", "a"),
        ("[find (comment=a or comment=b) gateway=192.0.2.2]", "b"),
        ('[find comment~"^[abc]"]', None),
        ('[find gateway~"2.2$"]', "b"),
        ('[find gateway~"192\\\\.0"]', "abc"),
        ("[find disabled=no]", "abc"),
        ("[find !disabled]", "abc"),
        ("[find dynamic=no dst-address=0.0.0.0/0 distance=1 routing-table=main]", "abc"),
        ("[/ip route find comment=a]", "a"),
    ],
)
def test_what_is_selected(selector: str, chosen: str | None) -> None:
    if chosen is None:
        parsed = parse(f"{THREE}set {selector} distance=9")
        assert codes(parsed) == [("error", "unsupported-find")]
        assert all(route.distance == 1 for route in parsed.router.routes)
    else:
        assert distances(f"set {selector} distance=9") == {name: 9 if name in chosen else 1 for name in "abc"}


def test_commands_one_after_another() -> None:
    text = "disable [find comment=a]\nremove 1\nset 1 distance=4\nenable 0\n"
    assert distances(text) == {"a": 1, "c": 4}


def test_disabled_items_are_left_out_and_come_back() -> None:
    assert set(distances("set [find comment=b] disabled=yes")) == {"a", "c"}
    assert set(distances("set 1 disabled=yes\nset 1 disabled=no")) == {"a", "b", "c"}


def test_unset() -> None:
    assert distances("set 0 distance=7\nset 0 !distance") == {"a": 1, "b": 1, "c": 1}
    assert distances("set 0 distance=7\nunset 0 distance") == {"a": 1, "b": 1, "c": 1}
    assert distances("set 0 distance=7\nunset 0 value-name=distance") == {"a": 1, "b": 1, "c": 1}


def chains(text: str) -> str:
    parsed = parse("/ip firewall mangle\nadd chain=a\nadd chain=b\nadd chain=c\n" + text)
    assert parsed.findings == ()
    return "".join(rule.chain for rule in parsed.router.mangle)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("add chain=x place-before=0", "xabc"),
        ("add chain=x place-before=2", "abxc"),
        ("add chain=x place-before=[find chain=b]", "axbc"),
        ("add chain=x place-before=0\nadd chain=y place-before=1", "xyabc"),
        ("move 2 0", "cab"),
        ("move [find chain=a] destination=2", "bac"),
        ("move 0", "bca"),
        ("add copy-from=1", "abcb"),
        ("set 0 chain=x", "xbc"),
        ("remove [find]\nadd chain=x", "x"),
        ("remove [find chain=q]", "abc"),
        ("remove 0,1", "c"),
    ],
)
def test_order(text: str, order: str) -> None:
    assert chains(text) == order


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("set 7 distance=2", ("warning", "no-such-item")),
        ("set [find comment=x] distance=2", ("warning", "no-such-item")),
        ("disable [find comment=x]", ("warning", "no-such-item")),
        ("add gateway=192.0.2.1 place-before=9", ("warning", "no-such-item")),
        ("set [find active] distance=2", ("error", "unsupported-find")),
        ("set [find distance>1] distance=2", ("error", "unsupported-find")),
        ("set [find comment=$x] distance=2", ("error", "unsupported-find")),
        ("set $x distance=2", ("error", "unsupported-find")),
        ("edit 0 comment", ("warning", "unsupported-command")),
        ("set 0 distanse=2", ("error", "unknown-property")),
    ],
)
def test_what_cannot_be_done_is_told(text: str, found: tuple[str, str]) -> None:
    assert codes(parse(THREE + text)) == [found]


def test_selecting_everything_where_nothing_is_is_no_mistake() -> None:
    assert parse("/ip route set [find] distance=2").findings == ()


def test_variables_with_values_in_the_file() -> None:
    text = ':local gw 192.0.2.7\n:global table "isp1"\n:global list [/ip route find comment=a]\n'
    text += (
        THREE + 'set $list gateway=$gw\nadd comment=d gateway=$gw%ether1 routing-table="$table"\n:set gw 192.0.2.8\n'
    )
    parsed = parse(text + "add comment=e gateway=$gw")
    assert parsed.findings == ()
    found = {route.comment: route for route in parsed.router.routes}
    assert str(found["a"].gateways[0]) == str(found["d"].gateways[0]).replace("'ether1'", "None")
    assert found["d"].table == "isp1"
    assert "192.0.2.8" in str(found["e"].gateways[0])


def test_a_variable_that_a_block_sets_is_not_known() -> None:
    text = ":local gw 192.0.2.7\n:if ([:resolve x] = 1) do={ :set gw 192.0.2.8 }\n/ip route add gateway=$gw"
    assert codes(parse(text)) == [("error", "computed-value")]


def test_commands_in_blocks_of_which_only_the_running_router_knows_are_not_run() -> None:
    parsed = parse("/ip route\n:foreach i in=[/interface find running] do={\nadd gateway=192.0.2.1\n}\n")
    assert codes(parsed) == [("error", "script-not-run")]
    assert parsed.findings[0].where.line == 2
    assert parsed.router.routes == ()


def test_interfaces_of_all_kinds_in_one_menu() -> None:
    text = "/interface bridge add name=b\n/interface vlan add name=v interface=b\n/interface disable v\n"
    assert [each.name for each in parse(text).router.interfaces] == ["b"]


def test_a_file_that_selects_without_end_is_stopped() -> None:
    text = "/ip route\n" + "add gateway=192.0.2.1 comment=x\n" * 4000 + "set [find comment=y] distance=2\n" * 2000
    assert ("error", "unsupported-find") in codes(parse(text))
