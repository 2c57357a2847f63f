"""Reading again costs little, and hides nothing: whatever somebody else changes is seen by the next look."""

from __future__ import annotations

import errno
import socket
import time
from ipaddress import IPv4Address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from evenflow.kernel import nft_objects, rt_codec
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.netlink import NetlinkError, text
from evenflow.kernel.nft_codec import number
from evenflow.model.dataplane import AddRoute, AddRouteRule, FibHop, FibRoute, FibRule, NftTransaction
from evenflow.model.flow import Family
from evenflow.model.machine import LinkAddress
from evenflow.model.nft import Counter, KeyType, NftRule, NftSet, SetElement
from evenflow.model.transaction import AddChain, AddElements, AddRule, AddSet, AddTable, DeleteTable

if TYPE_CHECKING:
    from contract.worlds import LinuxWorld
    from evenflow.model.machine import Link

pytestmark = pytest.mark.kernel

SYSCTL = "net/ipv4/conf/wan1/rp_filter"
ROUTE = FibRoute(Family.IPV4, 20001, Family.IPV4.any_network, 1, (FibHop("wan1", IPv4Address("198.51.100.1")),))
RULE = FibRule(Family.IPV4, 21000, 20001, mark=1, mask=0x3FF)
ELEMENTS = frozenset(SetElement(bytes((192, 0, 2, n))) for n in range(200))
TABLE = (
    AddTable(),
    AddChain("known"),
    AddRule("known", NftRule((Counter(),), "counted")),
    AddSet(NftSet("some", KeyType.IPV4_ADDR)),
    AddElements("some", tuple(ELEMENTS)),
    AddSet(NftSet("others", KeyType.MARK)),
)


@pytest.fixture
def world(linux: LinuxWorld) -> LinuxWorld:
    """A machine with something of everything, read once."""
    linux.add_link("wan1")
    linux.add_link("wan2")
    linux.add_address("wan1", "198.51.100.2/24")
    linux.ip("route", "add", "203.0.113.0/24", "via", "198.51.100.1")
    for operation in (AddRoute(ROUTE), AddRouteRule(RULE), NftTransaction(TABLE)):
        linux.kernel.execute(operation)
    linux.kernel.read_machine()
    linux.kernel.read_dataplane([SYSCTL])
    return linux


def fresh(world: LinuxWorld) -> LinuxKernel:
    """One that has never read anything."""
    with world.namespace.entered():
        return LinuxKernel()


def looks_the_same_to_a_stranger(world: LinuxWorld) -> bool:
    with fresh(world) as stranger:
        machine = stranger.read_machine() == world.kernel.read_machine()
        return machine and stranger.read_dataplane([SYSCTL]) == world.kernel.read_dataplane([SYSCTL])


def test_what_is_as_it_was_is_the_very_same_object_and_nothing_is_decoded(
    world: LinuxWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    # New links are another for a second or two: the kernel finds out that nobody else has their addresses.
    until_s = time.monotonic() + 10
    while not _reads_without_decoding(world, monkeypatch):
        assert time.monotonic() < until_s


class _DecodedError(Exception):
    pass


def _reads_without_decoding(world: LinuxWorld, monkeypatch: pytest.MonkeyPatch) -> bool:
    machine, dataplane = world.kernel.read_machine(), world.kernel.read_dataplane([SYSCTL])

    def never(*_: object) -> Any:
        raise _DecodedError

    with monkeypatch.context() as patched:
        for name in ("decode_route", "decode_rule", "decode_address", "decode_link", "link_names"):
            patched.setattr(rt_codec, name, never)
        for name in ("decode_rule", "decode_chain", "decode_set", "decode_elements"):
            patched.setattr(nft_objects, name, never)
        try:
            return world.kernel.read_machine() is machine and world.kernel.read_dataplane([SYSCTL]) is dataplane
        except _DecodedError:
            return False


CHANGES = [
    "ip link set wan1 down",
    "ip link set wan1-far down",
    "ip link set wan1-far name renamed",
    "ip link delete wan2",
    "ip link add name br7 type bridge",
    "ip address add 192.0.2.1/32 dev wan2",
    "ip address delete 198.51.100.2/24 dev wan1",
    "ip route add 203.0.113.0/25 via 198.51.100.1",
    "ip route replace 203.0.113.0/24 via 198.51.100.7",
    "ip route delete 203.0.113.0/24",
    "ip route delete default table 20001",
    "ip route replace default via 198.51.100.7 table 20001 metric 1 proto 239",
    "ip route change default via 198.51.100.1 table 20001 metric 1 proto 239 mtu 1400",
    "ip -6 route add fd01::/64 dev wan1 table 20001 proto 239",
    "ip rule delete priority 21000",
    "ip rule add priority 21001 fwmark 0x2/0x3ff table 20002 protocol 239",
    "ip -6 rule add priority 21001 fwmark 0x2/0x3ff table 20002 protocol 239",
    "nft flush ruleset",
    "nft delete element inet evenflow some { 192.0.2.7 }",
    "nft add element inet evenflow some { 192.0.3.7 }",
    "nft add element inet evenflow others { 7 }",
    "nft add rule inet evenflow known drop",
    "nft flush chain inet evenflow known",
    "nft add chain inet evenflow more",
    "nft add set inet evenflow odd { type ipv4_addr; flags timeout; }",
    "sysctl rp_filter",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_behind_our_back_is_seen(world: LinuxWorld, change: str) -> None:
    machine, dataplane = world.kernel.read_machine(), world.kernel.read_dataplane([SYSCTL])
    if change == "sysctl rp_filter":
        world.namespace.run(["sh", "-c", "echo 2 > /proc/sys/net/ipv4/conf/wan1/rp_filter"])
    else:
        world.namespace.run(change.split())
    seen = (world.kernel.read_machine(), world.kernel.read_dataplane([SYSCTL]))
    assert looks_the_same_to_a_stranger(world)
    if not change.endswith("mtu 1400"):  # which is nothing that we look at
        assert seen != (machine, dataplane)


def test_a_link_that_took_the_name_of_another_has_its_routes_no_more(world: LinuxWorld) -> None:
    """The list of routes is the same byte for byte: it has indexes, and these have other names now."""
    before = world.kernel.read_machine()
    world.ip("link", "set", "wan2", "name", "aside")
    world.ip("link", "set", "wan1-far", "name", "wan2")
    assert {link.index: link.name for link in world.kernel.read_machine().links} != {
        link.index: link.name for link in before.links
    }
    assert looks_the_same_to_a_stranger(world)


def test_what_was_put_back_reads_as_before(world: LinuxWorld) -> None:
    before = world.kernel.read_dataplane([SYSCTL])
    world.nft("delete element inet evenflow some { 192.0.2.7 }")
    world.ip("route", "delete", "default", "table", "20001")
    assert world.kernel.read_dataplane([SYSCTL]) != before
    world.nft("add element inet evenflow some { 192.0.2.7 }")
    world.kernel.execute(AddRoute(ROUTE))
    assert world.kernel.read_dataplane([SYSCTL]) == before


def test_the_table_deleted_and_made_anew_is_read_anew(world: LinuxWorld) -> None:
    world.kernel.execute(NftTransaction((DeleteTable(), AddTable(), AddChain("known"))))
    table = world.kernel.read_dataplane().table
    assert table is not None
    assert (set(table.chains), set(table.sets)) == ({"known"}, set())


def test_a_table_that_goes_with_its_owner_is_seen(linux: LinuxWorld) -> None:
    """Then there is no new generation: the kernel takes it away when the process's socket is closed."""
    owner = 2
    with fresh(linux) as other:
        flags = number(2, owner)
        request = nft_objects.message(nft_objects.NEWTABLE, text(1, "evenflow"), flags, flags=0x400)
        other.nftables._netlink.batch(nft_objects.NFNL_SUBSYS_NFTABLES, [request])
        assert linux.kernel.read_dataplane().table is not None
    assert linux.kernel.read_dataplane().table is None


def test_changes_to_other_tables_do_not_make_ours_another(world: LinuxWorld) -> None:
    before = world.kernel.read_dataplane([SYSCTL])
    world.nft("add table inet somebodys")
    after = world.kernel.read_dataplane([SYSCTL])
    assert after == before
    assert after.table is not None
    assert before.table is not None
    assert after.table.chains["known"].rules[0] is before.table.chains["known"].rules[0]


def test_an_empty_change_tells_of_another_generation_and_makes_none(world: LinuxWorld) -> None:
    nftables, subsystem = world.linux.nftables, nft_objects.NFNL_SUBSYS_NFTABLES
    now = nftables.generation()
    nftables._netlink.batch(subsystem, (), now)
    assert nftables.generation() == now
    with pytest.raises(NetlinkError) as caught:
        nftables._netlink.batch(subsystem, (), now + 1)
    assert caught.value.number == errno.ERESTART


def test_a_read_that_was_broken_off_does_not_spoil_the_next(world: LinuxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"route add 10.{n >> 8}.{n & 255}.0/24 dev wan2\n" for n in range(2000))
    world.namespace.run(["ip", "-batch", "-"], stdin=lines)
    netlink: Any = world.linux.routing._netlink
    receive, calls = netlink._receive, []

    def interrupted(datagrams: list[bytes]) -> bytes:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        data: bytes = receive(datagrams)
        return data

    for _ in range(2):  # with nothing remembered, and with something
        calls.clear()
        with monkeypatch.context() as patched:
            patched.setattr(netlink, "_receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                world.kernel.read_machine()
        assert looks_the_same_to_a_stranger(world)
    assert len(world.kernel.read_machine().routes) >= 2000


def test_counters_do_not_make_a_link_another(world: LinuxWorld) -> None:
    def loopback() -> Link:
        return next(link for link in world.linux.routing.links() if link.name == "lo")

    before, carried = loopback(), world.linux.link_counters()["lo"].tx_bytes
    with world.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.sendto(b"something", ("127.0.0.1", 9))
    assert loopback() == before
    assert world.linux.link_counters()["lo"].tx_bytes > carried


def test_addresses_are_those_of_the_links_just_read(world: LinuxWorld) -> None:
    expected = LinkAddress("wan1", ip_interface("198.51.100.2/24"))
    routing = world.linux.routing
    assert expected in routing.addresses()
    assert expected in routing.addresses(routing.links())
    destination = ip_network("203.0.113.0/24")
    assert destination in {route.destination for route in routing.routes(links=routing.links())}
