"""Kernel settings: what is written, in which order, and that all of it comes back."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.core.lower import lower
from evenflow.core.reverse_path import LOOSE, NO_FILTER, STRICT, reverse_path
from evenflow.core.settings import in_force, writes
from evenflow.kernel.fake import FakeKernel
from evenflow.kernel.reconcile import carry_out, look_ahead, look_at_down
from evenflow.model.dataplane import (
    AS_IT_IS,
    MAIN_TABLE_NUMBER,
    TWO_FOR_ONE,
    Dataplane,
    FibHop,
    FibRoute,
    NftTransaction,
    SetSysctl,
)
from evenflow.model.flow import Family
from evenflow.model.machine import Link, LinkAddress, Machine
from evenflow.model.nft import NftTable
from evenflow.model.policy import Balance, Policy, Uplink
from evenflow.model.transaction import DeleteTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.model.dataplane import Operation
    from evenflow.model.router import Router

IP_FORWARD, IPV6_FORWARDING = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
REDIRECTS, ALL_RP = "net/ipv4/conf/all/accept_redirects", "net/ipv4/conf/all/rp_filter"
DEVICES = ("lan", "eth1", "eth2", "other")


def accept_ra(interface: str) -> str:
    return f"net/ipv6/conf/{interface}/accept_ra"


def rp_filter(interface: str) -> str:
    return f"net/ipv4/conf/{interface}/rp_filter"


class Inet(FakeKernel):
    """Changes settings together, as the kernel does (inet_forward_change(), addrconf_fixup_forwarding())."""

    def execute(self, operation: Operation) -> None:
        before = dict(self._sysctls)
        super().execute(operation)
        if not isinstance(operation, SetSysctl) or before[operation.name] == operation.value:
            return
        family = {IP_FORWARD: "ipv4", IPV6_FORWARDING: "ipv6"}.get(operation.name)
        for name in before if family else ():
            if name.startswith(f"net/{family}/conf/") and name.endswith("/forwarding"):
                self._sysctls[name] = operation.value
        if operation.name == IP_FORWARD:
            self._sysctls[REDIRECTS] = "0" if operation.value == "1" else "1"
        if operation.name == IPV6_FORWARDING and operation.value == "1":
            kept = {name.split("/")[3] for name, value in self._sysctls.items() if name.endswith("ra") and value == "2"}
            self._routes = [r for r in self._routes if r.protocol != 9 or r.hops[0].interface in kept]


def router() -> Router:
    uplinks = (
        Uplink("a", "eth1", (ip_address("192.0.2.1"),), learn_gateway=True),
        Uplink("b", "eth2", (ip_address("198.51.100.1"),)),
    )
    return lower(Policy(("lan",), uplinks, Balance(weights=(("a", 1), ("b", 1)), buckets=2)))


def advertised(interface: str) -> FibRoute:
    hop = FibHop(interface, ip_address("fe80::1"))
    return FibRoute(Family.IPV6, MAIN_TABLE_NUMBER, ip_network("::/0"), 1024, (hop,), protocol=9)


def machine(*interfaces_advertised: str) -> Machine:
    links = tuple(Link(name, number) for number, name in enumerate(DEVICES, 2))
    addresses = (
        LinkAddress("eth1", ip_interface("192.0.2.9/24")),
        LinkAddress("eth2", ip_interface("198.51.100.9/24")),
    )
    return Machine(links, addresses, tuple(advertised(name) for name in interfaces_advertised))


def sysctls(**changed: str) -> dict[str, str]:
    """All off, with exceptions; `__` stands for the slash."""
    names = {
        f"net/{family}/conf/{device}/{name}"
        for family, device in product(("ipv4", "ipv6"), ("all", "default", *DEVICES))
        for name in ("forwarding", "ignore_routes_with_linkdown")
    }
    names |= {rp_filter(device) for device in ("all", *DEVICES)} | {accept_ra(device) for device in DEVICES}
    found = dict.fromkeys({*names, IP_FORWARD, REDIRECTS}, "0")
    del found["net/ipv4/conf/all/forwarding"]  # another name of ip_forward
    return found | {name.replace("__", "/"): value for name, value in changed.items()}


def kernel(settings: Mapping[str, str], *interfaces_advertised: str) -> Inet:
    return Inet(machine(*interfaces_advertised), settings)


def apply(to: FakeKernel) -> list[SetSysctl]:
    before = len(to.executed)
    carry_out(to, look_ahead(to, router(), to.read_machine(), seed=1))
    return [operation for operation in to.executed[before:] if isinstance(operation, SetSysctl)]


def held(by: FakeKernel) -> dict[str, str]:
    return dict(by.read_dataplane(sysctls()).sysctls)


# --- what comes with forwarding ------------------------------------------------------------------------------------


@given(st.dictionaries(st.sampled_from(sorted(sysctls())), st.sampled_from("012")), st.sampled_from("01"))
def test_everything_comes_back(changed: dict[str, str], forwarding: str) -> None:
    before = sysctls() | changed | {IP_FORWARD: forwarding, IPV6_FORWARDING: forwarding}
    there = kernel(before)
    apply(there)
    assert look_ahead(there, router(), there.read_machine()).plan.in_sync
    carry_out(there, look_at_down(there))
    assert held(there) == before


def test_nothing_is_written_with_forwarding_that_is_on() -> None:
    there = kernel(sysctls() | {IP_FORWARD: "1", IPV6_FORWARDING: "1", REDIRECTS: "1"})
    assert {written.name.rsplit("/", 1)[1] for written in apply(there)} == {"ignore_routes_with_linkdown"}
    assert held(there)[REDIRECTS] == "1"


# --- router advertisements -----------------------------------------------------------------------------------------


def test_advertisements_are_accepted_before_forwarding_and_until_after_it() -> None:
    there = kernel(sysctls() | {accept_ra("eth1"): "1", accept_ra("other"): "1"}, "eth1", "other")
    up = [written.name for written in apply(there)]
    assert max(up.index(accept_ra(name)) for name in ("eth1", "other")) < up.index(IPV6_FORWARDING)
    assert {route.hops[0].interface for route in there.read_machine().routes} == {"eth1", "other"}
    down = [o.name for o in look_at_down(there).plan.operations if isinstance(o, SetSysctl)]
    assert down.index(IPV6_FORWARDING) < min(down.index(accept_ra(name)) for name in ("eth1", "other"))


def test_an_interface_without_advertised_routes_is_left_alone() -> None:
    there = kernel(sysctls() | {accept_ra("other"): "1", accept_ra("eth1"): "1"}, "eth1")
    apply(there)
    assert held(there)[accept_ra("other")] == "1"


def test_where_somebody_else_handles_advertisements_it_stays_so() -> None:
    there = kernel(sysctls(), "eth1")
    assert accept_ra("eth1") not in {written.name for written in apply(there)}


def test_what_once_accepted_advertisements_goes_on_when_their_route_is_gone() -> None:
    there = kernel(sysctls() | {accept_ra("other"): "1", accept_ra("eth1"): "1"}, "eth1", "other")
    apply(there)
    there._routes = [route for route in there._routes if route.protocol != 9 or route.hops[0].interface == "eth1"]
    assert apply(there) == []
    assert held(there)[accept_ra("other")] == "2"


# --- the reverse-path filter ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of_all", "own"), list(product(range(3), range(3))))
def test_only_a_strict_filter_is_made_loose(of_all: int, own: int) -> None:
    before = sysctls() | {ALL_RP: str(of_all), rp_filter("eth2"): str(own)}
    there = kernel(before)
    written = {setting.name: setting.value for setting in apply(there)}
    after = reverse_path(held(there), "eth2")
    if max(of_all, own) == STRICT:
        assert (written[rp_filter("eth2")], after) == ("2", LOOSE)
    else:
        assert rp_filter("eth2") not in written
        assert after == max(of_all, own)
    assert ALL_RP not in written
    assert apply(there) == []


def test_no_filter_anywhere_is_none() -> None:
    assert reverse_path({}, "eth2") == NO_FILTER


# --- in_force by itself --------------------------------------------------------------------------------------------


def test_wishes_become_plain_values() -> None:
    desired = Dataplane(NftTable(), sysctls={rp_filter("a"): TWO_FOR_ONE, ALL_RP: AS_IT_IS, "net/x": "1", "gone": "1"})
    actual = Dataplane(sysctls={rp_filter("a"): "0", ALL_RP: "1", "net/x": "1"})
    reached = in_force(desired, actual)
    assert reached.sysctls == {rp_filter("a"): "2", "net/x": "1"}
    assert reached.saved == {rp_filter("a"): "0"}
    assert list(writes(reached, actual)) == [SetSysctl(rp_filter("a"), "2", "0")]


# --- when the table is gone ----------------------------------------------------------------------------------------


def test_our_own_values_are_never_kept_as_those_from_before() -> None:
    there = kernel(sysctls())
    apply(there)
    there.execute(NftTransaction((DeleteTable(),)))  # nft flush ruleset
    prospect = look_ahead(there, router(), there.read_machine())
    (finding,) = [finding for finding in prospect.findings if finding.code == "settings-lost"]
    assert IP_FORWARD in finding.message
    assert prospect.desired.saved == {}
    carry_out(there, prospect)
    again = look_ahead(there, router(), there.read_machine())
    assert again.plan.in_sync
    assert [finding.code for finding in again.findings if finding.code == "settings-lost"] == []


def test_what_somebody_has_set_meanwhile_is_kept() -> None:
    there = kernel(sysctls())
    apply(there)
    there.execute(NftTransaction((DeleteTable(),)))
    there.execute(SetSysctl(IP_FORWARD, "0"))
    assert look_ahead(there, router(), there.read_machine()).desired.saved == {IP_FORWARD: "0"} | {}
