"""ARP and neighbour solicitation: what counts as an answer, and what does not."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from contract.probing import ELSEWHERE, FAR, FAR_MAC, NEAR, NEAR_MAC, NOBODY, Line, checksum, in_loop, probing
from evenflow.model.flow import ICMPV6, Family
from evenflow.model.health import ProbeMethod, ProbeTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.kernel

both_families = pytest.mark.parametrize("family", Family)
ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
BROADCAST = b"\xff" * 6
ARP = struct.Struct("!HHBBH6s4s6s4s")
ADVERTISEMENT = struct.Struct("!BBHI16s")
SOLICITED = 1 << 30


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


def neighbour(family: Family) -> ProbeTarget:
    return ProbeTarget(ProbeMethod.NEIGHBOUR, FAR[family])


def nobody(family: Family) -> ProbeTarget:
    """Whom only a test answers for."""
    return ProbeTarget(ProbeMethod.NEIGHBOUR, NOBODY[family])


@dataclass(frozen=True)
class Reply:
    """A packet to the router: the message, and what stands around it (addresses packed)."""

    message: bytes
    source: bytes
    to: bytes
    to_mac: bytes = NEAR_MAC
    hop_limit: int = 255

    def with_(self, **changes: Any) -> Reply:
        return replace(self, **changes)

    def arp(self, **changes: Any) -> Reply:
        """With other fields of ARP."""
        names = (
            "hardware",
            "protocol",
            "hardware_bytes",
            "protocol_bytes",
            "operation",
            "mac",
            "ip",
            "to_mac",
            "to_ip",
        )
        fields = dict(zip(names, ARP.unpack(self.message), strict=True)) | changes
        return self.with_(message=ARP.pack(*fields.values()))

    def advertisement(self, **changes: Any) -> Reply:
        """With other fields of a neighbour advertisement."""
        names = ("type", "code", "checksum", "flags", "target")
        fields = dict(zip(names, ADVERTISEMENT.unpack(self.message), strict=True)) | changes
        return self.with_(message=ADVERTISEMENT.pack(*fields.values()))


class NeighbourServer:
    """Hears the router's questions for `NOBODY` below IP, and answers as a test says.

    Attributes:
        asked: of each question, in order, whether it came to us alone, to all, or to a group (linux/if_packet.h).
        answer: what to send, given the right answer.
    """

    def __init__(self, line: Line, family: Family) -> None:
        self._target = NOBODY[family].packed
        self._protocol = ETH_P_ARP if family is Family.IPV4 else ETH_P_IPV6
        self._socket = line.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(self._protocol))
        self._socket.bind(("isp", self._protocol))
        self.asked: list[int] = []
        self.answer: Callable[[Reply], Sequence[Reply]] = lambda right: [right]
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def send(self, reply: Reply) -> None:
        data = reply.message
        if self._protocol == ETH_P_IPV6:
            pseudo = reply.source + reply.to + struct.pack("!II", len(data), ICMPV6)
            data = data[:2] + struct.pack("!H", checksum(pseudo + data)) + data[4:]
            data = struct.pack("!IHBB", 6 << 28, len(data), ICMPV6, reply.hop_limit) + reply.source + reply.to + data
        self._socket.sendto(data, ("isp", self._protocol, 0, 0, reply.to_mac))

    def _read(self) -> None:
        data, sender = self._socket.recvfrom(2048)
        right = self._right4(data) if self._protocol == ETH_P_ARP else self._right6(data)
        if right is not None:
            self.asked.append(sender[2])
            for reply in self.answer(right):
                self.send(reply)

    def _right4(self, data: bytes) -> Reply | None:
        *kind, operation, mac, ip, _, asked = ARP.unpack_from(data)
        if (operation, asked) != (1, self._target):
            return None
        assert (tuple(kind), mac, ip) == ((1, 0x0800, 6, 4), NEAR_MAC, NEAR[Family.IPV4].packed)
        return Reply(ARP.pack(*kind, 2, FAR_MAC, asked, mac, ip), asked, ip)

    def _right6(self, data: bytes) -> Reply | None:
        source, message = data[8:24], data[40:]
        if data[6] != ICMPV6 or message[0] != 135 or message[8:24] != self._target:
            return None
        # RFC 4861 section 7.1.1: what a neighbour checks of a solicitation before it answers.
        pseudo = data[8:40] + struct.pack("!II", len(message), ICMPV6)
        assert (data[7], message[1], checksum(pseudo + message)) == (255, 0, 0)
        assert message[24:] == b"\x01\x01" + NEAR_MAC
        return Reply(ADVERTISEMENT.pack(136, 0, 0, SOLICITED, self._target), self._target, source)


@both_families
@pytest.mark.parametrize("interface", ["wan", None])
@in_loop
async def test_a_neighbour_that_is_there_is_heard(line: Line, family: Family, interface: str | None) -> None:
    with probing(line, neighbour(family), nobody(family), interface=interface, timeout_ms=200) as (_, told):
        assert 0 < await told.next_answer(0) < 200
        assert await told.next_loss(1) == "no answer"
        for _ in range(5):
            await told.next_answer(0)
    assert not told.answers[1]
    assert not told.losses[0]


FAULTS4: dict[str, tuple[Callable[[Reply], Reply], str | None]] = {
    "of somebody else": (lambda right: right.arp(ip=ELSEWHERE[Family.IPV4].packed), "late or never asked"),
    "to another address": (lambda right: right.arp(to_ip=ELSEWHERE[Family.IPV4].packed), "wrong address"),
    "to other hardware": (lambda right: right.arp(to_mac=FAR_MAC), "wrong address"),
    "gratuitous, to all": (lambda right: right.arp(to_ip=right.source).with_(to_mac=BROADCAST), "wrong address"),
    "to all": (lambda right: right.with_(to_mac=BROADCAST), "wrong address"),
    "other protocol": (lambda right: right.arp(protocol=0x86DD), "not ours"),
    "truncated": (lambda right: right.with_(message=right.message[:-1]), "truncated"),
    "a question": (lambda right: right.arp(operation=1), None),
    "a few bytes": (lambda right: right.with_(message=right.message[:4]), None),
}
FAULTS6: dict[str, tuple[Callable[[Reply], Reply], str | None]] = {
    "of somebody else": (
        lambda right: right.advertisement(target=ELSEWHERE[Family.IPV6].packed),
        "late or never asked",
    ),
    "from another address": (lambda right: right.with_(source=ELSEWHERE[Family.IPV6].packed), "wrong address"),
    "unasked": (lambda right: right.advertisement(flags=1 << 29), "not ours"),
    "from beyond a router": (lambda right: right.with_(hop_limit=254), "not ours"),
    "wrong code": (lambda right: right.advertisement(code=1), "not ours"),
    "truncated": (lambda right: right.with_(message=right.message[:-1]), "truncated"),
    "a question": (lambda right: right.advertisement(type=135), None),
}


@pytest.mark.parametrize(
    ("family", "fault"),
    [(Family.IPV4, fault) for fault in FAULTS4] + [(Family.IPV6, fault) for fault in FAULTS6],
)
@in_loop
async def test_a_wrong_answer_is_none(line: Line, family: Family, fault: str) -> None:
    spoil, counted = (FAULTS4 if family is Family.IPV4 else FAULTS6)[fault]
    with (
        closing(NeighbourServer(line, family)) as server,
        probing(line, nobody(family), timeout_ms=60) as (runner, told),
    ):
        server.answer = lambda right: [spoil(right)]
        for _ in range(3):
            assert await told.next_loss() == "no answer"
        assert not told.answers[0]
        assert runner.ignored[counted] >= 1 if counted else not runner.ignored
        server.answer = lambda right: [spoil(right), right]
        await told.next_answer()


@both_families
@in_loop
async def test_each_question_is_told_once(line: Line, family: Family) -> None:
    with (
        closing(NeighbourServer(line, family)) as server,
        probing(line, nobody(family), timeout_ms=45) as (runner, told),
    ):
        server.answer = lambda right: [right] * (len(server.asked) % 3)
        await told.until(lambda: told.count >= 30)
        assert told.count <= len(server.asked) <= told.count + 6
        assert told.answers[0]
        assert told.losses[0]
        assert runner.ignored["duplicate"] + runner.ignored["late or never asked"] > 0


@both_families
@in_loop
async def test_what_was_there_before_the_question_is_no_answer(line: Line, family: Family) -> None:
    held: list[Reply] = []
    with (
        closing(NeighbourServer(line, family)) as server,
        probing(line, nobody(family), interval_ms=300, timeout_ms=60) as (runner, told),
    ):
        server.answer = lambda right: held.append(right) or []  # type: ignore[func-returns-value]
        await told.next_loss()
        server.send(held[0])  # comes when nothing is asked
        await told.next_loss()
        assert not told.answers[0]
        assert runner.ignored == {"late or never asked": 1}


@in_loop
async def test_after_an_answer_the_others_on_the_link_are_left_in_peace(line: Line) -> None:
    alone, to_all = 0, 1
    with (
        closing(NeighbourServer(line, Family.IPV4)) as server,
        probing(line, nobody(Family.IPV4), timeout_ms=60) as (
            _,
            told,
        ),
    ):
        await told.until(lambda: server.asked[-3:] == [alone] * 3)
        assert server.asked[0] == to_all
        server.answer = lambda _: []
        await told.until(lambda: server.asked[-3:] == [to_all] * 3)


@both_families
@in_loop
async def test_a_device_without_neighbours_is_asked_by_echo(line: Line, family: Family) -> None:
    for namespace, device in ((line.router, "wan"), (line.far, "isp")):
        # A frame of such a device carries its own hardware address, which the other end must take for its own.
        namespace.run(["ip", "link", "set", device, "arp", "off", "address", NEAR_MAC.hex(":")])
    with probing(line, neighbour(family), timeout_ms=200) as (_, told):
        await told.next_answer()
        line.set_sysctl("ipv4/icmp_echo_ignore_all" if family is Family.IPV4 else "ipv6/icmp/echo_ignore_all", "1")
        await told.until(lambda: told.losses[0][-2:] == ["no answer"] * 2)
