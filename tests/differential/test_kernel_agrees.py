"""The heart of the suite: what the kernel does with a packet is what the interpreter said, mark for mark.

Compared are the three marks, both ends after NAT, where a packet leaves, and by which next hop; or that it is
delivered, or neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from differential.bench import FIVE, ODD, Bench
from differential.play import ERROR, TURNS, Compared
from differential.rounds import CONNECTIONS, compare
from evenflow.kernel.reconcile import carry_out, look_at_down
from evenflow.model.dataplane import Dataplane
from evenflow.model.flow import Family
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

ROUNDS = 240

#: Where the long test begins, so that it plays other routers; and how many packets it compares, at the least.
START = 10_000
LONG_ROUNDS = 4000
LONG_PACKETS = 300_000

#: Of a round's packets, how many are compared at the least: each of its connections has some three.
EACH = 3 * CONNECTIONS


@pytest.fixture(scope="module")
def benches() -> Iterator[tuple[Bench, Bench]]:
    made = (Bench(FIVE), Bench(ODD))
    yield made
    for bench in made:
        bench.close()


def assert_everything_was_met(compared: Counter[Compared], rounds: int) -> None:
    """Each turn of a connection, both ways through the router and to it, in both families, with and without NAT."""
    assert compared.total() >= EACH * rounds
    forwarded, delivered = Disposition.FORWARDED, Disposition.DELIVERED
    ends = {(turn, end, False) for turn in TURNS for end in (forwarded, delivered)}
    # An error comes from a router on the way: its source is its own.
    ends |= {(turn, forwarded, True) for turn in TURNS if turn != ERROR}
    for turn, end, translated in ends:
        for family in Family:
            met = compared[Compared(turn, family, end, translated)]
            assert met >= rounds / 10, (turn, family, end, translated, met)


@pytest.mark.kernel
def test_the_kernel_does_what_the_interpreter_says(benches: tuple[Bench, Bench]) -> None:
    assert_everything_was_met(compare(benches, range(ROUNDS)), ROUNDS)


@pytest.mark.kernel
@pytest.mark.soak
def test_the_kernel_does_what_the_interpreter_says_for_long(benches: tuple[Bench, Bench]) -> None:
    compared = compare(benches, range(START, START + LONG_ROUNDS))
    assert_everything_was_met(compared, LONG_ROUNDS)
    assert compared.total() >= LONG_PACKETS


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
