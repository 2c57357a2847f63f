"""Mangle and NAT rules in RouterOS's words, whichever front end they came from."""

from __future__ import annotations

from ipaddress import summarize_address_range
from typing import TYPE_CHECKING

from evenflow.model.matcher import (
    AddressListMatch,
    AddressMatch,
    AddressTypeMatch,
    Direction,
    InInterface,
    InInterfaceList,
    MarkMatch,
    NthMatch,
    OutInterface,
    OutInterfaceList,
    PccMatch,
    PortMatch,
    ProtocolMatch,
    RandomMatch,
    SourceMacMatch,
    StateMatch,
    UnsupportedMatch,
)
from evenflow.model.protocols import protocol_name
from evenflow.model.router import (
    INTERFACE_GROUPS,
    AcceptAction,
    DestinationNat,
    JumpAction,
    MarkAction,
    Masquerade,
    PassthroughAction,
    Redirect,
    ReturnAction,
    SourceNat,
    SpreadAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import Enum

    from evenflow.model.matcher import AddressRange, Matcher
    from evenflow.model.router import MangleAction, MangleRule, NatAction, NatRule

NO_MARK = "no-mark"


def condition(matcher: Matcher) -> str:
    """A condition as a rule of a script has it: `in-interface=!ether1`."""
    return f"{property_of(matcher)}={'!' if matcher.negated else ''}{_value(matcher)}"


def conditions(rule: MangleRule | NatRule) -> str:
    """All conditions of a rule; "" when it takes every packet."""
    return " ".join(condition(matcher) for matcher in rule.matchers)


def action(doing: MangleAction | NatAction) -> str:
    """What a rule does: `mark-connection isp1_conn`."""
    match doing:
        case MarkAction():
            goes_on = "" if doing.passthrough else " passthrough=no"
            return f"mark-{doing.kind.value} {doing.mark or NO_MARK}{goes_on}"
        case SpreadAction():
            return f"spread over {len(doing.owners):,} {'buckets' if doing.pool else 'streams'}"
        case JumpAction(chain):
            return f"jump to {chain}"
        case SourceNat(to):
            return f"src-nat to {_range(to)}"
        case DestinationNat(to, ports):
            return f"dst-nat to {_range(to) if to else 'the same address'}{_to_ports(ports)}"
        case Redirect(ports):
            return f"redirect{_to_ports(ports)}"
        case PassthroughAction(None):
            return "passthrough"
        case PassthroughAction(prefix):
            return f"log {prefix}".rstrip()
        case AcceptAction():
            return "accept"
        case ReturnAction():
            return "return"
        case Masquerade():
            return "masquerade"


def property_of(matcher: Matcher) -> str:
    """The property of a rule that a condition stands in: `in-interface`."""
    match matcher:
        case MarkMatch():
            return f"{matcher.kind.value}-mark"
        case PortMatch():
            return "port" if matcher.direction is Direction.EITHER else f"{matcher.direction.value}-port"
        case AddressMatch():
            return f"{matcher.direction.value}-address"
        case AddressListMatch():
            return f"{matcher.direction.value}-address-list"
        case AddressTypeMatch():
            return f"{matcher.direction.value}-address-type"
        case UnsupportedMatch():
            return matcher.property
        case InInterfaceList(name) if name in INTERFACE_GROUPS:
            return "in-interface"
        case OutInterfaceList(name) if name in INTERFACE_GROUPS:
            return "out-interface"
        case _:
            return _PLAIN[type(matcher)]


_PLAIN: dict[type, str] = {
    InInterface: "in-interface",
    OutInterface: "out-interface",
    InInterfaceList: "in-interface-list",
    OutInterfaceList: "out-interface-list",
    ProtocolMatch: "protocol",
    StateMatch: "connection-state",
    SourceMacMatch: "src-mac-address",
    PccMatch: "per-connection-classifier",
    NthMatch: "nth",
    RandomMatch: "random",
}


def _value(matcher: Matcher) -> str:
    match matcher:
        case MarkMatch():
            return matcher.mark or NO_MARK
        case InInterface() | OutInterface():
            return matcher.interface
        case InInterfaceList() | OutInterfaceList() | AddressListMatch():
            return matcher.list_name
        case AddressMatch():
            return _range(matcher.addresses)
        case AddressTypeMatch(_, words) | StateMatch(words):
            return _words(words)
        case ProtocolMatch():
            return protocol_name(matcher.protocol)
        case PortMatch():
            return ",".join(_span(*ports) for ports in matcher.ranges)
        case SourceMacMatch():
            return matcher.mac.hex(":").upper()
        case NthMatch():
            return f"{matcher.every},{matcher.packet}"
        case RandomMatch():
            return str(matcher.percent)
        case UnsupportedMatch():
            return matcher.value
        case PccMatch():
            return f"{matcher.classifier.value}:{matcher.denominator}/{matcher.remainder}"


def _words(values: Iterable[Enum]) -> str:
    return ",".join(sorted(value.value for value in values))


def _range(addresses: AddressRange) -> str:
    """One address, a network, or `first-last`."""
    if addresses.first == addresses.last:
        return str(addresses.first)
    networks = list(summarize_address_range(addresses.first, addresses.last))
    return str(networks[0]) if len(networks) == 1 else f"{addresses.first}-{addresses.last}"


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _to_ports(ports: tuple[int, int] | None) -> str:
    return f" port {_span(*ports)}" if ports else ""
