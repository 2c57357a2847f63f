"""The lab as data: which namespaces there are, how they are joined, and what each of them has.

Nothing here touches the system; `evenflow.lab.world` makes it real.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.flow import Address, InterfaceAddress, Network

ROUTER: Final = "router"
CLIENTS: Final = "clients"
INTERNET: Final = "internet"

MEGABIT: Final = 1_000_000

#: Bytes that a shaped port may send at once. More than one Ethernet frame, and little enough that the rate over
#: a tenth of a second is the rate that was asked for (30 Mbit/s are 375 kB in that time).
SHAPER_BURST_BYTES: Final = 32_000

#: How long a packet may wait in a shaped port. A home router's queue is of this order; TCP fills it.
SHAPER_LATENCY_MS: Final = 80


@dataclass(frozen=True, slots=True)
class PortAddress:
    """An address of a port; `peer` is the other end of a point-to-point link."""

    address: InterfaceAddress
    peer: Address | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a link, or a device that stands alone (a bridge, the loopback).

    Attributes:
        name: of the device, at most 15 bytes.
        mac: Ethernet address; None lets the kernel draw one.
        arp: False sets NOARP: no next hop is looked up, as on a PPP device.
        rate_bps: what it may send, bits per second on the wire; None is unlimited.
        bridge: the bridge in the same namespace that it is a port of.
    """

    name: str
    addresses: tuple[PortAddress, ...] = ()
    mac: str | None = None
    arp: bool = True
    mtu: int = 1500
    rate_bps: int | None = None
    bridge: str | None = None


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A route of a namespace's main table."""

    destination: Network
    gateway: Address | None = None
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A namespace.

    Attributes:
        name: how the rest of the topology calls it.
        title: how a report calls it.
        bridges: bridge devices, with their addresses.
        loopback: further addresses of `lo`.
        sysctls: name with slashes ("net/ipv4/ip_forward") and value.
    """

    name: str
    title: str
    bridges: tuple[Port, ...] = ()
    loopback: tuple[InterfaceAddress, ...] = ()
    routes: tuple[StaticRoute, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """A port in a namespace."""

    node: str
    port: Port


@dataclass(frozen=True, slots=True)
class Cable:
    """Two ports joined (a veth pair)."""

    left: End
    right: End


@dataclass(frozen=True, slots=True)
class LabUplink:
    """An uplink of the lab's router, as the steps need it.

    Attributes:
        name: as the router's configuration calls it ("isp1").
        interface: the router's device.
        address: the router's own address there, which the Internet sees.
        network: the provider's network, in which `address` lies.
        provider: the provider's namespace.
        provider_port: the provider's device towards the router. Taking it down takes the carrier off `interface`.
        rate_bps: each way, bits per second on the wire.
        weight: its part of the streams.
        is_leased: the provider gives the address by DHCP: the router has none there to begin with.
    """

    name: str
    interface: str
    address: Address
    network: Network
    provider: str
    provider_port: str
    rate_bps: int
    weight: int
    is_leased: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole lab.

    Attributes:
        nodes, cables: what is built.
        uplinks: of the router, in the order of the configuration.
        clients: addresses in the `CLIENTS` namespace that connections start from.
        lan_server: address in the `CLIENTS` namespace that a port-forward leads to.
        servers: addresses in the `INTERNET` namespace that answer, and that outside clients connect from.
    """

    nodes: tuple[Node, ...]
    cables: tuple[Cable, ...]
    uplinks: tuple[LabUplink, ...]
    clients: tuple[Address, ...]
    lan_server: Address
    servers: tuple[Address, ...]

    def uplink(self, name: str) -> LabUplink:
        """The uplink of that name. Raises KeyError when there is none."""
        for uplink in self.uplinks:
            if uplink.name == name:
                return uplink
        raise KeyError(name)

    def uplink_of(self, address: Address) -> LabUplink | None:
        """The uplink whose provider's network an address lies in, or None."""
        return next((uplink for uplink in self.uplinks if address in uplink.network), None)


# Nodes forward; an autoconfigured IPv6 address would only put noise into what is compared before and after.
_FORWARDING: Final = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}

# A port-forward's hairpin or a moved address must not be refused by a check that is not what is tested here.
_CLIENT_SYSCTLS: Final = {"net/ipv4/ip_local_port_range": "20000 60999", "net/ipv4/tcp_syn_retries": "3"}

_ANY: Final = IPv4Network("0.0.0.0/0")

#: Public resolvers that evenflow asks by default whether a line works; in the lab's Internet they answer, too.
RESOLVERS: Final = tuple(IPv4Address(address) for address in ("1.1.1.1", "8.8.8.8", "9.9.9.9"))

# With NOARP the kernel addresses a frame to the sending device's own Ethernet address. When both ends have the same
# one, each takes the other's frames: a device that needs no next hop, as PPP is, on a kernel without PPP.
_PPPOE_MAC: Final = "02:00:64:02:00:02"


def article_topology(*, clients: int = 200, servers: int = 8, pppoe_mtu: int = 1500) -> Topology:
    """The article's network: a LAN, a router with two uplinks of 30 and 10 Mbit/s, and an Internet.

    Device names and addresses in the router are those of `examples/seed.rsc` and `examples/seed.toml`.

    Args:
        clients: how many addresses in the LAN start connections, 1 to 10000.
        servers: how many addresses in the Internet answer, 1 to 200.
        pppoe_mtu: 1500 as with RFC 4638, or 1492 as PPPoE leaves of Ethernet without it. The article's script has
            no rule that lowers TCP's segment size (RouterOS's PPP profile adds one by itself), so with 1492 it needs
            the router's ICMP errors to reach the clients.
    """
    if not (1 <= clients <= 10_000 and 1 <= servers <= 200):
        raise ValueError("1 to 10000 clients and 1 to 200 servers")
    # 10.10.1.10 upwards, 200 in each block of 256.
    people = tuple(IPv4Address("10.10.1.10") + 256 * (n // 200) + n % 200 for n in range(clients))
    outside = tuple(IPv4Address("198.51.100.10") + n for n in range(servers))
    lan_server = IPv4Address("10.10.200.10")
    uplinks = (
        LabUplink("isp1", "ether1", IPv4Address("100.64.1.2"), IPv4Network("100.64.1.0/24"), "isp1", "to-router",
                  30 * MEGABIT, 2),
        LabUplink("isp2", "pppoe-out1", IPv4Address("100.64.2.2"), IPv4Network("100.64.2.0/24"), "isp2", "to-router",
                  10 * MEGABIT, 1),
    )  # fmt: skip
    return Topology(
        nodes=_nodes(outside),
        cables=(_lan_cable((*people, lan_server)), *_access_cables(uplinks, pppoe_mtu), *_backbone_cables(uplinks)),
        uplinks=uplinks,
        clients=people,
        lan_server=lan_server,
        servers=outside,
    )


def _nodes(outside: tuple[IPv4Address, ...]) -> tuple[Node, ...]:
    bridge = Port("USER_01", (PortAddress(IPv4Interface("10.10.0.1/16")),))
    return (
        Node(CLIENTS, "LAN clients", routes=(StaticRoute(_ANY, IPv4Address("10.10.0.1")),), sysctls=_CLIENT_SYSCTLS),
        Node(ROUTER, "Router", bridges=(bridge,), sysctls=_FORWARDING),
        Node("isp1", "Provider isp1", routes=(StaticRoute(_ANY, IPv4Address("192.0.2.2")),), sysctls=_FORWARDING),
        Node("isp2", "Provider isp2", routes=(StaticRoute(_ANY, IPv4Address("192.0.2.6")),), sysctls=_FORWARDING),
        Node(
            INTERNET,
            "Internet",
            loopback=tuple(IPv4Interface((address, 32)) for address in (*outside, *RESOLVERS)),
            routes=(
                StaticRoute(IPv4Network("100.64.1.0/24"), IPv4Address("192.0.2.1")),
                StaticRoute(IPv4Network("100.64.2.0/24"), IPv4Address("192.0.2.5")),
            ),
            sysctls=_CLIENT_SYSCTLS,
        ),
    )


def _lan_cable(addresses: tuple[IPv4Address, ...]) -> Cable:
    lan = tuple(PortAddress(IPv4Interface((address, 16))) for address in addresses)
    return Cable(End(CLIENTS, Port("eth0", lan)), End(ROUTER, Port("ether2", bridge="USER_01")))


def _access_cables(uplinks: tuple[LabUplink, ...], pppoe_mtu: int) -> tuple[Cable, ...]:
    """The provider shapes what it sends to the router (here) and what it takes from it (`_backbone_cables`)."""
    isp1, isp2 = uplinks
    return (
        Cable(
            End(ROUTER, Port(isp1.interface, (PortAddress(IPv4Interface("100.64.1.2/24")),))),
            End(isp1.provider, Port(isp1.provider_port, (PortAddress(IPv4Interface("100.64.1.1/24")),),
                                    rate_bps=isp1.rate_bps)),
        ),
        Cable(
            End(ROUTER, Port(isp2.interface,
                             (PortAddress(IPv4Interface("100.64.2.2/32"), IPv4Address("100.64.2.1")),),
                             mac=_PPPOE_MAC, arp=False, mtu=pppoe_mtu)),
            End(isp2.provider, Port(isp2.provider_port,
                                    (PortAddress(IPv4Interface("100.64.2.1/32"), IPv4Address("100.64.2.2")),),
                                    mac=_PPPOE_MAC, arp=False, mtu=pppoe_mtu, rate_bps=isp2.rate_bps)),
        ),
    )  # fmt: skip


def _backbone_cables(uplinks: tuple[LabUplink, ...]) -> tuple[Cable, ...]:
    """Provider to Internet: 192.0.2.0/30 for the first, 192.0.2.4/30 for the second, and so on."""
    return tuple(
        Cable(
            End(uplink.provider, Port("backbone", (PortAddress(IPv4Interface((f"192.0.2.{4 * n + 1}", 30))),),
                                      rate_bps=uplink.rate_bps)),
            End(INTERNET, Port(uplink.provider, (PortAddress(IPv4Interface((f"192.0.2.{4 * n + 2}", 30))),))),
        )
        for n, uplink in enumerate(uplinks)
    )  # fmt: skip
