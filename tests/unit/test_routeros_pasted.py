"""Scripts that were copied from web pages, forums, letters and terminals."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest

from evenflow.formats.routeros import Kind, Parsed, parse, parse_statements
from evenflow.formats.routeros.mending import Mended, mend
from evenflow.formats.routeros.mending.spans import with_property, without_property
from evenflow.model.finding import Origin, Severity
from evenflow.model.router import AddressGateway

if TYPE_CHECKING:
    from evenflow.model.router import Gateway

ROUTES = "/ip route\nadd gateway=192.0.2.1\nadd gateway=198.51.100.1 distance=2\n"


def told(text: str) -> list[tuple[int, str]]:
    return [(finding.where.line, finding.code) for finding in parse(text, "r.rsc").findings]


def routes(parsed: Parsed) -> list[tuple[str, int]]:
    return [(gateway(route.gateways[0]), route.distance) for route in parsed.router.routes]


def gateway(given: Gateway) -> str:
    assert isinstance(given, AddressGateway)
    return str(given.address)


def mended(text: str) -> Mended:
    found = mend(text.encode(), "r.rsc")
    assert found is not None
    return found


# --- tags ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[code]/ip route\nadd gateway=192.0.2.1\nadd gateway=198.51.100.1 distance=2[/code]\n",
        "[CODE=rsc] /ip route\nadd gateway=192.0.2.1 [/b]\n[b]add gateway=198.51.100.1 distance=2[/b][/CODE]\n",
        '[quote="me"][code]\n/ip route\nadd gateway=192.0.2.1<br>\n[i]add gateway=198.51.100.1 distance=2[/i]</p>\n',
    ],
)
def test_tags_of_a_forum_are_not_read(text: str) -> None:
    parsed = parse(text)
    assert [finding.code for finding in parsed.findings] == ["page-tags"]
    assert routes(parsed) == routes(parse(ROUTES))
    fixed = mended(text)
    assert "page-tags" in [each.finding.code for each in fixed.mends]
    assert told(fixed.source.decode()) == []


@pytest.mark.parametrize("line", ["# <b>one</b></p>", "  #[code]", "#</span>", "set [ find distance=1 ] comment=[b]x"])
def test_tags_in_comments_and_within_a_line_stay(line: str) -> None:
    text = f"/ip route\n{line}\nadd gateway=192.0.2.1<br />\n"
    assert (3, "page-tags") in told(text)
    assert mended(text).source.decode().splitlines()[1] == line
    assert "<br" not in mended(text).source.decode()
    assert (1, "page-tags") not in told(text.replace("<br />", ""))


def test_comments_alone_have_no_tags_to_tell_of() -> None:
    text = f"# <b>first</b> and <span>second</span>\n{ROUTES}"
    assert told(text) == []
    assert parse_statements(text).statements[0].text == "# <b>first</b> and <span>second</span>"
    assert [each.kind for each in parse_statements(text).statements].count(Kind.COMMENT) == 1


# --- lists ---------------------------------------------------------------------------------------------------------

MARKS = ["1) ", "1. ", "(2) ", "a) ", "- ", "* ", "+ ", "• ", "– ", "  - ", "12 ", " 7\t"]


@pytest.mark.parametrize("mark", [*MARKS, "1)", "-", "•"])
def test_a_command_behind_the_mark_of_a_list_is_a_command(mark: str) -> None:
    text = f"{mark}/ip route add gateway=192.0.2.1\n{mark}/ip route\nadd gateway=198.51.100.1 distance=2\n"
    parsed = parse(text, "r.rsc")
    assert routes(parsed) == routes(parse(ROUTES))
    (finding,) = parsed.findings
    assert (finding.code, finding.severity) == ("page-tags", Severity.WARNING)
    assert finding.where == Origin("r.rsc", 1, mark.strip())
    fixed = mended(text).source.decode().splitlines()
    indent = mark[: len(mark) - len(mark.lstrip())]
    assert fixed[0].startswith(f"{indent}/ip route add ")
    assert fixed[1] == f"{indent}/ip route"


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(
    "said",
    [
        "add gateway=198.51.100.1 distance=2",
        "ip route add gateway=198.51.100.1 distance=2",
        "add dist=2 gat=198.51.100.1",
    ],
)
def test_a_command_without_a_menu_behind_the_mark_of_a_list(mark: str, said: str) -> None:
    text = f"/ip route\nadd gateway=192.0.2.1\n{mark}{said}\n"
    assert told(text) == [(3, "page-tags")]
    assert routes(parse(text)) == routes(parse(ROUTES))
    assert told(mended(text).source.decode()) == []


@pytest.mark.parametrize(
    "line",
    [
        "- /ip route is where the routes are",
        "1) /ip",
        "2. add the routes",
        "- add a route with gateway=192.0.2.9 for each line",
        "* local network is a=b",
        "- if you like, comment=x",
        "- set the gateway",
        "- /ip route add the other ones",
        "- the gateway=192.0.2.9",
        "2 /ip route entries",
        "3 routes with distance=2",
        "1 set of routes",
        "3 ip routes with distance=2",
        "10.0.0.0/8",
        "-add gateway=192.0.2.9",
    ],
)
def test_a_sentence_behind_the_mark_of_a_list_is_a_sentence(line: str) -> None:
    text = f"/ip route\nadd gateway=192.0.2.1\n{line}\n"
    assert told(text) == [(3, "not-a-command")]
    assert parse(text).statements[-1].text == line
    assert f"\n{line}\n" in mended(text).source.decode()


def test_what_is_wrong_with_a_command_behind_the_mark_of_a_list_is_told() -> None:
    assert told("/ip route\n- add gateway=192.0.2.1 here\n") == [(2, "syntax")]
    assert told('/ip route\nadd gateway=192.0.2.1\n1) /ip route add comment="x\n') == [(3, "syntax")]
    assert told("- add chain=prerouting action=accept\n") == [(1, "no-menu")]


# --- prompts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["\\... ", "... ", "   ... ", "\\...\t", "\\...    "])
def test_the_prompt_of_the_rest_of_a_command_is_not_read(prompt: str) -> None:
    text = (
        f"[admin@office] /ip route> add gateway=\\\n{prompt}192.0.2.1 \\\n{prompt}distance=7 \\  \n{prompt}comment=a\n"
    )
    parsed = parse(f"{text}add gateway=198.51.100.1")
    assert [finding.code for finding in parsed.findings] == []
    assert routes(parsed) == [("192.0.2.1", 7), ("198.51.100.1", 1)]


def test_what_looks_like_a_prompt_is_read_within_a_string_and_where_nothing_goes_on() -> None:
    (_, command) = parse_statements('/ip route\nadd comment="to be \\\n... continued" gateway=192.0.2.1').statements
    assert command.get("comment") == "to be ... continued"
    assert told("/ip route\nadd gateway=192.0.2.1\n... and so on\n") == [(3, "syntax")]


def test_behind_a_prompt_a_property_is_changed_and_taken_out() -> None:
    text = "add gateway=192.0.2.1 \\\n\\... distance=7 \\\n\\... comment=a"
    assert with_property(text, ("ip", "route"), "distance", "8") == text.replace("7", "8")
    assert without_property(text, ("ip", "route"), "comment") == "add gateway=192.0.2.1 \\\n\\... distance=7"
    assert without_property(text, ("ip", "route"), "distance") == "add gateway=192.0.2.1 \\\n\\... comment=a"


# --- quotation marks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('”"', ""),
        ('"”', ""),
        ('“to the first line"', "to the first line"),
        ('"to the first line”', "to the first line"),
        ('„first"', "first"),
    ],
)
def test_a_typographic_quotation_mark_pairs_with_a_plain_one(written: str, meant: str) -> None:
    for text in (
        f"add gateway=192.0.2.1 comment={written}",
        f"add comment={written} gateway=192.0.2.1",
        f'add comment={written} gateway="192.0.2.1"',
        f"add comment={written} \\\n    gateway=192.0.2.1",
        f'add comment={written} \\\n    gateway="192.0.2.1"',
        f"add comment={written} gateway=“192.0.2.1”",
        f"add comment={written} gateway=192.0.2.1;",
    ):
        script = f"/ip route\n{text}\n"
        parsed = parse(script)
        assert [(each.where.line, each.code) for each in parsed.findings] == [(2, "typographic-quotes")]
        assert parsed.statements[1].get("comment") == meant
        assert routes(parsed) == [("192.0.2.1", 1)]
        fixed = mended(script)
        assert "typographic-quotes" in [each.finding.code for each in fixed.mends]
        assert parse(fixed.source).statements[1].get("comment") == meant
        assert routes(parse(fixed.source)) == routes(parsed)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"a tube of 5” diameter"', "a tube of 5” diameter"),
        ('"a tube of 5” distance=7"', "a tube of 5” distance=7"),
        ('"said “so” and so"', "said “so” and so"),
        ("5”", "5”"),
        ('"“a”"', "“a”"),
        ('"distance="', "distance="),
        ('"$x distance="', None),
    ],
)
def test_a_typographic_quotation_mark_within_a_string_is_a_letter(written: str, meant: str | None) -> None:
    for text in (f"add gateway=192.0.2.1 comment={written}", f'add comment={written} gateway="192.0.2.1"'):
        parsed = parse_statements(f"/ip route\n{text}")
        assert parsed.findings == ()
        assert meant is None or parsed.statements[1].get("comment") == meant


@pytest.mark.parametrize("written", ['"caf\ufffd distance=2', '"said “so” and so', '"5” diameter', '“5 “so" x'])
def test_a_string_that_nothing_ends_is_not_guessed(written: str) -> None:
    assert (2, "syntax") in told(f"/ip route\nadd gateway=192.0.2.1 comment={written}\nadd gateway=192.0.2.2")


# --- signs that nobody sees ----------------------------------------------------------------------------------------

SIGNS = "\u00ad\u200b\u200c\u200d\u200e\u2060\ufeff"


@pytest.mark.parametrize("sign", SIGNS)
def test_signs_that_nobody_sees_are_not_read(sign: str) -> None:
    clean = '/ip route\nadd gateway=192.0.2.1 comment="línea 1" routing-mark=isp1\nadd gateway=192.0.2.2 distance=2\n'
    for place in (0, 5, 9, 10, 13, 14, 18, 25, 33, 48, 60, len(clean) - 1, len(clean)):
        text = clean[:place] + sign + clean[place:]
        parsed = parse(text if place or sign != "\ufeff" else f"\ufeff{text}")
        (finding,) = parsed.findings
        assert (finding.code, finding.severity) == ("invisible-signs", Severity.WARNING)
        assert finding.where.line == clean.count("\n", 0, place) + 1
        assert finding.message.startswith(f"U+{ord(sign):04X} {unicodedata.name(sign)} ")
        assert parsed.router.routes == parse(clean).router.routes


def test_one_finding_tells_of_all_signs_that_nobody_sees_and_they_are_taken_out() -> None:
    text = "# a\u200b\n/ip route\nadd gateway=192.0.2.1\u200b comm\u2060ent=a\n\ufeffadd gateway=192.0.2.2 distance=2\n"
    text += "\n".join(f"add gateway=192.0.2.{n} distance={n}\u200d" for n in range(3, 10))
    (finding,) = parse(text, "r.rsc").findings
    assert (finding.where.line, finding.where.item) == (3, "U+200B ZERO WIDTH SPACE")
    assert finding.message.endswith("; take such signs out, also on lines 4, 5, 6, 7, 8, …")
    fixed = mended(text)
    assert "invisible-signs" in [each.finding.code for each in fixed.mends]
    first, *rest = fixed.source.decode().splitlines()
    assert first == "# a\u200b"
    assert "\n".join(rest).isascii()
    assert parse(fixed.source).findings == ()


@pytest.mark.parametrize(
    "text",
    [
        "/ip route\n# here\u200b and\u00ad there\nadd gateway=192.0.2.1",
        '/ip route add gateway=192.0.2.1 comment="می\u200cخواهم"',
        '/ip route add gateway=192.0.2.1 comment="क्\u200dष"',
        '/ip route add gateway=192.0.2.1 comment="\U0001f468\u200d\U0001f469 \u26a0\ufe0f"',
        '/ip route add gateway=192.0.2.1 comment="浪漫"'.encode("gbk").decode("cp1252", "replace"),
        b'/ip route add gateway=192.0.2.1 comment="\xc7\xad"',
    ],
)
def test_signs_that_a_writing_has_use_for_stay(text: str | bytes) -> None:
    parsed = parse(text)
    assert parsed.findings == ()
    assert len(parsed.router.routes) == 1


def test_a_line_of_nothing_that_can_be_seen_is_empty() -> None:
    assert told("/ip route\n\u200b\nadd gateway=192.0.2.1") == [(2, "invisible-signs")]
    assert told("\u200b# only this\u200b") == [(1, "empty")]
