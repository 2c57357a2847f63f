"""Events of the real kernel: each kind is told at once, what concerns nobody is passed over, losses end in RESYNC."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from evenflow.kernel.events import EventKind, KernelEvents
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.model.dataplane import AddRoute, AddRouteRule, DeleteRoute, FibHop, FibRoute, FibRule, NftTransaction
from evenflow.model.flow import Family
from evenflow.model.transaction import AddTable, DeleteTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from contract.worlds import LinuxWorld

pytestmark = pytest.mark.kernel

AT_MOST_S = 0.05
ROUTE = FibRoute(Family.IPV4, 20001, Family.IPV4.any_network, 1, (FibHop("wan1", IPv4Address("198.51.100.1")),))
RULE = FibRule(Family.IPV4, 21000, 20001, mark=1, mask=0x3FF)


@dataclass
class Told:
    """What was told, and how long after the change was made (which itself takes a program's start)."""

    kinds: set[EventKind] = field(default_factory=set)
    calls: int = 0
    late_s: float = 0.0


def after(events: KernelEvents, change: Callable[[], object], *wanted: EventKind) -> Told:
    """What a running loop is told of `change`, until all of `wanted` have been told."""

    async def watch() -> Told:
        told, done, times = Told(), asyncio.Event(), []

        def wake(kinds: frozenset[EventKind]) -> None:
            told.kinds |= kinds
            told.calls += 1
            if told.kinds.issuperset(wanted):
                times.append(time.monotonic())
                done.set()

        events.attach(asyncio.get_running_loop(), wake)
        try:
            await asyncio.to_thread(change)
            changed_s = time.monotonic()
            async with asyncio.timeout(5):
                await done.wait()
        finally:
            events.detach()
        told.late_s = times[0] - changed_s
        return told

    return asyncio.run(watch())


def connect(linux: LinuxWorld) -> None:
    """A link that has only the address that it is given: one that IPv6 makes up is told of a second or two later."""
    linux.namespace.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode"])
    linux.add_link("wan1")
    linux.add_address("wan1", "198.51.100.2/24")


@pytest.fixture
def events(linux: LinuxWorld) -> Iterator[KernelEvents]:
    connect(linux)
    with linux.namespace.entered(), KernelEvents() as made:
        yield made


def taken(events: KernelEvents) -> frozenset[EventKind]:
    """What is told now, but of links: when those of a new pair see each other is the kernel's own time."""
    return events.take() - {EventKind.LINK}


def quiet(events: KernelEvents) -> None:
    """Forget what was told so far."""
    while events.take():
        pass


@pytest.mark.parametrize("state", ["down", "up"])
def test_a_link_is_told_at_once(linux: LinuxWorld, events: KernelEvents, state: str) -> None:
    linux.ip("link", "set", "wan1", "up" if state == "down" else "down")
    quiet(events)
    told = after(events, lambda: linux.ip("link", "set", "wan1", state), EventKind.LINK)
    assert told.late_s < AT_MOST_S


def test_a_lost_carrier_is_told_at_once(linux: LinuxWorld, events: KernelEvents) -> None:
    quiet(events)
    told = after(events, lambda: linux.ip("link", "set", "wan1-far", "down"), EventKind.LINK)
    assert told.late_s < AT_MOST_S


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("address add 192.0.2.1/32 dev wan1", EventKind.ADDRESS),
        ("address delete 198.51.100.2/24 dev wan1", EventKind.ADDRESS),
        ("-6 address add fd00::7/128 dev wan1 nodad", EventKind.ADDRESS),
        ("route add 203.0.113.0/24 via 198.51.100.1", EventKind.ROUTE),
        ("-6 route add fd01::/64 dev wan1", EventKind.ROUTE),
        ("route add default via 198.51.100.1 table 20007", EventKind.ROUTE),
        ("rule add priority 100 from 10.0.0.0/8 table main", EventKind.RULE),
        ("-6 rule add priority 100 from fd00::/8 table main", EventKind.RULE),
    ],
)
def test_a_change_by_somebody_is_told_at_once(
    linux: LinuxWorld, events: KernelEvents, words: str, kind: EventKind
) -> None:
    quiet(events)
    told = after(events, lambda: linux.ip(*words.split()), kind)
    assert told.late_s < AT_MOST_S


def test_a_flushed_ruleset_is_told_at_once(linux: LinuxWorld, events: KernelEvents) -> None:
    linux.kernel.execute(NftTransaction((AddTable(),)))
    quiet(events)
    told = after(events, lambda: linux.nft("flush", "ruleset"), EventKind.NFT)
    assert told.late_s < AT_MOST_S
    assert told.kinds - {EventKind.LINK} == {EventKind.NFT}


def test_many_changes_wake_once(linux: LinuxWorld, events: KernelEvents) -> None:
    linux.kernel.execute(NftTransaction((AddTable(),)))
    quiet(events)
    linux.namespace.run(
        ["ip", "-batch", "-"], stdin="".join(f"route add 203.0.113.{n}/32 dev wan1\n" for n in range(100))
    )
    linux.nft("flush", "ruleset")
    told = after(events, lambda: None, EventKind.ROUTE, EventKind.NFT)
    assert told.calls == 1


@pytest.mark.parametrize(
    "words",
    [
        ["ip", "route", "add", "203.0.113.0/24", "dev", "wan1", "table", "77"],
        ["ip", "route", "add", "203.0.113.0/24", "dev", "wan1", "table", "52"],
        ["ip", "-6", "route", "add", "fd01::/64", "dev", "wan1", "table", "30000"],
        ["nft", "add table inet somebodys"],
        ["nft", "add table inet evenflow2"],
    ],
)
def test_what_concerns_nobody_here_is_passed_over(linux: LinuxWorld, events: KernelEvents, words: list[str]) -> None:
    quiet(events)
    linux.namespace.run(words)
    assert taken(events) == frozenset()


def test_our_own_changes_are_passed_over_and_those_of_others_at_the_same_time_are_not(linux: LinuxWorld) -> None:
    connect(linux)
    with linux.namespace.entered(), KernelEvents(linux.linux.ports) as events, LinuxKernel() as second:
        for operation in (AddRoute(ROUTE), AddRouteRule(RULE), NftTransaction((AddTable(),))):
            linux.kernel.execute(operation)
        assert taken(events) == frozenset()
        second.execute(DeleteRoute(ROUTE))
        linux.kernel.execute(AddRoute(ROUTE))
        assert taken(events) == {EventKind.ROUTE}
        second.execute(NftTransaction((DeleteTable(),)))
        linux.kernel.execute(NftTransaction((AddTable(),)))
        assert taken(events) == {EventKind.NFT}


def test_a_link_that_goes_down_is_told_whoever_did_it(linux: LinuxWorld) -> None:
    """It takes our routes with it, and the kernel says nothing about them."""
    linux.add_link("wan1")
    with linux.namespace.entered(), KernelEvents(linux.linux.ports) as events:
        linux.ip("link", "set", "wan1", "down")
        assert EventKind.LINK in events.take()


def test_a_full_buffer_is_a_resync_and_later_events_come_again(linux: LinuxWorld) -> None:
    linux.add_link("wan1")
    with linux.namespace.entered(), KernelEvents(buffer_bytes=1) as events:
        linux.namespace.run(
            ["ip", "-batch", "-"], stdin="".join(f"route add 203.0.113.{n}/32 dev wan1\n" for n in range(200))
        )
        told = after(events, lambda: None, EventKind.RESYNC)
        assert told.calls <= 2
        quiet(events)
        linux.ip("link", "set", "wan1", "down")
        assert EventKind.LINK in events.take()


def test_only_the_namespace_that_it_was_made_in_is_listened_to(linux: LinuxWorld) -> None:
    with NetworkNamespace.create() as other:
        with other.entered():
            events = KernelEvents()
        with events:
            linux.add_link("wan1")
            linux.nft("add table inet evenflow")
            assert events.take() == frozenset()
            other.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"])
            assert EventKind.ADDRESS in events.take()


def test_what_came_before_it_was_attached_is_told(linux: LinuxWorld, events: KernelEvents) -> None:
    quiet(events)
    linux.ip("rule", "add", "priority", "100", "table", "main")
    assert after(events, lambda: None, EventKind.RULE).kinds >= {EventKind.RULE}


def test_detached_it_is_silent(events: KernelEvents) -> None:
    events.detach()
    loop = asyncio.new_event_loop()
    calls: list[frozenset[EventKind]] = []
    events.attach(loop, calls.append)
    events.detach()
    events.detach()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert calls == []
