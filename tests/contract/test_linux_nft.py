"""The real kernel and its real consumer, the program nft: what we write it lists, and what others write we leave."""

from __future__ import annotations

import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.worlds import LinuxWorld
from evenflow.core import saved
from evenflow.errors import NotSupportedError, SystemRefusedError
from evenflow.kernel import fake_nft
from evenflow.kernel.fake_rule import check_rule
from evenflow.kernel.netlink import NetlinkError, asking
from evenflow.model.dataplane import (
    AddRoute,
    AddRouteRule,
    DeleteRoute,
    DeleteRouteRule,
    FibRoute,
    FibRule,
    NftTransaction,
)
from evenflow.model.flow import Family
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
    FibType,
    Hash,
    Hook,
    Immediate,
    KeyType,
    Log,
    Lookup,
    Meta,
    MetaKey,
    MetaSet,
    NftChain,
    NftRule,
    NftSet,
    NftTable,
    NumberGenerator,
    Payload,
    PayloadBase,
    Range,
    SetElement,
    ToNetworkOrder,
    Unknown,
    goto,
    jump,
)
from evenflow.model.router import RouteKind
from evenflow.model.transaction import (
    AddChain,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    DeleteElements,
    DeleteTable,
    NftOperation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.nft import Expression

pytestmark = pytest.mark.kernel

PREROUTING = Hook("filter", "prerouting", -150)

#: 33 packets of 100, by chance.
A_THIRD = (NumberGenerator(100, random=True), ToNetworkOrder(), Cmp(CmpOp.LT, b"\0\0\0\x21"))


def mark(number: int) -> bytes:
    return struct.pack("=I", number)


def do(world: LinuxWorld, *operations: NftOperation) -> None:
    world.kernel.execute(NftTransaction(operations))


def the_table(world: LinuxWorld) -> NftTable:
    table = world.kernel.read_dataplane().table
    assert table is not None
    return table


def intervals(*bounds: bytes) -> tuple[SetElement, ...]:
    return tuple(SetElement(key, interval_end=bool(number % 2)) for number, key in enumerate(bounds))


def test_the_program_nft_shows_what_we_write(linux: LinuxWorld) -> None:
    addresses6 = intervals(bytes.fromhex("fd00" + "00" * 14), bytes.fromhex("fe00" + "00" * 14))
    kept = saved.to_set(saved.SAVED_SET, {"net/ipv4/ip_forward": "0"})
    do(
        linux,
        AddTable(),
        AddChain("entry", PREROUTING),
        AddChain("new"),
        AddSet(NftSet("owners", KeyType.MARK, verdicts=True)),
        AddElements("owners", (SetElement(mark(1), goto("new")), SetElement(mark(2), DROP))),
        AddSet(NftSet("lans", KeyType.IFNAME)),
        AddElements("lans", (SetElement(b"br-lan".ljust(16, b"\0")),)),
        AddSet(NftSet("nets", KeyType.IPV4_ADDR, intervals=True)),
        AddElements("nets", intervals(b"\x0a\0\0\0", b"\x0b\0\0\0", b"\xc0\xa8\0\0", b"\xc0\xa8\x01\0", b"\xe0\0\0\0")),
        AddSet(NftSet("nets6", KeyType.IPV6_ADDR, intervals=True)),
        AddElements("nets6", addresses6),
        AddSet(NftSet("ports", KeyType.INET_SERVICE, intervals=True)),
        AddElements("ports", intervals(b"\x00\x50", b"\x00\x51", b"\x1f\x40", b"\x1f\x91")),
        AddSet(NftSet("macs", KeyType.ETHER_ADDR)),
        AddElements("macs", (SetElement(bytes.fromhex("020000000001")),)),
        AddSet(NftSet("protocols", KeyType.INET_PROTO)),
        AddElements("protocols", (SetElement(b"\x11"),)),
        AddSet(kept),
        AddElements(kept.name, tuple(kept.elements)),
        AddRule("entry", NftRule((Meta(MetaKey.IIFNAME), Lookup("lans"), Counter(), Act(jump("new"))), "from a LAN")),
        AddRule("entry", NftRule((Meta(MetaKey.MARK), Lookup("owners", verdict=True)))),
        AddRule("new", NftRule((Meta(MetaKey.IIFNAME), Cmp(CmpOp.EQ, b"ppp"), Log("seen: "), Act(RETURN)))),
        AddRule("new", NftRule((NumberGenerator(3), Cmp(CmpOp.EQ, mark(2)), Act(DROP)))),
        AddRule("new", NftRule((*A_THIRD, Act(RETURN)))),
    )
    listing = " ".join(linux.nft("list", "table", "inet", "evenflow").split())
    for wanted in (
        "map owners { type mark : verdict elements = { 0x00000001 : goto new, 0x00000002 : drop } }",
        'set lans { type ifname elements = { "br-lan" } }',
        "set nets { type ipv4_addr flags interval elements = { 10.0.0.0/8, 192.168.0.0/24, 224.0.0.0/3 } }",
        "set nets6 { type ipv6_addr flags interval elements = { fd00::/8 } }",
        "set ports { type inet_service flags interval elements = { 80, 8000-8080 } }",
        "set macs { type ether_addr elements = { 02:00:00:00:00:01 } }",
        "set protocols { type inet_proto elements = { udp } }",
        'set sysctls_before { type mark elements = { 0x00000000 comment "net/ipv4/ip_forward=0" } }',
        "chain entry { type filter hook prerouting priority mangle; policy accept; iifname @lans counter",
        'bytes 0 jump new comment "from a LAN" meta mark vmap @owners }',
        'chain new { iifname "ppp*" log prefix "seen: " return numgen inc mod 3 2 drop',
        "numgen inc mod 3 2 drop numgen random mod 100 < 33 return }",
    ):
        assert wanted in listing


def test_what_the_program_nft_lists_it_also_takes(linux: LinuxWorld) -> None:
    do(
        linux,
        AddTable(),
        AddChain("entry", PREROUTING),
        AddSet(NftSet("nets", KeyType.IPV4_ADDR, intervals=True)),
        AddElements("nets", intervals(b"\x0a\0\0\0", b"\x0b\0\0\0")),
        AddRule("entry", NftRule((Meta(MetaKey.NFPROTO), Cmp(CmpOp.EQ, b"\x02"), Counter(), Act(ACCEPT)), "all of it")),
        AddRule("entry", NftRule((NumberGenerator(3), Cmp(CmpOp.EQ, mark(2)), Act(DROP)))),
        AddRule("entry", NftRule((*A_THIRD, Act(RETURN)))),
    )
    before = the_table(linux)
    listing = linux.nft("list", "table", "inet", "evenflow")
    do(linux, DeleteTable())
    linux.nft("-c", "-f", "-", stdin=listing)
    linux.nft("-f", "-", stdin=listing)
    # nft puts an end at the very first key of each set that does not start there. It means nothing, and it can go.
    meaningless = SetElement(bytes(4), interval_end=True)
    assert the_table(linux).sets["nets"].elements == before.sets["nets"].elements | {meaningless}
    do(linux, DeleteElements("nets", (meaningless,)))
    assert the_table(linux) == before


FOREIGN = """
table ip evenflow {
    map data { type mark : ipv4_addr; elements = { 0x1 : 192.0.2.1 }
    }
    chain entry { type filter hook prerouting priority 0; policy drop; ip saddr { 192.0.2.1, 192.0.2.7 } counter accept
    }
}
table inet other {
    set nets { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }
    }
    chain evenflow { ip saddr @nets jump more
    }
    chain more { counter
    }
}
"""


def test_what_others_have_stays_byte_for_byte(linux: LinuxWorld) -> None:
    linux.add_link("wan1")
    linux.add_address("wan1", "198.51.100.2/24")
    linux.nft("-f", "-", stdin=FOREIGN)
    linux.ip("route", "add", "default", "via", "198.51.100.1", "table", "20001", "metric", "7", "proto", "static")
    linux.ip("rule", "add", "priority", "21000", "fwmark", "1/0x3ff", "table", "20001")

    def seen() -> list[str]:
        rules = linux.ip("rule"), linux.ip("-6", "rule")
        routes = linux.ip("route", "show", "table", "all"), linux.ip("-6", "route", "show", "table", "all")
        return [linux.nft("list", "ruleset"), *rules, *routes, linux.ip("address"), linux.ip("link")]

    before = seen()
    assert linux.kernel.read_dataplane().table is None
    ours = FibRoute(Family.IPV4, 20001, Family.IPV4.any_network, 8, (), RouteKind.BLACKHOLE)
    rule = FibRule(Family.IPV4, 21000, 20001, mark=1, mask=0x3FF)
    do(linux, AddTable(), AddChain("entry", PREROUTING), AddSet(NftSet("nets", KeyType.MARK)))
    linux.kernel.execute(AddRoute(ours))
    linux.kernel.execute(AddRouteRule(rule))
    assert seen() != before
    do(linux, DeleteTable())
    linux.kernel.execute(DeleteRoute(ours))
    linux.kernel.execute(DeleteRouteRule(rule))
    assert seen() == before


def test_what_others_do_in_our_table_shows(linux: LinuxWorld) -> None:
    do(linux, AddTable(), AddChain("entry", PREROUTING), AddSet(NftSet("marks", KeyType.MARK)))
    before = the_table(linux)
    linux.nft("add rule inet evenflow entry ip saddr { 192.0.2.1, 192.0.2.7 } limit rate 1/second accept")
    linux.nft("add rule inet evenflow entry meta mark set numgen random mod 4 offset 7")
    linux.nft("add map inet evenflow data { type mark : ipv4_addr; }")
    linux.nft("add set inet evenflow timed { type mark; flags timeout; }")
    linux.nft("add set inet evenflow pairs { type mark . ipv4_addr; }")
    linux.nft("add chain inet evenflow entry { policy drop; }")
    after = the_table(linux)
    unknown = [e.name for rule in after.chains["entry"].rules for e in rule.expressions if isinstance(e, Unknown)]
    assert unknown == ["limit", "numgen"]
    assert after.chains["entry"].hook != before.chains["entry"].hook
    # The set within the rule goes with the rule: it is none of its own.
    assert after.sets.keys() == {"marks", "data", "timed", "pairs"}
    ours = [NftSet(name, key_type) for name in ("data", "timed", "pairs") for key_type in KeyType]
    assert not set(after.sets.values()) & set(ours)


def test_the_first_error_of_a_large_transaction_names_its_operation(linux: LinuxWorld) -> None:
    """Thousands of refusals don't fill the way back, and what is wrong first is what is told."""
    do(linux, AddTable(), AddChain("entry", PREROUTING))
    wrong = [AddRule(f"nothing{number}", NftRule((Counter(),))) for number in range(20_000)]
    with pytest.raises(SystemRefusedError, match=r"could not add a rule to the nft chain nothing0: .*ENOENT"):
        do(linux, AddChain("more"), *wrong)
    do(linux, AddChain("more"))
    assert the_table(linux).chains.keys() == {"entry", "more"}


def test_the_generation_changes_with_every_change_and_with_nothing_else(linux: LinuxWorld) -> None:
    first = linux.nftables_generation()
    linux.kernel.read_dataplane()
    assert linux.nftables_generation() == first
    do(linux, AddTable())
    second = linux.nftables_generation()
    assert second != first
    with pytest.raises(SystemRefusedError):
        do(linux, AddTable())
    linux.nft("add table ip other")
    assert linux.nftables_generation() != second


def test_a_missing_part_of_the_kernel_is_not_supported() -> None:
    with pytest.raises(NotSupportedError, match=r"make tea.*does not support"), asking("make tea"):
        raise NetlinkError(95)


# --- random tables -------------------------------------------------------------------------------------------------

SLOTS = st.integers(0, 15)
#: Always loaded at the start of a rule, so that whatever reads a register finds something there.
FILLED = tuple(Immediate(bytes(16), slot) for slot in (0, 4, 8, 12))


def constants(longest: int = 16) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=1, max_size=longest)


@st.composite
def bitwises(draw: st.DrawFn) -> Bitwise:
    mask = draw(constants())
    return Bitwise(mask, draw(st.binary(min_size=len(mask), max_size=len(mask))), draw(SLOTS), draw(SLOTS))


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    length = draw(st.integers(1, 16))
    bounds = sorted(draw(st.binary(min_size=length, max_size=length)) for _ in range(2))
    return Range(bounds[0], bounds[1], draw(st.booleans()), draw(SLOTS))


PREFIX = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=40)
EXPRESSIONS: st.SearchStrategy[Expression] = st.one_of(
    st.builds(Meta, st.sampled_from(MetaKey), SLOTS),
    st.builds(MetaSet, st.just(MetaKey.MARK), SLOTS),
    st.builds(Ct, st.sampled_from(CtKey), SLOTS),
    st.builds(Payload, st.sampled_from(PayloadBase), st.integers(0, 255), st.integers(1, 32), SLOTS),
    bitwises(),
    ranges(),
    st.builds(Cmp, st.sampled_from(CmpOp), constants(), SLOTS),
    st.builds(Hash, st.integers(1, 64), st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1), SLOTS, SLOTS),
    st.builds(FibType, st.booleans(), SLOTS),
    st.builds(Immediate, constants(), SLOTS),
    st.builds(Log, PREFIX),
    st.just(Counter()),
    st.builds(Lookup, st.just("marks"), SLOTS, st.booleans()),
    st.builds(Lookup, st.just("owners"), SLOTS, st.just(False), st.just(True)),
)  # fmt: skip
ENDS = st.sampled_from([(), (Act(ACCEPT),), (Act(DROP),), (Act(RETURN),), (Act(jump("other")),), (Act(goto("other")),)])


@st.composite
def rules(draw: st.DrawFn) -> NftRule:
    body = tuple(draw(st.lists(EXPRESSIONS, max_size=5)))
    return NftRule((*FILLED, *body, *draw(ENDS)), draw(PREFIX))


TARGETS = st.sampled_from([ACCEPT, DROP, RETURN, jump("other"), goto("other")])
KEYS = st.binary(min_size=4, max_size=4)


def drawn_elements(with_verdicts: bool) -> st.SearchStrategy[list[SetElement]]:  # noqa: FBT001 - two calls below
    verdicts = TARGETS if with_verdicts else st.none()
    elements = st.builds(SetElement, KEYS, verdicts, st.just(False), PREFIX)
    return st.lists(elements, max_size=20, unique_by=lambda element: element.key)


@pytest.fixture(scope="module")
def shared() -> Iterator[LinuxWorld]:
    """One namespace for all examples: each starts by deleting the table, which is a test of that, too."""
    with closing(LinuxWorld()) as world:
        yield world


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drawn=st.lists(rules(), max_size=5),
    marks=drawn_elements(with_verdicts=False),
    owners=drawn_elements(with_verdicts=True),
)
def test_any_table_is_read_back_or_refused_as_the_fake_says(
    shared: LinuxWorld, drawn: list[NftRule], marks: list[SetElement], owners: list[SetElement]
) -> None:
    if shared.kernel.read_dataplane().table is not None:
        do(shared, DeleteTable())
    base: tuple[NftOperation, ...] = (
        AddTable(),
        AddChain("entry", PREROUTING),
        AddChain("other"),
        AddSet(NftSet("marks", KeyType.MARK)),
        AddSet(NftSet("owners", KeyType.MARK, verdicts=True)),
        AddElements("marks", tuple(marks)),
        AddElements("owners", tuple(owners)),
    )
    do(shared, *base)
    chain = NftChain("entry", (), PREROUTING)
    for rule in drawn:
        adding = AddRule("entry", rule)
        if check_rule(rule, PREROUTING):
            with pytest.raises(SystemRefusedError):
                do(shared, adding)
        else:
            do(shared, adding)
            chain = NftChain("entry", (*chain.rules, rule), PREROUTING)
    table = fake_nft.apply(None, (*base, *(AddRule("entry", rule) for rule in chain.rules)))
    assert the_table(shared) == table
