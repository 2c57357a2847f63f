"""Counting at the providers: which packets of which connection passed where.

Nobody asks the router. Each provider has an nft table of the lab's own that counts, per TCP connection, the packets
that came from the router and those that went to it. The kernel counts, so none is missed, however fast they come.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from evenflow.model.flow import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.lab.topology import LabUplink
    from evenflow.lab.world import World
    from evenflow.model.flow import Address

TALLY_TABLE: Final = "lab_tally"

# Connections that one provider can count; a scenario opens a few thousand, and each takes about 200 bytes.
_SET_SIZE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Conversation:
    """A connection as a provider sees it: the router's side (after its source NAT) and the far side."""

    address: Address
    port: int
    far_address: Address
    far_port: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one provider counted.

    Attributes:
        sent: packets from the router, per conversation.
        received: packets to the router, per conversation.
        accepted: of `sent`, those that accept a connection (SYN and ACK).
        foreign: packets from the router whose source address is not of this provider's network, per source.
    """

    sent: Mapping[Conversation, int] = field(default_factory=dict)
    received: Mapping[Conversation, int] = field(default_factory=dict)
    accepted: Mapping[Conversation, int] = field(default_factory=dict)
    foreign: Mapping[Address, int] = field(default_factory=dict)

    def packets(self, conversation: Conversation) -> int:
        """Both ways."""
        return self.sent.get(conversation, 0) + self.received.get(conversation, 0)


@dataclass(frozen=True, slots=True)
class Passage:
    """Where the packets of one connection passed: packets per uplink, only those that saw any."""

    conversation: Conversation
    packets: Mapping[str, int]

    def kept_to(self, uplink: str) -> bool:
        """Whether every packet passed that uplink, and there were some."""
        return set(self.packets) == {uplink}


def passages(conversations: Iterable[Conversation], sightings: Mapping[str, Sighting]) -> list[Passage]:
    """For each connection the uplinks that its packets were seen at."""
    return [
        Passage(
            conversation,
            {name: count for name, seen in sightings.items() if (count := seen.packets(conversation))},
        )
        for conversation in conversations
    ]


def tally_ruleset(uplink: LabUplink) -> str:
    """The nft table that counts at an uplink's provider.

    Priority -450 is before conntrack's defragmentation: every packet is seen as it came.
    """
    ip = family_of(uplink.address).value
    key = f"type {'ipv4_addr' if ip == 'ip' else 'ipv6_addr'}"
    both = f"{key} . inet_service . {key[5:]} . inet_service; flags dynamic; size {_SET_SIZE};"
    from_router = f"{ip} saddr . tcp sport . {ip} daddr . tcp dport counter"
    to_router = f"{ip} daddr . tcp dport . {ip} saddr . tcp sport counter"
    port = uplink.provider_port
    return f"""
table {ip} {TALLY_TABLE} {{
    set sent {{ {both} }}
    set received {{ {both} }}
    set accepted {{ {both} }}
    set foreign {{ {key}; flags dynamic; size {_SET_SIZE}; }}
    chain from_router {{
        type filter hook prerouting priority -450; policy accept;
        iifname "{port}" {ip} saddr != {uplink.network} add @foreign {{ {ip} saddr counter }}
        iifname "{port}" meta l4proto tcp add @sent {{ {from_router} }}
        iifname "{port}" tcp flags & (syn | ack) == (syn | ack) add @accepted {{ {from_router} }}
    }}
    chain to_router {{
        type filter hook postrouting priority 450; policy accept;
        oifname "{port}" meta l4proto tcp add @received {{ {to_router} }}
    }}
}}
"""


class Tally:
    """The counting at every provider of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self) -> None:
        """Begin to count. Raises SystemRefusedError."""
        for uplink in self._world.topology.uplinks:
            self._world[uplink.provider].run(["nft", "-f", "-"], stdin=tally_ruleset(uplink))

    def read(self) -> dict[str, Sighting]:
        """What every provider has counted so far, by the uplink's name. Raises SystemRefusedError."""
        return {uplink.name: self._read(uplink) for uplink in self._world.topology.uplinks}

    def _read(self, uplink: LabUplink) -> Sighting:
        family = family_of(uplink.address).value
        text = self._world[uplink.provider].run(["nft", "-j", "list", "table", family, TALLY_TABLE])
        return parse_sighting(text)


def parse_sighting(text: str) -> Sighting:
    """Read what `nft -j list table` prints (libnftables-json(5))."""
    counts: dict[str, dict[Any, int]] = {}
    for item in json.loads(text)["nftables"]:
        if "set" in item:
            elements = (element["elem"] for element in item["set"].get("elem", ()))
            counts[item["set"]["name"]] = {
                _key(element["val"]): int(element["counter"]["packets"]) for element in elements
            }
    return Sighting(
        sent=counts["sent"], received=counts["received"], accepted=counts["accepted"], foreign=counts["foreign"]
    )


def _key(value: Any) -> Conversation | Address:
    if isinstance(value, str):
        return ip_address(value)
    address, port, far_address, far_port = value["concat"]
    return Conversation(ip_address(address), int(port), ip_address(far_address), int(far_port))
