"""Parts of the compiler by themselves; that it is right as a whole is for tests/differential."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential.worlds import MACHINE
from evenflow.core.compile import compile_router, seed_of
from evenflow.core.compile.conditions import safe_name
from evenflow.core.compile.effects import rule_comment
from evenflow.core.compile.runs import run_at
from evenflow.model.flow import Family
from evenflow.model.matcher import Classifier, InInterface, MarkKind, MarkMatch, PccMatch
from evenflow.model.router import JumpAction, MangleRule, MarkAction, Router, SpreadAction

if TYPE_CHECKING:
    from evenflow.model.nft import NftTable


def compiled(*rules: MangleRule) -> NftTable:
    dataplane = compile_router(Router(rules), MACHINE, seed=99).dataplane
    assert dataplane is not None
    assert dataplane.table is not None
    return dataplane.table


@given(st.text(), st.text())
def test_names_are_plain_and_never_fall_together(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)
    assert "/" not in safe_name(one)
    assert safe_name(one).isascii()


@given(st.text())
def test_comments_fit(text: str) -> None:
    found = rule_comment(text)
    assert len(found.encode()) <= 120
    assert "\n" not in found
    assert "\0" not in found


def test_a_long_comment_is_cut_between_characters() -> None:
    assert rule_comment("ж" * 200) == "ж" * 60


def mark(name: str, key: object, kind: MarkKind = MarkKind.CONNECTION, chain: str = "prerouting") -> MangleRule:
    return MangleRule(chain, (key,), MarkAction(kind, name))  # type: ignore[arg-type]


def test_neighbours_that_differ_in_an_interface_are_one_lookup() -> None:
    rules = [mark(f"isp{n}", InInterface(f"wan{n}")) for n in range(3)]
    run = run_at(rules, 0)
    assert run is not None
    assert run.rules == tuple(rules)
    (look_up,) = compiled(*rules).chains["prerouting/ip"].rules
    assert len(compiled(*rules).sets["by_in_interface/prerouting/ip/0"].elements) == 3
    assert len(look_up.expressions) == 2


@pytest.mark.parametrize(
    "other",
    [
        mark("b", InInterface("wan0")),  # the same interface again: both match
        mark("b", InInterface("wan1", negated=True)),
        MangleRule(
            "prerouting", (InInterface("wan1"), MarkMatch(MarkKind.PACKET, None)), MarkAction(MarkKind.CONNECTION, "b")
        ),
        MangleRule("prerouting", (InInterface("wan1"),), SpreadAction(Classifier.SRC_ADDRESS, ("b", "c"))),
    ],
)
def test_rules_that_are_not_alike_are_no_run(other: MangleRule) -> None:
    assert run_at([mark("a", InInterface("wan0")), other], 0) is None


def test_rules_that_change_what_they_ask_for_are_no_run() -> None:
    chain = [mark("b", MarkMatch(MarkKind.CONNECTION, "a")), mark("c", MarkMatch(MarkKind.CONNECTION, "b"))]
    assert run_at(chain, 0) is None
    jumps = [MangleRule("prerouting", (MarkMatch(MarkKind.CONNECTION, name),), JumpAction("x")) for name in "ab"]
    assert run_at(jumps, 0) is None


def test_known_connections_are_answered_by_interface_and_mark() -> None:
    rules = [
        MangleRule(
            "prerouting",
            (InInterface("lan0"), MarkMatch(MarkKind.CONNECTION, None)),
            SpreadAction(Classifier.SRC_ADDRESS, ("a", "b")),
            (Family.IPV4,),
        ),
        mark("t", MarkMatch(MarkKind.CONNECTION, "a"), MarkKind.ROUTING),
    ]
    table = compiled(*rules[:1], *(MangleRule(r.chain, r.matchers, r.action, (Family.IPV4,)) for r in rules[1:]))
    (by_mark,) = [named for name, named in table.sets.items() if name.startswith("known/") and name.endswith("/marks")]
    assert len(by_mark.elements) == 2


def test_the_cost_of_a_known_connection_does_not_grow() -> None:
    def first_rules(uplinks: int) -> list[int]:
        rules = [mark(f"c{n}", InInterface(f"wan{n}")) for n in range(uplinks)]
        rules += [mark(f"r{n}", MarkMatch(MarkKind.CONNECTION, f"c{n}"), MarkKind.ROUTING) for n in range(uplinks)]
        table = compiled(*rules)
        base = table.chains["prerouting"].rules[0]
        known = [chain for name, chain in table.chains.items() if name.startswith("known/")]
        return [len(base.expressions), max(len(chain.rules) for chain in known)]

    assert first_rules(3) == first_rules(60)


def test_a_jump_that_comes_back_is_refused() -> None:
    loop = [MangleRule("prerouting", (), JumpAction("a")), MangleRule("a", (), JumpAction("b"))]
    assert compile_router(Router((*loop, MangleRule("b", (), JumpAction("a")))), MACHINE, 1).dataplane is None
    assert compile_router(Router(tuple(loop)), MACHINE, 1).dataplane is not None


def test_denominators_that_no_map_holds_are_refused() -> None:
    rules = [mark("a", PccMatch(Classifier.SRC_ADDRESS, denominator, 0)) for denominator in (257, 263, 269)]
    found = compile_router(Router(tuple(rules)), MACHINE, 1)
    assert found.dataplane is None
    assert [finding.code for finding in found.findings] == ["denominators-too-far-apart"]


def test_the_seed_is_found_again_in_the_rules() -> None:
    pcc = mark("a", PccMatch(Classifier.SRC_ADDRESS, 2, 0))
    dataplane = compile_router(Router((pcc,)), MACHINE, seed=4711).dataplane
    assert dataplane is not None
    assert seed_of(dataplane) == 4711
    plain = compile_router(Router((mark("a", InInterface("lan0")),)), MACHINE, seed=4711).dataplane
    assert plain is not None
    assert seed_of(plain) is None
