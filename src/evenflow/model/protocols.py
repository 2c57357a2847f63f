"""IP protocols by name."""

from __future__ import annotations

from evenflow.model.flow import DCCP, GRE, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE

#: RouterOS's names; most are the keywords of IANA's "Protocol Numbers".
PROTOCOLS = {
    "icmp": ICMP, "igmp": 2, "ggp": 3, "ip-encap": 4, "st": 5, "tcp": TCP, "egp": 8, "pup": 12, "udp": UDP, "hmp": 20,
    "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": DCCP, "xtp": 36, "ddp": 37, "idpr-cmtp": 38, "ipv6-encap": 41,
    "rsvp": 46, "gre": GRE, "ipsec-esp": 50, "ipsec-ah": 51, "icmpv6": ICMPV6, "rspf": 73, "vmtp": 81, "ospf": 89,
    "ipip": 94, "etherip": 97, "encap": 98, "pim": 103, "vrrp": 112, "l2tp": 115, "sctp": SCTP, "udp-lite": UDPLITE,
}  # fmt: skip
_NAMES = {number: name for name, number in PROTOCOLS.items()}


def protocol_name(number: int) -> str:
    """A protocol's name, else its number as text."""
    return _NAMES.get(number, str(number))
