"""What every layout is to do: balance over uplinks by their weights, and lead some traffic by one of them.

Pure. Addresses are private or those of documentation and benchmarking (RFC 1918, 2544, 3849, 5737, 6598).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from evenflow.model.flow import Family

if TYPE_CHECKING:
    from evenflow.model.flow import Address

LAN = "lan0"
LAN_ADDRESSES = {Family.IPV4: "10.10.0.1/24", Family.IPV6: "2001:db8:ffff::1/64"}
LAN_NETWORKS = {Family.IPV4: "10.10.0.0/24", Family.IPV6: "2001:db8:ffff::/64"}

#: The clients are behind one more router of the LAN: so that one neighbour stands for all of them.
LAN_ROUTERS = {Family.IPV4: "10.10.0.2", Family.IPV6: "2001:db8:ffff::2"}
CLIENTS = {Family.IPV4: "10.20.0.0/16", Family.IPV6: "2001:db8:fffe::/64"}

#: 100.64.N.0/24 has room for so many.
MOST_UPLINKS = 200


def lan_routes(family: Family) -> tuple[str, str]:
    """The LAN itself, and the way to the clients, as `ip route` takes them."""
    return f"{LAN_NETWORKS[family]} dev {LAN}", f"{CLIENTS[family]} via {LAN_ROUTERS[family]} dev {LAN}"


@dataclass(frozen=True, slots=True)
class Uplink:
    """The uplink of that number, from 0 on."""

    number: int
    weight: int

    @property
    def name(self) -> str:
        """As in a policy."""
        return f"isp{self.number}"

    @property
    def interface(self) -> str:
        """The router's device."""
        return f"wan{self.number}"

    def address(self, family: Family) -> Address:
        """The router's own."""
        return self._host(family, 2)

    def gateway(self, family: Family) -> Address:
        """The provider's."""
        return self._host(family, 1)

    def _host(self, family: Family, host: int) -> Address:
        if family is Family.IPV4:
            return IPv4Address(f"100.64.{self.number}.{host}")
        return IPv6Address(f"2001:db8:{self.number:x}::{host}")


@dataclass(frozen=True, slots=True)
class Diversion:
    """A rule: what goes to this network (and, with a port, is UDP to that) leaves by this uplink."""

    number: int
    uplink: Uplink
    port: int | None

    def network(self, family: Family) -> str:
        """The destination, as nft, iptables and RouterOS write it."""
        if self.port is None:
            high, low = divmod(self.number, 256)
            return f"172.{16 + high}.{low}.0/24" if family is Family.IPV4 else f"2001:db8:a000:{self.number:x}::/64"
        return f"{self.destination(family)}/{family.address_bits}"

    def destination(self, family: Family) -> Address:
        """An address that it holds for."""
        high, low = divmod(self.number, 256)
        if family is Family.IPV4:
            return IPv4Address(f"172.{16 + high}.{low}.7")
        return IPv6Address(f"2001:db8:a000:{self.number:x}::7")


@dataclass(frozen=True, slots=True)
class Site:
    """Uplinks in their order, and the diversions, which come before the balance."""

    uplinks: tuple[Uplink, ...]
    diversions: tuple[Diversion, ...]

    @property
    def total_weight(self) -> int:
        """Of all uplinks."""
        return sum(uplink.weight for uplink in self.uplinks)

    @property
    def streams(self) -> tuple[Uplink, ...]:
        """Each uplink as often as its weight says, in their order."""
        return tuple(uplink for uplink in self.uplinks for _ in range(uplink.weight))


def make_site(uplinks: int, rules: int) -> Site:
    """A site with that many uplinks, of weights 2, 1, 2, 1, …, and that many diversions.

    Half of the diversions are of networks, half of one address and port: what people write.

    Raises:
        ValueError: more uplinks than there is room for, or none.
    """
    if not 0 < uplinks <= MOST_UPLINKS:
        raise ValueError(f"{uplinks} uplinks; 1 to {MOST_UPLINKS} are possible")
    made = tuple(Uplink(number, 2 - number % 2) for number in range(uplinks))
    diversions = (Diversion(n, made[n % uplinks], 5000 + n if n % 2 else None) for n in range(rules))
    return Site(made, tuple(diversions))
