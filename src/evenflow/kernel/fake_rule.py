"""Whether the kernel would take a rule's expressions: registers, lengths, and the chains that NAT may stand in.

The kernel follows which registers hold something (since 5.18) and refuses an expression that reads one that does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from evenflow.model.nft import (
    Bitwise,
    Cmp,
    Ct,
    CtKey,
    CtSet,
    FibType,
    FlowOffload,
    Hash,
    Immediate,
    Lookup,
    Masq,
    Meta,
    MetaKey,
    MetaSet,
    Nat,
    NumberGenerator,
    Payload,
    Range,
    Redir,
    ToNetworkOrder,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.nft import Expression, Hook, NftRule

_SLOTS: Final = 16
_SLOT_BYTES: Final = 4
#: sizeof(struct nft_data): the longest constant in an expression.
_CONSTANT_BYTES: Final = 16

_META_BYTES: Final = {
    MetaKey.MARK: 4,
    MetaKey.IIFNAME: 16,
    MetaKey.OIFNAME: 16,
    MetaKey.NFPROTO: 1,
    MetaKey.L4PROTO: 1,
    MetaKey.IIFTYPE: 2,
}
_CT_BYTES: Final = {CtKey.STATE: 4, CtKey.STATUS: 4, CtKey.MARK: 4}
_ADDRESS_BYTES: Final = {"ip": 4, "ip6": 16}

_DESTINATION_NAT_HOOKS: Final = frozenset({"prerouting", "output"})
_SOURCE_NAT_HOOKS: Final = frozenset({"postrouting", "input"})


def check_rule(rule: NftRule, hook: Hook | None) -> str:
    """Why the kernel would refuse the rule in a chain with that hook; "" when it would not."""
    held: set[int] = set()
    for expression in rule.expressions:
        for start, length_bytes in _reads(expression):
            if not _slots(start, length_bytes) <= held:
                return f"{expression} reads a register that holds nothing"
        if any(not 1 <= len(data) <= _CONSTANT_BYTES for data in _constants(expression)):
            return f"a constant in {expression} is empty or too long"
        if isinstance(expression, Bitwise) and (reason := _check_bitwise(expression)):
            return f"{reason} in {expression}"
        if isinstance(expression, Hash) and (expression.modulus < 1 or expression.length_bytes < 1):
            return f"{expression} can't be"
        if isinstance(expression, NumberGenerator) and expression.modulus < 1:
            return f"{expression} can't be"
        if hook and not _may_stand(expression, hook):
            return f"{expression} can't be in a chain of type {hook.chain_type} at {hook.hook}"
        writes = _writes(expression)
        if not all(0 <= slot < _SLOTS for slot in writes):
            return f"{expression} writes beyond the registers"
        held |= writes
    return ""


def _check_bitwise(expression: Bitwise) -> str:
    if len(expression.mask) != len(expression.xor):
        return "mask and xor differ in length"
    length_bytes = len(expression.mask)
    reads, writes = _slots(expression.source, length_bytes), _slots(expression.to, length_bytes)
    return "source and target overlap" if reads != writes and reads & writes else ""


def _slots(start: int, length_bytes: int) -> set[int]:
    return set(range(start, start + -(-length_bytes // _SLOT_BYTES)))


def _writes(expression: Expression) -> set[int]:
    match expression:
        case Meta(key, to):
            return _slots(to, _META_BYTES[key])
        case Ct(key, to):
            return _slots(to, _CT_BYTES[key])
        case Payload():
            return _slots(expression.to, expression.length_bytes)
        case Bitwise():
            return _slots(expression.to, len(expression.mask))
        case Hash() | FibType() | NumberGenerator() | ToNetworkOrder():
            return _slots(expression.to, 4)
        case Immediate(data, to):
            return _slots(to, len(data))
        case _:
            return set()


def _reads(expression: Expression) -> Iterable[tuple[int, int]]:
    """Start and length in bytes of what it reads. How much a lookup reads depends on the set: at least one slot."""
    match expression:
        case MetaSet(key, source):
            return ((source, _META_BYTES[key]),)
        case CtSet(key, source):
            return ((source, _CT_BYTES[key]),)
        case Bitwise():
            return ((expression.source, len(expression.mask)),)
        case Cmp():
            return ((expression.source, len(expression.data)),)
        case Range():
            return ((expression.source, len(expression.first)),)
        case Lookup():
            return ((expression.source, 1),)
        case Hash():
            return ((expression.source, expression.length_bytes),)
        case ToNetworkOrder():
            return ((expression.source, 4),)
        case Nat():
            addresses = (expression.address_min, expression.address_max)
            ports = (expression.port_min, expression.port_max)
            length_bytes = _ADDRESS_BYTES[expression.family]
            return _given(addresses, length_bytes) + _given(ports, 2)
        case Redir():
            return _given((expression.port_min, expression.port_max), 2)
        case _:
            return ()


def _given(registers: Iterable[int | None], length_bytes: int) -> tuple[tuple[int, int], ...]:
    return tuple((register, length_bytes) for register in registers if register is not None)


def _constants(expression: Expression) -> tuple[bytes, ...]:
    match expression:
        case Bitwise():
            return (expression.mask, expression.xor)
        case Cmp() | Immediate():
            return (expression.data,)
        case Range():
            return (expression.first, expression.last)
        case _:
            return ()


def _may_stand(expression: Expression, hook: Hook) -> bool:
    match expression:
        case Masq():
            return hook.chain_type == "nat" and hook.hook == "postrouting"
        case Nat():
            hooks = _DESTINATION_NAT_HOOKS if expression.destination else _SOURCE_NAT_HOOKS
            return hook.chain_type == "nat" and hook.hook in hooks
        case Redir():
            return hook.chain_type == "nat" and hook.hook in _DESTINATION_NAT_HOOKS
        case FlowOffload():
            return hook.hook == "forward"
        case _:
            return True
