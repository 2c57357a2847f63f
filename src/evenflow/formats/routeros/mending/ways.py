"""Where packets go that a mend is not about: new connections of local hosts, and the router's answers to them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from evenflow.core.following import reply_to
from evenflow.core.hosts import hosts
from evenflow.core.lint.exact import SEED
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import uplinks
from evenflow.core.witness import ordinary_packets
from evenflow.model.flow import Family, family_of
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.core.hosts import Host
    from evenflow.model.router import Router

#: Connections of each kind of host: enough to meet every stream of usual classifiers.
_CONNECTIONS = 32


def ways(router: Router) -> dict[str, tuple[str | None, ...]]:
    """For each local interface those that some packets leave by, None where they don't; IPv4."""
    return {
        interface: tuple(_ways(router, host, interface))
        for host in hosts(router, uplinks(router))
        for interface in host.alike
    }


def _ways(router: Router, host: Host, interface: str) -> Iterator[str | None]:
    tracer = Tracer(router, host.machine, SEED)
    packets = list(islice(ordinary_packets(host.machine, interface, Family.IPV4), _CONNECTIONS))
    for packet in packets:
        yield tracer.trace(packet).out_interface
    for own in host.machine.addresses:
        if own.interface == interface and family_of(own.address) is Family.IPV4:
            for packet in packets:
                asking = replace(packet, destination=own.address.ip)
                first = tracer.trace(asking)
                if first.disposition is Disposition.DELIVERED:
                    yield tracer.trace(reply_to(asking, first)).out_interface
