"""How a RouterOS script asks whether an uplink works: by its routes.

`check-gateway` asks the next hop. A host beyond it is asked by a recursive route: a route to the host by the uplink
(scope 10), and default routes "via" the host (target-scope 11) that check it. Such a host is reached by that
uplink only, so no two uplinks can share one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from evenflow.model.finding import Finding, info, warning
from evenflow.model.flow import Family, family_of
from evenflow.model.health import ProbeMethod
from evenflow.model.router import (
    MAIN_TABLE,
    AddressGateway,
    CheckGateway,
    InterfaceGateway,
    LearnedGateway,
    Route,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.model.flow import Address
    from evenflow.model.policy import Policy, Uplink

#: A route of scope 10 leads to the host; one that is looked up with target-scope 11 finds it, and no default route.
HOST_SCOPE, OVER_HOST_SCOPE = 10, 11


@dataclass(frozen=True, slots=True)
class Asking:
    """How one uplink is asked: by which check, of which hosts beyond the next hop (one per family at most)."""

    check: CheckGateway | None
    hosts: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Routes with their checks."""

    routes: tuple[Route, ...]
    asking: dict[str, Asking]
    findings: tuple[Finding, ...] = ()


def asked_routes(policy: Policy, routes: Sequence[Route]) -> Asked:
    """The default routes with checks, and the routes to the hosts that are asked; a route's comment is its uplink's."""
    taken: set[Address] = set()
    made: list[Route] = []
    asking: dict[str, Asking] = {}
    findings: list[Finding] = []
    for uplink in policy.uplinks:
        own = [route for route in routes if route.comment == uplink.name]
        hosts = _hosts(uplink, own, taken)
        taken.update(hosts.values())
        asking[uplink.name] = Asking(_check(uplink, hosts), tuple(hosts.values()))
        made += _host_routes(uplink, own, hosts)
        findings += _findings(uplink, own, hosts)
    for route in routes:
        host = next((h for h in asking[route.comment].hosts if h.version == route.destination.version), None)
        made.append(_asked(route, host, asking[route.comment].check))
    return Asked(tuple(made), asking, tuple(findings))


def _hosts(uplink: Uplink, own: Sequence[Route], taken: set[Address]) -> dict[Family, Address]:
    """For each family the first host that nobody else asks; a gateway that DHCP gives can't be led through."""
    found: dict[Family, Address] = {}
    for route in own:
        family = family_of(route.destination)
        if isinstance(route.gateways[0], LearnedGateway):
            continue
        for target in uplink.targets:
            address = target.address
            if target.method is not ProbeMethod.ICMP or address is None or address in taken:
                continue
            if family_of(address) is family:
                found.setdefault(family, address)
    return found


def _check(uplink: Uplink, hosts: dict[Family, Address]) -> CheckGateway | None:
    """PING, unless the gateway is to be asked by ARP and nothing else; None where nobody is to be asked."""
    if not uplink.targets:
        return None
    only_arp = all(target.method is ProbeMethod.NEIGHBOUR for target in uplink.targets)
    return CheckGateway.ARP if only_arp and not hosts else CheckGateway.PING


def _host_routes(uplink: Uplink, own: Sequence[Route], hosts: dict[Family, Address]) -> Iterator[Route]:
    for family, host in hosts.items():
        first = next(route for route in own if family_of(route.destination) is family)
        yield Route(
            MAIN_TABLE,
            ip_network(host),
            first.gateways,
            scope=HOST_SCOPE,
            comment=uplink.name,
            origin=uplink.origin,
        )


def _asked(route: Route, host: Address | None, check: CheckGateway | None) -> Route:
    if host is not None:
        return replace(route, gateways=(AddressGateway(host),), check_gateway=check, target_scope=OVER_HOST_SCOPE)
    # On an interface as gateway there is no address to ask.
    of_interface = isinstance(route.gateways[0], InterfaceGateway)
    # ARP is of IPv4.
    if check is CheckGateway.ARP and family_of(route.destination) is Family.IPV6:
        check = CheckGateway.PING
    return replace(route, check_gateway=None if of_interface else check)


def _findings(uplink: Uplink, own: Sequence[Route], hosts: dict[Family, Address]) -> Iterator[Finding]:
    where, name = uplink.origin, f"uplink {uplink.name}"
    if hosts:
        asked = " and ".join(map(str, hosts.values()))
        yield info(
            "probe-host-by-uplink",
            where,
            f"{name}: recursive routes ask {asked}; what the router itself sends there leaves by {uplink.name} always, "
            "and is lost with it",
        )
    far = [target for target in uplink.targets if target.address is not None]
    for family in dict.fromkeys(family_of(route.destination) for route in own):
        wanted = [target for target in far if target.address is not None and family_of(target.address) is family]
        if wanted and family not in hosts:
            yield warning("next-hop-only", where, f"{name}: {_why_not(own, family)}")
    left = [target for target in uplink.targets if not _is_said(target.method, target.address, hosts)]
    if left and hosts:
        yield info(
            "targets-left-out",
            where,
            f"{name}: not asked are {len(left)} of its {len(uplink.targets)} targets: a recursive route has one host, "
            "which no other uplink can share",
        )


def _is_said(method: ProbeMethod, address: Address | None, hosts: dict[Family, Address]) -> bool:
    return method is ProbeMethod.ICMP and address in hosts.values()


def _why_not(own: Sequence[Route], family: Family) -> str:
    gateway = next(route.gateways[0] for route in own if family_of(route.destination) is family)
    if isinstance(gateway, LearnedGateway):
        why = "a recursive route needs a gateway that is stated, and DHCP gives this one"
        mend = "State its gateway, if it never changes"
    else:
        why = "a recursive route needs a host of its own to ping, and every target is another uplink's, or is no ping"
        mend = "Give the uplink a target of its own"
    asked = "nobody is asked" if isinstance(gateway, InterfaceGateway) else "only the next hop is asked"
    return f"{why}: {asked}, and an outage behind it goes unnoticed. {mend}"
