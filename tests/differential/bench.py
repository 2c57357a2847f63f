"""A router's namespace with its neighbours in another one, packets that go in, and what nf_tables saw of them."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from differential.frames import MARK_OF_ERROR, Turn, datagram, error_about, ethernet, fragments
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NetlinkSocket, text
from evenflow.kernel.nft_objects import GETSETELEM, decode_elements, message
from evenflow.model.dataplane import CONNECTION_MARK_MASK, PACKET_MARK_MASK, ROUTING_MARK_MASK

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
#: tracking has an entry for the connection's mark; its source; and where it leaves its next hop.
_NUMBER, _CONNECTION = "@th,64,32 . meta mark", " . ct mark"
_STATIONS = {
    "arrived": "",
    **{f"left_{ip}": f" . meta oif . {ip} saddr . rt {ip} nexthop" for ip in ("ip", "ip6")},
    **{f"delivered_{ip}": f" . {ip} saddr" for ip in ("ip", "ip6")},
}

#: Later ones tell more of a packet: what leaves by the loopback device is delivered after it.
_KEYS = {
    f"{station}{suffix}": f"{_NUMBER}{mark}{more}"
    for station, more in _STATIONS.items()
    for suffix, mark in (("", _CONNECTION), ("_unknown", ""))
}

#: The destination that a packet ends up with, and its port: nft 1.0.6 fails on longer keys.
_ENDS = {
    "to_ip": "@th,64,32 . ip daddr",
    "to_ip6": "@th,64,32 . ip6 daddr",
    "to_port": "@th,64,32 . th dport",
}
_SETS = {**_KEYS, **_ENDS}


def _adds(name: str, before: str = "", protocols: str = "!= sctp") -> str:
    """Rules that add a packet to a set. The number of SCTP stands elsewhere (`frames`)."""
    return "\n".join(
        f"meta l4proto {of} {before}add @{name} {{ {_SETS[name].replace('@th,64,32', number)} }}"
        for of, number in ((protocols, "@th,64,32"), ("sctp", "@th,160,32"))
    )


def _noted(station: str, before: str = "") -> str:
    """Rules that note a packet. The key with the connection's mark can't be made without a connection."""
    return "\n".join((_adds(station, before), _adds(f"{station}_unknown", f"{before}ct state invalid,untracked ")))


#: Bits of the marks that are somebody else's, who has set some of them: they are to stay as they are.
_OTHERS_MARK = 0x5A5A_5A5A & ~(ROUTING_MARK_MASK | PACKET_MARK_MASK)
_OTHERS_CONNECTION_MARK = 0xA5A5_A5A5 & ~CONNECTION_MARK_MASK
_OTHERS = f"""
    meta mark set meta mark | {_OTHERS_MARK}
    ct mark set ct mark | {_OTHERS_CONNECTION_MARK}
"""

_OF_IPV4, _OF_IPV6 = "meta nfproto ipv4 ", "meta nfproto ipv6 "
_WITH_PORTS = "{ tcp, udp, udplite }"
_NOTED_ENDS = "\n".join((_adds("to_ip", _OF_IPV4), _adds("to_ip6", _OF_IPV6), _adds("to_port", "", _WITH_PORTS)))

# What the router would say by itself, where nobody listens, would pass its output rules as part of the connections.
_SEEN = f"""
table inet observer {{
    {chr(10).join(f"set {name} {{ typeof {key}; flags dynamic; size 65535; }}" for name, key in _SETS.items())}
    chain output {{
        type filter hook output priority -400
        icmp type {{ destination-unreachable, redirect, time-exceeded, parameter-problem }} drop
        icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-redirect }} drop
        tcp flags & (fin | rst) == rst drop
    }}
    chain others_prerouting {{
        type filter hook prerouting priority -160
        {_OTHERS}
    }}
    chain others_output {{
        type filter hook output priority -160
        {_OTHERS}
    }}
    chain prerouting {{
        type filter hook prerouting priority -140
        {_noted("arrived")}
    }}
    chain input {{
        type filter hook input priority 300
        {_noted("delivered_ip", _OF_IPV4)}
        {_noted("delivered_ip6", _OF_IPV6)}
        {_NOTED_ENDS}
    }}
    chain postrouting {{
        type filter hook postrouting priority 300
        {_noted("left_ip", _OF_IPV4)}
        {_noted("left_ip6", _OF_IPV6)}
        {_NOTED_ENDS}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet as the kernel had it at the end: our bits of its marks, its ends after NAT; where it left, and to whom.

    If others' bits of a mark are not as they were, they are seen among ours.
    `port` is that of the destination, 0 where the protocol has none. Of what was only seen to arrive, no end is known.
    """

    mark: int
    connection_mark: int
    source: Address | None = None
    destination: Address | None = None
    port: int = 0
    out_interface: str | None = None
    next_hop: Address | None = None

    @property
    def delivered(self) -> bool:
        """Whether the router took it for itself."""
        return self.source is not None and self.out_interface is None


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
    uplinks: tuple[str, ...] = tuple(WANS)


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
    uplinks=("ether1", "pppoe-out1"),
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
        turn: Turn = Turn.OPENING,
        *,
        about: Packet | None = None,
        fragmented: bool = False,
    ) -> int:
        """Send a packet, of the connection that packet `connection` opened or one of its own; its number.

        With `about` it is an error about that packet, as it left; `fragmented`, it comes in two parts.
        """
        self._number += 1
        number = self._number
        if turn is not Turn.OPENING:
            assert connection is not None
            number = turn.value + connection
        if about is not None:
            content = error_about(packet, about, number)
            number += MARK_OF_ERROR[packet.source.version]
        else:
            content = datagram(packet, number, connection or number, turn)
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
        self.router.run(["nft", "-f", "-"], stdin="\n".join(f"flush set inet observer {name}" for name in _SETS))

    def seen(self) -> dict[int, Seen]:
        """Everything seen since the last `forget`, by number: the last station of each packet."""
        found: dict[int, Seen] = {}
        for name in _KEYS:
            for key in self._elements(name):
                found[int.from_bytes(key[:4], "big")] = self._seen(name, key[4:])
        ends = {name: {int.from_bytes(key[:4], "big"): key[4:] for key in self._elements(name)} for name in _ENDS}
        for number, seen in found.items():
            to = ends["to_ip"].get(number) or ends["to_ip6"].get(number)
            if seen.source is not None and to is not None:
                port = int.from_bytes(ends["to_port"].get(number, b"")[:2], "big")
                found[number] = replace(seen, destination=ip_address(to), port=port)
        return found

    def _elements(self, name: str) -> list[bytes]:
        """The keys of a set. Read from the kernel directly: nft 1.0.6 fails on listing such ones."""
        request = message(GETSETELEM, text(1, "observer"), text(2, name))
        return [element.key for payload in self._netlink.dump(request) for element in decode_elements(payload, {})]

    def _seen(self, station: str, key: bytes) -> Seen:
        """What a key behind the number says, without the destination."""
        (mark,), key = struct.unpack("=I", key[:4]), key[4:]
        mark, connection_mark = mark ^ _OTHERS_MARK, 0
        if not station.endswith("_unknown"):
            (connection_mark,), key = struct.unpack("=I", key[:4]), key[4:]
            connection_mark ^= _OTHERS_CONNECTION_MARK
        if station.startswith("arrived"):
            return Seen(mark, connection_mark)
        if station.startswith("delivered"):
            return Seen(mark, connection_mark, ip_address(key))
        (index,), key = struct.unpack("=I", key[:4]), key[4:]
        half = len(key) // 2
        return Seen(
            mark,
            connection_mark,
            ip_address(key[:half]),
            out_interface=self._names[index],
            next_hop=ip_address(key[half:]),
        )
