"""Plans and findings, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenflow.formats.nft import render_operation
from evenflow.model.dataplane import (
    MAIN_TABLE_NUMBER,
    AddRoute,
    AddRouteRule,
    DeleteRoute,
    DeleteRouteRule,
    NftTransaction,
    SetSysctl,
)
from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.dataplane import FibRoute, FibRule, Operation, Plan
    from evenflow.model.finding import Finding


def render_route(route: FibRoute) -> str:
    """A route as ip-route(8) writes it."""
    destination = "default" if route.destination.prefixlen == 0 else str(route.destination)
    kind = "" if route.kind is RouteKind.UNICAST else f"{route.kind.value} "
    hops = [(f"via {hop.gateway} " if hop.gateway else "") + f"dev {hop.interface}" for hop in route.hops]
    way = " ".join(f"nexthop {hop}" for hop in hops) if len(hops) > 1 else "".join(hops)
    way = f"nhid {route.nexthop_id}" if route.nexthop_id else way
    source = f" src {route.preferred_source}" if route.preferred_source else ""
    return f"{kind}{destination} {way}{source} table {_table(route.table)} metric {route.metric}".replace("  ", " ")


def render_rule(rule: FibRule) -> str:
    """A route rule as ip-rule(8) writes it."""
    words = [f"priority {rule.priority} from {rule.source or 'all'}"]
    if rule.destination is not None:
        words.append(f"to {rule.destination}")
    if rule.in_interface is not None:
        words.append(f"iif {rule.in_interface}")
    if rule.mask:
        words.append(f"fwmark {rule.mark:#x}/{rule.mask:#x}")
    words.append(f"lookup {_table(rule.table)}" if rule.kind is RouteKind.UNICAST else rule.answer)
    if rule.suppress_prefix_length is not None:
        words.append(f"suppress_prefixlength {rule.suppress_prefix_length}")
    return " ".join(words)


def _table(number: int) -> str:
    return "main" if number == MAIN_TABLE_NUMBER else str(number)


def _ip(family: object) -> str:
    return "ip -6" if getattr(family, "value", "") == "ip6" else "ip"


def render_lines(operation: Operation) -> list[str]:
    """An operation as the commands that an administrator knows; a transaction has several."""
    match operation:
        case AddRoute(route, replace):
            return [f"{_ip(route.family)} route {'replace' if replace else 'add'} {render_route(route)}"]
        case DeleteRoute(route):
            return [f"{_ip(route.family)} route del {render_route(route)}"]
        case AddRouteRule(rule):
            return [f"{_ip(rule.family)} rule add {render_rule(rule)}"]
        case DeleteRouteRule(rule):
            return [f"{_ip(rule.family)} rule del {render_rule(rule)}"]
        case SetSysctl(name, value, before):
            return [f"sysctl -w {name}={value}" + (f"    # was {before}" if before is not None else "")]
        case NftTransaction(operations):
            return [f"nft {render_operation(operation)}" for operation in operations]


_KINDS = {
    AddRoute: "add-route",
    DeleteRoute: "delete-route",
    AddRouteRule: "add-rule",
    DeleteRouteRule: "delete-rule",
    SetSysctl: "set-sysctl",
    NftTransaction: "nft-transaction",
}


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """`{"in_sync": bool, "operations": [{"kind": str, "commands": [str, …]}, …]}`."""
    return {
        "in_sync": plan.in_sync,
        "operations": [
            {"kind": _KINDS[type(operation)], "commands": render_lines(operation)} for operation in plan.operations
        ],
    }


def findings_to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """`[{"severity": str, "code": str, "file": str, "line": int, "message": str, "witness": str}, …]`.

    Line 0 is the whole file; a witness of "" is none.
    """
    return [
        {
            "severity": finding.severity.value,
            "code": finding.code,
            "file": finding.where.file,
            "line": finding.where.line,
            "message": finding.message,
            "witness": finding.witness,
        }
        for finding in findings
    ]
