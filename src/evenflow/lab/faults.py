"""What can go wrong with an uplink, made at its provider: the router's own side is not touched."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

from evenflow.lab.topology import INTERNET, Port
from evenflow.lab.world import shaper_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.lab.topology import LabUplink
    from evenflow.lab.world import World
    from evenflow.model.flow import Address

_TABLE: Final = "lab_fault"

#: What a full queue lets pass, and how long a packet waits in it.
_QUEUE_BPS: Final = 2_000_000
_QUEUE_MS: Final = 120


def silence(world: World, uplink: LabUplink) -> None:
    """The provider's first router hears and says nothing any more; the carrier stays."""
    _fault(world, uplink, f'iifname "{uplink.provider_port}" drop', f'oifname "{uplink.provider_port}" drop', arp=True)


def break_behind(world: World, uplink: LabUplink) -> None:
    """The gateway lives and answers; nothing comes through it."""
    _fault(world, uplink, 'iifname "backbone" drop', 'oifname "backbone" drop')


def lose(world: World, uplink: LabUplink, percent: int) -> None:
    """So much of what comes from the router is lost."""
    _fault(world, uplink, f'iifname "{uplink.provider_port}" numgen random mod 100 < {percent} drop')


@contextlib.contextmanager
def delayed(world: World, uplink: LabUplink, source: Address) -> Iterator[None]:
    """A full queue at the provider, for the time of the `with`: everything to the router waits in it.

    As when somebody's upload fills a modem. A host in the Internet sends a bit more than passes.
    """
    provider, port = world[uplink.provider], uplink.provider_port
    shaper = ["tc", "qdisc", "replace", "dev", port, "root", "tbf"]
    provider.run([*shaper, "rate", f"{_QUEUE_BPS}bit", "burst", "3000", "latency", f"{_QUEUE_MS}ms"])
    done = threading.Event()
    with world.socket(INTERNET, socket.SOCK_DGRAM) as sending:
        sending.bind((str(source), 0))
        filling = threading.Thread(target=_fill, args=(sending, str(uplink.address), done))
        filling.start()
        try:
            yield
        finally:
            done.set()
            filling.join()
            provider.run(["tc", "qdisc", "del", "dev", port, "root"])
            rate = Port(port, rate_bps=uplink.rate_bps)
            provider.run(["tc", *shaper_command(rate, uplink.rate_bps).split()])


def _fill(sending: socket.socket, address: str, done: threading.Event) -> None:
    data = b"f" * 1200
    while not done.wait(len(data) * 8 / _QUEUE_BPS * 0.9):
        with contextlib.suppress(OSError):
            sending.sendto(data, (address, 9))  # discard (RFC 863)


def heal(world: World, uplink: LabUplink) -> None:
    """As it was. Nothing happens when nothing was wrong."""
    for family in ("inet", "arp"):
        world[uplink.provider].run(
            ["nft", "-f", "-"], stdin=f"table {family} {_TABLE}\ndelete table {family} {_TABLE}\n"
        )


def _fault(world: World, uplink: LabUplink, incoming: str, outgoing: str = "", *, arp: bool = False) -> None:
    heal(world, uplink)
    text = f"""
table inet {_TABLE} {{
    chain in {{
        type filter hook prerouting priority -300; policy accept;
        {incoming}
    }}
    chain out {{
        type filter hook postrouting priority 300; policy accept;
        {outgoing}
    }}
}}
"""
    if arp:
        text += f"""
table arp {_TABLE} {{
    chain in {{
        type filter hook input priority 0; policy drop;
    }}
}}
"""
    world[uplink.provider].run(["nft", "-f", "-"], stdin=text)
