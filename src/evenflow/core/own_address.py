"""Which of the machine's own addresses the kernel takes where it has to choose: masquerade and redirect."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.flow import Address
    from evenflow.model.machine import LinkAddress, Machine

#: Labels of address selection (RFC 6724, 2.1), as Linux has them (net/ipv6/addrlabel.c). The longest prefix counts.
_LABELS = {
    IPv6Network("::/0"): 1,
    IPv6Network("fc00::/7"): 5,
    IPv6Network("fec0::/10"): 11,
    IPv6Network("2002::/16"): 2,
    IPv6Network("3ffe::/16"): 12,
    IPv6Network("2001::/32"): 6,
    IPv6Network("2001:10::/28"): 7,
    IPv6Network("::/96"): 3,
    IPv6Network("::ffff:0:0/96"): 4,
    IPv6Network("::1/128"): 0,
}

#: IPv6 addresses that are not valid everywhere, by how far they are: on the host, the link, the site; each scope with
#: its groups, whatever their flags (RFC 4291, 2.5 to 2.7).
NARROW_SCOPES = tuple(
    (IPv6Network(unicast), *(IPv6Network(((0xFF00 | flags << 4 | scope) << 112, 16)) for flags in range(16)))
    for scope, unicast in ((1, "::1/128"), (2, "fe80::/10"), (5, "fec0::/10"))
)


def masquerading(machine: Machine, interface: str, destination: Address, next_hop: Address | None) -> Address | None:
    """The source that masquerade gives what leaves by `interface`; None when the machine has no address to give.

    IPv4 (Linux, inet_select_addr()): the first address in whose network the next hop lies, else the first of the
    interface, else the first of any. IPv6 (RFC 6724, 5): as for a packet of the machine's own to that destination.
    """
    if isinstance(destination, IPv6Address):
        return _selected_ipv6(machine, interface, destination)
    own = _primary(machine, interface)
    towards = next_hop if isinstance(next_hop, IPv4Address) else destination
    fitting = [
        address
        for address in own
        if towards in ip_network((address.peer or address.address.ip, _length(address)), strict=False)
    ]
    others = (address for link in machine.links for address in _primary(machine, link.name))
    chosen = next((address for address in (*fitting, *own, *others)), None)
    return chosen.address.ip if chosen else None


def redirecting(machine: Machine, interface: str, destination: Address) -> Address | None:
    """The destination that redirect gives what comes in by `interface`: its first address (Linux, nf_nat_redirect).

    What is of a narrow scope gets an address of the same. None: there is none to give, and the packet is dropped.
    """
    scope = next((networks for networks in NARROW_SCOPES if _lies_in(destination, networks)), None)
    for own in machine.addresses:
        address = own.address.ip
        fits = address.version == destination.version and (scope is None or _lies_in(address, scope))
        if own.interface == interface and fits:
            return address
    return None


def _lies_in(address: Address, networks: Iterable[IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _of(machine: Machine, interface: str, version: int) -> list[LinkAddress]:
    """Addresses of an interface that are valid beyond the link, in the kernel's order."""
    return [
        own
        for own in machine.addresses
        if own.interface == interface and own.address.version == version and not own.address.is_link_local
    ]


def _length(own: LinkAddress) -> int:
    return own.address.network.prefixlen


def _primary(machine: Machine, interface: str) -> list[LinkAddress]:
    """IPv4 addresses of an interface but the second ones of a network and those of the loopback network."""
    found: list[LinkAddress] = []
    for own in _of(machine, interface, 4):
        known = any(other.address.network == own.address.network for other in found)
        if not known and not own.address.is_loopback:
            found.append(own)
    return found


def _selected_ipv6(machine: Machine, interface: str, destination: IPv6Address) -> Address | None:
    best: tuple[tuple[int, ...], Address] | None = None
    for own in machine.addresses:
        address = own.address.ip
        if not isinstance(address, IPv6Address) or address.is_loopback or address.is_link_local:
            continue
        score = (
            int(address == destination),
            int(own.interface == interface),
            int(_label(address) == _label(destination)),
            min(_common_bits(address, destination), _length(own)),
        )
        if best is None or score > best[0]:
            best = (score, address)
    return best[1] if best else None


def _label(address: IPv6Address) -> int:
    return max((network.prefixlen, label) for network, label in _LABELS.items() if address in network)[1]


def _common_bits(one: IPv6Address, other: IPv6Address) -> int:
    return 128 - (int(one) ^ int(other)).bit_length()
