"""How long things take: reading a long script, applying a large router, applying it again, classifying flows.

Each figure is the median of several runs in one process; machines differ, so that only ratios between lines, and the
limits in brackets, mean something elsewhere.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING

from bench import classify, daemon, idle, simulate
from evenflow.formats import routeros
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace, enter_private
from evenflow.kernel.reconcile import carry_out, look_ahead, look_at_down

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5
UPLINKS = 32
RULES = 500
LINES = 100_000


def script(uplinks: int, rules: int) -> str:
    """A RouterOS script with that many uplinks and mangle rules: marks in, streams, marks out, the rest exceptions."""
    lines = ["/routing table"]
    lines += [f"add fib name=isp{n}" for n in range(uplinks)]
    lines.append("/ip firewall mangle")
    new = "connection-mark=no-mark connection-state=new"
    lan = f"{new} dst-address-type=!local in-interface=lan0"
    both = "per-connection-classifier=both-addresses-and-ports"
    body = [
        f"add action=mark-connection chain=prerouting {new} in-interface=wan{n} new-connection-mark=isp{n}_conn"
        for n in range(uplinks)
    ]
    exceptions = rules - 4 * uplinks
    body += [
        f"add action=mark-connection chain=prerouting {new} in-interface=lan0 dst-address=203.0.{n % 250}.{n // 250} "
        f"protocol=tcp dst-port={1000 + n} new-connection-mark=isp{n % uplinks}_conn"
        for n in range(exceptions)
    ]
    body += [
        f"add action=mark-connection chain=prerouting {lan} new-connection-mark=isp{n}_conn {both}:{uplinks}/{n}"
        for n in range(uplinks)
    ]
    body += [
        f"add action=mark-routing chain={chain} connection-mark=isp{n}_conn {where}new-routing-mark=isp{n}"
        for chain, where in (("prerouting", "in-interface=lan0 "), ("output", ""))
        for n in range(uplinks)
    ]
    assert len(body) == rules
    lines += [*body, "/ip firewall nat"]
    lines += [f"add action=masquerade chain=srcnat out-interface=wan{n}" for n in range(uplinks)]
    lines.append("/ip route")
    lines += [
        f"add dst-address=0.0.0.0/0 gateway=100.64.{m}.1%wan{m} routing-table=isp{n} distance={1 + (m - n) % uplinks}"
        for n in range(uplinks)
        for m in (n, (n + 1) % uplinks)
    ]
    return "\n".join(lines) + "\n"


def long_script(lines: int) -> str:
    """A script of that many lines, none like the next."""
    body = [
        f"add action=mark-connection chain=prerouting connection-state=new "
        f"src-address=10.{n >> 16}.{n >> 8 & 255}.{n & 255} "
        f'in-interface=ether{n % 9} new-connection-mark="mark {n % 50}" passthrough=yes comment="rule {n}"'
        for n in range(lines - 1)
    ]
    return "\n".join(["/ip firewall mangle", *body]) + "\n"


def median_s(what: Callable[[], object]) -> float:
    """The median time of several runs, in seconds."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        what()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def tell(what: str, seconds: float, limit_s: float) -> bool:
    """Print a figure next to its limit; whether it is within."""
    print(f"{what:<60} {seconds * 1000:8.1f} ms   (limit {limit_s * 1000:.0f} ms)")
    return seconds <= limit_s


def main() -> int:
    """Measure; 1 when a limit is exceeded."""
    enter_private()
    text = long_script(LINES)
    held = tell(f"reading {LINES} lines of script", median_s(lambda: routeros.parse(text, "long.rsc")), 5.0)
    router = routeros.parse(script(UPLINKS, RULES), "large.rsc").router
    links = [
        f"link add {name} type veth peer name far-{name}" for name in ("lan0", *(f"wan{n}" for n in range(UPLINKS)))
    ]
    links += [f"link set {name} up" for name in ("lan0", *(f"wan{n}" for n in range(UPLINKS)))]
    links += [f"addr add 100.64.{n}.2/24 dev wan{n}" for n in range(UPLINKS)]
    with NetworkNamespace.create() as namespace:
        namespace.run(["ip", "-batch", "-"], stdin="\n".join(links))
        with namespace.entered(), LinuxKernel() as kernel:
            machine = kernel.read_machine()

            def apply() -> None:
                carry_out(kernel, look_ahead(kernel, router, machine, seed=1))

            first: list[float] = []
            for _ in range(RUNS):
                start = time.perf_counter()
                apply()
                first.append(time.perf_counter() - start)
                again = median_s(apply)
                carry_out(kernel, look_at_down(kernel))
            held &= tell(f"applying {UPLINKS} uplinks and {RULES} rules, verified", statistics.median(first), 0.5)
            tell("the same once more, with nothing to do", again, 0.5)
    held &= idle.measure(tell)
    held &= daemon.measure(tell)
    held &= classify.measure()
    held &= simulate.measure(tell)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
