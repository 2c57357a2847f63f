"""A router with an uplink, the far end of it, and what a runner tells: for the tests of the probes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.probes import ProbeRunner
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from evenflow.model.flow import Address
    from evenflow.model.health import ProbeTarget

#: Far beyond what anything here takes: when it has passed, the test has failed.
PATIENCE_S: Final = 10.0

NEAR: Final = {Family.IPV4: ip_address("192.0.2.1"), Family.IPV6: ip_address("2001:db8::1")}
FAR: Final = {Family.IPV4: ip_address("192.0.2.2"), Family.IPV6: ip_address("2001:db8::2")}
#: Another address of the far end.
ELSEWHERE: Final = {Family.IPV4: ip_address("192.0.2.3"), Family.IPV6: ip_address("2001:db8::3")}
#: An address that the uplink leads to, and nobody has.
NOBODY: Final = {Family.IPV4: ip_address("192.0.2.9"), Family.IPV6: ip_address("2001:db8::9")}
AF: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
NEAR_MAC: Final = bytes.fromhex("020000000001")
FAR_MAC: Final = bytes.fromhex("020000000002")
_PREFIX: Final = {Family.IPV4: 24, Family.IPV6: 64}


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test in a loop of its own; it fails when an exception got lost in the loop."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        lost: list[dict[str, Any]] = []

        async def whole() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
            await test(*arguments, **named)

        asyncio.run(whole())
        assert not lost

    return run


class Line:
    """Two namespaces and the cable between them: `wan` of the router, `isp` of the far end."""

    def __init__(self) -> None:
        self._index = 100
        with contextlib.ExitStack() as unwinding:
            self.router = unwinding.enter_context(NetworkNamespace.create())
            self.far = unwinding.enter_context(NetworkNamespace.create())
            self.plug()
            self._stack = unwinding.pop_all()

    def plug(self) -> None:
        """Make the cable: devices with new indexes, the same names and addresses."""
        ends = f"index {self._index} name wan address {NEAR_MAC.hex(':')} type veth"
        peer = f"index {self._index + 1} name isp address {FAR_MAC.hex(':')} netns {self.far.path}"
        self._index += 2
        self.router.run(["ip", "link", "add", *ends.split(), "peer", *peer.split()])
        for namespace, device, addresses in ((self.router, "wan", (NEAR,)), (self.far, "isp", (FAR, ELSEWHERE))):
            namespace.run(["ip", "link", "set", device, "up"])
            for both in addresses:
                self.set_addresses(namespace, device, both)
        for address in NOBODY.values():  # so that packets to it leave, and come to nothing
            self.router.run(["ip", "neigh", "replace", str(address), "lladdr", FAR_MAC.hex(":"), "dev", "wan"])

    def set_addresses(self, namespace: NetworkNamespace, device: str, addresses: dict[Family, Address]) -> None:
        for family, address in addresses.items():
            words = [f"{address}/{_PREFIX[family]}", "dev", device, *(["nodad"] if family is Family.IPV6 else [])]
            namespace.run(["ip", "address", "add", *words])

    def unplug(self) -> None:
        self.router.run(["ip", "link", "delete", "wan"])

    def set_sysctl(self, name: str, value: str) -> None:
        """Of the far end."""
        with self.far.entered():
            Path("/proc/sys/net", name).write_text(value, encoding="ascii")

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Of the far end."""
        with self.far.entered():
            return socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)

    def close(self) -> None:
        self._stack.close()


class Told:
    """What a runner told.

    Attributes:
        answers: round trips in ms, by target.
        losses: reasons, by target.
    """

    def __init__(self, targets: int) -> None:
        self.answers: list[list[float]] = [[] for _ in range(targets)]
        self.losses: list[list[str]] = [[] for _ in range(targets)]
        self.whenever: Callable[[], None] = lambda: None
        self._news = asyncio.Event()

    @property
    def count(self) -> int:
        return sum(map(len, self.answers)) + sum(map(len, self.losses))

    def answered(self, target: int, rtt_ms: float, now_s: float) -> None:
        self._note(now_s)
        self.answers[target].append(rtt_ms)
        self.whenever()

    def lost(self, target: int, reason: str, now_s: float) -> None:
        self._note(now_s)
        self.losses[target].append(reason)
        self.whenever()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to be told, again and again, until the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def next_answer(self, target: int = 0) -> float:
        seen = len(self.answers[target])
        await self.until(lambda: len(self.answers[target]) > seen)
        return self.answers[target][-1]

    async def next_loss(self, target: int = 0) -> str:
        seen = len(self.losses[target])
        await self.until(lambda: len(self.losses[target]) > seen)
        return self.losses[target][-1]

    def _note(self, now_s: float) -> None:
        assert 0 <= asyncio.get_running_loop().time() - now_s < PATIENCE_S
        self._news.set()


@contextlib.contextmanager
def probing(
    line: Line,
    *targets: ProbeTarget,
    interface: str | None = "wan",
    mark: int = 0,
    interval_ms: int = 20,
    timeout_ms: int = 2000,
) -> Iterator[tuple[ProbeRunner, Told]]:
    """A runner at work in the router, and what it tells."""
    told = Told(len(targets))
    runner = ProbeRunner(
        interface=interface,
        mark=mark,
        targets=targets,
        interval_ms=interval_ms,
        timeout_ms=timeout_ms,
        on_answer=told.answered,
        on_lost=told.lost,
    )
    with line.router.entered():
        runner.start()
    try:
        yield runner, told
    finally:
        runner.stop()


def checksum(data: bytes) -> int:
    """RFC 1071, the plain way."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


@dataclass(frozen=True)
class Echo:
    """An echo request as it came, or a reply to send: `source` is then the address that it is sent from."""

    source: Address
    ident: int
    sequence: int
    payload: bytes

    def with_(self, **changes: Any) -> Echo:
        return replace(self, **changes)


class EchoServer:
    """Answers echo requests in the place of the far end's kernel.

    Attributes:
        asked: how many requests came.
        answer: what to send when a request comes, given the right reply; a test puts its fault in here.
    """

    def __init__(self, line: Line, family: Family) -> None:
        ipv4 = family is Family.IPV4
        line.set_sysctl("ipv4/icmp_echo_ignore_all" if ipv4 else "ipv6/icmp/echo_ignore_all", "1")
        self._types = (8, 0) if ipv4 else (128, 129)
        self._header_bytes = 20 if ipv4 else 0
        self._sockets = {}
        for address in (FAR[family], ELSEWHERE[family]):
            made = line.socket(AF[family], socket.SOCK_RAW, socket.IPPROTO_ICMP if ipv4 else socket.IPPROTO_ICMPV6)
            made.bind((str(address), 0))
            self._sockets[address] = made
        self._here = FAR[family]
        self.asked = 0
        self.answer: Callable[[Echo], Sequence[Echo]] = lambda right: [right]
        asyncio.get_running_loop().add_reader(self._sockets[self._here], self._read)

    def send(self, reply: Echo) -> None:
        body = struct.pack("!HH", reply.ident, reply.sequence) + reply.payload
        if not self._header_bytes:
            message = struct.pack("!BBH", self._types[1], 0, 0) + body  # the kernel adds the checksum
        else:
            message = struct.pack("!BBH", self._types[1], 0, checksum(bytes((self._types[1], 0)) + body)) + body
        self._sockets[reply.source].sendto(message, (str(NEAR[Family.IPV4 if self._header_bytes else Family.IPV6]), 0))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sockets[self._here])
        for made in self._sockets.values():
            made.close()

    def _read(self) -> None:
        data = self._sockets[self._here].recv(4096)[self._header_bytes :]
        if data[0] != self._types[0]:
            return
        assert not self._header_bytes or checksum(data) == 0
        self.asked += 1
        ident, sequence = struct.unpack_from("!HH", data, 4)
        for reply in self.answer(Echo(self._here, ident, sequence, data[8:])):
            self.send(reply)
