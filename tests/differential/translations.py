"""Random NAT rules: every action, with any conditions."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from differential.bench import WANS
from evenflow.model.flow import BOTH_FAMILIES, TCP, UDP, Family
from evenflow.model.matcher import AddressRange, OutInterface, ProtocolMatch
from evenflow.model.router import AcceptAction, DestinationNat, Masquerade, NatRule, Redirect, SourceNat

if TYPE_CHECKING:
    from differential.routers import Draw
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import NatAction


def draw_nat(draw: Draw) -> list[NatRule]:
    """Masquerade by some uplinks, as people have it, with other rules between."""
    rules = [NatRule("srcnat", (OutInterface(wan),), Masquerade()) for wan in WANS if draw.some(0.5)]
    for _ in range(draw.random.choice([0, 0, 1, 2])):
        rules.insert(draw.random.randint(0, len(rules)), _source(draw))
    return rules + [_destination(draw) for _ in range(draw.random.choice([0, 0, 1, 2]))]


def _one(address: str) -> AddressRange:
    return AddressRange(ip_address(address), ip_address(address))


def _source(draw: Draw) -> NatRule:
    family = draw.random.choice(BOTH_FAMILIES)
    number = draw.random.randrange(3)
    to = f"100.64.{number}.60" if family is Family.IPV4 else f"2001:db8:{number}::60"
    actions: list[NatAction] = [AcceptAction(), Masquerade(), SourceNat(_one(to))]
    return NatRule("srcnat", draw.matchers(family), draw.random.choice(actions), (family,))  # type: ignore[arg-type]


def _destination(draw: Draw) -> NatRule:
    family = draw.random.choice(BOTH_FAMILIES)
    host = "10.1.3.77" if family is Family.IPV4 else "fd00:1::77"
    ports = (8080, 8080) if draw.some(0.3) else None
    to = _one(host)
    actions: list[NatAction] = [AcceptAction(), Redirect(ports), DestinationNat(to, ports), DestinationNat(to)]
    matchers: tuple[Matcher, ...] = draw.matchers(family)  # type: ignore[assignment]
    if ports:
        # RouterOS, too, gives ports only to protocols that have them.
        matchers = (ProtocolMatch(draw.random.choice([TCP, UDP])), *matchers)
    return NatRule("dstnat", matchers, draw.random.choice(actions), (family,))
