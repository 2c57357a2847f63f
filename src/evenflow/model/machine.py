"""What the machine has that is not ours: links, addresses, and routes and rules that others have put in.

Facts, read from the kernel (or made up by a test), that a `Router` needs to become a `Dataplane`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.model.dataplane import FibRoute, FibRule
    from evenflow.model.flow import Address, InterfaceAddress


@dataclass(frozen=True, slots=True)
class Link:
    """A network device.

    Attributes:
        up: administratively up.
        carrier: the other side is there.
        point_to_point: no next hop is needed on it (IFF_POINTOPOINT or IFF_NOARP).
        master: name of the bridge (or other master) that it is a port of.
    """

    name: str
    index: int
    up: bool = True
    carrier: bool = True
    point_to_point: bool = False
    master: str | None = None


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An address of a link, with its prefix length; `peer` is the other end of a point-to-point link."""

    interface: str
    address: InterfaceAddress
    peer: Address | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Links, addresses, foreign routes and foreign route rules (those that are not ours by their protocol number)."""

    links: tuple[Link, ...] = ()
    addresses: tuple[LinkAddress, ...] = ()
    routes: tuple[FibRoute, ...] = ()
    rules: tuple[FibRule, ...] = ()

    def link(self, name: str) -> Link | None:
        """The link of that name, or None."""
        return next((link for link in self.links if link.name == name), None)
