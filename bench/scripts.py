"""Large scripts, and the machine that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.kernel.namespaces import NetworkNamespace


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


def build_links(namespace: NetworkNamespace, uplinks: int) -> None:
    """A local network and that many uplinks, with addresses of 100.64.0.0/10."""
    names = ["lan0", *(f"wan{n}" for n in range(uplinks))]
    lines = [f"link add {name} type veth peer name far-{name}" for name in names]
    lines += [f"link set {end}{name} up" for name in names for end in ("", "far-")]
    lines += [f"addr add 100.64.{n}.2/24 dev wan{n}" for n in range(uplinks)]
    namespace.run(["ip", "-batch", "-"], stdin="\n".join(lines))
