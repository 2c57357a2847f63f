"""The balancer on a kernel in memory: failover, return, drift, refusals, restart."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from evenflow.core.failback import spreads, still_away
from evenflow.core.failover import Standing
from evenflow.core.lower import lower
from evenflow.core.numbering import number_router
from evenflow.daemon.balancer import Balancer
from evenflow.errors import SystemRefusedError
from evenflow.kernel.fake import FakeKernel, of_kind
from evenflow.model.dataplane import DeleteRoute, FibRoute, NftTransaction
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.matcher import MarkKind
from evenflow.model.policy import Balance, FlowtableUse, Policy, Uplink
from evenflow.model.transaction import AddElements, DeleteElements, DeleteTable

if TYPE_CHECKING:
    from evenflow.model.nft import NftFlowtable
    from evenflow.model.router import Router


class FakeConntrack:
    """Connections by mark. `unruly` entries come back that many times after a deletion."""

    def __init__(self, **marks: int) -> None:
        self.marks = marks
        self.by_number: dict[int, int] = {}
        self.deleted: list[int] = []
        self.unruly = 0

    def count(self) -> int:
        return sum(self.by_number.values())

    def delete_marked(self, mark: int, mask: int) -> None:
        assert mask == 0xFFFF
        self.deleted.append(mark)
        self.by_number.pop(mark, None)
        if self.unruly:
            self.unruly -= 1
            self.by_number[mark] = 1

    def entries(self, mark: int, mask: int) -> Any:
        assert mask == 0xFFFF
        entry = SimpleNamespace(original=SimpleNamespace(destination=ip_address("198.51.100.1")))
        return iter([entry] * self.by_number.get(mark, 0))


POLICY = Policy(
    ("br0",),
    tuple(Uplink(f"isp{n}", f"eth{n}", (ip_address(f"192.0.2.{4 * n + 1}"),)) for n in range(3)),
    Balance(weights=(("isp0", 2), ("isp1", 1), ("isp2", 1)), buckets=60),
)


def machine() -> Machine:
    links = (Link("br0", 1), *(Link(f"eth{n}", n + 2) for n in range(3)))
    addresses = tuple(LinkAddress(f"eth{n}", ip_interface(f"192.0.2.{4 * n + 2}/30")) for n in range(3))
    return Machine(links, addresses)


def started(policy: Policy = POLICY) -> tuple[Balancer, FakeKernel, FakeConntrack]:  # a test's own trio of actors
    kernel, conntrack = FakeKernel(machine()), FakeConntrack()
    balancer = Balancer(kernel, conntrack, lower(policy), 7)  # type: ignore[arg-type]  # the part of it that is used
    balancer.bring_up()
    return balancer, kernel, conntrack


def table_of(router: Router, uplink: str) -> int:
    return number_router(router).table(uplink)


def test_a_loss_is_one_transaction_of_elements_and_then_routes_go() -> None:
    balancer, kernel, _ = started()
    kernel.executed.clear()
    balancer.standing = Standing(frozenset({"isp1"}))
    done = balancer.reconcile()
    assert done.in_sync
    assert done.wanted_change
    assert done.moved == {"isp0": 10, "isp2": 5}
    (transaction,) = [one for one in kernel.executed if isinstance(one, NftTransaction)]
    assert all(isinstance(one, AddElements | DeleteElements) or "Set" in type(one).__name__
               for one in transaction.operations)  # fmt: skip
    places = [type(one) for one in kernel.executed]
    assert places.index(NftTransaction) < places.index(DeleteRoute)
    left = kernel.read_dataplane().routes
    own = table_of(balancer.router, "isp1")
    assert {hop.interface for route in left if route.table == own for hop in route.hops} == {"eth0", "eth2"}


def test_a_flowtable_is_another_one_after_a_loss_so_that_all_connections_meet_the_rules_again() -> None:
    balancer, kernel, _ = started(replace(POLICY, balance=replace(POLICY.balance, flowtable=FlowtableUse.SOFTWARE)))
    (before,) = flowtables(kernel)
    assert before.devices == {"br0", "eth0", "eth1", "eth2"}
    balancer.standing = Standing(frozenset({"isp1"}))
    assert balancer.reconcile().in_sync
    (lost,) = flowtables(kernel)
    assert lost.name != before.name
    assert lost.devices == before.devices
    balancer.standing = Standing()
    assert balancer.reconcile().in_sync
    assert flowtables(kernel) == (before,)


def test_a_flowtable_has_the_devices_that_are_there() -> None:
    balancer, kernel, _ = started(replace(POLICY, balance=replace(POLICY.balance, flowtable=FlowtableUse.HARDWARE)))
    kernel.delete_link("eth2")
    balancer.look(0.0)
    assert balancer.reconcile().in_sync
    (fewer,) = flowtables(kernel)
    assert fewer.devices == {"br0", "eth0", "eth1"}
    assert fewer.hardware
    balancer.router = lower(POLICY)
    assert balancer.reconcile().in_sync
    assert flowtables(kernel) == ()


def flowtables(kernel: FakeKernel) -> tuple[NftFlowtable, ...]:
    table = kernel.read_dataplane().table
    assert table is not None
    return tuple(table.flowtables.values())


def test_the_return_gives_back_exactly_what_was_taken() -> None:
    balancer, kernel, _ = started()
    before = kernel.read_dataplane()
    balancer.standing = Standing(frozenset({"isp1"}))
    balancer.reconcile()
    balancer.standing = Standing()
    assert balancer.reconcile().moved == {"isp1": 15}
    assert kernel.read_dataplane() == before


def test_drift_is_mended_and_known_as_such() -> None:
    balancer, kernel, _ = started()
    before = kernel.read_dataplane()
    kernel.execute(NftTransaction((DeleteTable(),)))
    route = next(iter(before.routes))
    kernel.execute(DeleteRoute(route))
    done = balancer.reconcile()
    assert done.operations
    assert not done.wanted_change
    assert done.mended_routing
    assert done.in_sync
    assert kernel.read_dataplane() == before
    assert balancer.reconcile().operations == ()
    kernel.execute(NftTransaction((DeleteTable(),)))
    assert not balancer.reconcile().mended_routing


def test_what_the_kernel_refuses_is_told_and_the_rest_is_done_and_tried_again() -> None:
    balancer, kernel, _ = started()
    kernel.fail_on = of_kind(NftTransaction)
    balancer.standing = Standing(frozenset({"isp1"}))
    done = balancer.reconcile()
    assert done.failures
    assert not done.in_sync
    own = table_of(balancer.router, "isp1")
    assert "eth1" not in {h.interface for r in kernel.read_dataplane().routes if r.table == own for h in r.hops}
    kernel.fail_on = lambda _: False
    again = balancer.reconcile()
    assert again.in_sync
    assert again.moved == {"isp0": 10, "isp2": 5}


def test_a_restart_moves_nothing() -> None:
    balancer, kernel, conntrack = started()
    balancer.standing = Standing(frozenset({"isp1"}), frozenset({"isp2"}))
    balancer.reconcile()
    kernel.executed.clear()
    second = Balancer(kernel, conntrack, lower(POLICY))  # type: ignore[arg-type]  # the part of it that is used
    assert second.standing == balancer.standing
    assert second.seed == 7
    second.bring_up()
    assert kernel.executed == []


def test_a_restart_in_the_middle_of_a_return_moves_nothing() -> None:
    balancer, kernel, conntrack = started()
    home = frozenset(b for b, owner in enumerate(_owners(balancer)) if owner == "isp1")
    away = still_away(home, 20, 60)
    assert 0 < len(away) < len(home)
    balancer.standing = Standing(away={"isp1": away})
    balancer.reconcile()
    kernel.executed.clear()
    second = Balancer(kernel, conntrack, lower(POLICY))  # type: ignore[arg-type]  # the part of it that is used
    assert second.standing.away == {"isp1": away}
    second.bring_up()
    assert kernel.executed == []


def _owners(balancer: Balancer) -> tuple[str | None, ...]:
    return spreads(balancer.router)[0].owners


def test_a_flush_deletes_one_mark_and_looks_that_none_is_left() -> None:
    balancer, _, conntrack = started()
    numbers = number_router(balancer.router)
    one, other = (numbers.mark(MarkKind.CONNECTION, name) for name in ("isp1", "isp2"))
    conntrack.by_number = {one: 4012, other: 5}
    conntrack.unruly = 2
    assert balancer.flush("isp1") == 4012
    assert conntrack.by_number == {other: 5}
    assert conntrack.deleted == [one] * 3
    conntrack.unruly = 99
    with pytest.raises(SystemRefusedError, match="faster than they are deleted"):
        balancer.flush("isp1")


def test_a_new_configuration_takes_the_connections_of_who_is_gone() -> None:
    balancer, kernel, conntrack = started()
    gone = number_router(balancer.router).mark(MarkKind.CONNECTION, "isp2")
    smaller = replace(
        POLICY, uplinks=POLICY.uplinks[:2], balance=replace(POLICY.balance, weights=POLICY.balance.weights[:2])
    )
    balancer.bring_up(lower(smaller))
    assert conntrack.deleted == [gone]
    fresh = FakeKernel(machine())
    Balancer(fresh, conntrack, lower(smaller), 7).bring_up()  # type: ignore[arg-type]  # the part of it that is used
    assert kernel.read_dataplane() == fresh.read_dataplane()


def test_a_new_configuration_that_is_refused_leaves_the_old_one() -> None:
    balancer, kernel, _ = started()
    before, router = kernel.read_dataplane(), balancer.router
    kernel.fail_on = of_kind(NftTransaction)
    with pytest.raises(SystemRefusedError):
        balancer.bring_up(lower(replace(POLICY, lan=("br0", "br1"))))
    kernel.fail_on = lambda _: False
    assert kernel.read_dataplane() == before
    assert balancer.router is router
    assert balancer.reconcile().operations == ()


def test_when_all_are_lost_packets_meet_the_last_resort() -> None:
    balancer, kernel, _ = started()
    balancer.standing = Standing(frozenset({"isp0", "isp1", "isp2"}))
    assert balancer.reconcile().in_sync
    defaults = [route for route in kernel.read_dataplane().routes if route.table == table_of(balancer.router, "isp1")]
    assert [(type(route), route.kind.value) for route in defaults] == [(FibRoute, "unreachable")]
