"""A router's namespace with its neighbours in another one, packets that go in, and what nf_tables saw of them."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from differential.frames import ANSWER, MARK_OF_ERROR, datagram, error_about, ethernet, fragments
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NetlinkSocket, text
from evenflow.kernel.nft_objects import GETSETELEM, decode_elements, message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evenflow.model.flow import Address, Packet

LANS = {"lan0": ("10.1.0.1/16", "fd00:1::1/64"), "lan1": ("10.2.0.1/16", "fd00:2::1/64")}
WANS = {f"wan{n}": (f"100.64.{n}.2/24", f"2001:db8:{n}::2/64" if n else "2001:db8::2/64") for n in range(3)}
INTERFACES = {**LANS, **WANS}

#: AF_NETLINK's number for netfilter (linux/netlink.h).
NETLINK_NETFILTER = 12

#: Ports that connections go to.
SERVER_PORTS = (53, 80, 443, 1234, 5000)

#: Hardware address of the sender on the far side of every link.
FAR_MAC = bytes.fromhex("0200000000fe")

#: What is kept of a packet at each of its stations, as nft writes a key: its number, its mark; of one that connection
#: tracking has an entry for the connection's mark; and where it leaves, its source and its next hop.
_NUMBER, _CONNECTION = "@th,64,32 . meta mark", " . ct mark"
_LEAVING = {
    "ip": " . meta oif . ip saddr . rt ip nexthop",
    "ip6": " . meta oif . ip6 saddr . rt ip6 nexthop",
}
_STATIONS = {"arrived": "", "left_ip": _LEAVING["ip"], "left_ip6": _LEAVING["ip6"], "delivered": ""}

#: Later ones tell more of a packet: what leaves by the loopback device is delivered after it.
_KEYS = {
    f"{station}{suffix}": f"{_NUMBER}{mark}{more}"
    for station, more in _STATIONS.items()
    for suffix, mark in (("", _CONNECTION), ("_unknown", ""))
}


def _noted(station: str, before: str = "") -> str:
    """Rules that note a packet. The key with the connection's mark can't be made without a connection.

    SCTP has its checksum where others have the number, and NAT corrects that: its number is the initiation tag.
    """
    lines = []
    for name, known in ((station, ""), (f"{station}_unknown", "ct state invalid,untracked ")):
        key = _KEYS[name]
        lines.append(f"{before}meta l4proto != sctp {known}add @{name} {{ {key} }}")
        lines.append(f"{before}meta l4proto sctp {known}add @{name} {{ {key.replace('@th,64,32', '@th,128,32')} }}")
    return "\n".join(lines)


# The router's own errors would pass its output rules as part of the connections that they are about.
_SEEN = f"""
table inet observer {{
    {chr(10).join(f"set {name} {{ typeof {key}; flags dynamic; size 65535; }}" for name, key in _KEYS.items())}
    chain output {{
        type filter hook output priority -400
        icmp type {{ destination-unreachable, redirect, time-exceeded, parameter-problem }} drop
        icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-redirect }} drop
    }}
    chain prerouting {{
        type filter hook prerouting priority -140
        {_noted("arrived")}
    }}
    chain input {{
        type filter hook input priority 300
        {_noted("delivered")}
    }}
    chain postrouting {{
        type filter hook postrouting priority 300
        {_noted("left_ip", "meta nfproto ipv4 ")}
        {_noted("left_ip6", "meta nfproto ipv6 ")}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet as the kernel had it at the end: marks as numbers; where it left, with which source, to whom."""

    mark: int
    connection_mark: int
    out_interface: str | None = None
    source: Address | None = None
    next_hop: Address | None = None
    delivered: bool = False


def _own_socket(address: str) -> socket.socket:
    """Sends whole packets from one of the router's addresses; bound to it, so that route rules see it as source."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    made.bind((address, 0))
    return made


@dataclass(frozen=True)
class Plan:
    """What a bench's router has: interfaces with their addresses, lines for `ip -batch` behind them, and sysctls."""

    interfaces: Mapping[str, tuple[str, ...]]
    more: tuple[str, ...]
    settings: tuple[str, ...] = ()
    no_carrier: frozenset[str] = frozenset()


def _neighbours(*more: tuple[str, str]) -> tuple[str, ...]:
    gateways = [(f"100.64.{name[-1]}.1", name) for name in WANS] + [(f"2001:db8:{name[-1]}::1", name) for name in WANS]
    return tuple(
        f"neigh add {address} lladdr {FAR_MAC.hex(':')} dev {name} nud permanent"
        for address, name in (*gateways, *more)
    )


#: Two LANs, three uplinks, and defaults of somebody else's in the main table.
FIVE = Plan(
    INTERFACES,
    (
        *_neighbours(),
        "route add default via 100.64.0.1 metric 5000",
        "route add default via 2001:db8::1 metric 5000",
    ),
)

#: The same with more addresses (a second network, a second address of a network, a network of lo), no default in main,
#: an uplink without carrier, and reverse-path filters as some distributions set them.
ODD = Plan(
    {
        **INTERFACES,
        "wan0": (*WANS["wan0"], "198.18.0.2/24", "100.64.0.9/24", "2001:db8:a::2/64"),
        "lan1": (*LANS["lan1"], "fd00:2::77/64"),
    },
    (*_neighbours(("198.18.0.1", "wan0"), ("2001:db8:a::1", "wan0")), "addr add 10.77.0.1/24 dev lo"),
    ("net.ipv4.conf.lan1.rp_filter=1", "net.ipv4.conf.wan0.rp_filter=1", "net.ipv4.conf.wan1.rp_filter=2"),
    frozenset({"wan2"}),
)

#: The article's router, by the names of its interfaces.
ARTICLE = Plan(
    {"USER_01": ("10.10.0.1/16",), "ether1": ("100.64.1.2/24",), "pppoe-out1": ("100.64.2.2 peer 100.64.2.1",)},
    ("link set pppoe-out1 arp off",),
)


class Bench:
    """The two namespaces. `far` sends; the router's answers to nobody are nobody's."""

    def __init__(self, plan: Plan = FIVE) -> None:
        self.plan = plan
        self.router = NetworkNamespace.create()
        self._far = NetworkNamespace.create()
        self._build()
        own = [re.split("[/ ]", address)[0] for addresses in plan.interfaces.values() for address in addresses]
        with self.router.entered():
            self.kernel = LinuxKernel()
            self._names = {link.index: link.name for link in self.kernel.read_machine().links}
            self._netlink = NetlinkSocket(NETLINK_NETFILTER)
            self._own = {address: _own_socket(address) for address in own}
            self._listeners = [self._listener(port) for port in SERVER_PORTS]
        self._far_sockets = {}
        with self._far.entered():
            for name in plan.interfaces:
                link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                link.bind((f"f-{name}", 0))
                self._far_sockets[name] = link
        self._number = 0

    def _listener(self, port: int) -> socket.socket:
        """Takes UDP to the router: else it would answer with errors that pass the rules, too."""
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        made.bind(("::", port))
        return made

    def _build(self) -> None:
        lines = []
        for position, (name, addresses) in enumerate(self.plan.interfaces.items()):
            mac, far = f"02:00:00:00:00:{position:02x}", f"f-{name} netns {self._far.path}"
            lines.append(f"link add {name} address {mac} type veth peer name {far}")
            lines.append(f"link set {name} up")
            lines += [
                f"addr add {address} dev {name} nodad" if ":" in address else f"addr add {address} dev {name}"
                for address in addresses
            ]
        lines += self.plan.more
        self._far.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv4.conf.all.arp_ignore=8"])
        settings = [
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.netfilter.nf_conntrack_tcp_loose=1",
            "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.icmp_echo_ignore_all=1",
            "net.ipv6.icmp.echo_ignore_all=1",
            "net.ipv6.conf.default.accept_dad=0",
            "net.netfilter.nf_conntrack_checksum=0",
        ]
        self.router.run(["sysctl", "-qw", *settings])
        self.router.run(["ip", "-batch", "-"], stdin="\n".join(lines))
        self._far.run(["ip", "-batch", "-"], stdin="\n".join(f"link set f-{name} up" for name in self.plan.interfaces))
        self.router.run(["nft", "-f", "-"], stdin=_SEEN)
        if self.plan.settings:
            self.router.run(["sysctl", "-qw", *self.plan.settings])
        for name in self.plan.no_carrier:
            self._far.run(["ip", "link", "set", f"f-{name}", "down"])

    def close(self) -> None:
        self.kernel.close()
        self._netlink.close()
        for made in (*self._own.values(), *self._listeners, *self._far_sockets.values()):
            made.close()
        self.router.close()
        self._far.close()

    @contextlib.contextmanager
    def inside(self) -> Iterator[LinuxKernel]:
        with self.router.entered():
            yield self.kernel

    def send(
        self,
        packet: Packet,
        connection: int | None = None,
        *,
        reply: bool = False,
        about: Packet | None = None,
        fragmented: bool = False,
    ) -> int:
        """Send a packet, of the connection that packet `connection` opened or one of its own; its number.

        With `about` it is an error about that packet, as it left; `fragmented`, it comes in two parts.
        """
        self._number += 1
        number = self._number
        if reply:
            assert connection is not None
            number = ANSWER + connection
        if about is not None:
            content = error_about(packet, about, number)
            number += MARK_OF_ERROR[packet.source.version]
        else:
            content = datagram(packet, number, connection or number, reply=reply)
        if packet.in_interface is None:
            to = (str(packet.destination), 0, 0, 0) if packet.destination.version == 6 else (str(packet.destination), 0)
            with contextlib.suppress(OSError):  # no route: that is an answer, too
                self._own[str(packet.source)].sendto(content, to)
            return number
        to_mac = bytes.fromhex(f"0200000000{list(self.plan.interfaces).index(packet.in_interface):02x}")
        for part in fragments(packet, content, number) if fragmented else (content,):
            self._far_sockets[packet.in_interface].send(ethernet(packet, part, to_mac, FAR_MAC))
        return number

    def owns(self, address: Address) -> bool:
        """Whether the router can send from an address."""
        return str(address) in self._own

    def forget(self) -> None:
        """No connection is known any more, and nothing was seen."""
        self.router.run(["conntrack", "-F"])
        self.router.run(["nft", "-f", "-"], stdin="\n".join(f"flush set inet observer {name}" for name in _KEYS))

    def seen(self) -> dict[int, Seen]:
        """Everything seen since the last `forget`, by number: the last station of each packet.

        Read from the kernel directly: nft 1.0.6 fails on listing such keys.
        """
        found: dict[int, Seen] = {}
        for name in _KEYS:
            request = message(GETSETELEM, text(1, "observer"), text(2, name))
            keys = [element.key for payload in self._netlink.dump(request) for element in decode_elements(payload, {})]
            for key in keys:
                number, mark = int.from_bytes(key[:4], "big"), int(struct.unpack("=I", key[4:8])[0])
                rest = key[8:]
                connection_mark = 0
                if not name.endswith("_unknown"):
                    connection_mark, rest = int(struct.unpack("=I", rest[:4])[0]), rest[4:]
                if name.startswith("left"):
                    half = (len(rest) - 4) // 2
                    out = self._names[int(struct.unpack("=I", rest[:4])[0])]
                    source, next_hop = ip_address(rest[4 : 4 + half]), ip_address(rest[4 + half :])
                    found[number] = Seen(mark, connection_mark, out, source, next_hop)
                else:
                    found[number] = Seen(mark, connection_mark, delivered=name.startswith("delivered"))
        return found
