"""Parts of the compiler by themselves; that it is right as a whole is for tests/differential."""

from __future__ import annotations

import sys
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential.worlds import MACHINE
from evenflow.core.compile import compile_router
from evenflow.core.compile.conditions import COMPARED
from evenflow.core.compile.names import fitting, rule_comment, safe_name
from evenflow.core.compile.runs import run_at
from evenflow.core.seed import seed_of
from evenflow.model.flow import Family
from evenflow.model.matcher import (
    AddressMatch,
    AddressRange,
    AddressType,
    AddressTypeMatch,
    Classifier,
    Direction,
    InInterface,
    MarkKind,
    MarkMatch,
    NthMatch,
    PccMatch,
    PortMatch,
    ProtocolMatch,
    RandomMatch,
)
from evenflow.model.nft import Cmp, CmpOp, Ct, Log, Lookup, NumberGenerator, goto
from evenflow.model.router import (
    JumpAction,
    MangleRule,
    MarkAction,
    PassthroughAction,
    ReturnAction,
    Router,
    SpreadAction,
)

if TYPE_CHECKING:
    from evenflow.model.matcher import Matcher
    from evenflow.model.nft import NftRule, NftTable
    from evenflow.model.router import MangleAction


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


ALIKE = [mark(f"isp{n}", InInterface(f"wan{n}")) for n in range(COMPARED + 1)]


def test_many_neighbours_that_differ_in_an_interface_are_one_lookup() -> None:
    run = run_at(ALIKE, 0)
    assert run is not None
    assert run.rules == tuple(ALIKE)
    (look_up,) = compiled(*ALIKE).chains["prerouting/ip"].rules
    assert len(compiled(*ALIKE).sets["by_in_interface/prerouting/ip/0"].elements) == COMPARED + 1
    assert len(look_up.expressions) == 2


def test_a_few_interfaces_are_compared_one_by_one() -> None:
    assert run_at(ALIKE[1:], 0) is None
    assert len(compiled(*ALIKE[1:]).chains["prerouting/ip"].rules) == COMPARED


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
    run = run_at([*ALIKE, other], 0)
    assert run is not None
    assert run.rules == tuple(ALIKE)


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
    def base_rules(uplinks: int) -> list[int]:
        rules = [mark(f"c{n}", InInterface(f"wan{n}")) for n in range(uplinks)]
        rules += [mark(f"r{n}", MarkMatch(MarkKind.CONNECTION, f"c{n}"), MarkKind.ROUTING) for n in range(uplinks)]
        table = compiled(*rules)
        assert all(len(chain.rules) == 1 for name, chain in table.chains.items() if name.startswith("known/"))
        return [len(rule.expressions) for rule in table.chains["prerouting"].rules]

    assert base_rules(COMPARED + 2) == base_rules(60)
    assert len(base_rules(2)) <= COMPARED + len(Family)


# --- what only shows in odd cases


def rules_of(table: NftTable, name: str) -> tuple[NftRule, ...]:
    return table.chains[name].rules


@pytest.mark.parametrize("family", Family)
def test_unicast_asks_for_no_route(family: Family) -> None:
    """The kernel tells an IPv6 address unicast only when it has a route to it."""
    unicast = AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.UNICAST}))
    table = compiled(MangleRule("prerouting", (unicast,), MarkAction(MarkKind.ROUTING, "isp1"), (family,)))
    (rule,) = rules_of(table, f"prerouting/{family.value}")
    (look_up,) = [expression for expression in rule.expressions if isinstance(expression, Lookup)]
    types = {int.from_bytes(element.key, sys.byteorder) for element in table.sets[look_up.set_name].elements}
    assert look_up.negated
    assert types == ({2, 3, 5} if family is Family.IPV4 else {2, 4, 5})


def test_a_router_without_conditions_on_connections_has_its_fragments_put_together() -> None:
    by_port = MangleRule(
        "prerouting",
        (PortMatch(Direction.DESTINATION, ((80, 80),)),),
        MarkAction(MarkKind.ROUTING, "isp1"),
    )
    expressions = [e for chain in compiled(by_port).chains.values() for rule in chain.rules for e in rule.expressions]
    assert any(isinstance(expression, Ct) for expression in expressions)
    assert "defragmenting" not in compiled(by_port, mark("a", InInterface("lan0"))).chains
    assert "defragmenting" not in compiled(mark("t", InInterface("lan0"), MarkKind.ROUTING)).chains


def test_a_log_rule_is_on_no_short_way() -> None:
    matchers = (InInterface("lan0"), MarkMatch(MarkKind.CONNECTION, "x"))
    log = MangleRule("prerouting", matchers, PassthroughAction("seen"))
    route = mark("isp1", MarkMatch(MarkKind.CONNECTION, "x"), MarkKind.ROUTING)
    assert not [name for name in compiled(log, route).sets if name.startswith("known")]
    assert [name for name in compiled(replace(log, action=PassthroughAction()), route).sets if name.startswith("known")]
    spread = MangleRule("prerouting", (), SpreadAction(Classifier.SRC_ADDRESS, ("x", "y")))
    elements = compiled(spread, replace(log, matchers=matchers[1:]), route).sets["spread/prerouting/ip/0"].elements
    # What x meets is to be logged, so the chain goes on; nothing more happens to y.
    assert {one.verdict.chain for one in elements if one.verdict} == {"set/connection/x", "set/connection/y/accept"}


def test_the_end_of_a_chain_that_is_jumped_to_is_not_the_end_of_the_hook() -> None:
    spread = MangleRule("prerouting", (InInterface("lan0"),), SpreadAction(Classifier.SRC_ADDRESS, ("a", "b")))
    jump = MangleRule("forward", (), JumpAction("prerouting"))
    verdicts = {e.verdict for e in compiled(spread, jump).sets["spread/prerouting/ip/0"].elements}
    assert verdicts == {goto("set/connection/a"), goto("set/connection/b")}


LONG = ("x" * 200, "связь-через-первого-провайдера-номер-один-офис", "название " * 30)


@pytest.mark.parametrize("name", LONG)
def test_names_and_prefixes_fit_into_the_kernel(name: str) -> None:
    other = f"{name}2"
    table = compiled(
        MangleRule("prerouting", (), JumpAction(name)),
        MangleRule("prerouting", (), JumpAction(other)),
        *(mark(name, InInterface(f"wan{n}"), chain=chain) for n in range(2) for chain in (name, other)),
        MangleRule(name, (), SpreadAction(Classifier.SRC_ADDRESS, (name, other))),
        mark(name, MarkMatch(MarkKind.CONNECTION, name), MarkKind.ROUTING),
        MangleRule("prerouting", (), PassthroughAction(name)),
    )
    assert all(len(made) <= 255 for made in (*table.chains, *table.sets))
    assert len([made for made in table.chains if made.startswith("chain/")]) == 4
    logs = [
        e for chain in table.chains.values() for rule in chain.rules for e in rule.expressions if isinstance(e, Log)
    ]
    assert all(log.prefix == name or (len(log.prefix.encode()) > 120 and name.startswith(log.prefix)) for log in logs)
    assert all(len(log.prefix.encode()) <= 127 for log in logs)


@given(st.text(max_size=300), st.text(max_size=300))
def test_shortened_names_never_fall_together(one: str, other: str) -> None:
    names = [f"chain/{safe_name(text)}" for text in (one, other)]
    short = [fitting(name) for name in names]
    assert (short[0] == short[1]) == (one == other)
    assert all(len(name) <= 200 for name in short)


def test_the_seed_is_found_again_in_the_rules() -> None:
    pcc = mark("a", PccMatch(Classifier.SRC_ADDRESS, 2, 0))
    dataplane = compile_router(Router((pcc,)), MACHINE, seed=4711).dataplane
    assert dataplane is not None
    assert seed_of(dataplane) == 4711
    plain = compile_router(Router((mark("a", InInterface("lan0")),)), MACHINE, seed=4711).dataplane
    assert plain is not None
    assert seed_of(plain) is None


def counters(table: NftTable) -> list[tuple[str, NumberGenerator]]:
    """The chains with number generators, and these."""
    found = [(name, rule) for name, chain in table.chains.items() for rule in chain.rules]
    return [(name, e) for name, rule in found for e in rule.expressions if isinstance(e, NumberGenerator)]


def counted(action: MangleAction, *matchers: Matcher, chain: str = "forward") -> MangleRule:
    return MangleRule(chain, matchers, action, (Family.IPV4,))


def test_the_counter_is_asked_last() -> None:
    mark = MarkAction(MarkKind.PACKET, "p")
    rule = counted(mark, NthMatch(3, 2), RandomMatch(40), PccMatch(Classifier.SRC_ADDRESS, 2, 0), InInterface("lan0"))
    (made,) = compiled(rule).chains["forward/ip"].rules
    names = [type(e).__name__ for e in made.expressions]
    assert names[:-3] == [
        "Meta", "Cmp", "Payload", "Hash", "Cmp", "NumberGenerator", "ToNetworkOrder", "Cmp", "NumberGenerator", "Cmp",
    ]  # fmt: skip
    assert Cmp(CmpOp.LT, b"\0\0\0\x28") in made.expressions
    assert made.expressions[-4] == Cmp(CmpOp.EQ, (1).to_bytes(4, sys.byteorder))


def test_one_of_one_needs_no_counter() -> None:
    assert counters(compiled(counted(MarkAction(MarkKind.PACKET, "p"), NthMatch(1, 1)))) == []


@pytest.mark.parametrize("action", [MarkAction(MarkKind.PACKET, "p"), JumpAction("other"), ReturnAction()])
def test_alternatives_have_one_counter(action: MangleAction) -> None:
    either = PortMatch(Direction.EITHER, ((80, 80),))
    after = counted(MarkAction(MarkKind.PACKET, "q"), InInterface("lan0"))
    table = compiled(counted(action, NthMatch(2, 1), either), after)
    assert counters(table) == [("forward/ip/0/counted", NumberGenerator(2))]


def test_rules_that_count_are_no_run() -> None:
    rules = [
        counted(MarkAction(MarkKind.ROUTING, "t"), InInterface(name), NthMatch(2, 1), chain="prerouting")
        for name in ("lan0", "lan1")
    ]
    assert run_at(rules, 0) is None
    assert len(counters(compiled(*rules))) == 2


def test_what_a_spread_has_counted_says_nothing_of_the_next_rule() -> None:
    """Each counts for itself, so the streams' verdicts can't hold the rest of the chain."""
    spread = counted(
        SpreadAction(Classifier.SRC_ADDRESS, ("a", "b")), NthMatch(2, 1), InInterface("lan0"), chain="prerouting"
    )
    route = counted(MarkAction(MarkKind.ROUTING, "t"), NthMatch(2, 1), InInterface("lan0"), chain="prerouting")
    table = compiled(spread, route)
    assert {one.verdict for one in table.sets["spread/prerouting/ip/0"].elements} == {
        goto("set/connection/a"), goto("set/connection/b"),
    }  # fmt: skip


def test_a_known_connection_has_no_short_way_past_a_counter() -> None:
    label = MarkMatch(MarkKind.CONNECTION, "a")
    counts = counted(MarkAction(MarkKind.ROUTING, "t"), label, NthMatch(2, 1), InInterface("lan0"), chain="prerouting")
    assert not any(name.startswith("known/") for name in compiled(counts).sets)
    assert any(name.startswith("known/") for name in compiled(replace(counts, matchers=counts.matchers[::2])).sets)


def diversion(address: str, number: int) -> MangleRule:
    network = ip_network(address)
    matchers = (
        AddressMatch(Direction.DESTINATION, AddressRange(network[0], network[-1])),
        ProtocolMatch(6),
        MarkMatch(MarkKind.CONNECTION, None),
    )
    return MangleRule("prerouting", matchers, MarkAction(MarkKind.CONNECTION, f"isp{number % 2}"), (Family.IPV4,))


def test_many_rules_for_destinations_are_one_lookup() -> None:
    table = compiled(*(diversion(f"198.51.{n // 2}.0/24", n) for n in range(200)))
    found = rules_of(table, "prerouting/ip")
    assert len(found) == 1
    (name,) = (one.set_name for one in found[0].expressions if isinstance(one, Lookup))
    chains = {element.verdict.chain for element in table.sets[name].elements if element.verdict is not None}
    assert len(chains) == 100
    assert all(len(rules_of(table, chain or "")) == 2 for chain in chains)


def test_destinations_that_overlap_end_the_lookup_and_few_have_none() -> None:
    apart = [diversion(f"198.51.{n}.0/24", n) for n in range(8)]
    table = compiled(*apart, diversion("198.51.0.0/16", 8), *apart[:3])
    assert len(rules_of(table, "prerouting/ip")) == 1 + 4
    assert len(rules_of(compiled(*apart[:7]), "prerouting/ip")) == 7
