"""What is wrong with a router, or will surprise: `lint` from the text alone, `lint_machine` on a given machine.

| code | severity | says |
|---|---|---|
| mark-not-routed | error | a classifier sets a connection mark that nothing turns into a routing mark |
| routing-mark-without-route | error | a routing mark leads to no route: all of it falls to main |
| table-undeclared | error, warning | a table is used and not declared; error if others are (RouterOS 7) |
| mark-never-set | warning | a connection or packet mark is asked for, and no rule sets it |
| pcc-remainder | warning | a remainder is taken by no rule, or by two |
| by-chance | info | rules leave it to counters and chance which packets they take |
| chance-per-packet | warning | such a rule draws for each packet of a connection |
| equal-distance | warning | two default routes of main have the same distance |
| no-ipv6-multipath | warning | IPv6 routes of the same distance that can't share |
| denominators-too-far-apart, jump-loop, too-many-marks, too-many-route-rules, distance-zero | error | no kernel can |
| gateway-unresolved | warning | no usable route to a gateway in its table and scope |
| jump-to-nothing, chain-unused | warning | a jump to a chain without rules; a chain that nothing jumps to |
| unknown-interface-list, unknown-address-list, interface-list-empty | warning, info | a list that never matches |
| interface-misspelt | warning | an interface that nothing else speaks of, and that is called nearly like one |
| share-against-bandwidth | info | the shares are not in proportion to the stated bandwidths |
| detection-time | info | how soon a loss is noticed, and a return used |
| probe-storm, limit-without-effect | warning | settings of a watch that can't do what they are for |
| targets-unreachable | error, warning | targets of a family that the uplink does not have |
| next-hop-only | info | nobody beyond the next hop is asked |
| probe-follows-failover | warning | a host is asked by the very routes that it decides on |
| tier-without-weight | warning | all uplinks of a tier have weight 0 |
| check-without-effect | info | check-gateway on an interface |
| interface-missing, interface-down, bridge-port, gateway-unreachable | error | this machine can't do it |
| other-machine | info | none of a script's interfaces is here: in place of the former, in `evenflow check` |
| foreign-route, foreign-rule | warning | somebody else's takes packets before ours can |

`exact.exact_findings` adds what only `evenflow check` looks for, most of it by tracing many packets: dead-rule,
classifier-for-the-router; inbound-not-marked, output-not-routed, answers-marked-anew, forward-not-routed;
connected-not-bypassed, marked-too-late, router-not-answering; gateway-not-watched, no-second-route; uplink-lost,
no-way-left, loss-not-followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.limits import limit_findings
from evenflow.core.lint.chains import chain_findings
from evenflow.core.lint.chance import chance_findings
from evenflow.core.lint.classifiers import classifier_findings
from evenflow.core.lint.interfaces import interface_findings
from evenflow.core.lint.lists import list_findings
from evenflow.core.lint.machine import machine_findings
from evenflow.core.lint.marks import mark_findings
from evenflow.core.lint.routes import route_findings
from evenflow.core.lint.shares import share_findings
from evenflow.core.lint.watches import watch_findings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.finding import Finding
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

__all__ = ["lint", "lint_machine"]


def lint(router: Router) -> tuple[Finding, ...]:
    """Findings that follow from the router alone, in the order of their lines."""
    return _in_order(
        (
            *limit_findings(router),
            *mark_findings(router),
            *classifier_findings(router),
            *chance_findings(router),
            *route_findings(router),
            *chain_findings(router),
            *list_findings(router),
            *interface_findings(router),
            *share_findings(router),
            *watch_findings(router),
        )
    )


def lint_machine(router: Router, machine: Machine) -> tuple[Finding, ...]:
    """What keeps this machine from being that router, or a route of it from being used, in the order of the lines."""
    return _in_order(machine_findings(router, machine))


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.where.line))
