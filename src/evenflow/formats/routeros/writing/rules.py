"""Mangle and NAT rules as commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.rule_words import NO_MARK, condition
from evenflow.formats.routeros.writing.words import Command, range_text
from evenflow.model.flow import Family
from evenflow.model.router import (
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

    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleAction, MangleRule, NatAction, NatRule

_BASE = {Family.IPV4: "ip", Family.IPV6: "ipv6"}


def mangle_commands(rules: Iterable[MangleRule]) -> list[Command]:
    """One command for each rule, which is of one family."""
    return [
        Command(
            (_BASE[rule.families[0]], "firewall", "mangle"),
            (
                ("chain", rule.chain),
                *_mangle_action(rule.action),
                *_conditions(rule.matchers),
                ("comment", rule.comment),
            ),
        )
        for rule in rules
    ]


def nat_commands(rules: Iterable[NatRule]) -> list[Command]:
    """One command for each rule, which is of one family."""
    return [
        Command(
            (_BASE[rule.families[0]], "firewall", "nat"),
            (
                ("chain", rule.chain),
                *_nat_action(rule.action, rule.families[0]),
                *_conditions(rule.matchers),
                ("comment", rule.comment),
            ),
        )
        for rule in rules
    ]


def _conditions(matchers: Iterable[Matcher]) -> list[tuple[str, str]]:
    found = []
    for matcher in matchers:
        name, _, value = condition(matcher).partition("=")
        found.append((name, value))
    return found


def _mangle_action(action: MangleAction) -> list[tuple[str, str]]:
    match action:
        case MarkAction(kind, mark, passthrough):
            return [
                ("action", f"mark-{kind.value}"),
                (f"new-{kind.value}-mark", mark or NO_MARK),
                ("passthrough", "yes" if passthrough else "no"),
            ]
        case JumpAction(chain):
            return [("action", "jump"), ("jump-target", chain)]
        case AcceptAction():
            return [("action", "accept")]
        case ReturnAction():
            return [("action", "return")]
        case PassthroughAction(None):
            return [("action", "passthrough")]
        case PassthroughAction(prefix):
            return [("action", "log"), ("log-prefix", prefix or "")]
        case SpreadAction():
            raise ValueError("a spread has to be unfolded before it is written")


def _nat_action(action: NatAction, family: Family) -> list[tuple[str, str]]:
    # RouterOS calls it otherwise for IPv6.
    to_address = "to-addresses" if family is Family.IPV4 else "to-address"
    match action:
        case Masquerade():
            return [("action", "masquerade")]
        case AcceptAction():
            return [("action", "accept")]
        case SourceNat(to):
            return [("action", "src-nat"), (to_address, range_text(to))]
        case DestinationNat(to, ports):
            return [("action", "dst-nat"), (to_address, range_text(to) if to else ""), ("to-ports", _ports(ports))]
        case Redirect(ports):
            return [("action", "redirect"), ("to-ports", _ports(ports))]


def _ports(ports: tuple[int, int] | None) -> str:
    if ports is None:
        return ""
    first, last = ports
    return str(first) if first == last else f"{first}-{last}"
