"""Netlink: attributes, message framing, and a socket that asks and gets answers.

Formats: netlink(7); Linux, include/uapi/linux/netlink.h and include/uapi/linux/netfilter/nfnetlink.h. Headers are in
the byte order of the machine, padded to 4 bytes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from evenflow.errors import NotPermittedError, NotSupportedError, SystemRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_DUMP: Final = 0x300
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_APPEND: Final = 0x800

_NLM_F_CAPPED: Final = 0x100
_NLM_F_ACK_TLVS: Final = 0x200
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NLMSG_ERR_ATTR_MSG: Final = 1
_NFNL_BATCH_BEGIN: Final = 0x10
_NFNL_BATCH_END: Final = 0x11
_NFNL_BATCH_GENID: Final = 1

_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_NETLINK_GET_STRICT_CHK: Final = 12
_SO_SNDBUFFORCE: Final = 32

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12

NLA_F_NESTED: Final = 0x8000
_NLA_TYPE_MASK: Final = 0x3FFF

#: The kernel never puts more than 32 KiB into one part of a dump (net/netlink/af_netlink.c).
_RECEIVE_BYTES: Final = 1 << 16

#: Each try of a dump can be spoilt by one change of somebody else. Nobody changes that often for long.
_DUMP_TRIES: Final = 50

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")


# --- attributes ------------------------------------------------------------------------------------------------------


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute: header, payload, padding. At most 65,531 bytes fit into it."""
    length = len(payload)
    return _ATTRIBUTE.pack(length + 4, kind) + payload + _PADDING[length & 3]


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute whose payload is attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a string with its closing zero byte."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Kind (without flags) and payload of each attribute from `offset` on, in order."""
    end = len(data) - 3
    while offset < end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            return
        yield kind & _NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def by_kind(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attributes by kind; of a kind that comes several times the last one."""
    return dict(attributes(data, offset))


def as_text(payload: bytes) -> str:
    """The string in an attribute."""
    return payload.rstrip(b"\0").decode(errors="replace")


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """One message to the kernel: type, flags beside NLM_F_REQUEST, and all that comes behind the netlink header."""

    kind: int
    payload: bytes
    flags: int = 0


class NetlinkError(Exception):
    """The kernel answered with an error. Does not leave this package: see `asking`.

    Attributes:
        number: errno.
        detail: what the kernel said about it (extended ack), "" if nothing.
        index: which message of a batch it was about, None for the batch as a whole.
    """

    def __init__(self, number: int, detail: str = "", index: int | None = None) -> None:
        self.number = number
        self.detail = detail
        self.index = index
        super().__init__(number, detail, index)


_PERMISSION: Final = frozenset({errno.EPERM, errno.EACCES})
_MISSING: Final = frozenset({errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOSYS})


def refusal(problem: NetlinkError, what: str) -> SystemRefusedError:
    """The exception that the rest of evenflow sees. `what` was asked, as in "add the route …"."""
    said = f"{errno.errorcode.get(problem.number, problem.number)}: {problem.detail or os.strerror(problem.number)}"
    if problem.number in _PERMISSION:
        return NotPermittedError(f"could not {what}: it needs CAP_NET_ADMIN: run it as root, e.g. with sudo ({said})")
    if problem.number in _MISSING:
        return NotSupportedError(f"could not {what}: this kernel does not support it ({said})")
    return SystemRefusedError(f"could not {what}: the kernel refused ({said})")


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn a `NetlinkError` within into the exception for callers; `what` says what was asked.

    Raises:
        NotPermittedError: CAP_NET_ADMIN is missing.
        NotSupportedError: the kernel lacks it.
        SystemRefusedError: any other refusal.
    """
    try:
        yield
    except NetlinkError as problem:
        raise refusal(problem, what) from problem


@dataclass(frozen=True, slots=True, eq=False)
class Dump:
    """What the kernel listed. With the same sequence the same list comes in the same datagrams, byte for byte."""

    payloads: Sequence[bytes]
    datagrams: Sequence[bytes]
    sequence: int


class _Answer(NamedTuple):
    """A message from the kernel."""

    kind: int
    flags: int
    sequence: int
    payload: bytes


def _error_of(answer: _Answer) -> NetlinkError | None:
    """The error that an NLMSG_ERROR or NLMSG_DONE carries; None for an acknowledgement."""
    number = -struct.unpack_from("=i", answer.payload)[0] if len(answer.payload) >= 4 else 0
    if number == 0:
        return None
    detail = ""
    if answer.flags & _NLM_F_ACK_TLVS:
        # Behind the number stands the header of the message in question, and all of it unless the answer is "capped".
        offset = 4
        if answer.kind == _NLMSG_ERROR:
            length = struct.unpack_from("=I", answer.payload, 4)[0]
            offset += _HEADER.size if answer.flags & _NLM_F_CAPPED else (length + 3) & ~3
        detail = as_text(by_kind(answer.payload, offset).get(_NLMSG_ERR_ATTR_MSG, b""))
    return NetlinkError(number, detail)


class NetlinkSocket:
    """A netlink socket in the network namespace that the thread is in when it is made. Not for several threads.

    The kernel handles a request within the call that sends it. So when sending returns, the answers (of a dump:
    the first of them) are there already, and waiting for an answer can't last for ever.
    """

    def __init__(self, protocol: int) -> None:
        """Open it.

        Raises:
            NetlinkError: the kernel does not have that protocol.
        """
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
            self._socket.bind((0, 0))
        except OSError as problem:
            raise NetlinkError(problem.errno or errno.EIO) from problem
        self._sequence = 0
        self._dumping = False
        #: The protocol and the port that the kernel knows it by: in its own namespace no other open socket has both.
        self.port: tuple[int, int] = (protocol, self._socket.getsockname()[0])
        # Without the request in each answer, the answers to a large batch stay small.
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        # Kernels before 4.20 don't know it: they ignore the filters of a dump, and the readers filter once more.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)

    def request(self, request: Request) -> list[bytes]:
        """Send one request and wait until it is done; what the kernel answered besides (payloads).

        Raises:
            NetlinkError: the kernel refused.
        """
        sequence = self._next()
        self._send(_frame(request, NLM_F_ACK, sequence))
        replies: list[bytes] = []
        for answer in self._waiting():
            if answer.sequence != sequence:
                continue
            if answer.kind == _NLMSG_ERROR:
                problem = _error_of(answer)
                if problem:
                    raise problem
                return replies
            replies.append(answer.payload)
        raise NetlinkError(errno.EIO, "the kernel gave no answer")

    def dump(self, request: Request) -> Sequence[bytes]:
        """The payloads of a dump, again from the start when a change came between.

        Raises:
            NetlinkError: the kernel refused, or changes never stopped.
        """
        return self.dump_again(request, None).payloads

    def dump_again(self, request: Request, before: Dump | None) -> Dump:
        """A dump. `before` itself when that was the answer to the same request, and the kernel lists just the same.

        Raises:
            NetlinkError: the kernel refused, or changes never stopped.
        """
        for _ in range(_DUMP_TRIES):
            listed = self._dump_once(request, before)
            if listed is not None:
                return listed
        raise NetlinkError(errno.EBUSY, "it changed while it was read, again and again")

    def batch(self, subsystem: int, requests: Sequence[Request], generation: int = 0) -> None:
        """Carry out all of `requests` (nfnetlink) or none; with `generation` only if it is the one in force.

        Raises:
            NetlinkError: the kernel refused (ERESTART: another generation); `index` is the first message refused.
        """
        family = struct.pack("!BBH", socket.AF_UNSPEC, 0, subsystem)
        condition = attribute(_NFNL_BATCH_GENID, struct.pack("!I", generation)) if generation else b""
        begin = self._next()
        frames = [_frame(Request(_NFNL_BATCH_BEGIN, family + condition), 0, begin)]
        last = len(requests) - 1
        # One acknowledgement is enough: errors come without being asked for, and only after the whole batch.
        frames.extend(
            _frame(request, NLM_F_ACK if index == last else 0, self._next()) for index, request in enumerate(requests)
        )
        frames.append(_frame(Request(_NFNL_BATCH_END, family), 0, self._next()))
        self._send(b"".join(frames))
        answered, first = not requests, None
        for answer in self._waiting():
            index = answer.sequence - begin - 1
            if answer.kind != _NLMSG_ERROR or not -1 <= index <= last:
                continue
            answered = True
            problem = _error_of(answer)
            if problem and first is None:
                problem.index = index if index >= 0 else None
                first = problem
        if first or not answered:
            raise first or NetlinkError(errno.EIO, "the kernel gave no answer")

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _send(self, data: bytes) -> None:
        room = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 32
        if len(data) > room:
            self._make_room(len(data) + 32)
        try:
            self._socket.send(data)
        except OSError as problem:
            detail = ""
            if problem.errno == errno.EMSGSIZE:
                detail = (
                    f"the change has {len(data)} bytes, and this user may send no more than {room} at once: "
                    "run it as root, or raise the sysctl net.core.wmem_max"
                )
            raise NetlinkError(problem.errno or errno.EIO, detail) from problem

    def _make_room(self, size_bytes: int) -> None:
        """A change must be sent in one piece. Beyond net.core.wmem_max that takes root outside of user namespaces."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size_bytes)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)

    def _waiting(self) -> Iterator[_Answer]:
        """What the kernel has answered so far."""
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as problem:
                # Answers beyond the receive buffer are lost, never the first ones: those tell what went wrong.
                if problem.errno != errno.ENOBUFS:
                    raise NetlinkError(problem.errno or errno.EIO) from problem
            else:
                yield from _messages(data)

    def _dump_once(self, request: Request, before: Dump | None) -> Dump | None:
        """One try of a dump; None when a change spoilt it."""
        if self._dumping:
            # The last one was broken off (Ctrl-C). The kernel begins no other before all of it has been taken.
            for _ in self._waiting():
                pass
        sequence = before.sequence if before else self._next()
        self._dumping = True
        self._send(_frame(request, NLM_F_DUMP, sequence))
        datagrams: list[bytes] = []
        if before and all(self._receive(datagrams) == known for known in before.datagrams):
            self._dumping = False
            return before
        return self._understood(datagrams, sequence)

    def _understood(self, datagrams: list[bytes], sequence: int) -> Dump | None:
        """The dump that begins with `datagrams` and that the rest is still to be received of; None for a spoilt one."""
        payloads, spoilt = list[bytes](), False
        arrived = iter(tuple(datagrams))
        while True:
            for answer in _messages(next(arrived, b"") or self._receive(datagrams)):
                if answer.sequence != sequence:
                    continue
                spoilt = spoilt or bool(answer.flags & NLM_F_DUMP_INTR)
                if answer.kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    self._dumping = False
                    problem_told = _error_of(answer)
                    if problem_told and problem_told.number not in (errno.EINTR, errno.EAGAIN):
                        raise problem_told
                    return None if spoilt or problem_told else Dump(payloads, datagrams, sequence)
                payloads.append(answer.payload)

    def _receive(self, datagrams: list[bytes]) -> bytes:
        """Wait for the next part of a dump, and add it."""
        try:
            datagrams.append(self._socket.recv(_RECEIVE_BYTES))
        except OSError as problem:
            raise NetlinkError(problem.errno or errno.EIO) from problem
        return datagrams[-1]


def _frame(request: Request, flags: int, sequence: int) -> bytes:
    length = _HEADER.size + len(request.payload)
    header = _HEADER.pack(length, request.kind, NLM_F_REQUEST | request.flags | flags, sequence, 0)
    return header + request.payload + _PADDING[length & 3]


def _messages(data: bytes) -> Iterator[_Answer]:
    """The messages of one datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield _Answer(kind, flags, sequence, data[offset + _HEADER.size : offset + length])
        offset += (length + 3) & ~3
