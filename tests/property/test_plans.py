"""Plans lead where they should, from anywhere; and when something fails on the way, back."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.compile import compile_router
from evenflow.core.plan import EMPTY, in_force, make_plan
from evenflow.errors import SystemRefusedError, VerifyError
from evenflow.kernel.fake import FakeKernel, never, numbered
from evenflow.kernel.reconcile import Prospect, carry_out, look_ahead, look_at_down
from evenflow.model.dataplane import Dataplane, NftTransaction, Operation

SYSCTLS = {
    f"net/{family}/conf/{interface}/{name}": "0"
    for family in ("ipv4", "ipv6")
    for interface in ("lan0", "lan1", "wan0", "wan1", "wan2", "all")
    for name in ("rp_filter", "ignore_routes_with_linkdown", "accept_redirects", "accept_ra", "forwarding")
} | {"net/ipv4/ip_forward": "0"}

numbers = st.integers(0, 1 << 32)


def prospect_of(kernel: FakeKernel, number: int) -> Prospect:
    return look_ahead(kernel, Draw(Random(number)).router(), MACHINE, seed=7)


def state(kernel: FakeKernel) -> Dataplane:
    return kernel.read_dataplane(SYSCTLS)


@settings(max_examples=25, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=4))
def test_any_sequence_ends_in_the_state_of_the_last_alone(sequence: list[int]) -> None:
    cycled, alone = FakeKernel(MACHINE, SYSCTLS), FakeKernel(MACHINE, SYSCTLS)
    for number in sequence:
        carry_out(cycled, prospect_of(cycled, number))
    carry_out(alone, prospect_of(alone, sequence[-1]))
    assert state(cycled) == state(alone)
    assert prospect_of(cycled, sequence[-1]).plan.in_sync
    carry_out(cycled, look_at_down(cycled))
    assert state(cycled) == Dataplane(sysctls=SYSCTLS)


@settings(max_examples=25, deadline=None)
@given(numbers, numbers, st.integers(0, 60))
def test_a_failure_at_any_operation_leaves_the_old_state(first: int, second: int, position: int) -> None:
    kernel = FakeKernel(MACHINE, SYSCTLS)
    carry_out(kernel, prospect_of(kernel, first))
    before = state(kernel)
    prospect = prospect_of(kernel, second)
    kernel.fail_on = numbered(position)
    if position < len(prospect.plan.operations):
        with pytest.raises(SystemRefusedError):
            carry_out(kernel, prospect)
        assert state(kernel) == before
    else:
        carry_out(kernel, prospect)
    kernel.fail_on = never


def test_a_failure_of_the_first_apply_leaves_nothing() -> None:
    operations = len(prospect_of(FakeKernel(MACHINE, SYSCTLS), 1).plan.operations)
    assert operations > 5
    for position in range(operations):
        kernel = FakeKernel(MACHINE, SYSCTLS, numbered(position))
        with pytest.raises(SystemRefusedError):
            carry_out(kernel, prospect_of(kernel, 1))
        assert state(kernel) == Dataplane(sysctls=SYSCTLS)


class Forgetful(FakeKernel):
    """Says yes to every transaction and carries none out."""

    def execute(self, operation: Operation) -> None:
        if not isinstance(operation, NftTransaction):
            super().execute(operation)


def test_what_does_not_read_back_is_taken_back() -> None:
    kernel = Forgetful(MACHINE, SYSCTLS)
    with pytest.raises(VerifyError, match="reads back otherwise"):
        carry_out(kernel, prospect_of(kernel, 1))
    assert not state(kernel).routes
    assert not state(kernel).rules


@settings(max_examples=25, deadline=None)
@given(numbers)
def test_nothing_is_planned_from_a_state_to_itself(number: int) -> None:
    compiled = compile_router(Draw(Random(number)).router(), MACHINE, 1).dataplane
    assert compiled is not None
    reached = in_force(compiled, Dataplane(sysctls=SYSCTLS))
    assert make_plan(compiled, reached).in_sync
    assert make_plan(reached, reached).in_sync
    assert make_plan(EMPTY, EMPTY).in_sync


class Interrupted(FakeKernel):
    """Ctrl-C comes before its fourth operation."""

    def execute(self, operation: Operation) -> None:
        if len(self.executed) == 3:
            self.executed.append(operation)
            raise KeyboardInterrupt
        super().execute(operation)


def test_an_interrupt_leaves_nothing_half_done() -> None:
    kernel = Interrupted(MACHINE, SYSCTLS)
    with pytest.raises(KeyboardInterrupt):
        carry_out(kernel, prospect_of(kernel, 1))
    assert state(kernel) == Dataplane(sysctls=SYSCTLS)
