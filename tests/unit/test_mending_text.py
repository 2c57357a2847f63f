"""Edits of scripts: only what they are about is another afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.core.spelling import meant
from evenflow.formats.routeros import parse_statements
from evenflow.formats.routeros.mending import diff
from evenflow.formats.routeros.mending.edits import (
    AddCommand,
    AddFlag,
    CopyCommand,
    Edit,
    MoveCommand,
    Place,
    ReplaceLine,
    SetProperty,
    UneditableError,
    edited,
)
from evenflow.formats.routeros.mending.spans import with_property, without_property
from evenflow.formats.routeros.mending.text import source_text
from evenflow.formats.routeros.source import decode
from evenflow.formats.routeros.writing.words import Command

MANGLE = ("ip", "firewall", "mangle")
ROUTE = ("ip", "route")


# --- bytes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"add a=b",
        b"add a=b\n",
        b"add a=b\r\nadd\r\n",
        b"a\r\r\nb\nc",
        b"a\rb\rc",
        b"# caf\xe9\n",
        b"# \x81\n",
        "# ж\n".encode(),
        "\ufeff# ж\r\n".encode(),
        "\ufeff# ж\n".encode("utf-16-le"),
        "\ufeff# ж\r\n".encode("utf-16-be"),
    ],
)
def test_a_script_is_written_back_as_it_is(source: bytes) -> None:
    text = source_text(source)
    assert text is not None
    assert text.encoded() == source
    assert [line.text for line in text.lines] == decode(source).split("\n")[: len(text.lines)]
    assert [line.number for line in text.lines] == list(range(1, len(text.lines) + 1))


@given(st.binary() | st.text("a\r\n\ufeffé", max_size=20).map(str.encode))
def test_any_bytes_are_written_back_or_not_touched(source: bytes) -> None:
    text = source_text(source)
    if text is not None:
        assert text.encoded() == source
        assert [line.text for line in text.lines] == decode(source).split("\n")[: len(text.lines)]
        assert decode(source).count("\n") in (len(text.lines), len(text.lines) - 1)


def test_torn_utf_16_is_not_touched() -> None:
    assert source_text(b"\xff\xfea\x00b") is None


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "value", "made"),
    [
        ("add chain=a comment=x", "comment", "y", "add chain=a comment=y"),
        ("add chain=a comment=\"x y\" # why", "comment", "a b", 'add chain=a comment="a b" # why'),
        ("add chain=a src-port=1", "connection-mark", "m", "add chain=a connection-mark=m src-port=1"),
        ("add chain=a", "connection-mark", "no-mark", "add chain=a connection-mark=no-mark"),
        ("add chain=a # why", "connection-mark", "m", "add chain=a connection-mark=m # why"),
        ("add chain=a \\\n    src-port=1", "src-port", "2", "add chain=a \\\n    src-port=2"),
        ("  add ch=a", "chain", "b", "  add ch=b"),
        ("/ip firewall mangle add chain=a", "action", "accept", "/ip firewall mangle add action=accept chain=a"),
        ("add chain=a in-interface=x in-interface=y", "in-interface", "z", "add chain=a in-interface=x in-interface=z"),
        ("add chain=a per-connection-classifier=\\\nsrc-address:2/0", "per-connection-classifier", "b",
         "add chain=a per-connection-classifier=b"),
        ("add chain=$c [find]", "connection-mark", "m", "add chain=$c [find] connection-mark=m"),
    ],
)  # fmt: skip
def test_a_property_is_set_in_its_place(text: str, name: str, value: str, made: str) -> None:
    assert with_property(text, MANGLE, name, value) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("add comment=x chain=a", "add chain=a"),
        ("add chain=a comment=x", "add chain=a"),
        ("add chain=a comment=x # why", "add chain=a # why"),
        ("add chain=a \\\n    comment=x", "add chain=a"),
        ("add chain=a \\\n    comment=x \\\n    src-address=1.2.3.4", "add chain=a \\\n    src-address=1.2.3.4"),
        ('add chain=a comment="x \\\n    y" src-port=1', "add chain=a src-port=1"),
        ("add chain=a comment=x comment=y", "add chain=a"),
        ("add chain=a", "add chain=a"),
    ],
)
def test_a_property_is_taken_out(text: str, made: str) -> None:
    assert without_property(text, MANGLE, "comment") == made


# --- commands ------------------------------------------------------------------------------------------------------


def changed(script: str, *edits: Edit) -> str:
    text = source_text(script.encode())
    assert text is not None
    return edited(text, parse_statements(script).statements, edits).encoded().decode()


ACCEPT = Command(MANGLE, (("chain", "b"), ("action", "accept"), ("passthrough", "yes")))


@pytest.mark.parametrize(
    ("script", "edit", "made"),
    [
        ("/ip firewall mangle\nadd chain=a\n", AddCommand(ACCEPT, Place(2)),
         "/ip firewall mangle\nadd action=accept chain=b\nadd chain=a\n"),
        ("/ip firewall mangle\r\n\tadd src-port=1 chain=a", AddCommand(ACCEPT, Place(2, behind=True)),
         "/ip firewall mangle\r\n\tadd src-port=1 chain=a\r\n\tadd chain=b action=accept"),
        ("/ip firewall mangle add chain=a \\\n  src-port=1\n", AddCommand(ACCEPT, Place(1, behind=True)),
         "/ip firewall mangle add chain=a \\\n  src-port=1\n/ip firewall mangle add action=accept chain=b\n"),
        ("/ip route\nadd gateway=a\n", AddCommand(ACCEPT, Place(2)),
         "/ip route\n/ip firewall mangle add action=accept chain=b\nadd gateway=a\n"),
        ("/ip route\nadd gateway=a comment=c\n\n# end", CopyCommand(2, (("gateway", "b"), ("comment", None)), Place(2)),
         "/ip route\nadd gateway=b\nadd gateway=a comment=c\n\n# end"),
        ("/ip route\nadd gateway=a \\\n  distance=1\nadd gateway=b\n", MoveCommand(2, Place(4, behind=True)),
         "/ip route\nadd gateway=b\nadd gateway=a \\\n  distance=1\n"),
        ("/ip route\nadd gateway=a\nadd gateway=b", MoveCommand(2, Place(3, behind=True)),
         "/ip route\nadd gateway=b\nadd gateway=a"),
        ("/ip route\nadd gateway=a\n/ip firewall mangle\nadd chain=c\n", MoveCommand(2, Place(4)),
         "/ip route\n/ip firewall mangle\n/ip route add gateway=a\nadd chain=c\n"),
        ("/routing table\nadd name=a\n", AddFlag(2, "fib"), "/routing table\nadd fib name=a\n"),
        ("/routing table\nadd disabled=no\n", AddFlag(2, "fib"), "/routing table\nadd disabled=no fib\n"),
        ("/ip route\nadd gateway=a distance=2\n", SetProperty(2, "distance", None), "/ip route\nadd gateway=a\n"),
        ("/ip route\n{\nadd gateway=a\n}\n", SetProperty(3, "gateway", "b"), "/ip route\n{\nadd gateway=b\n}\n"),
        ("a\r\nb\r\n", ReplaceLine(2, "c"), "a\r\nc\r\n"),
    ],
)  # fmt: skip
def test_an_edit(script: str, edit: Edit, made: str) -> None:
    assert changed(script, edit) == made
    assert changed(script, edit, edit) == made


def test_edits_of_one_command_come_together() -> None:
    script = "/ip route\nadd gateway=a\nadd gateway=b\n"
    edits = (SetProperty(2, "distance", "5"), SetProperty(2, "gateway", "c"), MoveCommand(2, Place(3, behind=True)))
    assert changed(script, *edits) == "/ip route\nadd gateway=b\nadd distance=5 gateway=c\n"


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("/ip route add gateway=a; /ip route add gateway=b\n", 1),
        (":foreach i in=1,2 do={\n/ip route add gateway=a\n}\n", 2),
        ("/ip route\nadd gateway=a\n", 1),
    ],
)
def test_a_command_that_shares_its_line_or_is_in_a_loop_is_not_edited(script: str, line: int) -> None:
    with pytest.raises(UneditableError):
        changed(script, SetProperty(line, "gateway", "c"))


def test_a_diff_has_no_line_ends_and_no_signs_that_play_tricks() -> None:
    assert diff(b"a\r\nb\x1b\r\n", b"a\r\nc\r\n", "x.rsc") == (
        "--- x.rsc", "+++ x.rsc", "@@ -1,2 +1,2 @@", " a", "-b\\x1b", "+c"
    )  # fmt: skip


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known", "other"),
    [
        ("ips2_conn", ["isp1_conn", "isp2_conn"], "isp2_conn"),
        ("ISP2-conn", ["isp1_conn", "isp2_conn"], "isp2_conn"),
        ("isp3_conn", ["isp1_conn", "isp2_conn"], None),
        ("wan_fibr", ["wan_fibre", "wan_fiber"], None),
        ("brige", ["bridge", "bridge"], "bridge"),
        ("bridgee", ["bridge"], "bridge"),
        ("bxidye", ["bridge"], None),
        ("lan", ["wan"], None),
        ("wan", ["WAN"], "WAN"),
        ("anything", [], None),
    ],
)
def test_what_a_slip_means(name: str, known: list[str], other: str | None) -> None:
    assert meant(name, known) == other
