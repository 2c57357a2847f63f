"""What only the real kernel has: permissions, limits, links of other kinds, counters, namespaces."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

import pytest

from evenflow.errors import NotPermittedError, SystemRefusedError
from evenflow.kernel import sysctl
from evenflow.kernel.conntrack import Conntrack
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NetlinkSocket
from evenflow.model.dataplane import (
    AddRoute,
    AddRouteRule,
    DeleteRoute,
    FibHop,
    FibRoute,
    FibRule,
    NftTransaction,
    SetSysctl,
)
from evenflow.model.flow import Family
from evenflow.model.machine import LinkAddress
from evenflow.model.nft import Counter, KeyType, NftChain, NftRule, NftSet, NftTable, SetElement
from evenflow.model.router import RouteKind
from evenflow.model.transaction import AddChain, AddElements, AddRule, AddSet, AddTable, DeleteTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.worlds import LinuxWorld
    from evenflow.kernel.netlink import Request
    from evenflow.model.machine import Machine
    from evenflow.model.transaction import NftOperation

pytestmark = pytest.mark.kernel

FORWARDING = "net/ipv4/ip_forward"


def test_links_of_other_kinds(linux: LinuxWorld) -> None:
    linux.ip("link", "add", "name", "br-lan", "type", "bridge")
    linux.add_link("port1")
    linux.ip("link", "set", "dev", "port1", "master", "br-lan")
    linux.ip("link", "set", "dev", "port1-far", "arp", "off")
    linux.ip("link", "set", "dev", "br-lan", "down")
    machine: Machine = linux.kernel.read_machine()
    port, bridge, quiet = (machine.link(name) for name in ("port1", "br-lan", "port1-far"))
    assert port is not None
    assert bridge is not None
    assert quiet is not None
    assert (port.master, bridge.master) == ("br-lan", None)
    assert (port.up, bridge.up) == (True, False)
    assert (port.point_to_point, quiet.point_to_point) == (False, True)
    assert len({link.index for link in machine.links}) == len(machine.links)


def test_a_lost_carrier_shows_and_leaves_the_routes(linux: LinuxWorld) -> None:
    linux.add_link("wan1")
    linux.add_address("wan1", "198.51.100.2/24")
    any4 = Family.IPV4.any_network
    route = FibRoute(Family.IPV4, 20001, any4, 1, (FibHop("wan1", IPv4Address("198.51.100.1")),))
    linux.kernel.execute(AddRoute(route))
    linux.ip("link", "set", "dev", "wan1-far", "down")
    link = linux.kernel.read_machine().link("wan1")
    assert link is not None
    assert (link.up, link.carrier) == (True, False)
    assert linux.kernel.read_dataplane().routes == {route}


@pytest.mark.parametrize("compatible", ["1", "0"])
def test_a_route_to_a_nexthop_object_is_read_and_deleted_as_such(linux: LinuxWorld, compatible: str) -> None:
    linux.add_link("wan1")
    linux.add_address("wan1", "198.51.100.2/24")
    linux.add_address("wan1", "2001:db8:1::2/64")
    linux.kernel.execute(SetSysctl("net/ipv4/nexthop_compat_mode", compatible))
    for number, gateway, destination in ((7, "198.51.100.1", "192.0.2.0/24"), (8, "2001:db8:1::1", "2001:db8:7::/48")):
        linux.ip("nexthop", "add", "id", str(number), "via", gateway, "dev", "wan1")
        linux.ip("route", "add", destination, "nhid", str(number), "table", "20001", "proto", "239", "metric", "5")
    routes = linux.kernel.read_dataplane().routes
    assert {(route.nexthop_id, str(route.destination)) for route in routes} == {
        (7, "192.0.2.0/24"),
        (8, "2001:db8:7::/48"),
    }
    for route in routes:
        plain = replace(route, nexthop_id=0, hops=(FibHop("wan1", ip_address("198.51.100.1")),))
        linux.kernel.execute(DeleteRoute(plain))
        assert linux.kernel.read_dataplane().routes == routes
    for route in routes:
        linux.kernel.execute(DeleteRoute(route))
        assert route not in linux.kernel.read_dataplane().routes
        linux.kernel.execute(AddRoute(route))
    assert linux.kernel.read_dataplane().routes == routes


def test_the_work_of_a_deletion_does_not_grow_with_the_machine(
    linux: LinuxWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of all links, or of everybody's routes, for each of the routes of many uplinks takes minutes."""
    linux.add_link("wan1")
    linux.add_address("wan1", "198.51.100.2/24")
    gateway = FibHop("wan1", IPv4Address("198.51.100.1"))
    routes = [FibRoute(Family.IPV4, 254, ip_network(f"192.0.2.{n}/32"), 1, (gateway,)) for n in range(9)]
    linux.namespace.run(["ip", "-batch", "-"], stdin="".join(f"route add 10.0.{n}.0/24 dev wan1\n" for n in range(200)))
    for route in routes:
        linux.kernel.execute(AddRoute(route))
    listed: list[int] = []
    dump = NetlinkSocket.dump

    def counting(self: NetlinkSocket, request: Request) -> Sequence[bytes]:
        payloads = dump(self, request)
        listed.append(len(payloads))
        return payloads

    monkeypatch.setattr(NetlinkSocket, "dump", counting)
    for route in routes:
        linux.kernel.execute(DeleteRoute(route))
    assert listed == list(range(9, 0, -1))
    assert not linux.kernel.read_dataplane().routes


def test_addresses_with_a_peer(linux: LinuxWorld) -> None:
    linux.add_link("ppp7")
    linux.ip("address", "add", "192.0.2.2", "peer", "192.0.2.1/32", "dev", "ppp7")
    linux.ip("-6", "address", "add", "fd00::2", "peer", "fd00::1/128", "dev", "ppp7", "nodad")
    found = set(linux.kernel.read_machine().addresses)
    assert LinkAddress("ppp7", ip_interface("192.0.2.2/32"), IPv4Address("192.0.2.1")) in found
    peers = {str(address.address.ip): str(address.peer) for address in found if address.interface == "ppp7"}
    assert peers["fd00::2"] == "fd00::1"


def test_counters_count_what_a_link_carries(linux: LinuxWorld) -> None:
    linux.add_link("wan1")
    linux.add_address("wan1", "198.51.100.2/24")
    before = linux.linux.link_counters()
    with linux.namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("wan1", 0))
        for _ in range(10):
            raw.send(b"\xff" * 12 + b"\x88\xb5" + bytes(86))
    after = linux.linux.link_counters()
    # The machine itself may send router solicitations and the like in between.
    assert after["wan1"].tx_packets - before["wan1"].tx_packets >= 10
    assert after["wan1"].tx_bytes - before["wan1"].tx_bytes >= 1000
    assert after["wan1-far"].rx_packets - before["wan1-far"].rx_packets >= 10
    assert after["wan1-far"].rx_bytes - before["wan1-far"].rx_bytes >= 1000
    assert after["lo"] == before["lo"]


def test_a_kernel_stays_in_its_namespace_wherever_the_thread_goes(linux: LinuxWorld) -> None:
    """Also its sysctls, which the kernel shows by thread."""
    here = sysctl.read(FORWARDING)
    other = "0" if here == "1" else "1"
    for value in (here, other):
        assert value is not None
        linux.kernel.execute(SetSysctl(FORWARDING, value))
    assert linux.kernel.read_dataplane((FORWARDING,)).sysctls == {FORWARDING: other}
    assert sysctl.read(FORWARDING) == here
    with linux.namespace.entered():
        assert sysctl.read(FORWARDING) == other


def test_several_kernels_in_several_threads() -> None:
    found: dict[str, set[str]] = {}

    def look(name: str) -> None:
        with NetworkNamespace.create() as namespace, namespace.entered(), LinuxKernel() as kernel:
            namespace.run(["ip", "link", "add", "name", name, "type", "bridge"])
            found[name] = {link.name for link in kernel.read_machine().links}

    threads = [threading.Thread(target=look, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: {"lo", name} for name in ("one", "two", "three")}


ANY4 = Family.IPV4.any_network
TRIES = (
    NftTransaction((AddTable(),)),
    AddRoute(FibRoute(Family.IPV4, 20001, ANY4, 1, (), RouteKind.BLACKHOLE)),
    AddRouteRule(FibRule(Family.IPV4, 21000, 20001)),
)


def drop_capabilities() -> None:
    """Take all effective capabilities from the calling thread (capset(2), version 3)."""
    header, nothing = struct.pack("=Ii", 0x2008_0522, 0), bytes(24)
    assert ctypes.CDLL(None).capset(header, nothing) == 0


def test_without_the_capability_it_says_what_to_do(linux: LinuxWorld) -> None:
    said: list[str] = []

    def attempt() -> None:
        with linux.namespace.entered(), LinuxKernel() as kernel, Conntrack() as table:
            # No way back out of the namespace either: the thread ends here.
            drop_capabilities()
            for operation in TRIES:
                with pytest.raises(NotPermittedError) as caught:
                    kernel.execute(operation)
                said.append(str(caught.value))
            with pytest.raises(NotPermittedError) as caught:
                table.delete_all()
            said.append(str(caught.value))

    with ThreadPoolExecutor(1) as pool, contextlib.suppress(PermissionError):
        pool.submit(attempt).result()
    assert len(said) == 4
    for line in said:
        assert "CAP_NET_ADMIN: run it as root" in line


def test_a_change_beyond_the_send_buffer_is_refused_and_says_why(
    linux: LinuxWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is in a user namespace, which may not have a larger buffer than net.core.wmem_max."""
    monkeypatch.setattr(NetlinkSocket, "_make_room", lambda *_: None)
    elements = tuple(SetElement(number.to_bytes(4)) for number in range(65536))
    large = (AddTable(), AddSet(NftSet("large", KeyType.MARK)), AddElements("large", elements))
    with pytest.raises(SystemRefusedError, match=r"run it as root, or raise the sysctl net\.core\.wmem_max"):
        linux.kernel.execute(NftTransaction(large))
    assert linux.kernel.read_dataplane().table is None
    monkeypatch.undo()
    linux.kernel.execute(NftTransaction(large[:2]))
    assert linux.kernel.read_dataplane().table is not None


def test_a_reader_sees_no_half_of_a_change(linux: LinuxWorld) -> None:
    """One thread switches between two tables, without pause; another reads."""
    states: list[NftTable] = []
    changes: list[NftTransaction] = []
    for name, count in (("one", 1000), ("two", 500)):
        elements = frozenset(SetElement(number.to_bytes(4), comment=name) for number in range(count))
        held = NftSet("held", KeyType.MARK, elements)
        rules = tuple(NftRule((Counter(),), f"{name} {number}") for number in range(100))
        states.append(NftTable({name: NftChain(name, rules)}, {"held": held}))
        change: list[NftOperation] = [DeleteTable(), AddTable(), AddChain(name)]
        change += [AddRule(name, rule) for rule in rules]
        change += [AddSet(held), AddElements("held", tuple(elements))]
        changes.append(NftTransaction(tuple(change)))
    linux.kernel.execute(NftTransaction((AddTable(),)))
    linux.kernel.execute(changes[0])
    done = threading.Event()

    def switch() -> None:
        with linux.namespace.entered(), LinuxKernel() as kernel:
            for change in itertools.cycle(changes):
                kernel.execute(change)
                # Not so often that no reader could ever finish between two changes.
                if done.wait(0.05):
                    return

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        seen = [linux.kernel.read_dataplane().table for _ in range(20)]
        # As long as it takes: the other thread never stops switching.
        while not all(state in seen for state in states):
            seen.append(linux.kernel.read_dataplane().table)
    finally:
        done.set()
        thread.join()
    assert all(table in states for table in seen)


@pytest.mark.parametrize("name", ["", "/net", "net//ipv4", "net/../kernel/hostname", "../sys/kernel/hostname"])
def test_names_that_lead_elsewhere_are_no_sysctls(name: str) -> None:
    with pytest.raises(SystemRefusedError):
        sysctl.read(name)
    with pytest.raises(SystemRefusedError):
        sysctl.write(name, "1")


def test_a_value_that_the_kernel_does_not_take(linux: LinuxWorld) -> None:
    with pytest.raises(SystemRefusedError, match="ip_forward"):
        linux.kernel.execute(SetSysctl(FORWARDING, "perhaps"))
    assert linux.kernel.read_dataplane((FORWARDING,)).sysctls == {FORWARDING: "0"}


def test_numbers_in_a_row_have_one_space_between_them(linux: LinuxWorld) -> None:
    name = "net/ipv4/ip_local_port_range"
    linux.kernel.execute(SetSysctl(name, "40000 50000"))
    assert linux.kernel.read_dataplane((name,)).sysctls == {name: "40000 50000"}
