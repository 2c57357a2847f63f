"""No false alarm, whatever the router: what is called dead, no packet matches; and nothing of a policy is."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from differential.policies import draw_policy
from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.lint.dead import dead_rules
from evenflow.core.lint.exact import exact_findings
from evenflow.core.lower import lower
from evenflow.core.packet_space import PacketSpace
from evenflow.core.reach import reach
from evenflow.core.trace import Tracer
from evenflow.model.flow import Family


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_no_packet_matches_a_rule_that_is_called_dead(number: int, seed: int) -> None:
    draw = Draw(Random(number))
    router = draw.router()
    tracer = Tracer(router, MACHINE, seed)
    reached = {family: reach(router, PacketSpace.of(router, MACHINE, tracer.classes(family))) for family in Family}
    dead = {id(rule) for rule in dead_rules(router, reached)}
    for connection in range(20):
        for step in tracer.trace(draw.packet(connection)).steps:
            assert not step.matched or id(step.rule) not in dead


#: What may be told of any policy: nothing of it is a fault of its rules.
OF_POLICIES = {"uplink-lost", "no-way-left"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_policy_has_no_faults(number: int) -> None:
    router = lower(draw_policy(Draw(Random(number))))
    assert {finding.code for finding in exact_findings(router, ())} <= OF_POLICIES
