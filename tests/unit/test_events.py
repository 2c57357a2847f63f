"""Events without a kernel: what the messages of one datagram tell of, and what is passed over."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.kernel.events import EventKind, kinds_in
from evenflow.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, attribute, text

ROUTE, NFT = NETLINK_ROUTE, NETLINK_NETFILTER
NEW_TABLE, NEW_ELEMENT, NEW_GENERATION, NEW_CONNECTION = 10 << 8, 10 << 8 | 12, 10 << 8 | 15, 1 << 8


def message(kind: int, payload: bytes, port: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, port) + payload + bytes(-len(payload) % 4)


def route(table: int, flags: int = 0, *, named: bool = True) -> bytes:
    small = table if table < 256 else 252
    head = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, small, 0, 0, 1, flags)
    return head + attribute(1, bytes(4)) + (attribute(15, struct.pack("=I", table)) if named else b"")


def nft(table: str) -> bytes:
    return bytes(4) + text(1, table)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (254, True),
        (20001, True),
        (21023, True),
        (20000, False),
        (21024, False),
        (255, False),
        (253, False),
        (52, False),
    ],
)
def test_routes_of_tables_that_are_neither_main_nor_ours_are_passed_over(table: int, told: bool) -> None:  # noqa: FBT001 - a case
    expected = [EventKind.ROUTE] if told else []
    assert list(kinds_in(message(24, route(table)), ROUTE)) == expected
    assert list(kinds_in(message(25, route(table)), ROUTE)) == expected
    if table < 256:
        assert list(kinds_in(message(25, route(table, named=False)), ROUTE)) == expected


def test_cached_routes_are_passed_over() -> None:
    assert list(kinds_in(message(24, route(254, 0x200)), ROUTE)) == []


def test_only_our_table_is_told_of_whatever_its_family() -> None:
    told = message(NEW_TABLE, nft("evenflow")) + message(NEW_ELEMENT, bytes((2, 0, 0, 0)) + text(1, "evenflow"))
    assert list(kinds_in(told, NFT)) == [EventKind.NFT] * 2
    other = (nft("evenflow2"), nft("evenflo"), nft(""), bytes(4), b"")
    assert not any(list(kinds_in(message(NEW_TABLE, payload), NFT)) for payload in other)
    assert list(kinds_in(message(NEW_GENERATION, bytes(4) + attribute(1, bytes(4))), NFT)) == []
    assert list(kinds_in(message(NEW_CONNECTION, nft("evenflow")), NFT)) == []


def test_our_ports_are_passed_over_for_routes_rules_and_nft_alone() -> None:
    data = b"".join(message(kind, route(254), port) for kind in (16, 17, 20, 21, 24, 25, 32, 33) for port in (7, 8))
    kinds = list(kinds_in(data, ROUTE, {7}))
    links = [EventKind.LINK] * 4 + [EventKind.ADDRESS] * 4
    assert kinds == [*links, EventKind.ROUTE, EventKind.ROUTE, EventKind.RULE, EventKind.RULE]
    ours = message(NEW_TABLE, nft("evenflow"), 7)
    assert list(kinds_in(ours, NFT, {7})) == []
    assert list(kinds_in(ours, NFT, {8})) == [EventKind.NFT]


@given(st.binary(max_size=200), st.sampled_from((ROUTE, NFT)))
def test_no_bytes_upset_it(data: bytes, protocol: int) -> None:
    list(kinds_in(data, protocol))


@given(st.sampled_from((16, 20, 24, 32, NEW_TABLE)), st.binary(max_size=60), st.sampled_from((ROUTE, NFT)))
def test_no_payload_upsets_it(kind: int, payload: bytes, protocol: int) -> None:
    list(kinds_in(message(kind, payload), protocol))
