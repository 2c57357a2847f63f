"""The scanner of positions finds exactly the keys that tomllib finds, each where it is written."""

from __future__ import annotations

import tomllib
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.formats.policy.positions import Path, Position, positions

if TYPE_CHECKING:
    from collections.abc import Iterator

STRINGS = st.sampled_from(
    [
        '"plain"',
        '""',
        '"# no comment ] } ="',
        r'"quote \" and \\"',
        "'literal \\'",
        "''",
        "'# ] } \"'",
        '"""one\ntwo # = [ ] """',
        '""" "" \\""" x"""',
        '"""ends in quotes"""""',
        "'''raw \\ ''\n]'''",
        "'''ends in quotes'''''",
        '"""folded \\\n   here"""',
        '""""""',
    ]
)
SCALARS = STRINGS | st.sampled_from(["1", "0x1F", "1_000", "3.5e2", "true", "inf", "1979-05-27 07:32:00", "07:32:00"])
GAPS = st.sampled_from(["", " ", "\n", "\r\n", ' # [comment] } "\n', "\t\n\n"])
COMMAS = st.sampled_from(["", ","])
KINDS = ["scalar", "array", "table"]
BLANKS = st.sampled_from(["", " ", "\t "])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML with every way to write a key; each key is new, so that no table is declared twice."""
    numbers = count()

    def key() -> str:
        name = f"k{next(numbers)}"
        return draw(
            st.sampled_from([name, f'"{name}"', f"'{name}'", f'"{name} # ]\\"="', f"'{name}.x\"'", f'"{name}\\u00e9"'])
        )

    def dotted() -> str:
        dot = draw(BLANKS) + "." + draw(BLANKS)
        return dot.join(key() for _ in range(draw(st.integers(1, 3))))

    def value(depth: int) -> str:
        kind = draw(st.sampled_from(KINDS if depth else KINDS[:1]))
        if kind == "array":
            parts = [draw(GAPS) + value(depth - 1) + draw(GAPS) for _ in range(draw(st.integers(0, 3)))]
            comma = draw(COMMAS) if parts else ""
            return "[" + ",".join(parts) + comma + draw(GAPS) + "]"
        if kind == "table":
            parts = [draw(BLANKS) + pair(depth - 1) + draw(BLANKS) for _ in range(draw(st.integers(0, 3)))]
            return "{" + ",".join(parts) + "}"
        return draw(SCALARS)

    def pair(depth: int) -> str:
        return dotted() + draw(BLANKS) + "=" + draw(BLANKS) + value(depth)

    def body() -> str:
        lines = (draw(BLANKS) + pair(2) + draw(BLANKS) + "\n" + draw(GAPS) for _ in range(draw(st.integers(0, 2))))
        return "".join(lines)

    parts = [draw(GAPS), body()]
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            parts.append(f"[{draw(BLANKS)}{dotted()}{draw(BLANKS)}] # table\n{body()}")
            continue
        array = dotted()
        for _ in range(draw(st.integers(1, 3))):
            parts.append(f"[[ {array} ]]\n{body()}")
            if draw(st.booleans()):
                parts.append(f"[{array}.{key()}]\n{body()}")
            if draw(st.booleans()):
                inner = f"{array} . {key()}"
                parts.append(f"[[{inner}]]\n{body()}[[{inner}]]\n{body()}")
    return "\n".join(parts)


def paths(value: Any, base: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*base, name)
            yield from paths(inner, (*base, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*base, index)
            yield from paths(inner, (*base, index))


@settings(deadline=None)
@given(documents())
def test_every_key_is_found_and_no_other(text: str) -> None:
    assert set(positions(text)) == set(paths(tomllib.loads(text)))


@settings(deadline=None)
@given(documents())
def test_each_stands_where_its_own_name_is_written(text: str) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    for path, place in positions(text).items():
        rest = lines[place.line - 1][place.column - 1 :]
        last = path[-1]
        if isinstance(last, str):
            # Every name starts with k and its own number, behind a quote or not.
            name = last[: len(last) - len(last[1:].lstrip("0123456789"))]
            assert rest.lstrip("\"'").startswith(name)
            assert not rest.lstrip("\"'").removeprefix(name)[:1].isdigit()


def test_lines_and_columns_count_from_one() -> None:
    text = 'a = [1,\n  2]\n[t."x y"]\nb.c = { d = 3 }\n'
    found = positions(text)
    assert found["a",] == Position(1, 1)
    assert found["a", 1] == Position(2, 3)
    assert found["t", "x y"] == Position(3, 4)
    assert found["t", "x y", "b", "c", "d"] == Position(4, 9)


def test_a_table_of_an_array_belongs_to_its_last_element() -> None:
    found = positions("[[a]]\n[[a]]\n[a.b]\nc = 1\n[[a.d]]\n")
    assert found["a", 1, "b", "c"] == Position(4, 1)
    assert found["a", 1, "d", 0] == Position(5, 1)
