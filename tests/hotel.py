"""A hotel's router as its administrator would export it: four uplinks, 27 networks of guests, 300 rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

UPLINKS = ("fibre", "cable", "dsl", "lte")
INTERFACES = ("ether1", "ether2", "pppoe-dsl", "lte1")
FLOORS = range(1, 28)

#: Streams of six of each uplink.
_STREAMS = ("fibre", "fibre", "fibre", "cable", "cable", "dsl")


def hotel_script() -> str:
    """The script, one rule a line."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# nov/12/2025 09:14:02 by RouterOS 7.16"
    yield "/interface bridge"
    yield "add name=bridge-office"
    yield "/interface vlan"
    for floor in FLOORS:
        yield f'add interface=bridge-office name=vlan{100 + floor} vlan-id={100 + floor} comment="floor {floor}"'
    yield "/interface pppoe-client"
    yield "add disabled=no interface=ether3 name=pppoe-dsl user=hotel"
    yield "/interface list"
    yield "add name=WAN"
    yield "add name=GUESTS"
    yield "/routing table"
    for uplink in UPLINKS:
        yield f"add fib name=to-{uplink}"
    yield "/interface list member"
    for interface in INTERFACES:
        yield f"add interface={interface} list=WAN"
    for floor in FLOORS:
        yield f"add interface=vlan{100 + floor} list=GUESTS"
    yield "/ip address"
    yield "add address=203.0.113.2/30 interface=ether1"
    yield "add address=198.51.100.130/29 interface=ether2"
    yield "add address=192.168.8.2/24 interface=lte1"
    yield "add address=10.0.0.1/24 interface=bridge-office"
    for floor in FLOORS:
        yield f"add address=10.{floor}.0.1/22 interface=vlan{100 + floor}"
    yield "/ip firewall address-list"
    for number in range(1, 13):
        yield f'add address=192.0.2.{number} list=booking comment="channel manager {number}"'
    yield "add address=100.100.0.0/16 list=video"
    yield "add address=10.0.0.40 list=voip-phones"
    yield from _mangle()
    yield from _rest()


def _mangle() -> Iterator[str]:
    yield "/ip firewall mangle"
    for uplink, interface in zip(UPLINKS, INTERFACES, strict=True):
        yield (
            f"add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new "
            f'in-interface={interface} new-connection-mark={uplink} comment="in by {uplink}"'
        )
    for uplink in UPLINKS:
        yield f"add action=mark-routing chain=output connection-mark={uplink} new-routing-mark=to-{uplink}"
    yield 'add action=accept chain=prerouting dst-address-type=local in-interface-list=!WAN comment="to the router"'
    yield (
        "add action=mark-connection chain=prerouting connection-mark=no-mark dst-address-list=booking "
        'new-connection-mark=fibre comment="bookings never leave by another line"'
    )
    yield (
        "add action=mark-connection chain=prerouting connection-mark=no-mark src-address-list=voip-phones "
        'new-connection-mark=cable comment="telephones"'
    )
    for floor in FLOORS:
        yield from _floor(floor)
    for stream, uplink in enumerate(_STREAMS):
        yield (
            "add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new "
            f"in-interface=bridge-office new-connection-mark={uplink} "
            f'per-connection-classifier=both-addresses:6/{stream} comment="office {stream}"'
        )
    for uplink in UPLINKS:
        yield (
            f"add action=mark-routing chain=prerouting connection-mark={uplink} in-interface-list=!WAN "
            f"new-routing-mark=to-{uplink} passthrough=no"
        )


def _floor(floor: int) -> Iterator[str]:
    """Ten rules: video by the line with the lowest price, the rest by streams of six; then marks for the queues."""
    interface, chain = f"vlan{100 + floor}", f"floor{floor}"
    yield f"add action=jump chain=prerouting in-interface={interface} jump-target={chain} connection-state=new"
    yield (
        f"add action=mark-connection chain={chain} connection-mark=no-mark dst-address-list=video "
        f'new-connection-mark=lte comment="video of floor {floor}"'
    )
    for stream, uplink in enumerate(_STREAMS):
        yield (
            f"add action=mark-connection chain={chain} connection-mark=no-mark dst-address-type=!local "
            f"new-connection-mark={uplink} per-connection-classifier=both-addresses-and-ports:6/{stream} "
            f'comment="floor {floor}"'
        )
    yield f"add action=mark-packet chain=forward in-interface={interface} new-packet-mark=up{floor} passthrough=no"
    yield f"add action=mark-packet chain=forward out-interface={interface} new-packet-mark=down{floor} passthrough=no"


def _rest() -> Iterator[str]:
    yield "/ip firewall nat"
    yield 'add action=accept chain=srcnat dst-address=10.0.0.0/8 comment="between our networks"'
    for interface in INTERFACES:
        yield f"add action=masquerade chain=srcnat out-interface={interface}"
    for number in range(8):
        yield (
            f"add action=dst-nat chain=dstnat dst-port={8000 + number} in-interface-list=WAN protocol=tcp "
            f'to-addresses=10.0.0.{20 + number} to-ports=80 comment="camera {number}"'
        )
    yield "/ip route"
    gateways = dict(zip(UPLINKS, ("203.0.113.1", "198.51.100.129", "pppoe-dsl", "192.168.8.1"), strict=True))
    for uplink in UPLINKS:
        order = [uplink, *(other for other in UPLINKS if other != uplink)]
        for distance, other in enumerate(order, start=1):
            check = "" if other == "dsl" else " check-gateway=ping"
            yield (
                f"add{check} distance={distance} dst-address=0.0.0.0/0 gateway={gateways[other]} "
                f"routing-table=to-{uplink} comment={other}"
            )
    for distance, uplink in enumerate(UPLINKS, start=1):
        yield f"add distance={distance} dst-address=0.0.0.0/0 gateway={gateways[uplink]} comment={uplink}"
    yield 'add dst-address=172.16.0.0/12 gateway=10.0.0.254 comment="head office"'
