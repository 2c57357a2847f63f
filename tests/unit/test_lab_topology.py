from __future__ import annotations

import tomllib
from ipaddress import IPv4Address, IPv6Address, IPv6Interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.lab.topology import (
    CLIENTS,
    INTERNET,
    RESOLVERS,
    ROUTER,
    Cable,
    End,
    Node,
    Port,
    PortAddress,
    Topology,
    article_topology,
)
from evenflow.lab.world import node_commands, shaper_command, veth_command

EXAMPLES = Path(__file__).parents[2] / "examples"


def ends(topology: Topology) -> list[End]:
    return [end for cable in topology.cables for end in (cable.left, cable.right)]


def test_the_router_has_what_the_examples_name() -> None:
    topology = article_topology()
    script = (EXAMPLES / "seed.rsc").read_text(encoding="utf-8")
    policy = tomllib.loads((EXAMPLES / "seed.toml").read_text(encoding="utf-8"))
    router = next(node for node in topology.nodes if node.name == ROUTER)
    assert [bridge.name for bridge in router.bridges] == policy["lan"] == ["USER_01"]
    assert f"address={router.bridges[0].addresses[0].address} interface=USER_01" in script
    assert "add bridge=USER_01 interface=ether2" in script
    ports = {end.port.name: end.port for end in ends(topology) if end.node == ROUTER}
    assert ports["ether2"].bridge == "USER_01"
    for uplink in topology.uplinks:
        said = policy["uplink"][uplink.name]
        assert said["interface"] == uplink.interface == ports[uplink.interface].name
        assert said["bandwidth"] == f"{uplink.rate_bps // 1_000_000}M"
        assert policy["balance"]["weights"][uplink.name] == uplink.weight
    gateway = next(end.port for end in ends(topology) if end.node == "isp1" and end.port.name == "to-router")
    assert str(gateway.addresses[0].address.ip) == policy["uplink"]["isp1"]["gateway"]


def test_pppoe_needs_no_next_hop() -> None:
    left, right = next((c.left, c.right) for c in article_topology().cables if c.left.port.name == "pppoe-out1")
    assert not left.port.arp
    assert not right.port.arp
    assert left.port.mac == right.port.mac is not None
    assert left.port.addresses[0].peer == right.port.addresses[0].address.ip
    assert right.port.addresses[0].peer == left.port.addresses[0].address.ip


def test_every_uplink_is_shaped_both_ways() -> None:
    topology = article_topology()
    for uplink in topology.uplinks:
        shaped = [end.port for end in ends(topology) if end.node == uplink.provider]
        assert {port.rate_bps for port in shaped} == {uplink.rate_bps}
        assert len(shaped) == 2


@given(clients=st.integers(1, 10_000), servers=st.integers(1, 200))
def test_addresses_are_distinct_and_where_they_belong(clients: int, servers: int) -> None:
    topology = article_topology(clients=clients, servers=servers)
    everybody = [*topology.clients, topology.lan_server, *topology.servers, IPv4Address("10.10.0.1")]
    assert len(set(everybody)) == len(everybody) == clients + servers + 2
    lan = next(end.port for end in ends(topology) if end.node == CLIENTS)
    assert {one.address.ip for one in lan.addresses} == {*topology.clients, topology.lan_server}
    assert all(one.address.network == lan.addresses[0].address.network for one in lan.addresses)
    internet = next(node for node in topology.nodes if node.name == INTERNET)
    assert {one.ip for one in internet.loopback} == {*topology.servers, *RESOLVERS}


@pytest.mark.parametrize(("clients", "servers"), [(0, 1), (10_001, 1), (1, 0), (1, 201)])
def test_sizes_that_have_no_addresses_are_refused(clients: int, servers: int) -> None:
    with pytest.raises(ValueError, match="clients"):
        article_topology(clients=clients, servers=servers)


def test_an_uplink_is_found_by_name_and_by_address() -> None:
    topology = article_topology()
    assert topology.uplink("isp2") is topology.uplinks[1]
    assert topology.uplink_of(IPv4Address("100.64.1.2")) is topology.uplinks[0]
    assert topology.uplink_of(IPv4Address("10.10.1.10")) is None
    with pytest.raises(KeyError):
        topology.uplink("isp3")


def test_names_fit_the_kernel() -> None:
    topology = article_topology()
    assert all(0 < len(end.port.name.encode()) <= 15 for end in ends(topology))
    known = {node.name for node in topology.nodes}
    assert {end.node for end in ends(topology)} == known


def test_commands_say_what_the_data_says() -> None:
    cable = Cable(End("a", Port("left")), End("b", Port("right")))
    assert veth_command(cable, index=7, far_namespace="/x") == (
        "link add index 7 name left type veth peer index 8 name right netns /x"
    )
    assert shaper_command(Port("left"), 30_000_000).startswith("qdisc add dev left root tbf rate 30000000bit ")
    port = Port("left", (PortAddress(IPv6Interface("2001:db8::1/64"), None),), mac="02:00:00:00:00:01", arp=False)
    commands = node_commands(Node("a", "A"), (port,))
    assert any("arp off" in command and "address 02:00:00:00:00:01" in command for command in commands)
    assert "addr add 2001:db8::1/64 dev left nodad" in commands
    assert commands.index("link set dev left up") < commands.index("addr add 2001:db8::1/64 dev left nodad")


def test_a_peer_address_stands_alone() -> None:
    port = Port("ppp0", (PortAddress(IPv6Interface("2001:db8::1/128"), IPv6Address("2001:db8::2")),))
    assert "addr add 2001:db8::1 peer 2001:db8::2 dev ppp0 nodad" in node_commands(Node("a", "A"), (port,))
