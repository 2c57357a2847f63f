from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.core.numbering import TooManyNamesError, number, number_router
from evenflow.model.matcher import MarkKind, MarkMatch
from evenflow.model.router import Masquerade, NatRule, Router


@given(st.sets(st.text(min_size=1), max_size=40))
def test_numbers_are_distinct_and_in_range(names: set[str]) -> None:
    given_numbers = number(names, 50)
    assert set(given_numbers) == names
    assert len(set(given_numbers.values())) == len(names)
    assert all(1 <= value <= 50 for value in given_numbers.values())


@given(st.sets(st.text(min_size=1), min_size=1, max_size=40), st.randoms())
def test_order_means_nothing(names: set[str], random: object) -> None:
    shuffled = sorted(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert number(shuffled, 60) == number(names, 60)


def test_a_name_keeps_its_number_when_others_come_and_go() -> None:
    few = number(["isp1", "isp2"], 65535)
    many = number(["isp1", "isp2", "lte", "starlink", "dsl"], 65535)
    assert {name: many[name] for name in few} == few


def test_a_full_range_is_used_to_its_end() -> None:
    assert sorted(number(map(str, range(63)), 63).values()) == list(range(1, 64))
    with pytest.raises(TooManyNamesError, match="64 names"):
        number(map(str, range(64)), 63)


@pytest.mark.parametrize("kind", MarkKind)
def test_a_mark_that_only_nat_asks_for_has_a_number(kind: MarkKind) -> None:
    rule = NatRule("srcnat", (MarkMatch(kind, "vpn", negated=True),), Masquerade())
    assert number_router(Router(nat=(rule,))).mark(kind, "vpn") > 0
