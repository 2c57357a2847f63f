"""The menus and commands of RouterOS, and what an abbreviation of one stands for.

The tree is that of RouterOS 6 and 7 together, without the deep ends of menus that have nothing to do with
routing: there an unknown menu is kept as it is written.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenflow.formats.routeros.properties import SCHEMAS

if TYPE_CHECKING:
    from evenflow.formats.routeros.properties import Schema
    from evenflow.formats.routeros.statement import MenuPath

#: Commands that any menu with items has.
COMMANDS = (
    "add", "comment", "disable", "edit", "enable", "export", "find", "get", "monitor", "move", "print", "remove",
    "reset", "set", "unset",
)  # fmt: skip

#: Commands that only some menus have. None of them configures anything; they can't be abbreviated here.
OTHER_COMMANDS = frozenset((
    "beep", "blink", "check-for-updates", "clear", "connect", "debug", "download", "error", "fetch", "flood-ping",
    "flush", "force-update-to-factory-firmware", "import", "info", "install", "ip-scan", "load", "mac-scan",
    "mac-telnet", "make-static", "password", "ping", "ping-speed", "profile", "quit", "reboot", "recheck", "redo",
    "release", "renew", "reset-configuration", "reset-counters", "reset-counters-all", "reset-mac-address", "run",
    "save", "scan", "send", "shutdown", "sign", "ssh", "telnet", "test", "torch", "traceroute", "undo", "upgrade",
    "wake", "warning", "wol",
))  # fmt: skip

#: `path: children`; every path is a child of one above it.
_TREE = """
: caps-man certificate console container disk dude file interface iot ip ipv6 log metarouter mpls openflow port ppp
: queue radius routing snmp special-login store system task tool tr069-client user user-manager zerotier
caps-man: aaa access-list actual-interface-configuration channel configuration datapath interface manager
caps-man: provisioning radio rates registration-table remote-cap security
certificate: crl scep-server settings
interface: 6to4 bonding bridge detect-internet dot1x eoip eoipv6 ethernet gre gre6 ipip ipipv6 l2tp-client l2tp-ether
interface: l2tp-server list lte macsec macvlan mesh ovpn-client ovpn-server ppp-client ppp-server pppoe-client
interface: pppoe-server pptp-client pptp-server sstp-client sstp-server traffic-eng veth virtual-ethernet vlan vpls vrrp
interface: vxlan w60g wifi wifiwave2 wireguard wireless
interface bridge: calea filter host mdb msti nat port port-controller port-extender settings vlan
interface ethernet: poe switch
interface ethernet switch: acl host port port-isolation qos rule vlan
interface l2tp-server: server
interface list: member
interface lte: apn settings
interface ovpn-server: server
interface pppoe-server: server
interface pptp-server: server
interface sstp-server: server
interface wifi: aaa access-list cap capsman channel configuration datapath interworking provisioning radio
interface wifi: registration-table security steering
interface wifiwave2: aaa access-list channel configuration datapath security
interface wireguard: peers
interface wireless: access-list align cap channels connect-list info interworking-profiles manual-tx-power-table nstreme
interface wireless: nstreme-dual registration-table security-profiles sniffer snooper wds
ip: accounting address arp cloud dhcp-client dhcp-relay dhcp-server dns firewall hotspot ipsec kid-control media
ip: nat-pmp neighbor packing pool proxy reverse-proxy route service settings smb socks ssh tftp traffic-flow upnp vrf
ip cloud: advanced back-to-home-file back-to-home-user
ip dhcp-client: option
ip dhcp-server: alert config lease matcher network option vendor-class-id
ip dhcp-server option: sets
ip dns: adlist cache forwarders static
ip firewall: address-list calea connection filter layer7-protocol mangle nat raw service-port
ip firewall connection: tracking
ip hotspot: active cookie host ip-binding profile service-port user walled-garden
ip hotspot user: profile
ip hotspot walled-garden: ip
ip ipsec: active-peers identity installed-sa key mode-config peer policy profile proposal settings statistics user
ip ipsec policy: group
ip kid-control: device
ip nat-pmp: interfaces
ip neighbor: discovery discovery-settings
ip pool: used
ip proxy: access cache connections direct
ip route: cache check nexthop rule vrf
ip smb: shares users
ip socks: access connections users
ip ssh: client
ip traffic-flow: ipfix target
ip upnp: interfaces
ipv6: address dhcp-client dhcp-relay dhcp-server firewall nd neighbor pool route settings
ipv6 dhcp-client: option
ipv6 dhcp-server: binding option
ipv6 firewall: address-list connection filter mangle nat raw
ipv6 nd: prefix proxy
ipv6 nd prefix: default
mpls: forwarding-table interface ldp local-bindings mangle remote-bindings settings traffic-eng
port: firmware remote-access
ppp: aaa active l2tp-secret profile secret
queue: interface monitor simple tree type
radius: incoming
routing: bfd bgp fantasy filter gmp id igmp-proxy isis mme nexthop ospf ospf-v3 pimsm prefix-lists rip ripng route
routing: route-rule rpki rule settings stats table
routing bfd: configuration interface neighbor session
routing bgp: advertisements aggregate connection evpn instance network peer session template vpls vpn
routing filter: chain community-ext-list community-large-list community-list num-list rule select-chain select-rule
routing igmp-proxy: interface mfc
routing ospf: area area-range interface interface-template instance lsa neighbor network static-neighbor virtual-link
routing ospf area: range
routing pimsm: bsr-candidate igmp-interface-template instance interface-template rp-candidate static-rp
routing rip: instance interface interface-template key neighbor network route static-neighbor
snmp: community
system: backup clock console default-configuration device-mode gps hardware health history identity leds license
system: logging note ntp package routerboard scheduler script swos upgrade ups watchdog
system clock: manual
system console: screen
system leds: settings
system logging: action
system ntp: client key server
system ntp client: servers
system package: local-update update
system routerboard: mode-button reset-button settings usb
system script: environment job
tool: bandwidth-server bandwidth-test e-mail graphing mac-server netwatch profile romon sms sniffer speed-test
tool: traffic-generator traffic-monitor
tool graphing: interface queue resource
tool mac-server: mac-winbox ping sessions
tool romon: port
tool sniffer: connection host packet protocol
user: aaa active group settings ssh-keys
user-manager: advanced attribute database limitation profile profile-limitation router session user user-profile
"""


class Ambiguous(enum.Enum):
    """A type of its own for "stands for several"."""

    AMBIGUOUS = "ambiguous"


@dataclass(eq=False, slots=True)
class Menu:
    """A menu; `known` is False for one that the tree has not. Built once, then only read."""

    path: MenuPath
    known: bool = True
    children: dict[str, Menu] = field(default_factory=dict)
    schema: Schema | None = None
    _found: dict[str, Menu | str | Ambiguous | None] = field(default_factory=dict)

    def resolve(self, word: str) -> Menu | str | Ambiguous | None:
        """The submenu or the command (spelt out) that `word` stands for here; None if it stands for nothing."""
        if word in self.children:
            return self.children[word]
        if word in _EXACT_COMMANDS:
            return word
        if word not in self._found and len(self._found) < _REMEMBERED:
            self._found[word] = self._abbreviated(word)
        return self._found[word] if word in self._found else self._abbreviated(word)

    def _abbreviated(self, word: str) -> Menu | str | Ambiguous | None:
        commands = () if self.path in _WITHOUT_ITEMS else COMMANDS
        found: list[Menu | str] = [self.children[name] for name in self.children if name.startswith(word)]
        found += [name for name in commands if name.startswith(word)]
        if len(found) > 1:
            return Ambiguous.AMBIGUOUS
        return found[0] if found else None


#: Menus that only hold other menus: `fi` in them can't be `find`.
_WITHOUT_ITEMS = frozenset((
    (), ("ip",), ("ipv6",), ("ip", "firewall"), ("ipv6", "firewall"), ("routing",), ("system",), ("tool",), ("ppp",),
    ("queue",),
))  # fmt: skip

_EXACT_COMMANDS = frozenset(COMMANDS) | OTHER_COMMANDS

#: Abbreviations that a menu remembers; a bound, since the words come from the file.
_REMEMBERED = 64


def _build() -> Menu:
    root = Menu(())
    for line in _TREE.strip().splitlines():
        path, _, children = line.partition(":")
        node = root
        for word in path.split():
            node = node.children[word]
        for name in children.split():
            node.children[name] = Menu((*node.path, name), schema=SCHEMAS.get((*node.path, name)))
    return root


ROOT = _build()


def menu_at(path: MenuPath) -> Menu | None:
    """The menu of a path that is spelt out, None if there is none."""
    node = ROOT
    for word in path:
        child = node.children.get(word)
        if child is None:
            return None
        node = child
    return node
