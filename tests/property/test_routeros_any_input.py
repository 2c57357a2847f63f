"""Whatever a file has in it, reading it ends, soon, without an exception, and with nothing dropped in silence."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.formats.routeros import Kind, Parsed, parse
from evenflow.formats.routeros.source import decode

SEED = (Path(__file__).parents[2] / "examples" / "seed.rsc").read_text()

#: What a line may have and still say nothing.
SAYS_NOTHING = " \t\v\f;\\"

#: Processor seconds that any input may take, and seconds per character beyond: ten times what a small machine needs.
#: This stands for the deadline of hypothesis, which also counts what other programs take.
PATIENCE_S, PATIENCE_PER_CHARACTER_S = 1.0, 1e-4

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
        "99999999999999 ",
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


def check(source: bytes | str) -> Parsed:
    started = time.process_time()
    parsed = parse(source, "r.rsc")
    taken = time.process_time() - started
    assert taken < PATIENCE_S + PATIENCE_PER_CHARACTER_S * len(source)
    lines = decode(source).split("\n")
    told = {finding.code for finding in parsed.findings}
    covered = {line for each in parsed.statements for line in range(each.origin.line, each.last_line + 1)}
    if "not-routeros" not in told and "too-long" not in told:
        for number, line in enumerate(lines, 1):
            assert number in covered or not line.strip().strip(SAYS_NOTHING), (number, line)
    for finding in parsed.findings:
        assert 1 <= finding.where.line <= len(lines), finding
        assert finding.message
    if any(each.kind is Kind.UNKNOWN for each in parsed.statements):
        assert told & {"not-a-command", "syntax", "no-menu", "not-routeros"}
    assert [finding.where.line for finding in parsed.findings] == sorted(f.where.line for f in parsed.findings)
    return parsed


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(source: bytes) -> None:
    check(source)


@settings(deadline=None)
@given(st.text(max_size=400))
def test_random_text(text: str) -> None:
    check(text)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_the_seed_mutated(text: str) -> None:
    check(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_pieces_of_scripts_in_any_order(text: str) -> None:
    check(text)
    check("/ip route\nadd gateway=192.0.2.1\nadd gateway=192.0.2.2\n" + text)


BRACKETS = st.sampled_from(["{", "}", "[", "]", "(", ")", '"', ":if (1) do={", " }", "$[", "$(", "\n", "x"])


@settings(deadline=None)
@given(st.lists(BRACKETS, max_size=60).map("".join))
def test_nesting(text: str) -> None:
    check(text)
    check("/ip route add comment=" + text)


@settings(deadline=None)
@given(
    st.integers(1, 20_000),
    st.sampled_from(["{", "[", "(", '"', "$(", "$[", '"$(', ":if (1) do={", "{ ", "{\n", "do={"]),
)
def test_nesting_without_end(depth: int, opening: str) -> None:
    check("/ip route\nadd comment=" + opening * depth)
    check("/ip route\n" + opening * depth)


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
