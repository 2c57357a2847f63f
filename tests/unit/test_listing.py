"""Lists that are read again and again: what is decoded, and what is not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from evenflow.kernel import listing
from evenflow.kernel.listing import Derived, Listing
from evenflow.kernel.netlink import Dump, Request, attribute, text
from evenflow.kernel.rt_codec import counters_at
from evenflow.kernel.rtnetlink import _Links
from unit.test_netlink import DONE, Line, message, netlink

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kernel:
    """Lists payloads; the same ones are the same dump."""

    def __init__(self, *payloads: bytes) -> None:
        self.payloads = payloads

    def dump_again(self, _: Request, before: Dump | None) -> Dump:
        if before is not None and tuple(before.payloads) == self.payloads:
            return before
        return Dump(self.payloads, (), 1)


class Reading:
    """A listing of a kernel, and what was decoded in it."""

    def __init__(self, kernel: Kernel) -> None:
        self.decoded: list[bytes] = []
        netlink: Any = kernel
        self.listing = Listing(netlink, Request(1, b""), self._decode)

    def _decode(self, data: bytes, names: Mapping[int, str]) -> tuple[str, bytes] | None:
        self.decoded.append(data)
        return None if data.startswith(b"-") else (names.get(1, ""), data)


def test_only_what_is_new_is_decoded() -> None:
    kernel = Kernel(b"a", b"-", b"b")
    reading = Reading(kernel)
    first = reading.listing.read({})
    assert first == (("", b"a"), ("", b"b"))
    assert reading.listing.read({}) is first
    kernel.payloads = (b"b", b"c", b"-")
    second = reading.listing.read({})
    assert second == (("", b"b"), ("", b"c"))
    assert second[0] is first[1]
    assert reading.decoded == [b"a", b"-", b"b", b"c"]
    kernel.payloads = (b"a",)
    reading.listing.read({})
    assert reading.decoded[-1] == b"a"  # forgotten meanwhile


def test_other_names_are_another_meaning() -> None:
    reading = Reading(Kernel(b"a"))
    assert reading.listing.read({1: "eth0"}) == (("eth0", b"a"),)
    names = {1: "eth1"}
    assert reading.listing.read(names) == (("eth1", b"a"),)
    names[1] = "eth2"
    assert reading.listing.read(names) == (("eth2", b"a"),)


def test_a_long_list_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_REMEMBERED", 2)
    reading = Reading(Kernel(b"a", b"b", b"c"))
    assert reading.listing.read({}) == reading.listing.read({})
    assert len(reading.decoded) == 6
    assert not reading.listing._known


def test_what_follows_is_worked_out_again_only_for_other_objects() -> None:
    calls: list[tuple[object, ...]] = []

    def work_out(*sources: object) -> object:
        calls.append(sources)
        return len(calls)

    derived: Derived[object] = Derived(work_out)
    one, other = [1], [1]
    assert [derived.of(one), derived.of(one), derived.of(other), derived.of(one, other)] == [1, 1, 2, 3]
    empty: Derived[object] = Derived(work_out)
    assert [empty.of(), empty.of()] == [4, 4]


# --- dumps -----------------------------------------------------------------------------------------------------------


def test_a_dump_that_comes_as_before_is_the_one_from_before() -> None:
    answer: list[bytes | int] = [message(7, 1, b"some"), message(7, 1, b"more") + message(DONE, 1, bytes(4))]
    made: Any = netlink(answer, answer)
    first = made.dump_again(Request(1, b""), None)
    assert made.dump_again(Request(1, b""), first) is first
    assert made._socket.sent[0] == made._socket.sent[1]
    assert list(first.payloads) == [b"some", b"more"]


@pytest.mark.parametrize(
    "answer",
    [
        [message(7, 1, b"some"), message(7, 1, b"less") + message(DONE, 1, bytes(4))],
        [message(7, 1, b"some") + message(DONE, 1, bytes(4))],
        [message(7, 1, b"some"), message(7, 1, b"more"), message(DONE, 1, bytes(4))],
        [message(DONE, 1, bytes(4))],
    ],
)
def test_a_dump_that_comes_otherwise_is_read(answer: list[bytes | int]) -> None:
    before: list[bytes | int] = [message(7, 1, b"some"), message(7, 1, b"more") + message(DONE, 1, bytes(4))]
    made: Any = netlink(before, answer)
    alone: Any = netlink(answer)
    first = made.dump_again(Request(1, b""), None)
    again = made.dump_again(Request(1, b""), first)
    assert again is not first
    assert again.payloads == alone.dump(Request(1, b""))


def test_what_is_left_of_a_dump_that_was_broken_off_is_thrown_away() -> None:
    class Interrupted(Line):
        def recv(self, *words: int) -> bytes:
            data = super().recv(*words)
            if data == b"now":
                raise KeyboardInterrupt
            return data

    first: list[bytes | int] = [message(7, 1, b"old"), b"now", message(7, 1, b"old") + message(DONE, 1, bytes(4))]
    second: list[bytes | int] = [message(7, 2, b"new") + message(DONE, 2, bytes(4))]
    made: Any = netlink()
    made._socket = Interrupted(first, second)
    with pytest.raises(KeyboardInterrupt):
        made.dump(Request(1, b""))
    assert made.dump(Request(1, b"")) == [b"new"]


# --- links -----------------------------------------------------------------------------------------------------------


def link(index: int, name: str, *, flags: int = 1, counted: int = 0, long: int = 24) -> bytes:
    counters = attribute(23, struct.pack("=Q", counted) * long) + attribute(7, struct.pack("=I", counted) * long)
    head = struct.pack("=BxHiII", 0, 1, index, flags, 0)
    return head + text(3, name) + attribute(33, b"\1") + counters + attribute(4, struct.pack("=I", counted & 0xFF00))


def test_links_are_the_same_whatever_they_have_carried() -> None:
    links = _Links()
    first = links.read([link(1, "lo"), link(2, "eth0")])
    assert [one.name for one in first] == ["lo", "eth0"]
    assert links.read([link(1, "lo", counted=77), link(2, "eth0", counted=9)]) is first


@pytest.mark.parametrize(
    "payloads",
    [
        [link(1, "lo"), link(2, "eth0", flags=0)],
        [link(1, "lo"), link(2, "eth1")],
        [link(1, "lo"), link(3, "eth0")],
        [link(1, "lo")],
        [link(1, "lo"), link(2, "eth0"), link(3, "eth1")],
        [link(2, "eth0"), link(1, "lo", flags=3)],
        [link(1, "lo"), link(2, "eth0", counted=0x100)],
        [link(1, "lo", long=23), link(2, "eth0", long=25)],
        [],
    ],
)
def test_links_that_are_others_are_read_anew(payloads: list[bytes]) -> None:
    links = _Links()
    first = links.read([link(1, "lo"), link(2, "eth0")])
    again = links.read(payloads)
    assert again is not first
    assert again == _Links().read(payloads)


def test_the_counters_of_a_link_are_found() -> None:
    data = link(5, "eth0", counted=0x0101_0101)
    for place in counters_at(data):
        assert set(data[place]) <= {0, 1}
        assert len(data[place]) in (24 * 8, 24 * 4)
    assert len(counters_at(data)) == 2
