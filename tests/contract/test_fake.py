"""The switches by which the fake fails, and that failing leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evenflow.errors import SystemRefusedError
from evenflow.kernel.fake import FakeKernel, numbered, of_kind
from evenflow.model.dataplane import (
    AddRoute,
    AddRouteRule,
    Dataplane,
    FibRoute,
    FibRule,
    NftTransaction,
    Operation,
    SetSysctl,
)
from evenflow.model.flow import Family
from evenflow.model.router import RouteKind
from evenflow.model.transaction import AddChain, AddTable

if TYPE_CHECKING:
    from collections.abc import Callable

SYSCTL = "net/ipv4/ip_forward"
ROUTE = FibRoute(Family.IPV4, 20001, Family.IPV4.any_network, 1, (), RouteKind.BLACKHOLE)
OPERATIONS: tuple[Operation, ...] = (
    AddRoute(ROUTE),
    AddRouteRule(FibRule(Family.IPV4, 21000, 20001)),
    NftTransaction((AddTable(), AddChain("one"))),
    SetSysctl(SYSCTL, "1"),
)


def carried_out(fail_on: Callable[[Operation], bool]) -> list[Operation]:
    """What of the operations is done, when each is tried; it also looks that a failed one changes nothing."""
    kernel = FakeKernel(sysctls={SYSCTL: "0"}, fail_on=fail_on)
    for operation in OPERATIONS:
        before = kernel.read_dataplane((SYSCTL,))
        done = len(kernel.executed)
        try:
            kernel.execute(operation)
        except SystemRefusedError:
            assert kernel.read_dataplane((SYSCTL,)) == before
            assert len(kernel.executed) == done
        else:
            assert kernel.read_dataplane((SYSCTL,)) != before
    return kernel.executed


def test_it_fails_where_it_is_told_to() -> None:
    assert carried_out(lambda _: False) == list(OPERATIONS)
    assert carried_out(of_kind(NftTransaction, SetSysctl)) == list(OPERATIONS[:2])
    assert carried_out(numbered(0, 2)) == [OPERATIONS[1], OPERATIONS[3]]
    assert carried_out(lambda _: True) == []


def test_a_switch_can_be_turned_at_any_time() -> None:
    kernel = FakeKernel(fail_on=lambda _: True)
    with pytest.raises(SystemRefusedError):
        kernel.execute(OPERATIONS[0])
    kernel.fail_on = lambda _: False
    kernel.execute(OPERATIONS[0])
    assert kernel.read_dataplane() == Dataplane(routes=frozenset({ROUTE}))
