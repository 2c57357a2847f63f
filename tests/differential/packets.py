"""Random packets to a bench: the first ones of connections, from all sides to all sides."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from differential.bench import FAR_MAC, INTERFACES, SERVER_PORTS, WANS
from evenflow.model.flow import GRE, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, ConnectionState, Family, Packet

if TYPE_CHECKING:
    from differential.routers import Draw

FAMILIES = (Family.IPV4, Family.IPV6)
PORTED = (TCP, UDP, SCTP, UDPLITE)


def own_addresses(family: Family) -> dict[str, str]:
    """The first address of each interface."""
    return {name: pair[family is Family.IPV6].partition("/")[0] for name, pair in INTERFACES.items()}


def draw_packet(draw: Draw, number: int) -> Packet:
    """The first packet of a connection; `number` makes its ports or addresses its own."""
    random = draw.random
    family = random.choice(FAMILIES)
    places: dict[str | None, int] = {"lan0": 6, "lan1": 2, **dict.fromkeys(WANS, 1), None: 3}
    alive = {place: weight for place, weight in places.items() if place not in draw.plan.no_carrier}
    where = random.choices(list(alive), list(alive.values()))[0]
    protocol = random.choices(
        [TCP, UDP, ICMP if family is Family.IPV4 else ICMPV6, GRE, SCTP, UDPLITE], [4, 4, 2, 2, 1, 1]
    )
    source, destination = _ends(draw, family, where, number, alone=protocol[0] == GRE)
    ported = protocol[0] in PORTED
    return Packet(
        ip_address(source),
        ip_address(destination),
        protocol[0],
        random.choice([1024, 20000]) + number if ported else 0,
        random.choice(SERVER_PORTS) if ported else 0,
        where,
        ConnectionState.INVALID if protocol[0] == TCP and draw.some(0.25) else ConnectionState.NEW,
        source_mac=FAR_MAC if where else None,
    )


def _ends(draw: Draw, family: Family, where: str | None, number: int, *, alone: bool) -> tuple[str, str]:
    """Source and destination; `alone`: a connection is told apart by nothing else, and no two may be the same."""
    random = draw.random
    host, server = number % 200 + 10, number % 249 + 1 if alone else random.randrange(1, 250)
    four = {"lan0": f"10.1.{random.choice([3, 200])}.{host}", "lan1": f"10.2.3.{host}"}
    six = {"lan0": f"fd00:1::{host:x}", "lan1": f"fd00:2::{host:x}"}
    outside = f"198.51.100.{server}" if family is Family.IPV4 else f"2001:db8:99::{server:x}"
    inside = four if family is Family.IPV4 else six
    own = own_addresses(family)
    if where is None:
        return own[random.choice(list(WANS))], outside if alone or draw.some(0.9) else own["lan1"]
    if where in WANS:
        itself = own[random.choice(list(INTERFACES))]
        return outside, random.choice([own[where], own[where], itself, inside["lan0"]])
    odd = ["10.77.0.9", "255.255.255.255", "10.1.255.255", "224.0.0.251", "224.0.0.1"]
    if family is Family.IPV6:
        odd = ["fd00:2::", "ff02::fb", "ff02::1", "ff02::1:ff00:1"]
    to = {outside: 16, own[where]: 2, own["wan1"]: 2, inside["lan1" if where == "lan0" else "lan0"]: 2}
    if not alone:
        to[random.choice(odd)] = 2
    return inside[where], random.choices(list(to), list(to.values()))[0]
