"""What a reconcile pass costs when there is nothing to do: the daemon makes one whenever something happens.

The time is that of the processor in this thread, in the kernel and out of it: a pass waits for nothing, and what else
runs on the machine shall not count. Next to it stands what it takes only to have the kernel list everything once more,
without looking at it: no reading can be cheaper.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import struct
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from evenflow.core.lower import lower
from evenflow.daemon.balancer import Balancer
from evenflow.kernel import rt_codec
from evenflow.kernel.conntrack import Conntrack
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NETLINK_ROUTE, NLM_F_DUMP
from evenflow.model.flow import BOTH_FAMILIES
from evenflow.model.policy import Balance, Policy, Uplink

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 25
UPLINKS = 32
BUCKETS = 1024
_GETLINK, _GETADDR, _GETROUTE, _GETRULE = 18, 22, 26, 34
_DONE = 3


def policy() -> Policy:
    """A policy with that many uplinks, each with a gateway of both families."""
    uplinks = tuple(
        Uplink(f"isp{n}", f"wan{n}", (ip_address(f"100.64.{n}.1"), ip_address(f"fd00:{n:x}::1")))
        for n in range(UPLINKS)
    )
    weights = tuple((uplink.name, 1 + number % 5) for number, uplink in enumerate(uplinks))
    return Policy(("lan0",), uplinks, Balance(weights=weights, buckets=BUCKETS))


def build(namespace: NetworkNamespace) -> None:
    """The machine that the policy is for."""
    names = ["lan0", *(f"wan{n}" for n in range(UPLINKS))]
    lines = [f"link add {name} type veth peer name far-{name}" for name in names]
    lines += [f"link set {end}{name} up" for name in names for end in ("", "far-")]
    lines += [f"address add 100.64.{n}.2/24 dev wan{n}" for n in range(UPLINKS)]
    namespace.run(["ip", "-batch", "-"], stdin="\n".join(lines))
    sixes = [f"address add fd00:{n:x}::2/64 dev wan{n} nodad" for n in range(UPLINKS)]
    namespace.run(["ip", "-6", "-batch", "-"], stdin="\n".join(sixes))


def list_all(asking: socket.socket) -> None:
    """Have the kernel list links, addresses, routes and rules once, and throw it away."""
    questions = [(_GETLINK, rt_codec.links_request(with_statistics=False)), (_GETADDR, rt_codec.addresses_request())]
    for family in BOTH_FAMILIES:
        questions += [(_GETROUTE, rt_codec.routes_request(family)), (_GETRULE, rt_codec.rules_request(family))]
    for kind, payload in questions:
        asking.send(struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_DUMP | 1, 1, 0) + payload)
        last = 0
        while last != _DONE:
            # The end of a list is a message of 20 bytes, alone or behind others.
            (last,) = struct.unpack_from("=H", asking.recv(1 << 16)[-20:], 4)


def median_ms(what: Callable[[], object]) -> float:
    """The median time of the processor, in milliseconds."""
    taken = []
    for _ in range(RUNS):
        start = time.thread_time()
        what()
        taken.append(time.thread_time() - start)
    return statistics.median(taken) * 1000


def measure(tell: Callable[[str, float, float], bool]) -> bool:
    """Measure and tell (what, seconds, limit in seconds); whether all was within its limit."""
    with contextlib.ExitStack() as stack:
        namespace = stack.enter_context(NetworkNamespace.create())
        build(namespace)
        stack.enter_context(namespace.entered())
        kernel = stack.enter_context(LinuxKernel())
        balancer = Balancer(kernel, stack.enter_context(Conntrack()), lower(policy()), seed=1)
        balancer.bring_up()

        def one_pass() -> None:
            balancer.look(time.monotonic())
            assert not balancer.reconcile().operations

        one_pass()
        routes = len(kernel.read_dataplane().routes)
        idle_ms = median_ms(one_pass)
        reads_ms = median_ms(lambda: (kernel.read_machine(), kernel.read_dataplane()))
        asking = stack.enter_context(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE))
        listing_ms = median_ms(lambda: list_all(asking))
    held = tell(f"a pass with nothing to do, {UPLINKS} uplinks, {routes} routes", idle_ms / 1000, 0.010)
    print(f"{'  its reading, as a ratio to the mere listing':<60} {reads_ms / listing_ms:8.1f}")
    return held
