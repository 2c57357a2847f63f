"""Links, addresses, routes and route rules as rtnetlink messages, there and back.

Formats: rtnetlink(7); Linux, include/uapi/linux/rtnetlink.h, if_link.h, if_addr.h, fib_rules.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Final

from evenflow.kernel.netlink import as_text, attribute, attributes, by_kind, nested, text
from evenflow.model.dataplane import FibHop, FibRoute, FibRule, Jump
from evenflow.model.flow import Family, family_of
from evenflow.model.machine import Link, LinkAddress
from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenflow.model.flow import Address, Network

ADDRESS_FAMILY: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_FAMILY: Final = {int(number): family for family, number in ADDRESS_FAMILY.items()}

_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS: Final = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE: Final = struct.Struct("=BBBBBBBBI")  # rtmsg: family, dst, src, tos, table, protocol, scope, type, flags
#: RTNH_F_ONLINK: believe that the gateway is on the link. Else the kernel looks it up through all route rules, and a
#: rule of the user's that makes its network unreachable would make it refuse the route.
_ONLINK: Final = 4

_HOP: Final = struct.Struct("=HBBi")  # rtnexthop: length, flags, weight - 1, index
_RULE: Final = struct.Struct("=BBBBBBBBI")  # fib_rule_hdr: family, dst, src, tos, table, 0, 0, action, flags

_IFF_UP, _IFF_POINTOPOINT, _IFF_NOARP, _IFF_LOWER_UP = 0x1, 0x10, 0x80, 0x10000
_IFLA_IFNAME, _IFLA_STATS, _IFLA_MASTER, _IFLA_STATS64, _IFLA_EXT_MASK, _IFLA_CARRIER = 3, 7, 10, 23, 29, 33
#: Leaves out those of protocols, such as of ICMPv6; a link's own counters always come.
_SKIP_STATISTICS: Final = 1 << 3

_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_DADFAILED: Final = 0x08

_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_MULTIPATH = 1, 4, 5, 6, 7, 9
_RTA_TABLE, _RTA_VIA, _RTA_NH_ID = 15, 18, 30
_RTM_F_CLONED: Final = 0x200
_RT_TABLE_LOCAL: Final = 255
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE = 0, 253, 255
_ROUTE_TYPE: Final = {
    RouteKind.UNICAST: 1,
    RouteKind.BLACKHOLE: 6,
    RouteKind.UNREACHABLE: 7,
    RouteKind.PROHIBIT: 8,
}
_ROUTE_KIND: Final = {number: kind for kind, number in _ROUTE_TYPE.items()}

#: What the kernel makes of an IPv6 route without a metric (IP6_RT_PRIO_USER).
IPV6_DEFAULT_METRIC: Final = 1024

_FRA_DST, _FRA_SRC, _FRA_IIFNAME, _FRA_GOTO, _FRA_PRIORITY, _FRA_FWMARK = 1, 2, 3, 4, 6, 10
_FRA_SUPPRESS_PREFIXLEN, _FRA_TABLE, _FRA_FWMASK, _FRA_PROTOCOL = 14, 15, 16, 21
_RULE_ACTION: Final[dict[RouteKind | Jump, int]] = {
    RouteKind.UNICAST: 1,
    Jump.GOTO: 2,
    Jump.NOP: 3,
    RouteKind.BLACKHOLE: 6,
    RouteKind.UNREACHABLE: 7,
    RouteKind.PROHIBIT: 8,
}
_RULE_KIND: Final = {number: kind for kind, number in _RULE_ACTION.items()}
_NO_SUPPRESSING: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """What a link has carried since it is there."""

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _as_u32(payload: bytes) -> int:
    return int(struct.unpack_from("=I", payload)[0])


# --- links and addresses ---------------------------------------------------------------------------------------------


def links_request(*, with_statistics: bool) -> bytes:
    """Payload of a request for all links."""
    header = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    return header if with_statistics else header + _u32(_IFLA_EXT_MASK, _SKIP_STATISTICS)


def link_request(name: str) -> bytes:
    """Payload of a request for the link of that name."""
    return _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _u32(_IFLA_EXT_MASK, _SKIP_STATISTICS) + text(_IFLA_IFNAME, name)


def link_names(payloads: Sequence[bytes]) -> dict[int, str]:
    """Name of each link by its index."""
    return {_LINK.unpack_from(data)[2]: as_text(by_kind(data, _LINK.size)[_IFLA_IFNAME]) for data in payloads}


def decode_link(data: bytes, names: Mapping[int, str]) -> Link:
    """A link."""
    _, _, index, flags, _ = _LINK.unpack_from(data)
    held = by_kind(data, _LINK.size)
    carrier = bool(held[_IFLA_CARRIER][0]) if _IFLA_CARRIER in held else bool(flags & _IFF_LOWER_UP)
    return Link(
        name=names[index],
        index=index,
        up=bool(flags & _IFF_UP),
        carrier=carrier,
        point_to_point=bool(flags & (_IFF_POINTOPOINT | _IFF_NOARP)),
        # A master can be in another namespace, or gone between two messages: then it is nobody here.
        master=names.get(_as_u32(held[_IFLA_MASTER])) if _IFLA_MASTER in held else None,
    )


def counters_at(data: bytes) -> list[slice]:
    """Where in the payload of a link its counters stand: what is there is another each time."""
    found, offset = [], _LINK.size
    for kind, payload in attributes(data, _LINK.size):
        start = offset + 4
        if kind in (_IFLA_STATS, _IFLA_STATS64):
            found.append(slice(start, start + len(payload)))
        offset = start + (len(payload) + 3 & ~3)
    return found


def decode_counters(data: bytes) -> LinkCounters:
    """What a link has carried (rtnl_link_stats64)."""
    rx_packets, tx_packets, rx_bytes, tx_bytes = struct.unpack_from("=4Q", by_kind(data, _LINK.size)[_IFLA_STATS64])
    return LinkCounters(rx_bytes, tx_bytes, rx_packets, tx_packets)


def addresses_request() -> bytes:
    """Payload of a request for all addresses."""
    return _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)


def decode_address(data: bytes, names: Mapping[int, str]) -> LinkAddress | None:
    """An address; None for one that is not in use because somebody else has it, or whose link is gone."""
    family, prefix_length, flags, _, index = _ADDRESS.unpack_from(data)
    held = by_kind(data, _ADDRESS.size)
    flags = _as_u32(held[_IFA_FLAGS]) if _IFA_FLAGS in held else flags
    raw = held.get(_IFA_LOCAL) or held.get(_IFA_ADDRESS)
    if family not in _FAMILY or raw is None or index not in names or flags & _IFA_F_DADFAILED:
        return None
    other = held.get(_IFA_ADDRESS, raw)
    peer = ip_address(other) if other != raw else None
    return LinkAddress(names[index], ip_interface((raw, prefix_length)), peer)


# --- routes ----------------------------------------------------------------------------------------------------------


def routes_request(family: Family, protocol: int = 0) -> bytes:
    """Payload of a request for all routes of a family, or those of one protocol (kernels before 4.20 give all)."""
    return _ROUTE.pack(ADDRESS_FAMILY[family], 0, 0, 0, 0, protocol, 0, 0, 0)


def table_request(family: Family, table: int, protocol: int = 0) -> bytes:
    """Payload of a request for the routes of one table, or those of one protocol there (before 4.20 for all)."""
    return routes_request(family, protocol) + _u32(_RTA_TABLE, table)


def _gateway(gateway: Address | None, family: Family) -> bytes:
    if gateway is None:
        return b""
    if family_of(gateway) is family:
        return attribute(_RTA_GATEWAY, gateway.packed)
    return attribute(_RTA_VIA, struct.pack("=H", ADDRESS_FAMILY[family_of(gateway)]) + gateway.packed)


def _hops(route: FibRoute, indexes: Mapping[str, int]) -> bytes:
    if route.nexthop_id:
        return _u32(_RTA_NH_ID, route.nexthop_id)
    if len(route.hops) == 1:
        hop = route.hops[0]
        return _gateway(hop.gateway, route.family) + _u32(_RTA_OIF, indexes[hop.interface])
    parts = []
    for hop in route.hops:
        gateway = _gateway(hop.gateway, route.family)
        parts.append(
            _HOP.pack(_HOP.size + len(gateway), _ONLINK if gateway else 0, 0, indexes[hop.interface]) + gateway
        )
    return nested(_RTA_MULTIPATH, *parts) if parts else b""


def encode_route(route: FibRoute, indexes: Mapping[str, int], *, deleting: bool = False) -> bytes:
    """Payload of a request to add or delete a route; `indexes` gives each link's index.

    Raises:
        KeyError: a link that `indexes` lacks.
    """
    scope = _SCOPE_UNIVERSE
    if deleting:
        scope = _SCOPE_NOWHERE
    elif len(route.hops) == 1 and not _has_gateway(route) and route.kind is RouteKind.UNICAST:
        scope = _SCOPE_LINK
    destination = route.destination
    kind = _ROUTE_TYPE[route.kind]
    family = ADDRESS_FAMILY[route.family]
    flags = _ONLINK if _has_gateway(route) and not route.nexthop_id and not deleting else 0
    parts = [_ROUTE.pack(family, destination.prefixlen, 0, 0, 0, route.protocol, scope, kind, flags)]
    if destination.prefixlen:
        parts.append(attribute(_RTA_DST, destination.network_address.packed))
    parts.append(_u32(_RTA_TABLE, route.table) + _u32(_RTA_PRIORITY, kernel_metric(route)))
    if route.preferred_source is not None:
        parts.append(attribute(_RTA_PREFSRC, route.preferred_source.packed))
    return b"".join(parts) + _hops(route, indexes)


def _has_gateway(route: FibRoute) -> bool:
    """Whether its only hop has one."""
    return len(route.hops) == 1 and route.hops[0].gateway is not None


def kernel_metric(route: FibRoute) -> int:
    """The metric that the kernel gives a route: 0 does not exist for IPv6, and in a deletion it would mean "any"."""
    return IPV6_DEFAULT_METRIC if route.family is Family.IPV6 and not route.metric else route.metric


def _as_gateway(held: Mapping[int, bytes]) -> Address | None:
    if _RTA_GATEWAY in held:
        return ip_address(held[_RTA_GATEWAY])
    return ip_address(held[_RTA_VIA][2:]) if _RTA_VIA in held else None


def _as_hops(held: Mapping[int, bytes], names: Mapping[int, str]) -> tuple[FibHop, ...]:
    """The hops, in the kernel's order. A link that is gone has its number for a name: nothing is called so."""
    if _RTA_MULTIPATH not in held:
        if _RTA_OIF not in held:
            return ()
        index = _as_u32(held[_RTA_OIF])
        return (FibHop(names.get(index, f"#{index}"), _as_gateway(held)),)
    data, offset, hops = held[_RTA_MULTIPATH], 0, []
    while offset + _HOP.size <= len(data):
        length, _, _, index = _HOP.unpack_from(data, offset)
        if length < _HOP.size:
            break
        gateway = _as_gateway(by_kind(data[offset : offset + length], _HOP.size))
        hops.append(FibHop(names.get(index, f"#{index}"), gateway))
        offset += (length + 3) & ~3
    return tuple(hops)


def decode_route(data: bytes, names: Mapping[int, str]) -> FibRoute | None:
    """A route; None for what is no route of ours to know.

    That is: entries that the kernel makes for its own addresses (local, broadcast, multicast), cached ones, those for
    a type of service or a source, and types that are neither unicast nor a refusal.
    """
    family_number, length, source_length, tos, table, protocol, _, kind, flags = _ROUTE.unpack_from(data)
    family = _FAMILY.get(family_number)
    if family is None or kind not in _ROUTE_KIND or flags & _RTM_F_CLONED or tos or source_length:
        return None
    held = by_kind(data, _ROUTE.size)
    table = _as_u32(held[_RTA_TABLE]) if _RTA_TABLE in held else table
    if table == _RT_TABLE_LOCAL:
        return None
    route_kind = _ROUTE_KIND[kind]
    return FibRoute(
        family=family,
        table=table,
        destination=_as_network(family, held.get(_RTA_DST), length),
        metric=_as_u32(held[_RTA_PRIORITY]) if _RTA_PRIORITY in held else 0,
        # The kernel hangs refusing IPv6 routes on the loopback device; that is no hop.
        hops=_as_hops(held, names) if route_kind is RouteKind.UNICAST else (),
        kind=route_kind,
        preferred_source=ip_address(held[_RTA_PREFSRC]) if _RTA_PREFSRC in held else None,
        protocol=protocol,
        nexthop_id=_as_u32(held[_RTA_NH_ID]) if _RTA_NH_ID in held else 0,
    )


def _as_network(family: Family, address: bytes | None, length: int) -> Network:
    if address is None:
        return family.any_network
    return ip_network((address, length))


# --- route rules -----------------------------------------------------------------------------------------------------


def rules_request(family: Family) -> bytes:
    """Payload of a request for all route rules of a family."""
    return _RULE.pack(ADDRESS_FAMILY[family], 0, 0, 0, 0, 0, 0, 0, 0)


def encode_rule(rule: FibRule) -> bytes:
    """Payload of a request to add or delete a route rule."""
    source, destination = rule.source, rule.destination
    lengths = (destination.prefixlen if destination else 0, source.prefixlen if source else 0)
    family = ADDRESS_FAMILY[rule.family]
    parts = [_RULE.pack(family, lengths[0], lengths[1], 0, 0, 0, 0, _RULE_ACTION[rule.kind], 0)]
    parts.append(_u32(_FRA_PRIORITY, rule.priority) + attribute(_FRA_PROTOCOL, bytes((rule.protocol,))))
    if rule.table:
        parts.append(_u32(_FRA_TABLE, rule.table))
    if rule.goto:
        parts.append(_u32(_FRA_GOTO, rule.goto))
    if rule.mark or rule.mask:
        parts.append(_u32(_FRA_FWMARK, rule.mark) + _u32(_FRA_FWMASK, rule.mask))
    if source:
        parts.append(attribute(_FRA_SRC, source.network_address.packed))
    if destination:
        parts.append(attribute(_FRA_DST, destination.network_address.packed))
    if rule.in_interface is not None:
        parts.append(text(_FRA_IIFNAME, rule.in_interface))
    if rule.suppress_prefix_length is not None:
        parts.append(_u32(_FRA_SUPPRESS_PREFIXLEN, rule.suppress_prefix_length))
    return b"".join(parts)


def decode_rule(data: bytes) -> FibRule | None:
    """A route rule; None for an action that ip-rule(8) does not have."""
    family_number, destination_length, source_length, _, table, _, _, action, _ = _RULE.unpack_from(data)
    family = _FAMILY.get(family_number)
    if family is None or action not in _RULE_KIND:
        return None
    held = by_kind(data, _RULE.size)
    suppressed = _as_u32(held[_FRA_SUPPRESS_PREFIXLEN]) if _FRA_SUPPRESS_PREFIXLEN in held else _NO_SUPPRESSING
    kind = _RULE_KIND[action]
    table = _as_u32(held[_FRA_TABLE]) if _FRA_TABLE in held else table
    return FibRule(
        family=family,
        priority=_as_u32(held[_FRA_PRIORITY]) if _FRA_PRIORITY in held else 0,
        table=table if kind is RouteKind.UNICAST else 0,
        kind=kind,
        goto=_as_u32(held[_FRA_GOTO]) if _FRA_GOTO in held else 0,
        mark=_as_u32(held[_FRA_FWMARK]) if _FRA_FWMARK in held else 0,
        mask=_as_u32(held[_FRA_FWMASK]) if _FRA_FWMASK in held else 0,
        source=_as_network(family, held[_FRA_SRC], source_length) if _FRA_SRC in held else None,
        destination=_as_network(family, held[_FRA_DST], destination_length) if _FRA_DST in held else None,
        in_interface=as_text(held[_FRA_IIFNAME]) if _FRA_IIFNAME in held else None,
        suppress_prefix_length=None if suppressed == _NO_SUPPRESSING else suppressed,
        protocol=held[_FRA_PROTOCOL][0] if _FRA_PROTOCOL in held else 0,
    )


def address_text(address: Address | None) -> str:
    """For messages: " via 192.0.2.1", or nothing."""
    return f" via {address}" if isinstance(address, IPv4Address | IPv6Address) else ""


def describe_route(route: FibRoute) -> str:
    """A route in the words of `ip route`, for messages."""
    hops = " nexthop".join(f"{address_text(hop.gateway)} dev {hop.interface}" for hop in route.hops)
    hops = f" nhid {route.nexthop_id}" if route.nexthop_id else hops
    kind = "" if route.kind is RouteKind.UNICAST else f"{route.kind.value} "
    return f"{kind}{route.destination}{hops} table {route.table} metric {route.metric} proto {route.protocol}"


def describe_rule(rule: FibRule) -> str:
    """A route rule in the words of `ip rule`, for messages."""
    said = [f"{rule.family.value} rule {rule.priority}: from {rule.source or 'all'}"]
    if rule.destination:
        said.append(f"to {rule.destination}")
    if rule.mark or rule.mask:
        said.append(f"fwmark {rule.mark:#x}/{rule.mask:#x}")
    if rule.in_interface:
        said.append(f"iif {rule.in_interface}")
    said.append(rule.answer)
    if rule.suppress_prefix_length is not None:
        said.append(f"suppress_prefixlength {rule.suppress_prefix_length}")
    return " ".join(said)
