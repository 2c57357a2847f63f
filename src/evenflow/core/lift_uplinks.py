"""The uplinks of a policy, from those of a router."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.lookup_hosts import hop_of
from evenflow.core.unstated import interface_by_marks
from evenflow.core.uplinks import default_routes, interface_of, uplinks
from evenflow.model.finding import NOWHERE, Finding, error, info, warning
from evenflow.model.flow import family_of
from evenflow.model.health import ProbeMethod, ProbeTarget
from evenflow.model.matcher import OutInterface, OutInterfaceList
from evenflow.model.policy import DEFAULT_TARGETS, Uplink
from evenflow.model.router import (
    MAIN_TABLE,
    AddressGateway,
    InterfaceGateway,
    LearnedGateway,
    Masquerade,
    SourceNat,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.core.uplinks import RouterUplink
    from evenflow.model.flow import Address, Family
    from evenflow.model.router import Gateway, NatRule, Route, Router

#: Longest name of an uplink in a policy, and names that can't be one.
_LONGEST, _RESERVED = 31, frozenset({"main", "local", "default", "unspec", "no-mark"})


@dataclass(frozen=True, slots=True)
class LiftedUplink:
    """One uplink.

    Attributes:
        keys: what tells it apart in the router: its interface, and gateways of which the file does not tell theirs.
        tables: those in which it is nearest, but for main.
        uplink: as the policy has it; None with a finding where its interface is unknown.
    """

    name: str
    keys: frozenset[str | Address]
    interface: str
    tables: tuple[str, ...]
    connection_marks: tuple[str, ...]
    uplink: Uplink | None
    findings: tuple[Finding, ...] = ()


def lifted_uplinks(router: Router) -> tuple[LiftedUplink, ...]:
    """The uplinks of a router, in the order of their default routes."""
    taken: set[str] = set()
    found: dict[str, LiftedUplink] = {}
    for uplink in uplinks(router):
        lifted = _lifted(uplink, router, _name(uplink.name, taken))
        same = found.get(lifted.interface) if lifted.interface else None
        if same is None:
            found[lifted.interface or lifted.name] = lifted
        else:
            found[lifted.interface] = replace(
                same if same.tables else lifted,
                keys=same.keys | lifted.keys,
                tables=same.tables + lifted.tables,
                connection_marks=same.connection_marks + lifted.connection_marks,
            )
    return tuple(found.values())


def _key(gateway: Gateway, router: Router) -> str | Address | None:
    interface = interface_of(gateway, router)
    return gateway.address if interface is None and isinstance(gateway, AddressGateway) else interface


def _tables(key: str | Address, router: Router) -> tuple[str, ...]:
    """The tables whose nearest default route leaves by an uplink."""
    nearest: dict[str, Route] = {}
    for route in default_routes(router):
        if route.table not in nearest or route.distance < nearest[route.table].distance:
            nearest[route.table] = route
    return tuple(
        table
        for table, route in nearest.items()
        if table != MAIN_TABLE and any(_key(gateway, router) == key for gateway in route.gateways)
    )


def _name(name: str, taken: set[str]) -> str:
    """A name that a policy takes: letters and digits, then also - _ and a point."""
    plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in name)[:_LONGEST]
    plain = plain if plain and plain[0].isalnum() and plain not in _RESERVED else f"uplink-{plain}"[:_LONGEST]
    found, number = plain, 2
    while found in taken:
        found, number = f"{plain[: _LONGEST - 4]}-{number}", number + 1
    taken.add(found)
    return found


def _lifted(uplink: RouterUplink, router: Router, name: str) -> LiftedUplink:
    addresses = (gateway.address for gateway in uplink.gateways if isinstance(gateway, AddressGateway))
    key: str | Address = uplink.interface if uplink.interface is not None else next(addresses)
    interface = uplink.interface or interface_by_marks(uplink, router)
    if not interface:
        what = f"the file does not tell which interface {key} is on; add its /ip address, or write gateway={key}%NAME"
        unknown = error("interface-unknown", uplink.origin, f"uplink {name}: {what}")
        return LiftedUplink(name, frozenset((key,)), "", (), uplink.connection_marks, None, (unknown,))
    hops = [hop_of(gateway, router) for gateway in uplink.gateways]
    findings: list[Finding] = []
    gateways, learns = _gateways([hop.gateway for hop in hops], name, uplink, findings)
    hosts = dict.fromkeys(hop.host for hop in hops if hop.host is not None)
    made = Uplink(
        name,
        interface,
        gateways,
        learns,
        uplink.bandwidth_bps,
        _is_masqueraded(interface, router),
        targets=tuple(ProbeTarget(ProbeMethod.ICMP, host) for host in hosts) or DEFAULT_TARGETS,
        origin=uplink.origin,
    )
    tables = _tables(key, router)
    return LiftedUplink(name, frozenset((key,)), interface, tables, uplink.connection_marks, made, tuple(findings))


def _gateways(
    found: Sequence[Gateway], name: str, uplink: RouterUplink, findings: list[Finding]
) -> tuple[tuple[Address, ...], bool]:
    """The addresses, at most one of a family, and whether a gateway is learnt."""
    stated: dict[Family, Address] = {}
    learns = False
    for gateway in found:
        match gateway:
            case AddressGateway(address) | LearnedGateway(_, address) if address is not None:
                kept = stated.setdefault(family_of(address), address)
                if isinstance(gateway, LearnedGateway):
                    what = f'gateway {address} is what the file states; write "auto" to follow the DHCP client\'s lease'
                    findings.append(info("gateway-stated", uplink.origin, f"uplink {name}: {what}"))
                elif kept != address:
                    what = f"gateway {address} is left out, as {kept} is one already"
                    findings.append(warning("second-gateway", uplink.origin, f"uplink {name}: {what}"))
            case InterfaceGateway() | LearnedGateway():
                learns = True
    return tuple(stated.values()), learns and not stated


def _is_masqueraded(interface: str, router: Router) -> bool:
    return any(translates(rule, interface, router) for rule in router.nat)


def translates(rule: NatRule, interface: str, router: Router) -> bool:
    """Whether a rule gives connections that leave by an interface another source, whoever they are of."""
    if rule.chain != "srcnat" or not isinstance(rule.action, Masquerade | SourceNat):
        return False
    lists = {each.name: each.members for each in router.interface_lists}
    for matcher in rule.matchers:
        match matcher:
            case OutInterface(named, negated):
                if (named == interface) == negated:
                    return False
            case OutInterfaceList(list_name, negated):
                if (interface in lists.get(list_name, frozenset())) == negated:
                    return False
    return True


def about_checks(router: Router, uplinks: Sequence[LiftedUplink]) -> Iterator[Finding]:
    """What becomes of `check-gateway` where no host beyond the gateway is asked."""
    checked = {
        interface_of(gateway, router)
        for route in default_routes(router)
        if route.check_gateway is not None
        for gateway in route.gateways
        if not isinstance(gateway, InterfaceGateway)
    }
    near = [each for each in uplinks if each.keys & checked and each.uplink and each.uplink.targets == DEFAULT_TARGETS]
    if near:
        names = ", ".join(each.name for each in near)
        what = (
            f"check-gateway of {names} becomes evenflow's own probes of hosts beyond the gateway, which notice a loss "
            'within a second; to ask the gateway alone, write targets = ["icmp://gateway"] in the uplink\'s health'
        )
        yield info("check-gateway-lifted", near[0].uplink.origin if near[0].uplink else NOWHERE, what)
