"""What is put into our nft table is read back as the same value, and what can't be is refused, all of it."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from contract.worlds import LinuxWorld, need_large_sends
from evenflow.errors import NotSupportedError, SystemRefusedError
from evenflow.model.dataplane import NftTransaction
from evenflow.model.nft import (
    ACCEPT,
    DROP,
    RETURN,
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
    Hook,
    Immediate,
    KeyType,
    Log,
    Lookup,
    Masq,
    Meta,
    MetaKey,
    MetaSet,
    Nat,
    NftChain,
    NftRule,
    NftSet,
    NftTable,
    NumberGenerator,
    Payload,
    PayloadBase,
    Range,
    Redir,
    SetElement,
    ToNetworkOrder,
    goto,
    jump,
)
from evenflow.model.transaction import (
    AddChain,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
    NftOperation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.worlds import World

PREROUTING = Hook("filter", "prerouting", -150)
SOURCE_NAT = Hook("nat", "postrouting", 100)
DESTINATION_NAT = Hook("nat", "prerouting", -100)
ETH0 = b"eth0".ljust(16, b"\0")
TCP_ONLY = (Meta(MetaKey.L4PROTO), Cmp(CmpOp.EQ, b"\x06"))


def mark(number: int) -> bytes:
    return struct.pack("=I", number)


def do(world: World, *operations: NftOperation) -> None:
    world.kernel.execute(NftTransaction(operations))


def table(world: World) -> NftTable | None:
    return world.kernel.read_dataplane().table


def the_table(world: World) -> NftTable:
    found = table(world)
    assert found is not None
    return found


def elements_of(world: World, name: str) -> frozenset[SetElement]:
    return the_table(world).sets[name].elements


RULES: Sequence[tuple[Expression, ...]] = (
    *((Meta(key, slot),) for key in MetaKey for slot in (0, 1, 4, 12)),
    *((Ct(key, slot),) for key in CtKey for slot in (0, 1, 2, 3, 4, 5, 8, 12, 15)),
    (Immediate(mark(0x11223344), 2), MetaSet(MetaKey.MARK, 2)),
    (Immediate(mark(0x11223344), 8), CtSet(CtKey.MARK, 8)),
    *((Immediate(bytes(range(length)), 4),) for length in range(1, 17)),
    *((Payload(base, 0, 6, 3),) for base in PayloadBase),
    (Payload(PayloadBase.NETWORK, 12, 4), Payload(PayloadBase.NETWORK, 16, 4, 1), Hash(8, 4096, 0xDEADBEEF, 0, 5)),
    (Payload(PayloadBase.NETWORK, 8, 16), Payload(PayloadBase.NETWORK, 24, 16, 4), Hash(32, 1, 0, 0, 15)),
    (NumberGenerator(3), Cmp(CmpOp.EQ, mark(2))),
    (NumberGenerator(1, to=15), NumberGenerator(0xFFFF_FFFF, to=1)),
    (NumberGenerator(100, random=True, to=4), ToNetworkOrder(4, 8), Cmp(CmpOp.LT, b"\0\0\0\x25", 8)),
    (Meta(MetaKey.MARK), Bitwise(mark(0xFFFF), mark(0), 0, 0)),
    (Meta(MetaKey.MARK, 2), Bitwise(mark(0xFFFF0000), mark(0x1234), 2, 7)),
    (Payload(PayloadBase.NETWORK, 8, 16), Bitwise(b"\xff" * 8 + bytes(8), bytes(15) + b"\x01")),
    (Payload(PayloadBase.NETWORK, 9, 1, 1), Bitwise(b"\x0f", b"\x00", 1, 1)),
    (Payload(PayloadBase.TRANSPORT, 0, 2, 1), Bitwise(b"\x0f\xf0", b"\x00\x01", 1, 2)),
    *((Meta(MetaKey.MARK, 3), Cmp(op, mark(7), 3)) for op in CmpOp),
    *((Meta(MetaKey.IIFNAME), Cmp(op, ETH0[:length])) for op in (CmpOp.EQ, CmpOp.NEQ) for length in range(1, 17)),
    (Payload(PayloadBase.TRANSPORT, 2, 2, 9), Range(b"\x00\x50", b"\x00\x60", negated=False, source=9)),
    (Payload(PayloadBase.NETWORK, 8, 16), Range(bytes(16), b"\x01" * 16, negated=True)),
    (FibType(of_source=True), FibType(of_source=False, to=6)),
    *((Act(verdict),) for verdict in (ACCEPT, DROP, RETURN)),
    (Act(jump("other")),),
    (Act(goto("other")),),
    (Meta(MetaKey.MARK), Lookup("marks"), Counter(), Log("evenflow: "), Log(""), Log("x" * 127)),
    (Meta(MetaKey.MARK, 5), Lookup("marks", 5, negated=True)),
    (Meta(MetaKey.MARK, 1), Lookup("owners", 1, verdict=True)),
    (),
)

NAT_RULES: Sequence[tuple[Hook, tuple[Expression, ...]]] = (
    (SOURCE_NAT, (Masq(),)),
    (SOURCE_NAT, (Immediate(b"\x01\x02\x03\x04"), Nat(False, "ip", 0))),
    (SOURCE_NAT, (Immediate(bytes(16)), Immediate(b"\x01" * 16, 4), Nat(False, "ip6", 0, 4))),
    (
        DESTINATION_NAT,
        (
            *TCP_ONLY,
            Immediate(bytes(4)),
            Immediate(b"\x00\x50", 1),
            Immediate(b"\x00\x60", 2),
            Nat(True, "ip", 0, None, 1, 2),
        ),
    ),
    (DESTINATION_NAT, (*TCP_ONLY, Immediate(bytes(4), 9), Immediate(b"\x00\x50", 3), Nat(True, "ip", 9, None, 3))),
    (DESTINATION_NAT, (*TCP_ONLY, Immediate(b"\x00\x50", 1), Nat(True, "ip", None, None, 1))),
    (DESTINATION_NAT, (*TCP_ONLY, Immediate(b"\x00\x50", 1), Redir(1))),
    (DESTINATION_NAT, (*TCP_ONLY, Immediate(b"\x00\x50", 1), Immediate(b"\x00\x60", 2), Redir(1, 2))),
    (DESTINATION_NAT, (Redir(),)),
)


def test_every_expression_is_read_back_as_it_was_written(world: World) -> None:
    do(
        world,
        AddTable(),
        AddChain("other"),
        AddSet(NftSet("marks", KeyType.MARK)),
        AddSet(NftSet("owners", KeyType.MARK, verdicts=True)),
        AddChain("all", PREROUTING),
        *(AddRule("all", NftRule(expressions, f"rule {number}")) for number, expressions in enumerate(RULES)),
    )
    read = the_table(world).chains["all"]
    assert read.hook == PREROUTING
    for number, (wanted, found) in enumerate(zip(RULES, read.rules, strict=True)):
        assert found == NftRule(wanted, f"rule {number}")


def test_nat_is_read_back_as_it_was_written(world: World) -> None:
    chains = {SOURCE_NAT: "source", DESTINATION_NAT: "destination"}
    do(
        world,
        AddTable(),
        *(AddChain(name, hook) for hook, name in chains.items()),
        *(AddRule(chains[hook], NftRule(expressions)) for hook, expressions in NAT_RULES),
    )
    for hook, name in chains.items():
        wanted = tuple(NftRule(expressions) for of, expressions in NAT_RULES if of == hook)
        assert the_table(world).chains[name] == NftChain(name, wanted, hook)


@pytest.mark.parametrize(
    "hook",
    [
        *(Hook("filter", name, 0) for name in ("prerouting", "input", "forward", "output", "postrouting")),
        *(Hook("nat", name, -100) for name in ("prerouting", "input", "output", "postrouting")),
        Hook("route", "output", -150),
        Hook("filter", "prerouting", -(2**31)),
        Hook("filter", "prerouting", 2**31 - 1),
        None,
    ],
    ids=str,
)
def test_chains_are_read_back(world: World, hook: Hook | None) -> None:
    do(world, AddTable(), AddChain("one", hook))
    assert table(world) == NftTable({"one": NftChain("one", (), hook)})


def test_an_empty_table_is_not_the_same_as_none(world: World) -> None:
    assert table(world) is None
    do(world, AddTable())
    assert table(world) == NftTable()
    do(world, DeleteTable())
    assert table(world) is None


@pytest.mark.parametrize("key_type", list(KeyType), ids=lambda key_type: key_type.name)
@pytest.mark.parametrize("verdicts", [False, True], ids=["set", "map"])
def test_sets_of_every_type_are_read_back(world: World, key_type: KeyType, verdicts: bool) -> None:  # noqa: FBT001 - parametrized
    length = key_type.length_bytes
    keys = [bytes((number, *range(1, length))) for number in range(1, 8)]
    targets = [ACCEPT, DROP, RETURN, jump("one"), goto("two"), jump("two"), goto("one")]
    elements = frozenset(
        SetElement(key, target if verdicts else None, comment="wörd" if target is DROP else "")
        for key, target in zip(keys, targets, strict=True)
    )
    declared = NftSet("held", key_type, elements, verdicts=verdicts)
    do(world, AddTable(), AddChain("one"), AddChain("two"), AddSet(declared), AddElements("held", tuple(elements)))
    assert the_table(world).sets == {"held": declared}


def test_intervals_are_read_back(world: World) -> None:
    pairs = [(b"\x0a\0\0\0", b"\x0b\0\0\0"), (b"\x0b\0\0\0", b"\x0b\0\0\x09"), (b"\xc0\xa8\0\0", b"\xc0\xa9\0\0")]
    ends = [element for a, b in pairs for element in (SetElement(a), SetElement(b, interval_end=True))]
    open_end = SetElement(b"\xe0\0\0\0")
    declared = NftSet("nets", KeyType.IPV4_ADDR, frozenset((*ends, open_end)), intervals=True)
    do(world, AddTable(), AddSet(declared), AddElements("nets", tuple(reversed((*ends, open_end)))))
    assert the_table(world).sets == {"nets": declared}
    do(world, DeleteElements("nets", tuple(ends[2:4])))
    assert elements_of(world, "nets") == declared.elements - set(ends[2:4])
    do(world, AddElements("nets", tuple(ends[2:4])))
    assert elements_of(world, "nets") == declared.elements


def test_an_interval_map_from_the_first_key_to_the_last(world: World) -> None:
    elements = (
        SetElement(bytes(16), goto("one")),
        SetElement(b"\x20" + bytes(15), interval_end=True),
        SetElement(b"\x20" + bytes(15), DROP),
    )
    declared = NftSet("nets", KeyType.IPV6_ADDR, frozenset(elements), verdicts=True, intervals=True)
    do(world, AddTable(), AddChain("one"), AddSet(declared), AddElements("nets", elements))
    assert the_table(world).sets == {"nets": declared}


@pytest.mark.parametrize("overlap", [(b"\x0a\1\0\0", b"\x0a\2\0\0"), (b"\x09\0\0\0", b"\x0a\1\0\0")])
def test_overlapping_intervals_are_refused(world: World, overlap: tuple[bytes, bytes]) -> None:
    first = (SetElement(b"\x0a\0\0\0"), SetElement(b"\x0b\0\0\0", interval_end=True))
    do(world, AddTable(), AddSet(NftSet("nets", KeyType.IPV4_ADDR, intervals=True)), AddElements("nets", first))
    second = (SetElement(overlap[0]), SetElement(overlap[1], interval_end=True))
    with pytest.raises(SystemRefusedError):
        do(world, AddElements("nets", second))
    assert elements_of(world, "nets") == frozenset(first)


@pytest.mark.parametrize("count", [4096, 65536])
def test_large_maps(world: World, count: int) -> None:
    if isinstance(world, LinuxWorld) and count > 4096:
        need_large_sends()
    targets = (goto("one"), goto("two"), jump("two"))
    elements = tuple(SetElement(mark(number), targets[number % 3]) for number in range(count))
    declared = NftSet("owners", KeyType.MARK, verdicts=True)
    do(world, AddTable(), AddChain("one"), AddChain("two"), AddSet(declared), AddElements("owners", elements))
    assert elements_of(world, "owners") == frozenset(elements)
    moved = tuple(replace(element, verdict=goto("one")) for element in elements[: count // 2])
    do(world, DeleteElements("owners", elements[: count // 2]), AddElements("owners", moved))
    assert elements_of(world, "owners") == frozenset((*moved, *elements[count // 2 :]))


def test_an_element_changes_by_delete_and_add(world: World) -> None:
    before, after = SetElement(mark(1), goto("one"), comment="a"), SetElement(mark(1), DROP, comment="b")
    declared = NftSet("owners", KeyType.MARK, verdicts=True)
    do(world, AddTable(), AddChain("one"), AddSet(declared), AddElements("owners", (before,)))
    do(world, DeleteElements("owners", (before,)), AddElements("owners", (after,)))
    assert elements_of(world, "owners") == {after}
    do(world, DeleteChain("one"))
    assert the_table(world).chains == {}


def test_rules_stay_in_order_and_are_replaced_by_flush_and_add(world: World) -> None:
    def rules(*numbers: int) -> tuple[NftRule, ...]:
        return tuple(NftRule((Immediate(mark(number)), MetaSet(MetaKey.MARK)), str(number)) for number in numbers)

    do(world, AddTable(), AddChain("one"), *(AddRule("one", rule) for rule in rules(3, 1, 2)))
    do(world, AddRule("one", rules(0)[0]))
    assert the_table(world).chains["one"].rules == rules(3, 1, 2, 0)
    do(world, FlushChain("one"), *(AddRule("one", rule) for rule in rules(9, 8)))
    assert the_table(world).chains["one"].rules == rules(9, 8)
    do(world, FlushChain("one"))
    assert the_table(world).chains["one"] == NftChain("one")


def test_a_table_is_replaced_in_one_transaction(world: World) -> None:
    declared = NftSet("held", KeyType.MARK, verdicts=True)
    do(world, AddTable(), AddChain("one"), AddChain("two"), AddSet(declared))
    again = replace(declared, verdicts=False)
    do(world, DeleteTable(), AddTable(), AddChain("one", PREROUTING), AddSet(again))
    assert table(world) == NftTable({"one": NftChain("one", (), PREROUTING)}, {"held": again})


REFUSED: dict[str, tuple[NftOperation, ...]] = {
    "table twice": (AddTable(),),
    "chain twice": (AddChain("one"),),
    "set twice": (AddSet(NftSet("owners", KeyType.MARK, verdicts=True)),),
    "element twice": (AddElements("owners", (SetElement(mark(1), goto("one")),)),),
    "element there with another verdict": (AddElements("owners", (SetElement(mark(1), DROP),)),),
    "no such element": (DeleteElements("owners", (SetElement(mark(9), DROP),)),),
    "elements of no set": (AddElements("nothing", (SetElement(mark(9)),)),),
    "delete elements of no set": (DeleteElements("nothing", (SetElement(mark(9)),)),),
    "element without verdict in a map": (AddElements("owners", (SetElement(mark(9)),)),),
    "element with verdict in a set": (AddElements("marks", (SetElement(mark(9), DROP),)),),
    "element to no chain": (AddElements("owners", (SetElement(mark(9), goto("nothing")),)),),
    "key too long": (AddElements("marks", (SetElement(bytes(5)),)),),
    "interval's end in a plain set": (AddElements("marks", (SetElement(mark(9), interval_end=True),)),),
    "rule in no chain": (AddRule("nothing", NftRule((Counter(),))),),
    "jump to no chain": (AddRule("one", NftRule((Act(jump("nothing")),))),),
    "lookup in no set": (AddRule("one", NftRule((Meta(MetaKey.MARK), Lookup("nothing")))),),
    "verdict lookup in a set": (AddRule("one", NftRule((Meta(MetaKey.MARK), Lookup("marks", verdict=True)))),),
    "plain lookup in a map": (AddRule("one", NftRule((Meta(MetaKey.MARK), Lookup("owners")))),),
    "hash modulo nothing": (AddRule("one", NftRule((Meta(MetaKey.MARK), Hash(4, 0, 1)))),),
    "count up to nothing": (AddRule("one", NftRule((NumberGenerator(0),))),),
    "turn what is nowhere": (AddRule("one", NftRule((ToNetworkOrder(3),))),),
    "constant too long": (AddRule("one", NftRule((Immediate(bytes(17)),))),),
    "beyond the registers": (AddRule("one", NftRule((Meta(MetaKey.IIFNAME, 13),))),),
    "mask and xor differ": (AddRule("one", NftRule((Meta(MetaKey.MARK), Bitwise(bytes(4), bytes(2))))),),
    "chain in use by a rule": (FlushChain("used"), DeleteChain("used")),
    "chain in use by an element": (DeleteChain("one"),),
    "set in use": (DeleteSet("owners"),),
    "delete no chain": (DeleteChain("nothing"),),
    "delete no set": (DeleteSet("nothing"),),
    "flush no chain": (FlushChain("nothing"),),
    "comment too long": (AddRule("one", NftRule((), "x" * 254)),),
    "element's comment too long": (AddElements("marks", (SetElement(mark(9), comment="x" * 129),)),),
    "circle": (AddRule("used", NftRule((Act(goto("entry")),))), AddRule("entry", NftRule((Act(jump("used")),)))),
    "no such chain type": (AddChain("new", Hook("strange", "output", 0)),),
    "masquerade in prerouting": (AddChain("new", DESTINATION_NAT), AddRule("new", NftRule((Masq(),)))),
    "jump to a base chain": (AddRule("one", NftRule((Act(jump("base")),))),),
    "nat in forward": (AddChain("new", Hook("nat", "forward", 0)),),
    "nat before connection tracking": (AddChain("new", Hook("nat", "prerouting", -200)),),
}


@pytest.mark.parametrize("operations", REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused_and_nothing_of_it_happens(
    world: World, operations: tuple[NftOperation, ...]
) -> None:
    do(
        world,
        AddTable(),
        AddChain("base", PREROUTING),
        AddChain("one"),
        AddChain("used"),
        AddChain("entry"),
        AddSet(NftSet("owners", KeyType.MARK, verdicts=True)),
        AddSet(NftSet("marks", KeyType.MARK)),
        AddElements("owners", (SetElement(mark(1), goto("one")),)),
        AddRule("base", NftRule((Meta(MetaKey.MARK), Lookup("owners", verdict=True), Act(jump("entry"))))),
        AddRule("entry", NftRule((Act(jump("used")),))),
    )
    before = table(world)
    # Something that is all right stands before and behind it.
    with pytest.raises(SystemRefusedError):
        do(world, AddChain("before"), AddElements("marks", (SetElement(mark(77)),)), *operations, AddChain("behind"))
    assert table(world) == before


def test_operations_without_a_table_are_refused(world: World) -> None:
    for operation in (AddChain("one"), AddSet(NftSet("held", KeyType.MARK)), DeleteTable(), FlushChain("one")):
        with pytest.raises(SystemRefusedError):
            do(world, operation)
    assert table(world) is None


def test_a_jump_to_a_base_chain_is_not_supported(world: World) -> None:
    do(world, AddTable(), AddChain("base", PREROUTING), AddChain("one"))
    with pytest.raises(NotSupportedError):
        do(world, AddRule("one", NftRule((Act(jump("base")),))))


def test_the_longest_comments_are_kept(world: World) -> None:
    declared = NftSet("held", KeyType.MARK, frozenset({SetElement(mark(1), comment="é" * 64)}))
    rule = NftRule((Counter(),), "é" * 126 + "x")
    do(world, AddTable(), AddChain("one"), AddRule("one", rule), AddSet(declared))
    do(world, AddElements("held", tuple(declared.elements)))
    assert table(world) == NftTable({"one": NftChain("one", (rule,))}, {"held": declared})


def test_chains_within_chains_as_deep_as_the_kernel_goes(world: World) -> None:
    names = [f"c{number}" for number in range(16)]
    links = [AddRule(a, NftRule((Act(jump(b)),))) for a, b in itertools.pairwise(names)]
    do(world, AddTable(), AddChain("c0", PREROUTING), *map(AddChain, names[1:]), *links)
    with pytest.raises(SystemRefusedError):
        do(world, AddChain("deeper"), AddRule(names[-1], NftRule((Act(jump("deeper")),))))
