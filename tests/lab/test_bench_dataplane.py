"""The layouts of the data plane's bench do what they are measured for, and one that does not is found out."""

from __future__ import annotations

import contextlib
import socket
from random import Random
from typing import TYPE_CHECKING

import pytest
from bench.dataplane.balance import check, check_diversions
from bench.dataplane.counters import Counter
from bench.dataplane.cpu_time import CpuClock, Spent
from bench.dataplane.layouts import LAYOUTS, LIMIT, OURS, Layout, ecmp
from bench.dataplane.layouts.commands import Command, chain, default_route, ip, masquerade, nft
from bench.dataplane.rig import CLIENT_END, Rig
from bench.dataplane.rounds import Bench
from bench.dataplane.sender import Batch, Sender
from bench.dataplane.serving import Hosts
from bench.dataplane.site import LAN, Site, make_site

from contract.worlds import need_program
from evenflow.errors import LabError
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.kernel]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_balances_keeps_and_diverts(layout: Layout) -> None:
    for program, package in layout.programs:
        need_program(program, package)
    with Rig(make_site(3, 4)) as rig:
        layout.install(rig.router, rig.site)
        for family in layout.families:
            check(rig, family, Random(1))
            if layout.diverts:
                check_diversions(rig, family, Random(1))


def put_in(rig: Rig, commands: Iterator[Command]) -> None:
    for command in commands:
        rig.router.run(command.program, stdin=command.text)


def forgetful(site: Site) -> Iterator[Command]:
    """An uplink drawn anew for each packet. NAT drops what changes its uplink."""
    lines = [default_route(uplink, Family.IPV4, 1001 + uplink.number) for uplink in site.uplinks]
    lines += [f"rule add fwmark {uplink.number + 1} table {1001 + uplink.number}" for uplink in site.uplinks]
    yield ip(Family.IPV4, lines)
    draws = ", ".join(f"{n} : {uplink.number + 1}" for n, uplink in enumerate(site.streams))
    rule = f'iifname "{LAN}" meta mark set numgen random mod {site.total_weight} map {{ {draws} }}'
    hook = "type filter hook prerouting priority mangle"
    yield nft(["table ip forgetful {", *chain("prerouting", [rule], hook), *masquerade(site), "}"])


def test_a_layout_that_ignores_the_weights_is_found_out() -> None:
    with Rig(make_site(2, 0)) as rig:
        even = Site(tuple(type(one)(one.number, 1) for one in rig.site.uplinks), ())
        put_in(rig, ecmp.commands(even))
        with pytest.raises(LabError, match="of 2048 new flows: wan0 got"):
            check(rig, Family.IPV4, Random(1))


def test_a_layout_that_keeps_no_flow_is_found_out() -> None:
    with Rig(make_site(2, 0)) as rig:
        put_in(rig, forgetful(rig.site))
        with pytest.raises(LabError, match=r"do not stay|did not come out"):
            check(rig, Family.IPV4, Random(1))


def test_a_layout_without_the_diversions_is_found_out() -> None:
    with Rig(make_site(8, 8)) as rig:
        LIMIT.install(rig.router, rig.site)
        check(rig, Family.IPV4, Random(1))
        with pytest.raises(LabError, match="does not leave by wan"):
            check_diversions(rig, Family.IPV4, Random(1))


def test_a_whole_batch_is_sent_at_once() -> None:
    # With a wrong layout the kernel takes the first message of each call, and every packet pays for a call of its own.
    with Rig(make_site(1, 0)) as rig, rig.clients.entered(), Sender() as sender:
        batch = Batch([bytes(64)] * 300, [socket.if_nametoindex(CLIENT_END)] * 300)
        assert sender.send(batch) == 1


def test_everything_that_is_measured_costs_something() -> None:
    with contextlib.ExitStack() as stack:
        rigs = {}
        for layout in (LIMIT, OURS):
            rigs[layout.name] = stack.enter_context(Rig(make_site(2, 1)))
            layout.install(rigs[layout.name].router, rigs[layout.name].site)
        bench = Bench(rigs, CpuClock(0), Random(1), 2)
        measured = [bench.known(Family.IPV6), bench.answers(Family.IPV4), bench.new(Family.IPV4)]
        hosts = {name: Hosts(rig, stack) for name, rig in rigs.items()}
        measured += [bench.connect(hosts), bench.download(hosts)]
    for rounds in measured:
        assert [list(one) for one in rounds] == [[LIMIT.name, OURS.name]] * 2
        # Less than a tenth of a microsecond: the packets went somewhere else.
        assert all(spent.seconds > 1e-7 and spent.instructions is None for one in rounds for spent in one.values())


def test_a_counter_counts() -> None:
    software, task_clock = 1, 1
    try:
        made = Counter(software, task_clock)
    except PermissionError:
        pytest.skip("to count what the kernel does takes root, or kernel.perf_event_paranoid=1")
    with made as counter:
        before = counter.read()
        assert sum(range(100_000))
        after = counter.read()
        told = CpuClock(0, counter).now().since(Spent(0.0, 0)).instructions
        assert told is not None
        assert before < after <= told <= counter.read()
