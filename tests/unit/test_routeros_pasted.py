"""Scripts that were copied from web pages, forums, letters and terminals."""

from __future__ import annotations

import pytest

from evenflow.formats.routeros import Kind, Parsed, parse, parse_statements
from evenflow.formats.routeros.mending import Mended, mend

ROUTES = "/ip route\nadd gateway=192.0.2.1\nadd gateway=198.51.100.1 distance=2\n"


def told(text: str) -> list[tuple[int, str]]:
    return [(finding.where.line, finding.code) for finding in parse(text, "r.rsc").findings]


def routes(parsed: Parsed) -> list[tuple[str, int]]:
    return [(str(route.gateways[0]), route.distance) for route in parsed.router.routes]


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
