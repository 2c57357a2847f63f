"""What evenflow puts into the kernel for a policy, by the same functions as `evenflow apply`.

A policy has no rules of its own for some traffic: the diversions are put into the router that it is lowered to, as
mangle rules before the spread, where a script has them.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from bench.dataplane.site import LAN
from evenflow.core.lower import lower
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.model.flow import BOTH_FAMILIES, UDP, ConnectionState
from evenflow.model.matcher import (
    AddressMatch,
    AddressRange,
    AddressType,
    AddressTypeMatch,
    Direction,
    InInterface,
    MarkKind,
    MarkMatch,
    PortMatch,
    ProtocolMatch,
    StateMatch,
)
from evenflow.model.policy import Balance, Policy, Uplink
from evenflow.model.router import MangleRule, MarkAction, SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.dataplane.site import Diversion, Site
    from evenflow.kernel.namespaces import NetworkNamespace
    from evenflow.model.flow import Family
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import Router

#: Known, so that every run sends each flow by the same uplink.
SEED = 0x5EED

_NEW_OF_THE_LAN = (
    InInterface(LAN),
    MarkMatch(MarkKind.CONNECTION, None),
    StateMatch(frozenset({ConnectionState.NEW})),
    AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.LOCAL}), negated=True),
)


def install(router: NetworkNamespace, site: Site) -> None:
    """Apply, read back, verify.

    Raises:
        SystemRefusedError: the kernel refused.
        VerifyError: what is read back is not what was asked.
    """
    with router.entered(), LinuxKernel() as kernel:
        carry_out(kernel, look_ahead(kernel, router_of(site), kernel.read_machine(), SEED))


def router_of(site: Site) -> Router:
    """The policy lowered, with the diversions before its spread."""
    lowered = lower(policy(site))
    at = next(n for n, rule in enumerate(lowered.mangle) if isinstance(rule.action, SpreadAction))
    return replace(lowered, mangle=(*lowered.mangle[:at], *_diversions(site), *lowered.mangle[at:]))


def policy(site: Site) -> Policy:
    """The uplinks and their weights."""
    uplinks = tuple(
        Uplink(one.name, one.interface, tuple(one.gateway(family) for family in BOTH_FAMILIES)) for one in site.uplinks
    )
    return Policy((LAN,), uplinks, Balance(weights=tuple((one.name, one.weight) for one in site.uplinks)))


def _diversions(site: Site) -> Iterator[MangleRule]:
    for family in BOTH_FAMILIES:
        for diversion in site.diversions:
            matchers = (*_NEW_OF_THE_LAN, *_asked(diversion, family))
            action = MarkAction(MarkKind.CONNECTION, diversion.uplink.name)
            yield MangleRule("prerouting", matchers, action, (family,))


def _asked(diversion: Diversion, family: Family) -> Iterator[Matcher]:
    network = ip_network(diversion.network(family))
    yield AddressMatch(Direction.DESTINATION, AddressRange(network[0], network[-1]))
    if diversion.port is not None:
        yield ProtocolMatch(UDP)
        yield PortMatch(Direction.DESTINATION, ((diversion.port, diversion.port),))
