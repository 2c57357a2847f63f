"""The properties of the menus that take part in routing.

Of a strict menu every property is listed, so that a misspelt one is noticed. Of the others only those with a
bearing on routing are; whatever else stands there is kept and told of once.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenflow.formats.routeros.statement import MenuPath


class Use(enum.Enum):
    """What a property is to us."""

    READ = "read"
    IGNORED = "ignored"  # no bearing on where packets go
    UNSUPPORTED = "unsupported"  # decides which packets a rule takes, and can't be expressed
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Schema:
    """What is known of a menu's properties."""

    read: frozenset[str]
    ignored: frozenset[str] = frozenset()
    unsupported: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    strict: bool = False
    names: dict[str, str] = field(default_factory=dict, compare=False)

    def resolve(self, word: str) -> str:
        """The property that `word` abbreviates; `word` itself if it abbreviates none or several."""
        name = self.names.get(word)
        if name is None:
            found = [candidate for candidate in self.names.values() if candidate.startswith(word)]
            return found[0] if len(found) == 1 else word
        return name

    def candidates(self, word: str) -> list[str]:
        """The properties that begin with `word`."""
        return sorted(name for name in self.names if name.startswith(word))

    def use(self, name: str) -> Use:
        """What the property of that name is to us."""
        if name in self.read:
            return Use.READ
        if name in self.unsupported:
            return Use.UNSUPPORTED
        return Use.IGNORED if name in self.ignored or not self.strict else Use.UNKNOWN


def _schema(read: str, ignored: str = "", unsupported: str = "", flags: str = "", *, strict: bool = False) -> Schema:
    groups = [frozenset(words.split()) for words in (f"{read} {_EVERYWHERE}", ignored, unsupported, flags)]
    names = {name: name for group in groups[:3] for name in sorted(group)}
    return Schema(groups[0], groups[1], groups[2], groups[3], strict, names)


_EVERYWHERE = "comment copy-from disabled numbers place-before"

_MATCHERS = """
action chain connection-mark connection-state dst-address dst-address-list dst-address-type dst-port in-interface
in-interface-list jump-target log-prefix nth out-interface out-interface-list packet-mark per-connection-classifier
port protocol random routing-mark src-address src-address-list src-address-type src-mac-address src-port
"""

_UNSUPPORTED_MATCHERS = """
connection-bytes connection-limit connection-nat-state connection-rate connection-type content dscp dst-limit fragment
hop-limit hotspot icmp-options in-bridge-port in-bridge-port-list ingress-priority ipsec-policy ipv4-options
headers layer7-protocol limit out-bridge-port out-bridge-port-list p2p packet-size priority psd realm
routing-table src-realm tcp-flags tcp-mss time tls-host tos ttl
"""

_INTERFACE = _schema("name", "mac-address mtu")
_CLIENT = _schema("name interface add-default-route default-route-distance", "user password profile max-mtu max-mru")
_RULE = "action dst-address interface min-prefix routing-mark src-address table"

_OF_MANGLE = _schema(
    f"{_MATCHERS} new-connection-mark new-packet-mark new-routing-mark passthrough route-dst",
    "address-list address-list-timeout log new-dscp new-hop-limit new-mss new-priority new-tos new-ttl sniff-id "
    "sniff-target sniff-target-port set-priority",
    _UNSUPPORTED_MATCHERS,
    strict=True,
)
_OF_NAT = _schema(
    f"{_MATCHERS} to-address to-addresses to-ports",
    "address-list address-list-timeout log same-not-by-dst",
    f"{_UNSUPPORTED_MATCHERS} randomise-ports socks5-port socks5-server src-to-address",
    strict=True,
)
_OF_ROUTE = _schema(
    "blackhole check-gateway distance dst-address gateway pref-src routing-mark routing-table scope target-scope type",
    "bgp-as-path bgp-atomic-aggregate bgp-communities bgp-local-pref bgp-med bgp-origin bgp-prepend "
    "ospf-metric ospf-type route-tag suppress-hw-offload",
    "vrf-interface",
    "blackhole",
    strict=True,
)
_OF_ADDRESS_LIST = _schema("address list timeout", "creation-time dynamic", strict=True)

SCHEMAS: dict[MenuPath, Schema] = {
    ("ip", "firewall", "mangle"): _OF_MANGLE,
    ("ipv6", "firewall", "mangle"): _OF_MANGLE,
    ("ip", "firewall", "nat"): _OF_NAT,
    ("ipv6", "firewall", "nat"): _OF_NAT,
    ("ip", "firewall", "address-list"): _OF_ADDRESS_LIST,
    ("ipv6", "firewall", "address-list"): _OF_ADDRESS_LIST,
    ("ip", "route"): _OF_ROUTE,
    ("ipv6", "route"): _OF_ROUTE,
    ("ip", "route", "rule"): _schema(_RULE, strict=True),
    ("routing", "rule"): _schema(_RULE, strict=True),
    ("routing", "table"): _schema("fib name", flags="fib", strict=True),
    ("interface", "list"): _schema("exclude include name", strict=True),
    ("interface", "list", "member"): _schema("interface list", strict=True),
    ("interface",): _INTERFACE,
    ("interface", "bridge", "port"): _schema("bridge interface"),
    ("interface", "ethernet"): _schema("bandwidth default-name name", "advertise arp mac-address mtu l2mtu speed"),
    ("interface", "pppoe-client"): _CLIENT,
    ("interface", "l2tp-client"): _CLIENT,
    ("interface", "pptp-client"): _CLIENT,
    ("interface", "sstp-client"): _CLIENT,
    ("interface", "ovpn-client"): _CLIENT,
    ("interface", "ppp-client"): _CLIENT,
    ("interface", "vlan"): _schema("interface name", "vlan-id mtu arp"),
    ("interface", "macvlan"): _schema("interface name"),
    ("interface", "vrrp"): _schema("interface name"),
    ("interface", "lte"): _schema("default-name name"),
    ("interface", "wireless"): _schema("default-name name"),
    ("interface", "wifi"): _schema("default-name name"),
    ("interface", "wifiwave2"): _schema("default-name name"),
    ("interface", "w60g"): _schema("default-name name"),
    **{
        ("interface", kind): _INTERFACE
        for kind in (
            "6to4", "bonding", "bridge", "eoip", "eoipv6", "gre", "gre6", "ipip", "ipipv6", "l2tp-server", "mesh",
            "ovpn-server", "ppp-server", "pppoe-server", "pptp-server", "sstp-server", "veth", "vpls", "vxlan",
            "wireguard",
        )
    },
    ("ip", "address"): _schema("address interface netmask network", "broadcast actual-interface"),
    ("ipv6", "address"): _schema("address eui-64 from-pool interface", "advertise no-dad auto-link-local"),
    ("ip", "dhcp-client"): _schema(
        "add-default-route check-gateway default-route-distance default-route-tables interface name script",
        "allow-reconfigure dhcp-options dscp use-broadcast use-peer-dns use-peer-ntp vlan-priority",
    ),
    ("ipv6", "dhcp-client"): _schema(
        "add-default-route check-gateway default-route-distance default-route-tables interface name script",
        "pool-name pool-prefix-length prefix-hint request use-peer-dns",
    ),
    ("tool", "netwatch"): _schema(
        "accept-icmp-time-exceeded check-certificate dns-server down-script host http-codes interval name packet-count "
        "port record-type src-address test-script thr-avg thr-http-time thr-jitter thr-loss-count thr-loss-percent "
        "thr-max thr-stdev thr-tcp-conn-time timeout type up-script",
        "certificate early-failure-detection early-success-detection ignore-initial-down ignore-initial-up "
        "packet-interval packet-size start-delay startup-delay ttl",
    ),
    ("routing", "settings"): _schema(
        "check-gateway-ping-count check-gateway-ping-interval check-gateway-ping-timeout",
        "connected-in-chain dynamic-in-chain policy-rules single-process",
    ),
    ("ip", "settings"): _schema("ip-forward", "rp-filter"),
}  # fmt: skip

#: The properties of all these menus but for those that every menu has.
PROPERTIES = frozenset(name for schema in SCHEMAS.values() for name in schema.names) - frozenset(_EVERYWHERE.split())

#: Properties whose value is a script, and may therefore run over several lines.
SCRIPT_PROPERTIES = frozenset((
    "down-script", "lease-script", "on-alert", "on-backup", "on-down", "on-event", "on-login", "on-logout", "on-master",
    "on-up", "script", "source", "test-script", "up-script",
))  # fmt: skip

#: Properties that may run over several lines without being scripts.
LONG_PROPERTIES = SCRIPT_PROPERTIES | {"body", "content", "contents", "note", "do", "else", "on-error", "command"}
