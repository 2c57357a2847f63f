"""A written script reads back as the same router, says nothing that its release has not, and does the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from differential.bench import FIVE
from differential.chance import drawn_by_chance, drawn_by_counters
from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.draws import counting
from evenflow.core.script_form import handled, script_form, with_handles
from evenflow.core.trace import Tracer
from evenflow.formats import routeros
from evenflow.formats.routeros.statement import Kind
from evenflow.formats.routeros.version import Version
from evenflow.formats.routeros.writing import has_key, has_menu, render
from evenflow.formats.routeros.writing.conversion import comparable
from evenflow.model.finding import Severity
from evenflow.model.router import CheckGateway, LearnedGateway, Router, RuleStage, SpreadAction

if TYPE_CHECKING:
    from evenflow.model.matcher import Matcher
    from evenflow.model.trace import Trace

VERSIONS = st.sampled_from([Version(6, 49), Version(7, 4), Version(7, 18), Version(7, 19), Version(7, 21)])
COMMENTS = ["", "Провайдер №1", 'said "yes" & $no', "one\ntwo\\three", "why?", "evenflow: mine", " blank "]


def drawn(number: int) -> Router:
    """A router of the bench with comments and checks; one condition on each property of a rule, as a script has it."""
    draw = Draw(Random(number))
    left_to_chance = {1: drawn_by_counters, 2: drawn_by_chance}.get(number % 4)
    router = left_to_chance(number, FIVE).router if left_to_chance is not None else draw.router()
    checks = [None, *CheckGateway]
    return replace(
        router,
        mangle=tuple(
            replace(rule, matchers=one_of_each(rule.matchers), comment=draw.random.choice(COMMENTS))
            for rule in router.mangle
            if not (counting(rule) and isinstance(rule.action, SpreadAction))  # no script can say it
        ),
        nat=tuple(replace(rule, matchers=one_of_each(rule.matchers)) for rule in router.nat),
        routes=tuple(
            replace(route, check_gateway=draw.random.choice(checks), comment=draw.random.choice(COMMENTS))
            for route in router.routes
        ),
        rules=tuple(rule for rule in router.rules if rule.stage is RuleStage.AFTER_MARKS),
    )


def one_of_each(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    kinds = {(type(m), getattr(m, "kind", None), getattr(m, "direction", None)): m for m in matchers}
    return tuple(kinds.values())


def stated(router: Router, version: Version) -> Router:
    return with_handles(script_form(router, version.major).router)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), VERSIONS)
def test_a_router_reads_back_from_its_script(number: int, version: Version) -> None:
    wanted = stated(drawn(number), version)
    text = render(wanted, version)
    same = comparable(wanted)
    for times in (1, 2):  # what the first run has made is gone when the second one makes it
        read = comparable(routeros.parse(text * times).router)
        assert replace(read, routes=()) == replace(same, routes=())
        assert Counter(read.routes) == Counter(same.routes)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), VERSIONS)
def test_a_script_says_only_what_its_release_has(number: int, version: Version) -> None:
    statements = routeros.parse_statements(render(stated(drawn(number), version), version)).statements
    assert all(statement.kind is not Kind.UNKNOWN for statement in statements)
    for statement in statements:
        if statement.kind is Kind.COMMAND:
            keys = [*(argument.name for argument in statement.arguments), *statement.flags]
            assert has_menu(statement.menu, version), statement
            assert [key for key in keys if not has_key(statement.menu, key, version)] == [], statement


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), VERSIONS)
def test_a_script_is_its_own_form(number: int, version: Version) -> None:
    wanted = stated(drawn(number), version)
    again = script_form(routeros.parse(render(wanted, version)).router, version.major)
    assert [finding for finding in again.findings if finding.severity is not Severity.INFO] == []
    assert render(with_handles(again.router), version) == render(wanted, version)


def outcome(trace: Trace) -> tuple[object, ...]:
    return (
        trace.disposition,
        trace.connection_mark,
        trace.routing_mark,
        trace.packet_mark,
        trace.table,
        trace.out_interface,
        trace.snat,
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_the_form_of_a_script_changes_nothing_unsaid_for_any_packet(number: int, seed: int) -> None:
    draw = Draw(Random(number))
    router = drawn(number)
    form = script_form(router, 7)
    if any(finding.severity is not Severity.INFO for finding in form.findings):
        return
    # Whether a stated gateway counts while none is learnt is what the remark about it says.
    plain = [
        replace(
            r, gateways=tuple(LearnedGateway(g.interface) if isinstance(g, LearnedGateway) else g for g in r.gateways)
        )
        for r in router.routes
    ]
    before = Tracer(replace(router, routes=tuple(plain)), MACHINE, seed)
    after = Tracer(form.router, MACHINE, seed)
    for connection in range(12):
        packet = draw.packet(connection)
        assert outcome(before.trace(packet)) == outcome(after.trace(packet))


def test_a_comment_gets_the_handle_once() -> None:
    assert [handled(text) for text in ("", "isp1", "evenflow", "evenflow: isp1", "evenflowers")] == [
        "evenflow",
        "evenflow: isp1",
        "evenflow",
        "evenflow: isp1",
        "evenflow: evenflowers",
    ]
