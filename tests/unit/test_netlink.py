"""Netlink without a kernel: attributes, framing, dumps that were spoilt, answers of all kinds."""

from __future__ import annotations

import errno
import struct
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.errors import NotPermittedError, NotSupportedError, SystemRefusedError
from evenflow.kernel.netlink import (
    NLM_F_DUMP_INTR,
    NetlinkError,
    NetlinkSocket,
    Request,
    as_text,
    asking,
    attribute,
    attributes,
    by_kind,
    nested,
    text,
)

ERROR, DONE = 2, 3
CAPPED, WITH_ATTRIBUTES = 0x100, 0x200
KINDS = st.integers(0, 0x3FFF)


def message(kind: int, sequence: int, payload: bytes = b"", flags: int = 0) -> bytes:
    padding = bytes(-len(payload) % 4)
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload + padding


def error(sequence: int, number: int, detail: str = "", about: bytes = b"") -> bytes:
    """An NLMSG_ERROR, with all of the message it is about, or with its header only (capped)."""
    header = struct.pack("=i", -number) + message(99, sequence, about)
    flags = 0 if about else CAPPED
    if detail:
        return message(ERROR, sequence, header + text(1, detail), flags | WITH_ATTRIBUTES)
    return message(ERROR, sequence, header, flags)


class Line:
    """In place of the socket: the datagrams that the kernel sends in answer to each one that it gets."""

    def __init__(self, *answers: list[bytes | int]) -> None:
        self._answers = deque(answers)
        self._waiting: deque[bytes | int] = deque()
        self.sent: list[bytes] = []

    def getsockopt(self, *_: int) -> int:
        return 1 << 20

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self._waiting.extend(self._answers.popleft())

    def recv(self, *_: int) -> bytes:
        if not self._waiting:
            raise BlockingIOError
        answer = self._waiting.popleft()
        if isinstance(answer, int):
            raise OSError(answer, "told to")
        return answer


def netlink(*answers: list[bytes | int]) -> NetlinkSocket:
    made: Any = NetlinkSocket.__new__(NetlinkSocket)
    made._socket, made._sequence, made._dumping = Line(*answers), 0, False
    assert isinstance(made, NetlinkSocket)
    return made


@given(st.lists(st.tuples(KINDS, st.binary(max_size=40))))
def test_attributes_come_back_in_order(held: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, payload) for kind, payload in held)
    assert len(data) % 4 == 0
    assert list(attributes(data)) == held
    assert list(attributes(b"head" + data, 4)) == held
    assert by_kind(nested(5, data))[5] == data


@given(st.binary(max_size=60))
def test_no_bytes_upset_the_reader(data: bytes) -> None:
    for _, payload in attributes(data):
        assert payload in data


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_text_comes_back(value: str) -> None:
    assert as_text(by_kind(text(1, value))[1]) == value


def test_a_request_is_done_when_it_is_acknowledged() -> None:
    assert netlink([error(1, 0)]).request(Request(1, b"")) == []
    # Late answers to something else are passed over.
    late = message(7, 99, b"late") + message(ERROR, 99, struct.pack("=i", -5) + bytes(16))
    assert netlink([late + message(7, 1, b"some"), error(1, 0)]).request(Request(1, b"")) == [b"some"]
    with pytest.raises(NetlinkError) as caught:
        netlink([]).request(Request(1, b""))
    assert caught.value.number == errno.EIO


@pytest.mark.parametrize("about", [b"", b"all of the message", b"odd"])
def test_an_error_carries_what_the_kernel_said(about: bytes) -> None:
    with pytest.raises(NetlinkError) as caught:
        netlink([error(1, errno.EINVAL, "not so", about)]).request(Request(1, b""))
    assert (caught.value.number, caught.value.detail) == (errno.EINVAL, "not so")


def test_a_dump_is_done_again_when_something_changed_meanwhile() -> None:
    spoilt: list[list[bytes | int]] = [
        [message(7, 1, b"old1", NLM_F_DUMP_INTR), message(7, 1, b"old2") + message(DONE, 1, bytes(4))],
        [message(7, 2, b"old3"), message(DONE, 2, bytes(4), NLM_F_DUMP_INTR)],
        [message(7, 3, b"old4"), message(DONE, 3, struct.pack("=i", -errno.EINTR))],
        [error(4, errno.EAGAIN)],
    ]
    good: list[bytes | int] = [message(7, 5, b"new1") + message(7, 5, b"new2"), message(DONE, 5, bytes(4))]
    assert netlink(*spoilt, good).dump(Request(1, b"")) == [b"new1", b"new2"]


def test_a_dump_does_not_try_for_ever() -> None:
    always: list[list[bytes | int]] = [[message(DONE, n, bytes(4), NLM_F_DUMP_INTR)] for n in range(1, 1000)]
    with pytest.raises(NetlinkError) as caught:
        netlink(*always).dump(Request(1, b""))
    assert caught.value.number == errno.EBUSY


def test_a_dump_that_fails_says_so() -> None:
    refused: list[bytes | int] = [message(7, 1, b"some") + message(DONE, 1, struct.pack("=i", -errno.EPERM))]
    with pytest.raises(NetlinkError) as caught:
        netlink(refused).dump(Request(1, b""))
    assert caught.value.number == errno.EPERM


REQUESTS = [Request(1, b"abc"), Request(2, b""), Request(3, b"")]


def test_a_batch_is_one_datagram_and_asks_for_one_acknowledgement() -> None:
    made: Any = netlink([error(4, 0)])
    made.batch(10, REQUESTS)
    (data,) = made._socket.sent
    seen, offset = [], 0
    while offset < len(data):
        length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data, offset)
        seen.append((kind, flags, sequence))
        offset += (length + 3) & ~3
    assert seen == [(16, 1, 1), (1, 1, 2), (2, 1, 3), (3, 5, 4), (17, 1, 5)]


@pytest.mark.parametrize(
    ("answers", "number", "index"),
    [
        ([error(3, errno.EEXIST), error(4, errno.ENOENT)], errno.EEXIST, 1),
        ([error(3, errno.EEXIST) + error(4, 0)], errno.EEXIST, 1),
        ([error(1, errno.ENOMEM)], errno.ENOMEM, None),
        # Answers that did not fit into the buffer are lost; the first ones are there.
        ([errno.ENOBUFS, error(2, errno.EPERM)], errno.EPERM, 0),
        ([], errno.EIO, None),
        ([errno.EBADF], errno.EBADF, None),
    ],
)
def test_a_batch_tells_the_first_refusal(answers: list[bytes | int], number: int, index: int | None) -> None:
    with pytest.raises(NetlinkError) as caught:
        netlink(answers).batch(10, REQUESTS)
    assert (caught.value.number, caught.value.index) == (number, index)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EPERM, NotPermittedError),
        (errno.EACCES, NotPermittedError),
        (errno.EOPNOTSUPP, NotSupportedError),
        (errno.EPROTONOSUPPORT, NotSupportedError),
        (errno.EAFNOSUPPORT, NotSupportedError),
        (errno.EEXIST, SystemRefusedError),
        (12345, SystemRefusedError),
    ],
)
def test_refusals_are_of_the_right_type_and_say_what_was_asked(number: int, kind: type[Exception]) -> None:
    with pytest.raises(SystemRefusedError) as caught, asking("make tea"):
        raise NetlinkError(number, "no water")
    assert type(caught.value) is kind
    assert "could not make tea" in str(caught.value)
    assert "no water" in str(caught.value)
