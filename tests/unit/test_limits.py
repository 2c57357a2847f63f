"""What no kernel can do is told by `check` already, and once."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from differential.worlds import MACHINE
from evenflow.core.compile import compile_router
from evenflow.core.lint import lint
from evenflow.model.dataplane import PRIORITY_AFTER_MARKS, PRIORITY_BEFORE_MARKS, PRIORITY_END, PRIORITY_UNMARKED
from evenflow.model.flow import Family
from evenflow.model.matcher import Classifier, MarkKind, PccMatch
from evenflow.model.router import (
    InterfaceGateway,
    JumpAction,
    MangleRule,
    MarkAction,
    Route,
    Router,
    RouteRule,
    RoutingTable,
    RuleAction,
    RuleStage,
)


def pcc(denominator: int) -> MangleRule:
    match = PccMatch(Classifier.SRC_ADDRESS, denominator, 0)
    return MangleRule("prerouting", (match,), MarkAction(MarkKind.ROUTING, "main"))


def jump(chain: str, to: str) -> MangleRule:
    return MangleRule(chain, (), JumpAction(to))


def rules(count: int, action: RuleAction = RuleAction.LOOKUP, stage: RuleStage = RuleStage.AFTER_MARKS) -> Router:
    networks = (ip_network((0x0A000000 + (n << 8), 24)) for n in range(count))
    made = (RouteRule(action, "main", network, stage=stage, families=(Family.IPV4,)) for network in networks)
    return Router(rules=tuple(made))


def ipv6_route(distance: int) -> Router:
    return Router(routes=(Route("main", Family.IPV6.any_network, (InterfaceGateway("wan0"),), distance),))


CHAIN = tuple(jump(f"c{n}", f"c{n + 1}") for n in range(20))


@pytest.mark.parametrize(
    ("code", "router"),
    [
        ("denominators-too-far-apart", Router((pcc(257), pcc(263), pcc(269)))),
        ("jump-loop", Router((jump("prerouting", "a"), jump("a", "b"), jump("b", "a")))),
        ("jump-loop", Router((jump("prerouting", "c0"), *CHAIN))),
        ("jump-loop", Router((jump("forward", "prerouting"), jump("prerouting", "forward")))),
        ("too-many-marks", Router(tables=tuple(RoutingTable(f"t{n}") for n in range(1024)))),
        ("too-many-route-rules", rules(PRIORITY_END - PRIORITY_AFTER_MARKS + 1)),
        ("too-many-route-rules", rules(1001, RuleAction.LOOKUP_ONLY)),
        ("too-many-route-rules", rules(PRIORITY_UNMARKED - PRIORITY_BEFORE_MARKS + 1, stage=RuleStage.BEFORE_MARKS)),
        ("distance-zero", ipv6_route(0)),
    ],
)
def test_it_is_told_by_check_and_never_compiled(code: str, router: Router) -> None:
    assert [finding.code for finding in lint(router)].count(code) == 1
    compiled = compile_router(router, MACHINE, 1)
    assert compiled.dataplane is None
    assert [finding.code for finding in compiled.findings] == [code]


@pytest.mark.parametrize("router", [rules(1000), rules(500, RuleAction.LOOKUP_ONLY), ipv6_route(1)])
def test_what_just_fits_is_compiled(router: Router) -> None:
    dataplane = compile_router(router, MACHINE, 1).dataplane
    assert dataplane is not None
    assert all(rule.is_ours for rule in dataplane.rules)
