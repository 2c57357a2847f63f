"""A router between a LAN and its uplinks: what is sent into the LAN is counted behind each uplink.

All of it stands in network namespaces. The uplinks end in one, the Internet, whose devices count a frame and then drop
it, because it is not for their MAC address: so what comes behind the router costs next to nothing.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from bench.dataplane.cpu_time import CpuClock
from bench.dataplane.frames import answer, ends_of, frame
from bench.dataplane.sender import Batch, Sender
from bench.dataplane.site import LAN, LAN_ADDRESSES, LAN_ROUTERS, lan_routes
from evenflow.errors import LabError
from evenflow.kernel.conntrack import Conntrack
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.dataplane.cpu_time import Spent
    from bench.dataplane.frames import Ends
    from bench.dataplane.site import Site, Uplink

#: The router's end of the LAN and a client's; whom the router takes for its gateways. The last is nobody's.
_ROUTER_MAC: Final = bytes.fromhex("020000000001")
CLIENT_MAC: Final = bytes.fromhex("020000000002")
GATEWAY_MAC: Final = "02:00:00:00:00:99"

#: An address is usable at once when nobody has to ask whether it is taken.
_NODAD: Final = {Family.IPV4: "", Family.IPV6: " nodad"}

#: Main has a default route, as DHCP leaves one on each router; what a layout puts there comes first.
_DEFAULT_METRIC: Final = 4096

CLIENT_END: Final = "client0"
_FAR: Final = "far-"
_ALL_PROTOCOLS: Final = 3

#: So many frames wait in a socket that nobody reads meanwhile.
_IN_FLIGHT: Final = 64
_PATIENCE_S: Final = 5.0

#: Nothing but what is sent is to move, nothing to expire; and a network card would have checked the checksums.
_SETTINGS: Final = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/mldv1_unsolicited_report_interval": "1",
    "net/ipv6/conf/default/mldv2_unsolicited_report_interval": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/netfilter/nf_conntrack_checksum": "0",
    "net/netfilter/nf_conntrack_udp_timeout": "3600",
    "net/netfilter/nf_conntrack_udp_timeout_stream": "3600",
}
_SILENT: Final = {"net/ipv6/conf/default/disable_ipv6": "1", "net/ipv6/conf/all/disable_ipv6": "1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame for the router, and the provider's device that it leaves by."""

    interface: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Way:
    """One way through the router: a sender at this end, and what counts frames at the other."""

    sender: Sender
    count: Callable[[], int]

    def send(self, batches: Sequence[Batch], clock: CpuClock) -> Spent:
        """Send, and wait until all of it has come out of the router; what that took of the CPU.

        Counting is not part of it, for it takes longer the more uplinks there are.

        Raises:
            LabError: not all came out; the layout drops packets.
        """
        expected = self.count() + sum(map(len, batches))
        before = clock.now()
        for batch in batches:
            self.sender.send(batch)
        spent = clock.now().since(before)
        if self.count() >= expected:
            return spent
        self._await(expected)
        return clock.now().since(before)

    def _await(self, expected: int) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        while (seen := self.count()) < expected:
            if time.monotonic() > until_s:
                raise LabError(f"{expected - seen} packets did not come out of the router")
            time.sleep(0.0005)


class Rig:
    """The namespaces of one site, without any layout yet. Use it as a context manager.

    Attributes:
        site: what it was built for.
        router: the namespace for the layout.
        clients: that behind the LAN, with one device and no address.
        internet: that behind all uplinks, with a device for each and no address.
        out: from the clients to the Internet.
        back: from the Internet to the clients.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as unwinding:
            unwinding.callback(self._stack.close)
            self._build()
            unwinding.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self) -> None:
        self.clients = self._stack.enter_context(NetworkNamespace.create())
        self.router = self._stack.enter_context(NetworkNamespace.create())
        self.internet = self._stack.enter_context(NetworkNamespace.create())
        for silent in (self.clients, self.internet):
            _set(silent, _SILENT)
        _set(self.router, _SETTINGS)
        self.router.run(["ip", "-batch", "-"], stdin="\n".join(self._router_commands()))
        self.clients.run(["ip", "link", "set", CLIENT_END, "up"])
        self.internet.run(
            ["ip", "-batch", "-"], stdin="\n".join(f"link set {far_end(uplink)} up" for uplink in self.site.uplinks)
        )
        with self.clients.entered():
            self.out = Way(self._stack.enter_context(Sender()), lambda: sum(self.arrived().values()))
        with self.internet.entered():
            self.back = Way(self._stack.enter_context(Sender()), self.came_back)
        self._client_device = _devices(self.clients)[CLIENT_END]
        self._devices = _devices(self.internet)
        with self.router.entered():
            self._conntrack = self._stack.enter_context(Conntrack())

    def _router_commands(self) -> list[str]:
        lines = [f"link add {LAN} address {_ROUTER_MAC.hex(':')} type veth peer {CLIENT_END} netns {self.clients.path}"]
        for uplink in self.site.uplinks:
            far = f"{far_end(uplink)} netns {self.internet.path}"
            lines.append(f"link add {uplink.interface} type veth peer {far}")
        lines += [f"link set {name} up" for name in (LAN, *(uplink.interface for uplink in self.site.uplinks))]
        for family in BOTH_FAMILIES:
            lines.append(f"addr add {LAN_ADDRESSES[family]} dev {LAN}{_NODAD[family]}")
            lines.append(f"neigh add {LAN_ROUTERS[family]} lladdr {CLIENT_MAC.hex(':')} dev {LAN} nud permanent")
            lines.append(f"route add {lan_routes(family)[1]}")
            for uplink in self.site.uplinks:
                lines += _addressing(uplink, family)
            first = self.site.uplinks[0]
            default = f"default via {first.gateway(family)} dev {first.interface} metric {_DEFAULT_METRIC}"
            lines.append(f"route add {default}")
        return lines

    # --- sending -------------------------------------------------------------------------------------------------

    def arrived(self) -> dict[str, int]:
        """How many frames have come out of each uplink so far, by interface."""
        counts = _received(self.internet)
        return {name.removeprefix(_FAR): count for name, count in counts.items() if name.startswith(_FAR)}

    def came_back(self) -> int:
        """How many frames have come back to the clients so far."""
        return _received(self.clients)[CLIENT_END]

    def establish(self, flows: Sequence[Ends]) -> list[Answer]:
        """Open these flows, each answered twice: connection tracking then has them for established.

        Returns:
            the answers.

        Raises:
            LabError: a packet did not come out of the router.
        """
        with self.internet.entered():
            provider = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        given: list[Answer] = []
        with provider:
            provider.settimeout(_PATIENCE_S)
            for begin in range(0, len(flows), _IN_FLIGHT):
                some = self.batch_of(flows[begin : begin + _IN_FLIGHT])
                for _ in range(2):
                    self.out.sender.send(some)
                    answers = _answer_all(provider, len(some))
                given += answers
        return given

    def send(self, flows: Sequence[Ends]) -> None:
        """Send a packet of each flow from a client, not timed.

        Raises:
            LabError: not all came out of the router; the layout drops packets.
        """
        self.out.send([self.batch_of(flows)], CpuClock())

    def batch_of(self, flows: Sequence[Ends]) -> Batch:
        """A packet of each flow, from a client to the router."""
        return Batch([frame(ends, CLIENT_MAC, _ROUTER_MAC) for ends in flows], [self._client_device] * len(flows))

    def batch_back(self, answers: Sequence[Answer]) -> Batch:
        """Answers, from the Internet to the router."""
        devices = [self._devices[answer.interface] for answer in answers]
        return Batch([answer.content for answer in answers], devices)

    def connections(self) -> int:
        """How many the router tracks."""
        return self._conntrack.count()

    def forget(self) -> None:
        """The router knows no connection any more."""
        self._conntrack.delete_all()


def _set(namespace: NetworkNamespace, settings: Mapping[str, str]) -> None:
    # /proc/sys/net shows the namespace of the thread that opens a file in it.
    with namespace.entered():
        for name, value in settings.items():
            Path("/proc/sys", name).write_text(value, encoding="ascii")


def far_end(uplink: Uplink) -> str:
    """The provider's device."""
    return f"{_FAR}{uplink.interface}"


def _devices(namespace: NetworkNamespace) -> dict[str, int]:
    """The index of each device."""
    with namespace.entered():
        return {name: index for index, name in socket.if_nameindex()}


def _received(namespace: NetworkNamespace) -> dict[str, int]:
    """Frames that each device has received, as proc_pid_net(5) says."""
    with namespace.entered():
        lines = Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines()[2:]
    counters = dict(line.split(":") for line in lines)
    return {name.strip(): int(counts.split()[1]) for name, counts in counters.items()}


def _addressing(uplink: Uplink, family: Family) -> list[str]:
    """The uplink's address, and a gateway that need not be asked for."""
    length = 24 if family is Family.IPV4 else 64
    return [
        f"addr add {uplink.address(family)}/{length} dev {uplink.interface}{_NODAD[family]}",
        f"neigh add {uplink.gateway(family)} lladdr {GATEWAY_MAC} dev {uplink.interface} nud permanent",
    ]


def _answer_all(provider: socket.socket, count: int) -> list[Answer]:
    given: list[Answer] = []
    while len(given) < count:
        try:
            content, (interface, *_) = provider.recvfrom(2048)
        except TimeoutError as problem:
            raise LabError(f"{count - len(given)} packets did not come out of the router") from problem
        if ends_of(content) is not None:
            given.append(Answer(interface, answer(content)))
            provider.sendto(given[-1].content, (interface, 0))
    return given
