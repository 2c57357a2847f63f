"""A topology made real: a network namespace for each node, joined by veth pairs.

The namespaces have no name and no file. They live as long as this process holds their descriptors, so whatever ends
the process (an exception, Ctrl-C, kill -9) takes everything with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket as sockets
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from evenflow.errors import LabError, SystemRefusedError
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.lab.topology import SHAPER_BURST_BYTES, SHAPER_LATENCY_MS
from evenflow.model.flow import Family, family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.lab.topology import Cable, End, Node, Port, PortAddress, StaticRoute, Topology
    from evenflow.model.flow import Address

# linux/sockios.h, linux/if.h
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_IFREQ: Final = struct.Struct("16sH22x")

# A device whose index equals its peer's counts as physical in the kernel, which then may wait up to a second before
# it says that the carrier is gone (net/core/link_watch.c, linkwatch_urgent_event). No two devices of a lab share one.
_FIRST_INDEX: Final = 100


class World:
    """The namespaces of one topology. Use it as a context manager.

    Attributes:
        topology: what it was built from.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._stack = contextlib.ExitStack()
        self._namespaces: dict[str, NetworkNamespace] = {}
        self._new_index = _FIRST_INDEX

    def __enter__(self) -> Self:
        """Build it.

        Raises:
            NotPermittedError: the caller may not make namespaces (call `enter_private` first).
            LabError: the system lacks something that the topology needs.
        """
        with contextlib.ExitStack() as unwinding:
            unwinding.callback(self._stack.close)
            try:
                self._build()
            except (SystemRefusedError, OSError) as problem:
                raise LabError(f"the lab could not be built: {problem}") from problem
            unwinding.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._namespaces.clear()
        self._stack.close()

    def __getitem__(self, node: str) -> NetworkNamespace:
        """The namespace of a node."""
        return self._namespaces[node]

    @contextlib.contextmanager
    def inside(self, node: str) -> Iterator[None]:
        """The calling thread is in a node's namespace for the time of the `with`; nothing may be awaited in it."""
        with self._namespaces[node].entered():
            yield

    def socket(self, node: str, kind: sockets.SocketKind, family: Family = Family.IPV4) -> sockets.socket:
        """A non-blocking socket that belongs to a node's namespace; the caller closes it."""
        with self.inside(node):
            made = sockets.socket(sockets.AF_INET if family is Family.IPV4 else sockets.AF_INET6, kind)
        made.setblocking(False)
        return made

    def listen(self, node: str, address: Address, port: int) -> sockets.socket:
        """A listening TCP socket in a node's namespace; the caller closes it."""
        made = self.socket(node, sockets.SOCK_STREAM, family_of(address))
        try:
            made.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
            made.bind((str(address), port))
            made.listen(2048)
        except OSError:
            made.close()
            raise
        return made

    def set_link_up(self, node: str, interface: str, *, up: bool) -> None:
        """Take a device up or down at once. Down, the other end of its cable loses its carrier.

        By ioctl (netdevice(7)): a program would take milliseconds to start, which would count as time to fail over.
        """
        with self.socket(node, sockets.SOCK_DGRAM) as control:
            name = interface.encode()
            answer = fcntl.ioctl(control, _SIOCGIFFLAGS, _IFREQ.pack(name, 0))
            flags: int = _IFREQ.unpack(answer)[1]
            flags = flags | _IFF_UP if up else flags & ~_IFF_UP
            fcntl.ioctl(control, _SIOCSIFFLAGS, _IFREQ.pack(name, flags))

    def delete_link(self, node: str, interface: str) -> None:
        """Delete a device; the other end of its cable goes with it."""
        self._namespaces[node].run(["ip", "link", "del", interface])

    def make_cable_anew(self, interface: str) -> None:
        """Make the cable of a deleted device anew: both ends have new indexes, and all that was on them."""
        cable = next(one for one in self.topology.cables if interface in (one.left.port.name, one.right.port.name))
        self._new_index += 2
        self._lay(cable, self._new_index)
        for end in (cable.left, cable.right):
            node = next(one for one in self.topology.nodes if one.name == end.node)
            alone = replace(node, bridges=(), loopback=(), routes=())
            commands = node_commands(alone, (end.port,))
            commands += [
                _route_command(route) for route in node.routes
                if any(route.gateway in one.address.network for one in end.port.addresses if route.gateway)
            ]  # fmt: skip
            self._set_up(end.node, commands, (end.port,))

    # --- building ----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        for node in self.topology.nodes:
            self._namespaces[node.name] = self._stack.enter_context(NetworkNamespace.create())
        for node in self.topology.nodes:
            self._set_sysctls(node)
        for cable in self.topology.cables:
            self._lay(cable, self._new_index)
            self._new_index += 2
        for node in self.topology.nodes:
            ports = tuple(end.port for end in _ends(self.topology) if end.node == node.name)
            self._set_up(node.name, node_commands(node, ports), ports)

    def _lay(self, cable: Cable, index: int) -> None:
        made = veth_command(cable, index=index, far_namespace=self._namespaces[cable.right.node].path)
        self._namespaces[cable.left.node].run(["ip", *made.split()])

    def _set_up(self, node: str, commands: list[str], ports: tuple[Port, ...]) -> None:
        namespace = self._namespaces[node]
        namespace.run(["ip", "-batch", "-"], stdin="".join(f"{line}\n" for line in commands))
        for port in ports:
            if port.rate_bps is not None:
                namespace.run(["tc", *shaper_command(port, port.rate_bps).split()])

    def _set_sysctls(self, node: Node) -> None:
        # /proc/sys/net shows the namespace of the thread that opens a file in it.
        with self.inside(node.name):
            for name, value in node.sysctls.items():
                Path("/proc/sys", name).write_text(value, encoding="ascii")


def _ends(topology: Topology) -> tuple[End, ...]:
    return tuple(end for cable in topology.cables for end in (cable.left, cable.right))


def veth_command(cable: Cable, *, index: int, far_namespace: str) -> str:
    """What makes a cable, for `ip` in the left end's namespace."""
    left, right = cable.left.port.name, cable.right.port.name
    return f"link add index {index} name {left} type veth peer index {index + 1} name {right} netns {far_namespace}"


def shaper_command(port: Port, rate_bps: int) -> str:
    """What shapes a port, for `tc`."""
    return (
        f"qdisc add dev {port.name} root tbf rate {rate_bps}bit "
        f"burst {SHAPER_BURST_BYTES} latency {SHAPER_LATENCY_MS}ms"
    )


def node_commands(node: Node, ports: tuple[Port, ...]) -> list[str]:
    """What sets up a node whose cables are there, for `ip -batch`: devices, then addresses, then routes."""
    devices = [f"link add name {bridge.name} type bridge" for bridge in node.bridges]
    for port in (*ports, *node.bridges):
        # No link-local address of the kernel's own: nothing appears in a namespace that the topology does not say.
        # One packet in the counters is one packet on the wire: nothing is sent as a bundle to be cut up later (GSO).
        options = f"mtu {port.mtu} addrgenmode none gso_max_segs 1"
        options += f" address {port.mac}" if port.mac else ""
        options += "" if port.arp else " arp off"
        options += f" master {port.bridge}" if port.bridge else ""
        devices.append(f"link set dev {port.name} {options}")
    devices += [f"link set dev {port.name} up" for port in (*ports, *node.bridges)]
    addresses = [_address_command(port, address) for port in (*ports, *node.bridges) for address in port.addresses]
    addresses += [f"addr add {address} dev lo" for address in node.loopback]
    return devices + addresses + [_route_command(route) for route in node.routes]


def _address_command(port: Port, address: PortAddress) -> str:
    # IPv6: an address is usable at once when nobody has to ask whether it is taken.
    nodad = " nodad" if family_of(address.address) is Family.IPV6 else ""
    if address.peer is not None:
        return f"addr add {address.address.ip} peer {address.peer} dev {port.name}{nodad}"
    return f"addr add {address.address} dev {port.name}{nodad}"


def _route_command(route: StaticRoute) -> str:
    way = f" via {route.gateway}" if route.gateway is not None else ""
    way += f" dev {route.interface}" if route.interface is not None else ""
    return f"route add {route.destination}{way}"
