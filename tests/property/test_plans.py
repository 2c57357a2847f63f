"""Plans lead where they should, from anywhere; and when something fails on the way, back."""

from __future__ import annotations

from ipaddress import ip_network
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential.bench import FIVE
from differential.chance import drawn_by_counters
from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.compile import compile_router
from evenflow.core.plan import EMPTY, in_force, make_plan
from evenflow.errors import SystemRefusedError, VerifyError
from evenflow.kernel.fake import FakeKernel, never, numbered
from evenflow.kernel.reconcile import Prospect, carry_out, look_ahead, look_at_down
from evenflow.model.dataplane import (
    AddRouteRule,
    Dataplane,
    DeleteRoute,
    DeleteRouteRule,
    FibRule,
    NftTransaction,
    Operation,
)
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.router import Router

SYSCTLS = {
    f"net/{family}/conf/{interface}/{name}": "0"
    for family in ("ipv4", "ipv6")
    for interface in ("lan0", "lan1", "wan0", "wan1", "wan2", "all")
    for name in ("rp_filter", "ignore_routes_with_linkdown", "accept_redirects", "accept_ra", "forwarding")
} | {"net/ipv4/ip_forward": "0"}

numbers = st.integers(0, 1 << 32)


def prospect_of(kernel: FakeKernel, number: int) -> Prospect:
    return look_ahead(kernel, drawn(number), MACHINE, seed=7)


def drawn(number: int) -> Router:
    """Of every three routers one has counters."""
    return drawn_by_counters(number, FIVE).router if number % 3 == 0 else Draw(Random(number)).router()


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
    compiled = compile_router(drawn(number), MACHINE, 1).dataplane
    assert compiled is not None
    reached = in_force(compiled, Dataplane(sysctls=SYSCTLS))
    assert make_plan(in_force(compiled, reached), reached).in_sync
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


def test_what_could_not_be_put_back_is_told_with_what_went_wrong_first() -> None:
    kernel = FakeKernel(MACHINE, SYSCTLS)
    prospect = prospect_of(kernel, 1)
    last = numbered(len(prospect.plan.operations) - 1)
    kernel.fail_on = lambda operation: last(operation) or isinstance(operation, DeleteRoute)
    with pytest.raises(
        SystemRefusedError, match=r"^told to fail on \w+; and not everything could be put back"
    ) as caught:
        carry_out(kernel, prospect)
    assert str(caught.value).count("told to fail on DeleteRoute") == len(prospect.desired.routes)
    assert str(caught.value.__cause__) == "told to fail on SetSysctl"
    assert not kernel.read_dataplane().rules


class Blind(FakeKernel):
    """Interrupted at its fourth operation, after which it can't be read any more."""

    def execute(self, operation: Operation) -> None:
        if len(self.executed) == 3:
            raise KeyboardInterrupt
        super().execute(operation)

    def read_dataplane(self, sysctl_names: Iterable[str] = ()) -> Dataplane:
        if len(self.executed) == 3:
            raise SystemRefusedError("can't be read")
        return super().read_dataplane(sysctl_names)


def test_what_goes_wrong_while_putting_back_hides_nothing() -> None:
    kernel = Blind(MACHINE, SYSCTLS)
    with pytest.raises(KeyboardInterrupt) as caught:
        carry_out(kernel, prospect_of(kernel, 1))
    assert caught.value.__notes__ == ["not everything could be put back as it was: can't be read"]


# --- the order of rules with one priority


def fib_rule(table: int, mark: int = 1, **selectors: object) -> FibRule:
    return FibRule(Family.IPV4, 21000, table, mark=mark, mask=0x3FF, **selectors)  # type: ignore[arg-type]


def order(wanted: FibRule, there: FibRule) -> list[type]:
    plan = make_plan(Dataplane(rules=frozenset({wanted})), Dataplane(rules=frozenset({there})))
    return [type(operation) for operation in plan.operations]


NETWORK = ip_network("10.0.0.0/8")


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (fib_rule(20002, 2), fib_rule(20001)),
        (fib_rule(20001, 2), fib_rule(20001)),
        (fib_rule(20001, source=NETWORK), fib_rule(20001)),
        (fib_rule(20001, in_interface="a"), fib_rule(20001, source=NETWORK)),
        (fib_rule(20001, source=NETWORK), fib_rule(20001, destination=NETWORK)),
    ],
)
def test_a_rule_comes_before_the_one_that_it_replaces_goes(wanted: FibRule, there: FibRule) -> None:
    assert order(wanted, there) == [AddRouteRule, DeleteRouteRule]


@pytest.mark.parametrize(
    "there", [fib_rule(20001, source=NETWORK), fib_rule(20001, source=NETWORK, destination=NETWORK)]
)
def test_a_rule_that_the_kernel_takes_for_the_new_one_goes_first(there: FibRule) -> None:
    assert order(fib_rule(20001), there) == [DeleteRouteRule, AddRouteRule]
