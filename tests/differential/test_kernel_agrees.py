"""The heart of the suite: what the kernel does with a packet is what the interpreter said, mark for mark.

Compared are the three marks, where a packet leaves, by which next hop, with which source; or that it is delivered, or
neither.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from differential.bench import FIVE, ODD, Bench
from differential.play import Play
from differential.policies import draw_policy, draw_standing
from differential.routers import Draw
from evenflow.core.failover import AS_USUAL, Standing, stand
from evenflow.core.lower import lower
from evenflow.kernel.reconcile import carry_out, look_ahead, look_at_down
from evenflow.model.dataplane import Dataplane
from evenflow.model.flow import UDP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.router import Router

ROUTERS = 240

#: Where the long test begins, so that it plays other routers.
START = 10_000
CONNECTIONS = 30

#: Every fifth router is that of a policy.
POLICIES = 5

#: One UDP packet in so many comes in two parts.
FRAGMENTED = 5


@pytest.fixture(scope="module")
def benches() -> Iterator[tuple[Bench, Bench]]:
    made = (Bench(FIVE), Bench(ODD))
    yield made
    for bench in made:
        bench.close()


def play(
    bench: Bench, router: Router, draw: Draw, seed: int, connections: int, standing: Standing = AS_USUAL
) -> tuple[int, list[str]]:
    """Packets sent, and what the kernel did otherwise than said."""
    with bench.inside() as kernel:
        machine = kernel.read_machine()
        carry_out(kernel, look_ahead(kernel, router, machine, seed, standing))
        names = [f"net/ipv4/conf/{link.name}/rp_filter" for link in machine.links]
        sysctls = kernel.read_dataplane(["net/ipv4/conf/all/rp_filter", *names]).sysctls
    bench.forget()
    game = Play(bench, stand(router, standing), machine, seed, sysctls)
    opened = []
    for number in range(connections):
        packet = draw.packet(number)
        fragmented = packet.protocol == UDP and packet.in_interface is not None and number % FRAGMENTED == 0
        opened.append(game.first_and_second(packet, fragmented=fragmented))
    found = game.mismatches()
    for connection in opened:
        game.reply(game.error(connection))
    return len(game.said), found or game.mismatches()


def compare(benches: tuple[Bench, Bench], numbers: range) -> int:
    """Play the routers of these numbers; how many packets were compared."""
    sent = 0
    for number in numbers:
        bench = benches[number % 2]
        draw = Draw(Random(number), bench.plan)
        standing = AS_USUAL
        if number % POLICIES == 0:
            policy = draw_policy(draw)
            router, standing = lower(policy), draw_standing(draw, policy)
        else:
            router = draw.router()
        packets, mismatches = play(bench, router, draw, draw.random.getrandbits(32), CONNECTIONS, standing)
        sent += packets
        rules = "\n".join(map(str, (*router.mangle, *router.nat)))
        assert not mismatches, f"router {number}: {standing}\n{rules}\n\n" + "\n".join(mismatches[:3])
    return sent


@pytest.mark.kernel
def test_the_kernel_does_what_the_interpreter_says(benches: tuple[Bench, Bench]) -> None:
    assert compare(benches, range(ROUTERS)) >= 10_000


@pytest.mark.kernel
@pytest.mark.soak
def test_the_kernel_does_what_the_interpreter_says_for_long(benches: tuple[Bench, Bench]) -> None:
    assert compare(benches, range(START, START + 4000)) >= 150_000


@pytest.mark.kernel
def test_nothing_is_left_after_any_sequence_of_configurations(benches: tuple[Bench, Bench]) -> None:
    for bench in benches:
        with bench.inside() as kernel:
            carry_out(kernel, look_at_down(kernel))
            before = kernel.read_machine()
    compare(benches, range(6))
    for bench in benches:
        with bench.inside() as kernel:
            carry_out(kernel, look_at_down(kernel))
            assert kernel.read_dataplane() == Dataplane()
    with benches[1].inside() as kernel:
        assert kernel.read_machine() == before
