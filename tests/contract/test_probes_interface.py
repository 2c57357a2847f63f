"""The interface of an uplink under its probes: bound to it, gone, made anew, down, without an address."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from contract.probing import FAR, NEAR, Line, in_loop, probing
from evenflow.model.flow import Family
from evenflow.model.health import ProbeMethod, ProbeTarget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flow import Address

pytestmark = pytest.mark.kernel

both_families = pytest.mark.parametrize("family", Family)
#: Of each kind one: a raw socket that is kept, one below IP, a new socket for each probe.
kinds = pytest.mark.parametrize("method", [ProbeMethod.ICMP, ProbeMethod.NEIGHBOUR, ProbeMethod.TCP])

BEYOND = {Family.IPV4: ip_address("198.51.100.1"), Family.IPV6: ip_address("2001:db8:100::1")}


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


def target(method: ProbeMethod, address: Address) -> ProbeTarget:
    return ProbeTarget(method, address, port=9 if method is ProbeMethod.TCP else 0)


@both_families
@kinds
@in_loop
async def test_an_interface_that_goes_and_comes_under_its_name(line: Line, family: Family, method: ProbeMethod) -> None:
    with probing(line, target(method, FAR[family]), timeout_ms=100) as (_, told):
        await told.next_answer()
        for _ in range(2):
            line.unplug()
            await told.until(lambda: told.losses[0][-1:] == ["no such device"])
            line.plug()
            await told.next_answer()


@both_families
@kinds
@in_loop
async def test_an_interface_that_is_another_one_from_one_round_to_the_next(
    line: Line, family: Family, method: ProbeMethod
) -> None:
    with probing(line, target(method, FAR[family]), timeout_ms=100) as (_, told):
        await told.next_answer()
        line.unplug()
        line.plug()
        await told.next_answer()
        assert "no such device" not in told.losses[0]


@both_families
@kinds
@in_loop
async def test_an_interface_that_is_not_there_yet(line: Line, family: Family, method: ProbeMethod) -> None:
    line.unplug()
    with probing(line, target(method, FAR[family]), timeout_ms=100) as (_, told):
        assert await told.next_loss() == "no such device"
        line.plug()
        await told.next_answer()


@in_loop
async def test_a_name_that_no_interface_can_have(line: Line) -> None:
    with probing(line, target(ProbeMethod.ICMP, FAR[Family.IPV4]), interface="wan" * 6) as (_, told):
        assert await told.next_loss() == "no such device"


@both_families
@kinds
@in_loop
async def test_a_link_that_is_down_and_up_again(line: Line, family: Family, method: ProbeMethod) -> None:
    with probing(line, target(method, FAR[family]), timeout_ms=1000) as (_, told):
        await told.next_answer()
        line.router.run(["ip", "link", "set", "wan", "down"])
        await told.until(lambda: told.losses[0] != [] and "no answer" not in told.losses[0][-1:])
        assert told.losses[0][-1] in {"network is down", "network is unreachable", "no address on the interface"}
        line.router.run(["ip", "link", "set", "wan", "up"])
        if family is Family.IPV6:  # the kernel takes its IPv6 addresses away with the link
            line.set_addresses(line.router, "wan", {family: NEAR[family]})
        await told.next_answer()


@both_families
@kinds
@in_loop
async def test_an_address_that_comes_late(line: Line, family: Family, method: ProbeMethod) -> None:
    line.router.run(["ip", "address", "flush", "dev", "wan"])
    with probing(line, target(method, FAR[family]), timeout_ms=100) as (_, told):
        assert await told.next_loss()
        assert not told.answers[0]
        line.set_addresses(line.router, "wan", {family: NEAR[family]})
        await told.next_answer()


def add_second_uplink(line: Line) -> None:
    """`lte`, to the same far end; the main table leads there. `BEYOND` is behind both."""
    line.set_sysctl("ipv6/conf/all/keep_addr_on_down", "1")
    line.router.run(["ip", "link", "add", "lte", "type", "veth", "peer", "name", "lte-isp", "netns", line.far.path])
    for namespace, device, number in ((line.router, "lte", 1), (line.far, "lte-isp", 2)):
        namespace.run(["ip", "link", "set", device, "up"])
        namespace.run(["ip", "address", "add", f"203.0.113.{number}/24", "dev", device])
        namespace.run(["ip", "address", "add", f"2001:db8:2::{number}/64", "dev", device, "nodad"])
    for family, gateway in ((Family.IPV4, "203.0.113.2"), (Family.IPV6, "2001:db8:2::2")):
        option = "-4" if family is Family.IPV4 else "-6"
        line.far.run(["ip", "address", "add", str(BEYOND[family]), "dev", "lo"])
        line.router.run(["ip", option, "route", "add", "default", "via", gateway])
        line.router.run(["ip", option, "route", "add", "default", "via", str(FAR[family]), "table", "100"])
        line.router.run(["ip", option, "rule", "add", "fwmark", "0x700/0xff00", "table", "100", "priority", "50"])


@both_families
@pytest.mark.parametrize("method", [ProbeMethod.ICMP, ProbeMethod.TCP])
@in_loop
async def test_probes_leave_by_their_uplink_whatever_the_tables_say(
    line: Line, family: Family, method: ProbeMethod
) -> None:
    add_second_uplink(line)
    asked = target(method, BEYOND[family])
    line.far.run(["ip", "link", "set", "lte-isp", "down"])
    with probing(line, asked, mark=0x700) as (_, told):
        await told.next_answer()
    line.far.run(["ip", "link", "set", "lte-isp", "up"])
    line.far.run(["ip", "link", "set", "isp", "down"])
    with probing(line, asked, mark=0x700, timeout_ms=100) as (_, told):
        await told.next_loss()
        assert not told.answers[0]
    # Without interface and mark they go as the router's own packets do.
    with probing(line, asked, interface=None) as (_, told):
        await told.next_answer()


@both_families
@pytest.mark.parametrize("method", [ProbeMethod.ICMP, ProbeMethod.TCP])
@in_loop
async def test_the_interface_alone_chooses_the_way(line: Line, family: Family, method: ProbeMethod) -> None:
    add_second_uplink(line)
    line.far.run(["ip", "link", "set", "lte-isp", "down"])
    line.router.run(["ip", "route", "add", str(FAR[family]), "dev", "lte"])
    with probing(line, target(method, FAR[family])) as (_, told):
        await told.next_answer()
    with probing(line, target(method, FAR[family]), interface=None, timeout_ms=100) as (_, told):
        await told.next_loss()
        assert not told.answers[0]


@both_families
@in_loop
async def test_a_mark_alone_chooses_the_table(line: Line, family: Family) -> None:
    add_second_uplink(line)
    line.far.run(["ip", "link", "set", "lte-isp", "down"])
    asked = target(ProbeMethod.ICMP, BEYOND[family])
    with probing(line, asked, interface=None, mark=0x700) as (_, told):
        await told.next_answer()
    with probing(line, asked, interface=None, timeout_ms=100) as (_, told):
        await told.next_loss()
        assert not told.answers[0]


@both_families
@in_loop
async def test_an_unreachable_target_is_lost_at_once(line: Line, family: Family) -> None:
    option = "-4" if family is Family.IPV4 else "-6"
    line.router.run(["ip", option, "route", "add", "unreachable", str(BEYOND[family])])
    icmp, tcp = target(ProbeMethod.ICMP, BEYOND[family]), target(ProbeMethod.TCP, BEYOND[family])
    with probing(line, icmp, tcp, interface=None, timeout_ms=60_000) as (_, told):
        assert await told.next_loss(0) == "no route to host"
        assert await told.next_loss(1) == "no route to host"
