"""Whatever a file has in it, reading it ends, soon, without an exception, and with nothing dropped in silence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.formats.routeros import parse
from reading_holds import must_hold

SEED = (Path(__file__).parents[2] / "examples" / "seed.rsc").read_text()

PIECES = st.sampled_from(
    [
        "{", "}", "[", "]", "(", ")", '"', "\\", "\\\n", "\n", "\r\n", ";", "#", "$", "!", "=", ":", "/", ",", "~",
        "..", " ", "\t", "\x00", "é", "\x85", "\u2028", "add ", "set ", "set 0 ", "remove 0", "disable ", "move 0 1",
        "unset 0 a", "find ", "[find]", "[find comment=isp1]", "[ find a=b or (c~d) ]", ":if (1) do={", "} else={",
        ":local x ",
        ":foreach i in=[find] do={", "$x", '$"gateway-address"', "/ip firewall mangle\n", "/ip route\n", "/ip/route ",
        "/interface list\n", "/interface ethernet\n", "/ip dhcp-client\n", "/routing rule ", "/nonsense x\n",
        "ip fi nat ", "chain=prerouting ", "action=mark-connection ", "new-connection-mark=a ", "gateway=192.0.2.1 ",
        "comment=isp1 ",
        "per-connection-classifier=\\\n    both-addresses:2/3 ", "place-before=0 ", "copy-from=0 ", "name=a ",
        "include=a ", "interface=a ", "list=a ", 'script="/ip route set [find] gateway=\\$\\"gateway-address\\"" ',
        "prose, mostly ", "/tool netwatch add host=9.9.9.9 ", 'up-script="/ip route enable [find comment=isp1]" ',
        'down-script="/ip route set [find] distance=7" ', "up-script=a ", "check-gateway=ping ", "check-gateway=arp ",
        '/system script add name=a source="/system script run a; /ip route disable 0" ', "/routing settings set ",
        "check-gateway-ping-interval=1s ",
        "\\41", '"\\C3\\A9"', "numbers=0 ", "disabled=yes ", "!comment ", "blackhole ", "fib ", "0,1 ",
        "99999999999999 ", ":for i from=0 to=9 do={", ":foreach k,v in={a=1;\"b\"=$x} do={", ":while ($x < 9) do={",
        ":while (true) do={", ":set x ($x . $x)", ":set x ($x + 1)", ":global f do={", "$f ", "$f a=1 ", "(", "$x->0",
        "([:len $x] = 0)", "[:pick $x 0 2]", "[/ip route get [find] gateway]", "{{1;2};{3}}", "(1,2)", ":local x 0\n",
        "$i", "“", "”a b” ", "chain=dstnat action=jump jump-target=a\n",
        "chain=a action=return protocol=tcp dst-port=1\n",
        "in-interface=all-ppp ", "nth=2,1 ", "/ppp profile add name=p ", 'on-up="/ip route add gateway=\\$interface" ',
        "/interface pppoe-client add name=q profile=p ", "per-connection-classifier=\n", "print\n", ":execute ",
        "\u200b", "\u200badd ", "\u00ad", "\ufeff", "[code]", "[/code]\n", "</p>\n", "<br>", "\\\n\\... ", "\\\n... ",
        "1) ", "- ", "• /ip route add ", "”", "\n 0   chain=prerouting action=accept\n", "\n 1   ;;; x\n",
    ]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The seed with some pieces of it cut out, doubled, or replaced."""
    text = SEED
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        match draw(st.sampled_from(["cut", "double", "put"])):
            case "cut":
                text = text[:start] + text[end:]
            case "double":
                text = text[:end] + text[start:]
            case _:
                text = text[:start] + draw(PIECES) + text[end:]
    return text


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(source: bytes) -> None:
    must_hold(source)


@settings(deadline=None)
@given(st.text(max_size=400))
def test_random_text(text: str) -> None:
    must_hold(text)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_the_seed_mutated(text: str) -> None:
    must_hold(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_pieces_of_scripts_in_any_order(text: str) -> None:
    must_hold(text)
    must_hold("/ip route\nadd gateway=192.0.2.1\nadd gateway=192.0.2.2\n" + text)


BRACKETS = st.sampled_from(["{", "}", "[", "]", "(", ")", '"', ":if (1) do={", " }", "$[", "$(", "\n", "x"])


@settings(deadline=None)
@given(st.lists(BRACKETS, max_size=60).map("".join))
def test_nesting(text: str) -> None:
    must_hold(text)
    must_hold("/ip route add comment=" + text)


@settings(deadline=None)
@given(
    st.integers(1, 20_000),
    st.sampled_from(["{", "[", "(", '"', "$(", "$[", '"$(', ":if (1) do={", "{ ", "{\n", "do={"]),
)
def test_nesting_without_end(depth: int, opening: str) -> None:
    must_hold("/ip route\nadd comment=" + opening * depth)
    must_hold("/ip route\n" + opening * depth)


@settings(deadline=None)
@given(mutated())
def test_reading_is_a_function_of_the_text(text: str) -> None:
    assert parse(text, "a") == parse(text, "a")
    assert parse(text.encode("utf-8", "surrogatepass").decode("utf-8"), "a") == parse(text.encode(), "a")


@pytest.mark.parametrize(
    "line",
    [
        'add comment="\n', "add comment=[\n", "add script={ \n", 'add script="\n', "set [find a=b or c=d] distance=2\n",
        "add comment=(]\n", "add comment=[find (((((((((((((\n", "{\n}\n", "a\n", "}\n", "/x\n", "/ip foo bar\n",
        "$a\n", ":if (1) do={\n", 'add comment="$(\n', 'add comment="\\\n', "add comment=\\\n",
        "add chain=a place-before=0\n", "add gateway=10.0.0.1 check-gateway=ping\n",
        '/tool netwatch add host=9.9.9.9 up-script="/ip route enable 0" down-script="/ip route disable [find]"\n',
    ],
)  # fmt: skip
def test_work_grows_with_the_length_alone(line: str) -> None:
    """Twice the lines take twice the calls: counted, not timed, so that the machine has no say in it."""
    lines = 400

    def calls(count: int) -> int:
        made = 0

        def count_call(_frame: object, event: str, _argument: object) -> None:
            nonlocal made
            made += event in ("call", "c_call")

        text = "/ip route\n" + line * count
        before = sys.getprofile()
        sys.setprofile(count_call)
        try:
            parse(text)
        finally:
            sys.setprofile(before)
        return made

    assert calls(2 * lines) < 2.2 * calls(lines) + 200


def test_twenty_thousand_lines_are_read() -> None:
    rule = (
        "add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new "
        'in-interface=br{0} new-connection-mark=isp{0} passthrough=yes comment="rule {0}" '
        "per-connection-classifier=both-addresses:20/{1}"
    )
    text = "/ip firewall mangle\n" + "\n".join(rule.format(number, number % 20) for number in range(20_000))
    parsed = parse(text)
    assert len(parsed.router.mangle) == 20_000
