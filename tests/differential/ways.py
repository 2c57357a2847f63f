"""Random routes and routing rules: every form of gateway, equal distances, routes through routes, all stages."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from differential.bench import INTERFACES, WANS
from differential.names import TABLES
from evenflow.model.flow import Family, family_of
from evenflow.model.router import (
    MAIN_TABLE,
    AddressGateway,
    InterfaceGateway,
    LearnedGateway,
    Route,
    RouteKind,
    RouteRule,
    RuleAction,
    RuleStage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from differential.routers import Draw
    from evenflow.model.router import Gateway

FAMILIES = (Family.IPV4, Family.IPV6)

#: Hosts that gateways are reached through: routes of main lead there.
FAR_HOSTS = {Family.IPV4: "203.0.113.9", Family.IPV6: "2001:db8:ffff::9"}


def draw_routes(draw: Draw) -> list[Route]:
    """Routes in each table, and those of main to hosts that are gateways of others."""
    made = [_to_far_host(draw, family) for family in FAMILIES if draw.some(0.3)]
    for table in TABLES:
        distances = iter(draw.random.sample(range(1, 20), 8))
        for family in FAMILIES:
            for _ in range(draw.random.randint(0, 2)):
                made.append(_route(draw, table, family, next(distances)))
                if draw.some(0.15):
                    made.append(_route(draw, table, family, made[-1].distance))
            if draw.some(0.2):
                network = ip_network(draw.network(family))
                made.append(replace(_route(draw, table, family, next(distances)), destination=network))
    return made


def _to_far_host(draw: Draw, family: Family) -> Route:
    host = ip_network(FAR_HOSTS[family])
    return Route(
        MAIN_TABLE, host, (_near(draw, family),), draw.random.randint(1, 3), scope=draw.random.choice([10, 30])
    )


def gateway_of(draw: Draw, wan: str, family: Family) -> str:
    """A gateway next to the router; of a network that only one bench has, at times."""
    if wan == "wan0" and len(draw.plan.interfaces["wan0"]) > 2 and draw.some(0.5):
        return "198.18.0.1" if family is Family.IPV4 else "2001:db8:a::1"
    return f"100.64.{wan[-1]}.1" if family is Family.IPV4 else f"2001:db8:{wan[-1]}::1"


def _near(draw: Draw, family: Family) -> AddressGateway:
    wan = draw.random.choice(list(WANS))
    return AddressGateway(ip_address(gateway_of(draw, wan, family)), wan if draw.some(0.3) else None)


def _gateway(draw: Draw, family: Family) -> Gateway:
    wan = draw.random.choice(list(WANS))
    near = _near(draw, family)
    far = AddressGateway(ip_address(FAR_HOSTS[family]))
    drawn: list[Gateway] = [near, InterfaceGateway(wan), far, LearnedGateway(wan, near.address)]
    return draw.random.choices(drawn, [4, 3, 1, 1])[0]


def _route(draw: Draw, table: str, family: Family, distance: int) -> Route:
    random = draw.random
    if draw.some(0.1):
        kind = random.choice([RouteKind.UNREACHABLE, RouteKind.BLACKHOLE, RouteKind.PROHIBIT])
        return Route(table, family.any_network, (), distance, kind)
    gateways = tuple(dict.fromkeys(_gateway(draw, family) for _ in range(random.choice([1, 1, 1, 1, 2]))))
    own = [ip_address(text.partition("/")[0]) for texts in INTERFACES.values() for text in texts]
    source = random.choice([address for address in own if family_of(address) is family]) if draw.some(0.2) else None
    return Route(
        table,
        family.any_network,
        gateways,
        distance,
        target_scope=random.choice([10, 11, 30]),
        preferred_source=source,
    )


def draw_rules(draw: Draw) -> Iterator[RouteRule]:
    """Routing rules as RouterOS has them, and at times those before the marks and behind main."""
    random = draw.random
    for _ in range(random.choice([0, 0, 1, 2])):
        yield _rule(draw)
    family = (random.choice(FAMILIES),)
    if draw.some(0.2):
        least = random.choice([0, 16])
        yield RouteRule(RuleAction.LOOKUP, MAIN_TABLE, min_prefix=least, stage=RuleStage.BEFORE_MARKS, families=family)
    if draw.some(0.2):
        yield RouteRule(RuleAction.LOOKUP, random.choice(TABLES), stage=RuleStage.AFTER_MAIN, families=family)


def _rule(draw: Draw) -> RouteRule:
    family = draw.random.choice(FAMILIES)
    action = draw.random.choice([RuleAction.LOOKUP, RuleAction.LOOKUP, RuleAction.LOOKUP_ONLY, RuleAction.UNREACHABLE])
    networks = [*(draw.network(family) for _ in range(4)), str(family.any_network)]
    return RouteRule(
        action,
        draw.random.choice(TABLES) if action in (RuleAction.LOOKUP, RuleAction.LOOKUP_ONLY) else None,
        ip_network(draw.random.choice(networks)) if draw.some(0.5) else None,
        ip_network(draw.random.choice(networks)) if draw.some(0.3) else None,
        draw.random.choice([*INTERFACES, "lo"]) if draw.some(0.3) else None,
        draw.random.choice(TABLES) if draw.some(0.3) else None,
        families=(family,),
    )
