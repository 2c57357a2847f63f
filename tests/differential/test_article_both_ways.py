"""The article's router from its script and from its policy: one answer for every connection, in the kernel."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from differential.bench import ARTICLE, FAR_MAC, Bench
from differential.play import wait_for
from differential.rounds import Round, play
from evenflow import cli
from evenflow.core.failover import AS_USUAL
from evenflow.core.trace import Tracer
from evenflow.kernel.files import read_configuration
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.model.flow import ICMP, TCP, UDP, Packet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.router import Router

EXAMPLES = Path(__file__).parents[2] / "examples"
CONNECTIONS = 1000
SEED = 0xC0FFEE


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench(ARTICLE)
    yield made
    made.close()


def connection(number: int) -> Packet:
    return Packet(
        ip_address("10.10.1.0") + number % 250,
        ip_address("198.51.100.0") + number % 199,
        TCP if number % 3 else UDP,
        20000 + number,
        443,
        "USER_01",
        source_mac=FAR_MAC,
    )


def load(name: str) -> Router:
    loaded = read_configuration(str(EXAMPLES / name))
    assert loaded.router is not None
    return loaded.router


def ways(bench: Bench, router: Router) -> list[tuple[object, object]]:
    """Out interface and source address of each connection, as the kernel had it."""
    with bench.inside() as kernel:
        carry_out(kernel, look_ahead(kernel, router, kernel.read_machine(), SEED))
    bench.forget()
    sent = [bench.send(connection(number)) for number in range(CONNECTIONS)]
    seen = wait_for(bench, sent[-1])
    return [(seen[number].out_interface, seen[number].source) for number in sent]


@pytest.mark.kernel
def test_script_and_policy_give_the_same_answer(bench: Bench) -> None:
    script, policy = load("seed.rsc"), load("seed.toml")
    by_script, by_policy = ways(bench, script), ways(bench, policy)
    assert by_script == by_policy
    with bench.inside() as kernel:
        tracers = [Tracer(router, kernel.read_machine(), SEED) for router in (script, policy)]
    for tracer in tracers:
        traces = [tracer.trace(connection(number)) for number in range(CONNECTIONS)]
        assert [(trace.out_interface, trace.snat) for trace in traces] == by_script
    isp1 = sum(out == "ether1" for out, _ in by_script)
    assert {out for out, _ in by_script} == {"ether1", "pppoe-out1"}
    # 2:1 of 1000: 667 expected, standard deviation 15.
    assert 600 < isp1 < 733


def from_anywhere(number: int, random: Random) -> Packet:
    """The first packet of a connection from a client, from outside by either uplink, or from the router itself."""
    client, server = ip_address("10.10.1.0") + number % 250, ip_address("198.51.100.0") + number % 199
    own = {"ether1": ip_address("100.64.1.2"), "pppoe-out1": ip_address("100.64.2.2")}
    arrival = random.choice(["USER_01", "USER_01", "ether1", "pppoe-out1", None])
    source, destination = {
        "USER_01": (client, random.choice([server, server, *own.values()])),
        None: (random.choice(list(own.values())), server),
    }.get(arrival) or (server, random.choice([own[str(arrival)], *own.values(), client]))
    protocol = random.choice([TCP, UDP, ICMP])
    ports = (0, 0) if protocol == ICMP else (20000 + number, random.choice([53, 443]))
    return Packet(source, destination, protocol, *ports, arrival, source_mac=FAR_MAC if arrival else None)


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["seed.rsc", "seed.toml"])
def test_every_packet_of_a_connection_goes_as_was_said(bench: Bench, name: str) -> None:
    random = Random(SEED)  # noqa: S311 - a draw that is the same each time
    packets = tuple(from_anywhere(number, random) for number in range(CONNECTIONS))
    played = play(bench, Round(load(name), AS_USUAL, SEED, packets))
    assert not played.mismatches, "\n".join(played.mismatches[:3])
    assert played.compared.total() > 3 * CONNECTIONS


@pytest.mark.parametrize("name", ["seed.rsc", "seed.toml"])
def test_the_examples_have_nothing_to_mend(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(EXAMPLES / name)]) == 0
    said = capsys.readouterr().out
    assert "error:" not in said
    assert [line for line in said.splitlines() if "warning:" in line and "[interface-missing]" not in line] == []
