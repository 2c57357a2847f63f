"""Expressions as bytes, there and back, and those that we never write."""

from __future__ import annotations

import struct

import pytest

from evenflow.kernel.netlink import NLA_F_NESTED, attribute, by_kind, nested, text
from evenflow.kernel.nft_codec import as_verdict, decode_expression, decode_expressions, encode_expression, verdict
from evenflow.model.nft import (
    ACCEPT,
    DROP,
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
    goto,
    jump,
)

MARK = struct.pack("=I", 0x1234)

ALL: tuple[Expression, ...] = (
    *(Meta(key, slot) for key in MetaKey for slot in range(16)),
    *(Ct(key, slot) for key in CtKey for slot in range(16)),
    MetaSet(MetaKey.MARK, 3),
    CtSet(CtKey.MARK, 5),
    Payload(PayloadBase.NETWORK, 12, 8, 2),
    Bitwise(b"\xff\xff\0\0", b"\0\0\1\0", 1, 6),
    *(Cmp(op, MARK, 7) for op in CmpOp),
    Range(b"\0\1", b"\0\7", negated=True, source=9),
    Lookup("owners", 11, negated=False, verdict=True),
    Lookup("lans", 0, negated=True),
    Hash(12, 4096, 0, 0, 15),
    NumberGenerator(3, to=2),
    NumberGenerator(100, random=True),
    ToNetworkOrder(7, 8),
    FibType(of_source=True, to=4),
    FibType(of_source=False),
    FibType(of_source=True, on_out_interface=True),
    Immediate(MARK, 13),
    Act(ACCEPT),
    Act(DROP),
    Act(jump("wan")),
    Act(goto("wan")),
    Masq(),
    Nat(False, "ip", 0, 1, 2, 3),
    Nat(True, "ip6", 4, None, 8),
    Redir(),
    Redir(1, 2),
    Log("seen: "),
    Log(""),
    Counter(),
    Unknown("limit", attribute(1, b"12345678")),
)


def item(name: str, *parts: bytes) -> bytes:
    """An expression as the kernel lists it."""
    return text(1, name) + nested(2, *parts)


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value))


@pytest.mark.parametrize("expression", ALL, ids=str)
def test_expressions_come_back(expression: Expression) -> None:
    encoded = encode_expression(expression)
    assert decode_expression(by_kind(encoded)[1]) == expression


def test_a_list_of_expressions_comes_back_in_order() -> None:
    assert decode_expressions(b"".join(map(encode_expression, ALL))) == ALL


def test_the_bytes_are_the_kernels() -> None:
    """Written out by hand from the header nf_tables.h: `meta mark` into the second register of 4 bytes."""
    name = struct.pack("=HH", 9, 1) + b"meta\0\0\0\0"
    data = struct.pack("=HH", 8, 1) + b"\0\0\0\x09" + struct.pack("=HH", 8, 2) + b"\0\0\0\x03"
    both = name + struct.pack("=HH", 20, 2 | NLA_F_NESTED) + data
    assert encode_expression(Meta(MetaKey.MARK, 1)) == struct.pack("=HH", 36, 1 | NLA_F_NESTED) + both


@pytest.mark.parametrize(("old", "slot"), [(1, 0), (2, 4), (3, 8), (4, 12), (8, 0), (9, 1), (23, 15)])
def test_registers_of_both_kinds_are_understood(old: int, slot: int) -> None:
    assert decode_expression(item("meta", u32(1, old), u32(2, 3))) == Meta(MetaKey.MARK, slot)


@pytest.mark.parametrize(
    "listed",
    [
        item("limit", u32(1, 1)),
        item("meta", u32(1, 8), u32(2, 10)),  # a key that we don't use
        item("meta", u32(1, 0), u32(2, 3)),  # into the verdict register
        item("ct", u32(1, 8), u32(2, 3), u32(3, 0)),  # with a direction
        item("bitwise", u32(1, 8), u32(2, 8), u32(3, 4), u32(6, 1), attribute(7, bytes(4))),  # a shift
        item("hash", u32(1, 8), u32(2, 8), u32(3, 4), u32(4, 7), u32(5, 1), u32(6, 100)),  # with an offset
        item("hash", u32(1, 8), u32(2, 8), u32(3, 4), u32(4, 7)),  # with a seed of the kernel's
        item("hash", u32(2, 8), u32(4, 7), u32(7, 1)),  # symmetric
        item("numgen", u32(1, 8), u32(2, 4), u32(3, 0), u32(4, 7)),  # with an offset
        item("numgen", u32(1, 8), u32(2, 4), u32(3, 2)),  # of another type
        item("byteorder", u32(1, 8), u32(2, 8), u32(3, 0), u32(4, 4), u32(5, 4)),  # to host order
        item("byteorder", u32(1, 8), u32(2, 8), u32(3, 1), u32(4, 2), u32(5, 2)),  # of 16 bits
        item("lookup", text(1, "data"), u32(2, 8), u32(3, 8)),  # in a map of data
        item("fib", u32(1, 8), u32(2, 3), u32(3, 10)),  # restricted to an interface
        item("fib", u32(1, 8), u32(2, 1), u32(3, 1)),  # the interface, not the type
        item("masq", u32(1, 4)),  # with flags
        item("nat", u32(1, 0), u32(2, 2), u32(3, 8), u32(7, 1 | 4)),  # random ports
        item("redir", u32(3, 4)),
        item("log", text(2, "x"), u32(5, 7)),  # another level
        item("log", attribute(1, b"\0\1"), text(2, "x")),  # to a group
        item("immediate", u32(1, 0), nested(2, nested(2, u32(1, 3)))),  # queue
        item("cmp", u32(1, 8), u32(2, 99), nested(3, attribute(1, MARK))),
        text(1, "notrack"),
    ],
)
def test_what_we_never_write_is_unknown(listed: bytes) -> None:
    found = decode_expression(listed)
    assert isinstance(found, Unknown)
    assert found not in ALL
    # It is written back as it was.
    assert decode_expression(by_kind(encode_expression(found))[1]) == found


def test_flags_that_the_kernel_adds_itself_are_no_difference() -> None:
    listed = item("nat", u32(1, 1), u32(2, 2), u32(3, 1), u32(4, 1), u32(5, 9), u32(6, 9), u32(7, 3))
    assert decode_expression(listed) == Nat(True, "ip", 0, None, 1)
    assert decode_expression(item("redir", u32(1, 9), u32(2, 9), u32(3, 2))) == Redir(1)


@pytest.mark.parametrize("expression", [Nat(True, "ip", 0, 0), Nat(True, "ip", 0, None, 4, 4), Redir(2, 2)])
def test_a_range_of_one_register_is_written_one_way_only(expression: Expression) -> None:
    with pytest.raises(ValueError, match="None"):
        encode_expression(expression)


@pytest.mark.parametrize("code", list(VerdictCode))
def test_verdicts_come_back(code: VerdictCode) -> None:
    for what in (Verdict(code), Verdict(code, "wan")):
        assert as_verdict(by_kind(verdict(2, what))[2]) == what
