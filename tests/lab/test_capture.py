"""The lab's captures: well formed, and nothing that came in is missing."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import evenflow
from evenflow.errors import LabError
from evenflow.kernel.files import read_configuration
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.lab import capture as capturing
from evenflow.lab.capture import Capture
from evenflow.lab.clients import open_all
from evenflow.lab.progress import SilentProgress
from evenflow.lab.stage import Configuration, Scenario, Stage, as_opened, conversation
from evenflow.lab.topology import CLIENTS, ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.lab.clients import Dial
    from evenflow.lab.tally import Conversation

pytestmark = [pytest.mark.lab, pytest.mark.kernel]

EXAMPLE = Path(evenflow.__file__).parent / "examples" / "seed.toml"
CONNECTIONS = 300
PATIENCE_S = 10.0


class Record(NamedTuple):
    """A frame of a capture; the time in nanoseconds."""

    when_ns: int
    wire_bytes: int
    frame: bytes


def records(file: Path) -> Iterator[Record]:
    """Read a pcap with no code of ours (draft-ietf-opsawg-pcap)."""
    data = file.read_bytes()
    magic, major, minor, _, _, longest, link_type = struct.unpack_from("<IHHiIII", data)
    assert (magic, major, minor, link_type) == (0xA1B23C4D, 2, 4, 1)
    place = 24
    while place < len(data):
        seconds, nanoseconds, kept, wire = struct.unpack_from("<IIII", data, place)
        frame = data[place + 16 : place + 16 + kept]
        assert len(frame) == kept <= longest
        assert nanoseconds < 1_000_000_000
        yield Record(seconds * 1_000_000_000 + nanoseconds, wire, frame)
        place += 16 + kept
    assert place == len(data)


class Ends(NamedTuple):
    """Whose packet it is."""

    source: IPv4Address
    source_port: int
    server: IPv4Address
    server_port: int


def ends_of(frame: bytes) -> Ends | None:
    """The ends of a TCP packet over IPv4, None of anything else."""
    if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
        return None
    source, server = IPv4Address(frame[26:30]), IPv4Address(frame[30:34])
    at = 14 + (frame[14] & 15) * 4
    source_port, server_port = struct.unpack_from("!HH", frame, at)
    return Ends(source, source_port, server, server_port)


def ends_by_client(dial: Dial, source_port: int) -> Ends:
    assert isinstance(dial.source, IPv4Address)
    assert isinstance(dial.server, IPv4Address)
    return Ends(dial.source, source_port, dial.server, dial.server_port)


async def until_counted(stage: Stage, expected: dict[Conversation, int]) -> dict[Conversation, int]:
    """What the providers counted from the router, once it is that or the patience is over."""
    end_s = time.monotonic() + PATIENCE_S
    counted: dict[Conversation, int] = {}
    while counted != expected and time.monotonic() < end_s:
        counted = {key: count for sighting in stage.tally.read().values() for key, count in sighting.sent.items()}
        await asyncio.sleep(0)
    return counted


async def play(file: Path) -> None:
    with World(article_topology()) as world:
        scenario = Scenario(connections=CONNECTIONS)
        async with Stage(world, Configuration(lambda: None, lambda: None), scenario, SilentProgress()) as stage:
            with world.inside(ROUTER), LinuxKernel() as kernel:
                router = read_configuration(str(EXAMPLE)).router
                assert router is not None
                carry_out(kernel, look_ahead(kernel, router, kernel.read_machine(), 1))
            before_ns = time.time_ns()
            with Capture(world, ROUTER, "USER_01", file) as capture:
                opened = as_opened(await open_all(world, stage.dials(CONNECTIONS), timeout_s=10.0))
                for connection in opened:
                    await connection.echo(200)
                    connection.abort()
                world.set_link_up(CLIENTS, "eth0", up=False)  # nothing more can come in
            after_ns = time.time_ns()
            assert len(opened) == CONNECTIONS
            found = list(records(file))
            assert len(found) == capture.frames
            times = [record.when_ns for record in found]
            assert all(before_ns <= when_ns <= after_ns for when_ns in times)
            # Not sorted: a frame has its time before it waits for the processor it came to, and there may be several.
            assert all(record.wire_bytes == len(record.frame) for record in found)
            packets = Counter(ends for record in found if (ends := ends_of(record.frame)) is not None)
            # Only what comes in: no server is a source.
            assert packets.keys() == {ends_by_client(one.dial, one.source_port) for one in opened}
            passed = {conversation(one): packets[ends_by_client(one.dial, one.source_port)] for one in opened}
            assert await until_counted(stage, passed) == passed


def test_every_frame_that_comes_in_is_in_the_file(tmp_path: Path) -> None:
    asyncio.run(play(tmp_path / "lan.pcap"))


async def play_too_fast(file: Path) -> None:
    with (
        World(article_topology(clients=1)) as world,
        Capture(world, ROUTER, "USER_01", file),
        world.socket(CLIENTS, socket.SOCK_DGRAM) as sending,
    ):
        for _ in range(500):  # and nobody reads meanwhile
            sending.sendto(bytes(1000), (str(world.topology.servers[0]), 9))


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "_BUFFER_BYTES", 1)
    with pytest.raises(LabError, match=r"lacks \d+ of 50\d frames"):
        asyncio.run(play_too_fast(tmp_path / "lan.pcap"))


async def play_nowhere(file: Path) -> None:
    with World(article_topology(clients=1)) as world, Capture(world, ROUTER, "ether9", file):
        pass


def test_a_device_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such device"):
        asyncio.run(play_nowhere(tmp_path / "lan.pcap"))
