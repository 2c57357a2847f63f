"""The NAT list as nf_tables chains: the first rule that matches decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.compile.conditions import COMPARED, Conditions, ifname, of_family
from evenflow.core.compile.names import rule_comment
from evenflow.core.draws import counting, without_counting
from evenflow.model.flow import BOTH_FAMILIES, Family
from evenflow.model.matcher import OutInterface
from evenflow.model.nft import (
    ACCEPT,
    Act,
    Hook,
    Immediate,
    KeyType,
    Lookup,
    Masq,
    Meta,
    MetaKey,
    Nat,
    NftChain,
    NftRule,
    NftSet,
    Redir,
    SetElement,
    jump,
)
from evenflow.model.router import AcceptAction, DestinationNat, Masquerade, Redirect, SourceNat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.core.compile.conditions import Sets
    from evenflow.core.compile.effects import Chains
    from evenflow.core.matching import Surroundings
    from evenflow.core.numbering import Numbers
    from evenflow.model.matcher import AddressRange, Matcher
    from evenflow.model.nft import Expression
    from evenflow.model.router import NatRule

#: Linux's own priorities for NAT (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC); others' chains there run in their turn.
_HOOKS = {"dstnat": Hook("nat", "prerouting", -100), "srcnat": Hook("nat", "postrouting", 100)}

#: Registers for ports: behind two IPv6 addresses.
_PORT_MIN, _PORT_MAX = 8, 9


def compile_nat(around: Surroundings, numbers: Numbers, sets: Sets, chains: Chains) -> None:
    """Add the chains of the NAT list of `around.router`."""
    translators = {family: Conditions(family, around, numbers, sets) for family in BOTH_FAMILIES}
    for name, hook in _HOOKS.items():
        made: list[NftRule] = []
        for run in _runs([rule for rule in around.router.nat if rule.chain == name]):
            if len(run) > COMPARED:
                made += _by_interface(run, translators, sets, f"{name}/{len(made)}")
                continue
            for rule in run:
                made += _nat_rules(rule, translators, chains, f"{name}/{len(made)}")
        if made:
            chains.add(NftChain(name, tuple(made), hook))


def _runs(rules: Sequence[NatRule]) -> list[list[NatRule]]:
    """Neighbours that masquerade alike by different interfaces, together: a new connection looks once for all."""
    runs: list[list[NatRule]] = []
    for rule in rules:
        if runs and _is_like(rule, runs[-1][0]):
            runs[-1].append(rule)
        else:
            runs.append([rule])
    return runs


def _is_like(rule: NatRule, other: NatRule) -> bool:
    if not (isinstance(rule.action, Masquerade) and isinstance(other.action, Masquerade)):
        return False
    if len(_out_interfaces(rule)) != 1 or len(_out_interfaces(other)) != 1 or counting(rule) or counting(other):
        return False
    return (_without_interface(rule), rule.families) == (_without_interface(other), other.families)


def _out_interfaces(rule: NatRule) -> list[OutInterface]:
    return [matcher for matcher in rule.matchers if isinstance(matcher, OutInterface) and not matcher.negated]


def _without_interface(rule: NatRule) -> tuple[Matcher, ...]:
    (interface,) = _out_interfaces(rule)
    return tuple(matcher for matcher in rule.matchers if matcher != interface)


def _by_interface(
    run: Sequence[NatRule], translators: dict[Family, Conditions], sets: Sets, name: str
) -> Iterator[NftRule]:
    """The rules of a run as one, with a set of their interfaces."""
    elements = frozenset(SetElement(ifname(one.interface)) for rule in run for one in _out_interfaces(rule))
    held = sets.named(NftSet(f"out/{name}", KeyType.IFNAME, elements))
    comment = ", ".join(rule.comment for rule in run if rule.comment)
    whole = replace(run[0], matchers=_without_interface(run[0]), comment=comment)
    return _alternatives(whole, translators, (Meta(MetaKey.OIFNAME), Lookup(held), Masq()))


def _nat_rules(rule: NatRule, translators: dict[Family, Conditions], chains: Chains, name: str) -> list[NftRule]:
    """A rule; where packets come to its counter by several alternatives, that has a chain of its own."""
    made = list(_alternatives(rule, translators))
    if len(made) < 2 or not counting(rule):
        return made
    counted = replace(rule, matchers=counting(rule))
    one = chains.add(NftChain(f"{name}/counted", tuple(_alternatives(counted, translators))))
    return list(_alternatives(replace(rule, matchers=without_counting(rule)), translators, (Act(jump(one)),)))


def _alternatives(
    rule: NatRule, translators: dict[Family, Conditions], instead: tuple[Expression, ...] | None = None
) -> Iterator[NftRule]:
    """The rules of the kernel's, no two of which take the same packet; with `instead`, they do that."""
    by_family = {family: translators[family].all_of(rule.matchers) for family in rule.families}
    neutral = isinstance(rule.action, Masquerade | Redirect | AcceptAction)
    if len(by_family) > 1 and neutral and len(set(by_family.values())) == 1:
        for condition in next(iter(by_family.values())):
            yield NftRule((*condition, *(instead or _does(rule, None))), rule_comment(rule.comment))
        return
    for family, alternatives in by_family.items():
        for condition in alternatives:
            does = instead or _does(rule, family)
            yield NftRule((*of_family(family), *condition, *does), rule_comment(rule.comment))


def _does(rule: NatRule, family: Family | None) -> tuple[Expression, ...]:
    match rule.action:
        case Masquerade():
            return (Masq(),)
        case AcceptAction():
            return (Act(ACCEPT),)
        case Redirect(to_ports):
            ports = _ports(to_ports)
            return (*ports.loads, Redir(ports.first, ports.last))
        case SourceNat(to):
            return _translate(to, None, family, destination=False)
        case DestinationNat(to, to_ports):
            return _translate(to, to_ports, family, destination=True)
        case _:
            raise TypeError(rule.action)


@dataclass(frozen=True, slots=True)
class _Registers:
    """A range in registers: `last` is None where it is one value, as the kernel has it."""

    loads: tuple[Expression, ...] = ()
    first: int | None = None
    last: int | None = None


def _load(first: bytes, last: bytes, at: int, behind: int) -> _Registers:
    if first == last:
        return _Registers((Immediate(first, at),), at)
    return _Registers((Immediate(first, at), Immediate(last, behind)), at, behind)


def _ports(ports: tuple[int, int] | None) -> _Registers:
    if ports is None:
        return _Registers()
    return _load(ports[0].to_bytes(2, "big"), ports[1].to_bytes(2, "big"), _PORT_MIN, _PORT_MAX)


def _translate(
    to: AddressRange | None, to_ports: tuple[int, int] | None, family: Family | None, *, destination: bool
) -> tuple[Expression, ...]:
    assert family is not None
    addresses = _load(to.first.packed, to.last.packed, 0, family.address_bits // 32) if to else _Registers()
    ports = _ports(to_ports)
    nat = Nat(destination, family.value, addresses.first, addresses.last, ports.first, ports.last)
    return (*addresses.loads, *ports.loads, nat)
