"""The bench's machine as data, for tests that need no kernel."""

from __future__ import annotations

from ipaddress import ip_interface

from differential.bench import INTERFACES
from evenflow.model.machine import Link, LinkAddress, Machine

MACHINE = Machine(
    tuple(Link(name, number) for number, name in enumerate(INTERFACES, 2)),
    tuple(LinkAddress(name, ip_interface(address)) for name, pair in INTERFACES.items() for address in pair),
)
