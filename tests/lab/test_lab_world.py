"""The world itself: it is as the data says, and nothing of it outlives the process, however that ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Interface
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.errors import LabError
from evenflow.kernel.namespaces import run
from evenflow.lab.article import Step, play
from evenflow.lab.clients import Dial, descriptors, open_connection
from evenflow.lab.servers import TellServers
from evenflow.lab.stage import Configuration, running
from evenflow.lab.topology import (
    CLIENTS,
    INTERNET,
    ROUTER,
    Cable,
    End,
    Node,
    Port,
    PortAddress,
    StaticRoute,
    article_topology,
)
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.lab.results import StepResult
    from evenflow.lab.stage import Stage
    from evenflow.model.flow import Address

pytestmark = pytest.mark.lab

NOTHING = Configuration(lambda: None, lambda: None)


def inode(world: World, node: str) -> int:
    return Path(world[node].path).stat().st_ino


def holders(inodes: set[int]) -> list[str]:
    """Everything under /proc that holds one of these namespaces: processes in them, and open descriptors."""
    names = {f"net:[{number}]" for number in inodes}
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        for folder in (process / "ns", process / "fd"):
            with contextlib.suppress(OSError):  # it ended meanwhile, or is a kernel thread
                found += [str(one) for one in folder.iterdir() if _link(one) in names]
    return found


def _link(path: Path) -> str:
    with contextlib.suppress(OSError):
        return str(path.readlink())
    return ""


def test_the_article_stands_as_the_data_says() -> None:
    topology = article_topology(clients=20, servers=3)
    with World(topology) as world:
        links = run_in(world, ROUTER, "ip", "-br", "link")
        for interface in ("USER_01", "ether2", "ether1", "pppoe-out1"):
            assert interface in links
        assert "100.64.2.2 peer 100.64.2.1/32" in run_in(world, ROUTER, "ip", "-br", "address", "show", "pppoe-out1")
        assert "NOARP" in run_in(world, ROUTER, "ip", "link", "show", "pppoe-out1")
        assert "master USER_01" in run_in(world, ROUTER, "ip", "link", "show", "ether2")
        assert run_in(world, CLIENTS, "ip", "-o", "-4", "addr", "show", "dev", "eth0").count("10.10.") >= 21
        for uplink in topology.uplinks:
            qdiscs = run_in(world, uplink.provider, "tc", "qdisc", "show")
            assert qdiscs.count(f"rate {uplink.rate_bps // 1_000_000}Mbit") == 2
        assert "fe80" not in run_in(world, ROUTER, "ip", "-6", "route", "show", "table", "all")


def run_in(world: World, node: str, *command: str) -> str:
    return world[node].run(command)


def test_a_cut_takes_the_carrier_and_keeps_the_routes() -> None:
    with World(article_topology(clients=1)) as world:
        assert "linkdown" not in run_in(world, ROUTER, "ip", "route")
        world.set_link_up("isp1", "to-router", up=False)
        assert "100.64.1.0/24 dev ether1 proto kernel scope link src 100.64.1.2 linkdown" in run_in(
            world, ROUTER, "ip", "route"
        )
        world.set_link_up("isp1", "to-router", up=True)
        assert "linkdown" not in run_in(world, ROUTER, "ip", "route")
        assert "100.64.1.0/24" in run_in(world, "isp1", "ip", "route")


def test_both_ends_of_pppoe_take_each_others_frames_without_arp() -> None:
    with World(article_topology(clients=1)) as world:
        run_in(world, ROUTER, "ip", "route", "add", "default", "dev", "pppoe-out1")
        server = world.topology.servers[0]
        assert asyncio.run(seen_address(world, server)) == IPv4Address("100.64.2.2")


async def seen_address(world: World, server: Address) -> object:
    async with TellServers() as servers:
        await servers.listen(world.listen(INTERNET, server, 80))
        connection = await open_connection(world, Dial(ROUTER, IPv4Address("100.64.2.2"), server, 80), timeout_s=5)
        connection.close()
        return connection.seen_address


def test_a_topology_of_ipv6_works_too() -> None:
    one, other = (IPv6Interface(f"2001:db8::{n}/64") for n in (1, 2))
    topology = replace(
        article_topology(clients=1),
        nodes=(
            Node("one", "One"),
            Node("other", "Other", routes=(StaticRoute(IPv6Interface("::/0").network, one.ip),)),
        ),
        cables=(Cable(End("one", Port("a", (PortAddress(one),))), End("other", Port("b", (PortAddress(other),)))),),
    )

    async def seen() -> object:
        async with TellServers() as servers:
            await servers.listen(world.listen("one", one.ip, 80))
            connection = await open_connection(world, Dial("other", other.ip, one.ip, 80), timeout_s=5)
            connection.close()
            return connection.seen_address

    with World(topology) as world:
        assert asyncio.run(seen()) == other.ip
        assert "default via 2001:db8::1 dev b" in run_in(world, "other", "ip", "-6", "route")


def test_what_cannot_be_built_is_said_and_torn_down() -> None:
    topology = article_topology(clients=1)
    broken = replace(topology, nodes=(*topology.nodes, Node("x", "X", routes=(StaticRoute(IPV4_ANY, IPV4_ANY[1]),))))
    before = own_namespaces()
    with pytest.raises(LabError, match="could not be built"), World(broken):
        pytest.fail("it was built")
    assert own_namespaces() == before


IPV4_ANY = article_topology().nodes[0].routes[0].destination


def own_namespaces() -> set[str]:
    return {link for one in Path("/proc/self/fd").iterdir() if (link := _link(one)).startswith("net:[")}


# --- nothing remains ----------------------------------------------------------------------------------------------


class TroubleError(Exception):
    pass


def test_an_exception_in_a_step_tears_everything_down() -> None:
    inodes: set[int] = set()
    taken_down: list[bool] = []

    async def fail(stage: Stage) -> StepResult:
        inodes.update(inode(stage.world, node.name) for node in stage.topology.nodes)
        stage.found.brought_up = True
        raise TroubleError

    def play_it() -> None:
        with World(article_topology(clients=2)) as world:
            configuration = Configuration(lambda: None, lambda: taken_down.append(True))
            asyncio.run(play(world, configuration, [Step("x", "fail", fail)], title="trouble"))

    with pytest.raises(TroubleError):
        play_it()
    assert len(inodes) == 5
    assert holders(inodes) == []
    assert taken_down == [True]


def test_a_second_failure_does_not_hide_the_first() -> None:
    def refuse() -> None:
        raise LabError("not now")

    async def fail(stage: Stage) -> StepResult:
        stage.found.brought_up = True
        raise TroubleError

    def play_it() -> None:
        with World(article_topology(clients=1)) as world:
            configuration = Configuration(lambda: None, refuse)
            asyncio.run(play(world, configuration, [Step("x", "fail", fail)], title="trouble"))

    with pytest.raises(TroubleError) as caught:
        play_it()
    assert any("not now" in note for note in caught.value.__notes__)


CHILD = """
import os, sys
from pathlib import Path
from evenflow.kernel.namespaces import enter_private
enter_private()
from evenflow.lab.article import play_article

def bring_up():
    links = (os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.exists())
    print("up", *(link[5:-1] for link in links if link.startswith("net:[")), flush=True)

def take_down():
    print("down", flush=True)

try:
    play_article(bring_up, take_down, title="child")
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""


@contextlib.contextmanager
def child() -> Iterator[subprocess.Popen[str]]:
    """A process that plays the article with a router that does nothing, in a session of its own."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def session_members(session: int) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(process.name)) == session:
                    found.append(int(process.name))
    return found


def _lab_of(process: subprocess.Popen[str]) -> set[int]:
    """Wait until its router is up; the namespaces that it holds."""
    assert process.stdout is not None
    word, *inodes = process.stdout.readline().split()
    assert word == "up"
    assert len(inodes) >= 5
    return {int(number) for number in inodes}


def test_ctrl_c_tears_everything_down() -> None:
    with child() as process:
        inodes = _lab_of(process)
        assert holders(inodes), "the lab stands"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
        assert out.split() == ["down", "interrupted"]
        assert errors == ""
        assert process.returncode == 130
        assert_nothing_remains(process.pid, inodes)


def test_kill_9_tears_everything_down() -> None:
    with child() as process:
        inodes = _lab_of(process)
        assert holders(inodes), "the lab stands"
        process.kill()
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGKILL
        assert_nothing_remains(process.pid, inodes)


def assert_nothing_remains(session: int, inodes: set[int]) -> None:
    # A program that the child had just started ends by itself in milliseconds.
    end_s = time.monotonic() + 5
    while session_members(session) and time.monotonic() < end_s:
        pass
    assert session_members(session) == []
    assert holders(inodes) == []
    assert run(["ip", "netns", "list"]) == ""
    mounted = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert not [number for number in inodes if f"net:[{number}]" in mounted]


# --- its parts ----------------------------------------------------------------------------------------------------


def test_descriptors_are_given_back() -> None:
    given = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = len(list(Path("/proc/self/fd").iterdir())) + 16
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, given[1]))
    try:
        with descriptors(low + 1):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (low + 1, given[1])
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (low, given[1])
        with descriptors(low - 1):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (low, given[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, given)


def test_work_that_fails_is_not_lost() -> None:
    async def fail() -> None:
        raise TroubleError

    async def go() -> None:
        async with running(fail()):
            await asyncio.sleep(0)

    with pytest.raises(TroubleError):
        asyncio.run(go())


def test_a_connection_that_fails_leaves_its_port_free() -> None:
    with World(article_topology(clients=1)) as world:
        dial = Dial(CLIENTS, world.topology.clients[0], world.topology.servers[0], 80, source_port=61_000)
        for _ in range(2):
            with pytest.raises(OSError, match="Connect call failed") as caught:
                asyncio.run(open_connection(world, dial, timeout_s=3))
            assert caught.value.errno == errno.ENETUNREACH
        free = world.socket(CLIENTS, socket.SOCK_STREAM)
        free.bind((str(dial.source), dial.source_port))
        free.close()
