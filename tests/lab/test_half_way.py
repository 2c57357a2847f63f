"""A change that fails half-way, at any operation and in any way, leaves the real kernel as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evenflow.cli.telling import load
from evenflow.core.plan import EMPTY
from evenflow.errors import SystemRefusedError
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NetlinkSocket
from evenflow.kernel.reconcile import Prospect, carry_out, look_ahead, look_at_down
from lab.test_coexistence import EXAMPLES, build, changes, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evenflow.model.dataplane import Operation
    from evenflow.model.router import Router

#: Settings that a change touches, by itself or by what the kernel does with it. One device forwards as its owner said.
LINKS = ("ether1", "pppoe-out1", "USER_01", "ether2")
SETTINGS = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/accept_redirects",
    *(f"net/{family}/conf/{link}/{name}"
      for family, names in (("ipv4", ("forwarding", "rp_filter", "ignore_routes_with_linkdown")),
                            ("ipv6", ("forwarding", "accept_ra", "ignore_routes_with_linkdown")))
      for link in (*LINKS, "default", "all")
      for name in names),
]  # fmt: skip


class Interrupted(BaseException):
    """Stands for Ctrl-C. A type of its own: pytest takes a real one for its own end."""


class Breaking(LinuxKernel):
    """The kernel, until operation number `at`: then it refuses, or it is done and the user has had enough."""

    at: int | None = None
    interrupts = False

    def execute(self, operation: Operation) -> None:
        if self.at is not None:
            self.at -= 1
            if self.at < 0:
                self.at = None
                if not self.interrupts:
                    raise SystemRefusedError("told to refuse")
                super().execute(operation)
                raise Interrupted
        super().execute(operation)


@pytest.fixture
def machine() -> Iterator[NetworkNamespace]:
    with NetworkNamespace.create() as made:
        build(made)
        made.run(["sysctl", "-qw", "net.ipv4.conf.ether2.forwarding=1", "net.ipv4.conf.ether1.rp_filter=1"])
        yield made


@pytest.fixture
def kernel(machine: NetworkNamespace) -> Iterator[Breaking]:
    with machine.entered(), Breaking() as made:
        yield made


def router(name: str) -> Router:
    found = load(str(EXAMPLES / name)).router
    assert found is not None
    return found


def prospect(kernel: LinuxKernel, wanted: str) -> Prospect:
    if wanted == "down":
        return look_at_down(kernel)
    return look_ahead(kernel, router(wanted), kernel.read_machine(), seed=7)


@pytest.mark.kernel
@pytest.mark.parametrize("interrupts", [False, True])
@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (None, "seed.toml"),
        (None, "seed.rsc"),
        ("seed.rsc", "seed.toml"),
        ("seed.toml", "seed.rsc"),
        ("seed.toml", "down"),
    ],
)
def test_the_old_state_is_put_back_from_any_operation(
    machine: NetworkNamespace, kernel: Breaking, there: str | None, wanted: str, *, interrupts: bool
) -> None:
    if there is not None:
        carry_out(kernel, prospect(kernel, there))
    whole, before = snapshot(machine), (kernel.read_machine(), kernel.read_dataplane(SETTINGS))
    operations = len(prospect(kernel, wanted).plan.operations)
    assert operations > 10
    kernel.interrupts = interrupts
    for number in range(operations):
        kernel.at = number
        with pytest.raises((SystemRefusedError, Interrupted)) as caught:
            carry_out(kernel, prospect(kernel, wanted))
        assert "put back" not in str(caught.value)
        assert not hasattr(caught.value, "__notes__")
        assert (kernel.read_machine(), kernel.read_dataplane(SETTINGS)) == before, f"operation {number}"
    after = {key: pair for key, pair in changes(whole, snapshot(machine)).items() if key != "nft"}
    assert after == {}  # of nft the handles are others


MANY_BUCKETS = """
lan = ["USER_01"]
[uplink.a]
interface = "ether1"
gateway = "100.64.1.1"
[uplink.b]
interface = "pppoe-out1"
[balance]
buckets = 4096
"""


@pytest.mark.kernel
@pytest.mark.parametrize("datagram", range(4))
def test_an_interrupt_in_the_midst_of_reading_is_no_harm(
    kernel: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, datagram: int
) -> None:
    (tmp_path / "a.toml").write_text(MANY_BUCKETS)
    wanted = load(str(tmp_path / "a.toml")).router
    assert wanted is not None
    ahead = look_ahead(kernel, wanted, kernel.read_machine())
    left, receive = [datagram], NetlinkSocket._receive

    def interrupted(self: NetlinkSocket, datagrams: Any) -> bytes:
        data = receive(self, datagrams)
        # Only a dump that goes on in another datagram: its rest would be taken for the answer to the next one.
        if left and len(data) > 4000:
            left[0] -= 1
            if left[0] < 0:
                left.clear()
                raise Interrupted
        return data

    monkeypatch.setattr(NetlinkSocket, "_receive", interrupted)
    with pytest.raises(Interrupted) as caught:
        carry_out(kernel, ahead)
    assert not hasattr(caught.value, "__notes__")
    assert kernel.read_dataplane() == EMPTY
