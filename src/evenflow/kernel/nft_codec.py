"""Verdicts and expressions of nf_tables as netlink attributes, there and back.

Format: Linux, include/uapi/linux/netfilter/nf_tables.h; what the kernel reads and lists: net/netfilter/nft_*.c.
`decode_expression(encode_expression(e)) == e`, also after the kernel has held it, for every expression that we write,
with one condition: in `Nat` and `Redir` a range of one (the same register as first and last) is written as None.
What the kernel holds beyond our classes decodes to `Unknown`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from evenflow.kernel.netlink import as_text, attribute, attributes, by_kind, nested, text
from evenflow.model.nft import (
    Act,
    Bitwise,
    Cmp,
    CmpOp,
    Counter,
    Ct,
    CtKey,
    CtSet,
    Expression,
    FibType,
    FlowOffload,
    Hash,
    Immediate,
    Log,
    Lookup,
    Masq,
    Meta,
    MetaKey,
    MetaSet,
    Nat,
    NumberGenerator,
    Payload,
    PayloadBase,
    Range,
    Redir,
    ToNetworkOrder,
    Unknown,
    Verdict,
    VerdictCode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LIST_ELEM: Final = 1
_EXPR_NAME: Final = 1
_EXPR_DATA: Final = 2
_DATA_VALUE: Final = 1
_DATA_VERDICT: Final = 2
_VERDICT_CODE: Final = 1
_VERDICT_CHAIN: Final = 2
_VERDICT_REGISTER: Final = 0
_FIRST_32BIT_REGISTER: Final = 8

# nft_fib_result, nft_fib_flags; NF_NAT_RANGE_* (nf_nat.h): the kernel sets both itself from the registers given.
_FIB_ADDRESS_TYPE: Final = 3
_FIB_OF_SOURCE: Final = 1
_FIB_OF_DESTINATION: Final = 2
_FIB_OUT_INTERFACE: Final = 16
# nft_ng_types; nft_byteorder_ops, and the length and size of a number of 32 bits.
_COUNTING: Final = 0
_RANDOM: Final = 1
_HTON: Final = 1
_WORD_BYTES: Final = 4
_NAT_RANGE_ADDRESSES: Final = 1
_NAT_RANGE_PORTS: Final = 2
# What the kernel lists for a log statement that names no level: KERN_WARNING.
_DEFAULT_LOG_LEVEL: Final = 4
_FAMILY_NUMBER: Final = {"ip": 2, "ip6": 10}
_FAMILY_NAME: Final = {number: name for name, number in _FAMILY_NUMBER.items()}


def number(kind: int, value: int) -> bytes:
    """An attribute with an unsigned number of 32 bits in network order, as nf_tables has all its numbers."""
    return attribute(kind, struct.pack("!I", value & 0xFFFF_FFFF))


def as_number(payload: bytes) -> int:
    """The number in an attribute, unsigned."""
    return int.from_bytes(payload)


def value(kind: int, data: bytes) -> bytes:
    """An attribute with a constant."""
    return nested(kind, attribute(_DATA_VALUE, data))


def as_value(payload: bytes) -> bytes:
    """The constant in an attribute.

    Raises:
        KeyError: it holds something else.
    """
    return by_kind(payload)[_DATA_VALUE]


def verdict(kind: int, what: Verdict) -> bytes:
    """An attribute with a verdict."""
    chain = text(_VERDICT_CHAIN, what.chain) if what.chain is not None else b""
    return nested(kind, nested(_DATA_VERDICT, number(_VERDICT_CODE, what.code.value), chain))


def as_verdict(payload: bytes) -> Verdict:
    """The verdict in an attribute.

    Raises:
        KeyError: it holds something else.
        ValueError: a verdict that we don't use, such as queueing.
    """
    held = by_kind(by_kind(payload)[_DATA_VERDICT])
    code = VerdictCode(struct.unpack("!i", held[_VERDICT_CODE])[0])
    return Verdict(code, as_text(held[_VERDICT_CHAIN]) if _VERDICT_CHAIN in held else None)


def _register(kind: int, slot: int) -> bytes:
    return number(kind, _FIRST_32BIT_REGISTER + slot)


def _slot(payload: bytes) -> int:
    """The kernel lists registers that are aligned to 16 bytes by their old numbers, 1 to 4."""
    register = as_number(payload)
    if 1 <= register <= 4:
        return (register - 1) * 4
    if register < _FIRST_32BIT_REGISTER:
        raise ValueError(register)
    return register - _FIRST_32BIT_REGISTER


# --- encoding --------------------------------------------------------------------------------------------------------


def _bitwise(e: Bitwise) -> bytes:
    registers = _register(1, e.source) + _register(2, e.to)
    return registers + number(3, len(e.mask)) + value(4, e.mask) + value(5, e.xor)


def _range(e: Range) -> bytes:
    return _register(1, e.source) + number(2, e.negated) + value(3, e.first) + value(4, e.last)


def _lookup(e: Lookup) -> bytes:
    verdicts = number(3, _VERDICT_REGISTER) if e.verdict else b""
    return text(1, e.set_name) + _register(2, e.source) + verdicts + number(5, e.negated)


def _hash(e: Hash) -> bytes:
    registers = _register(1, e.source) + _register(2, e.to)
    return registers + number(3, e.length_bytes) + number(4, e.modulus) + number(5, e.seed)


def _number_generator(e: NumberGenerator) -> bytes:
    return _register(1, e.to) + number(2, e.modulus) + number(3, _RANDOM if e.random else _COUNTING)


def _to_network_order(e: ToNetworkOrder) -> bytes:
    registers = _register(1, e.source) + _register(2, e.to)
    return registers + number(3, _HTON) + number(4, _WORD_BYTES) + number(5, _WORD_BYTES)


def _fib(e: FibType) -> bytes:
    of = _FIB_OF_SOURCE if e.of_source else _FIB_OF_DESTINATION
    of |= _FIB_OUT_INTERFACE if e.on_out_interface else 0
    return _register(1, e.to) + number(2, _FIB_ADDRESS_TYPE) + number(3, of)


def _range_of_registers(first_kind: int, first: int | None, last: int | None) -> bytes:
    if first is not None and first == last:
        raise ValueError("a range of one register is written with None as the last")
    registers = _register(first_kind, first) if first is not None else b""
    return registers + (_register(first_kind + 1, last) if last is not None else b"")


def _nat(e: Nat) -> bytes:
    kind = number(1, e.destination) + number(2, _FAMILY_NUMBER[e.family])
    addresses = _range_of_registers(3, e.address_min, e.address_max)
    return kind + addresses + _range_of_registers(5, e.port_min, e.port_max)


_ENCODERS: Final[Mapping[type, tuple[str, Callable[[Any], bytes]]]] = {
    Meta: ("meta", lambda e: _register(1, e.to) + number(2, e.key.value)),
    MetaSet: ("meta", lambda e: number(2, e.key.value) + _register(3, e.source)),
    Ct: ("ct", lambda e: _register(1, e.to) + number(2, e.key.value)),
    CtSet: ("ct", lambda e: number(2, e.key.value) + _register(4, e.source)),
    Payload: (
        "payload",
        lambda e: _register(1, e.to) + number(2, e.base.value) + number(3, e.offset_bytes) + number(4, e.length_bytes),
    ),
    Bitwise: ("bitwise", _bitwise),
    Cmp: ("cmp", lambda e: _register(1, e.source) + number(2, e.op.value) + value(3, e.data)),
    Range: ("range", _range),
    Lookup: ("lookup", _lookup),
    Hash: ("hash", _hash),
    NumberGenerator: ("numgen", _number_generator),
    ToNetworkOrder: ("byteorder", _to_network_order),
    FibType: ("fib", _fib),
    Immediate: ("immediate", lambda e: _register(1, e.to) + value(2, e.data)),
    Act: ("immediate", lambda e: number(1, _VERDICT_REGISTER) + verdict(2, e.verdict)),
    Masq: ("masq", lambda _: b""),
    Nat: ("nat", _nat),
    Redir: ("redir", lambda e: _range_of_registers(1, e.port_min, e.port_max)),
    Log: ("log", lambda e: text(2, e.prefix) if e.prefix else b""),
    Counter: ("counter", lambda _: b""),
    FlowOffload: ("flow_offload", lambda e: text(1, e.flowtable)),
    Unknown: ("", lambda e: e.data),
}


def encode_expression(expression: Expression) -> bytes:
    """An expression as an element of a rule's list of expressions."""
    name, encode = _ENCODERS[type(expression)]
    if isinstance(expression, Unknown):
        name = expression.name
    return nested(_LIST_ELEM, text(_EXPR_NAME, name), nested(_EXPR_DATA, encode(expression)))


# --- decoding --------------------------------------------------------------------------------------------------------
# A decoder raises KeyError or ValueError for what our classes can't say; `decode_expression` makes that Unknown.


def _only(held: Mapping[int, bytes], *known: int) -> None:
    if not held.keys() <= set(known):
        raise ValueError(held)


def _read_meta(held: Mapping[int, bytes]) -> Expression:
    _only(held, 1, 2, 3)
    key = MetaKey(as_number(held[2]))
    return Meta(key, _slot(held[1])) if 1 in held else MetaSet(key, _slot(held[3]))


def _read_ct(held: Mapping[int, bytes]) -> Expression:
    _only(held, 1, 2, 4)
    key = CtKey(as_number(held[2]))
    return Ct(key, _slot(held[1])) if 1 in held else CtSet(key, _slot(held[4]))


def _read_payload(held: Mapping[int, bytes]) -> Expression:
    _only(held, 1, 2, 3, 4)
    return Payload(PayloadBase(as_number(held[2])), as_number(held[3]), as_number(held[4]), _slot(held[1]))


def _read_bitwise(held: Mapping[int, bytes]) -> Expression:
    _only(held, 1, 2, 3, 4, 5, 6)
    if as_number(held.get(6, b"\0")):  # a shift, not mask and xor
        raise ValueError(held)
    return Bitwise(as_value(held[4]), as_value(held[5]), _slot(held[1]), _slot(held[2]))


def _read_cmp(held: Mapping[int, bytes]) -> Expression:
    return Cmp(CmpOp(as_number(held[2])), as_value(held[3]), _slot(held[1]))


def _read_range(held: Mapping[int, bytes]) -> Expression:
    return Range(as_value(held[3]), as_value(held[4]), bool(as_number(held[2])), _slot(held[1]))


def _read_lookup(held: Mapping[int, bytes]) -> Expression:
    if 3 in held and as_number(held[3]) != _VERDICT_REGISTER:
        raise ValueError(held)
    return Lookup(as_text(held[1]), _slot(held[2]), bool(as_number(held.get(5, b"\0"))), 3 in held)


def _read_hash(held: Mapping[int, bytes]) -> Expression:
    if as_number(held.get(6, b"\0")) or as_number(held.get(7, b"\0")):  # an offset, or a symmetric hash
        raise ValueError(held)
    return Hash(as_number(held[3]), as_number(held[4]), as_number(held[5]), _slot(held[1]), _slot(held[2]))


def _read_number_generator(held: Mapping[int, bytes]) -> Expression:
    if as_number(held.get(4, b"\0")):  # an offset
        raise ValueError(held)
    return NumberGenerator(as_number(held[2]), bool((_COUNTING, _RANDOM).index(as_number(held[3]))), _slot(held[1]))


def _read_to_network_order(held: Mapping[int, bytes]) -> Expression:
    if (as_number(held[3]), as_number(held[4]), as_number(held[5])) != (_HTON, _WORD_BYTES, _WORD_BYTES):
        raise ValueError(held)
    return ToNetworkOrder(_slot(held[1]), _slot(held[2]))


def _read_fib(held: Mapping[int, bytes]) -> Expression:
    flags = as_number(held[3])
    of = flags & ~_FIB_OUT_INTERFACE
    if as_number(held[2]) != _FIB_ADDRESS_TYPE or of not in (_FIB_OF_SOURCE, _FIB_OF_DESTINATION):
        raise ValueError(held)
    return FibType(of == _FIB_OF_SOURCE, _slot(held[1]), of != flags)


def _read_immediate(held: Mapping[int, bytes]) -> Expression:
    if as_number(held[1]) == _VERDICT_REGISTER:
        return Act(as_verdict(held[2]))
    return Immediate(as_value(held[2]), _slot(held[1]))


def _read_masq(held: Mapping[int, bytes]) -> Expression:
    _only(held)
    return Masq()


def _first(held: Mapping[int, bytes], kind: int) -> int | None:
    return _slot(held[kind]) if kind in held else None


def _last(held: Mapping[int, bytes], first_kind: int) -> int | None:
    """The last register of a range; the kernel repeats the first where none was given."""
    last = _first(held, first_kind + 1)
    return None if last == _first(held, first_kind) else last


def _implied_flags(held: Mapping[int, bytes], addresses: int | None, ports: int) -> int:
    implied = _NAT_RANGE_ADDRESSES if addresses in held else 0
    return implied | (_NAT_RANGE_PORTS if ports in held else 0)


def _read_nat(held: Mapping[int, bytes]) -> Expression:
    if as_number(held.get(7, b"\0")) & ~_implied_flags(held, 3, 5):
        raise ValueError(held)
    family = _FAMILY_NAME[as_number(held[2])]
    destination = bool(as_number(held[1]))
    return Nat(destination, family, _first(held, 3), _last(held, 3), _first(held, 5), _last(held, 5))


def _read_redir(held: Mapping[int, bytes]) -> Expression:
    if as_number(held.get(3, b"\0")) & ~_implied_flags(held, None, 1):
        raise ValueError(held)
    return Redir(_first(held, 1), _last(held, 1))


def _read_log(held: Mapping[int, bytes]) -> Expression:
    _only(held, 2, 5, 6)
    if as_number(held.get(5, b"\4")) != _DEFAULT_LOG_LEVEL or as_number(held.get(6, b"\0")):
        raise ValueError(held)
    return Log(as_text(held.get(2, b"")))


_DECODERS: Final[Mapping[str, Callable[[Mapping[int, bytes]], Expression]]] = {
    "meta": _read_meta,
    "ct": _read_ct,
    "payload": _read_payload,
    "bitwise": _read_bitwise,
    "cmp": _read_cmp,
    "range": _read_range,
    "lookup": _read_lookup,
    "hash": _read_hash,
    "numgen": _read_number_generator,
    "byteorder": _read_to_network_order,
    "fib": _read_fib,
    "immediate": _read_immediate,
    "masq": _read_masq,
    "nat": _read_nat,
    "redir": _read_redir,
    "log": _read_log,
    "counter": lambda _: Counter(),
    "flow_offload": lambda held: FlowOffload(as_text(held[1])),
}


def decode_expression(payload: bytes) -> Expression:
    """One element of a rule's list of expressions; `Unknown` if we never write such a one."""
    held = by_kind(payload)
    name, data = as_text(held[_EXPR_NAME]), held.get(_EXPR_DATA, b"")
    try:
        return _DECODERS[name](by_kind(data))
    except (KeyError, ValueError, struct.error):
        return Unknown(name, data)


def decode_expressions(payload: bytes) -> tuple[Expression, ...]:
    """A rule's list of expressions."""
    return tuple(decode_expression(item) for kind, item in attributes(payload) if kind == _LIST_ELEM)
