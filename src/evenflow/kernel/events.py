"""What changes in the kernel, told at once: links, addresses, routes, route rules, our nft table.

Formats: rtnetlink(7); Linux, include/uapi/linux/rtnetlink.h (groups and messages), include/uapi/linux/netfilter/
nfnetlink.h and nf_tables.h. An event only says that something of a kind is another now; what it is, is to be read.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import socket
import struct
from typing import TYPE_CHECKING, Final, Self

from evenflow.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkError, asking, attributes
from evenflow.model.dataplane import MAIN_TABLE_NUMBER, ROUTING_MARK_MASK, TABLE_BASE, TABLE_NAME

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterator


class EventKind(enum.Enum):
    """What is another now. RESYNC: events were lost, so it can be anything."""

    LINK = "link"
    ADDRESS = "address"
    ROUTE = "route"
    RULE = "rule"
    NFT = "nft"
    RESYNC = "resync"


_SO_RCVBUFFORCE: Final = 33

# RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE; NFNLGRP_NFTABLES.
_ROUTE_GROUPS: Final = (1, 5, 7, 8, 9, 11, 19)
_NFT_GROUPS: Final = (7,)

_HEADER: Final = struct.Struct("=IHHII")
_NEWROUTE, _DELROUTE = 24, 25
_RTM_BYTES: Final = 12
_RTM_TABLE_OFFSET: Final = 4
_U32: Final = struct.Struct("=I")
_RTM_FLAGS_OFFSET: Final = 8
_RTM_F_CLONED: Final = 0x200
_RTA_TABLE: Final = 15
_KIND_OF: Final = {
    16: EventKind.LINK,
    17: EventKind.LINK,
    20: EventKind.ADDRESS,
    21: EventKind.ADDRESS,
    _NEWROUTE: EventKind.ROUTE,
    _DELROUTE: EventKind.ROUTE,
    32: EventKind.RULE,
    33: EventKind.RULE,
}
#: Messages about a link or an address are never passed over: what we change there ourselves is nothing.
_OURS_PASSED_OVER: Final = frozenset({EventKind.ROUTE, EventKind.RULE})

_NFNL_SUBSYS_NFTABLES: Final = 10
_NFGEN_BYTES: Final = 4
_NFTA_TABLE: Final = 1  # the table's name, in messages about tables, chains, rules, sets and elements alike
_OUR_TABLE: Final = TABLE_NAME.encode()

#: Room for what comes while a pass is at work. A full table of routes (a million) does not fit into any such buffer:
#: that ends in a RESYNC. The kernel only takes what is used.
_BUFFER_BYTES: Final = 4 << 20

#: The longest message: the kernel puts at most 32 KiB into one, a link with many virtual functions apart.
_RECEIVE_BYTES: Final = 1 << 16

#: Datagrams taken before others get their turn in the loop: about a millisecond.
_AT_ONCE: Final = 256


class KernelEvents:
    """Subscriptions in the network namespace that the thread is in when this is made. Close it, or use it in a `with`.

    Changes that `own_ports` asked for (netlink ports, by protocol: `LinuxKernel.ports`) are passed over, where they are
    routes, rules or nft: who asked for them reads them back. What somebody else changes meanwhile has another port.
    """

    def __init__(self, own_ports: Collection[tuple[int, int]] = (), *, buffer_bytes: int = _BUFFER_BYTES) -> None:
        """Subscribe. `own_ports`: (netlink protocol, port id).

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            SystemRefusedError: the kernel lacks it.
        """
        self._own = {
            protocol: frozenset(port for of, port in own_ports if of == protocol)
            for protocol in (NETLINK_ROUTE, NETLINK_NETFILTER)
        }
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Callable[[frozenset[EventKind]], None] | None = None
        with contextlib.ExitStack() as unwinding:
            self._route = unwinding.enter_context(_subscribed(NETLINK_ROUTE, _ROUTE_GROUPS, buffer_bytes))
            self._nft = unwinding.enter_context(_subscribed(NETLINK_NETFILTER, _NFT_GROUPS, buffer_bytes))
            self._stack = unwinding.pop_all()

    def attach(self, loop: asyncio.AbstractEventLoop, wake: Callable[[frozenset[EventKind]], None]) -> None:
        """Have `loop` call `wake` with the kinds of what has changed: once for all that came in together.

        Changes since this was made are told, too.
        """
        self._loop, self._wake = loop, wake
        for subscribed in (self._route, self._nft):
            loop.add_reader(subscribed, self._readable)

    def detach(self) -> None:
        """No more calls. Events wait in the buffer; to detach twice does nothing."""
        if self._loop is not None:
            for subscribed in (self._route, self._nft):
                self._loop.remove_reader(subscribed)
        self._loop = self._wake = None

    def take(self) -> frozenset[EventKind]:
        """What has changed since the last look, without waiting; at most a few hundred events at once."""
        kinds = set(self._kinds(self._route, NETLINK_ROUTE))
        kinds.update(self._kinds(self._nft, NETLINK_NETFILTER))
        return frozenset(kinds)

    def close(self) -> None:
        """Unsubscribe."""
        self.detach()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _readable(self) -> None:
        # Both, whichever it was: a change often shows in both, and shall wake once.
        kinds = self.take()
        if kinds and self._wake is not None:
            self._wake(kinds)

    def _kinds(self, subscribed: socket.socket, protocol: int) -> Iterator[EventKind]:
        for _ in range(_AT_ONCE):
            try:
                size, _, flags, sender = subscribed.recvmsg_into([self._buffer])
            except BlockingIOError:
                return
            except OSError as problem:
                yield EventKind.RESYNC
                if problem.errno != errno.ENOBUFS:
                    return
                continue
            if sender[0] != 0:  # another process speaks to our port: only the kernel is believed
                continue
            if flags & socket.MSG_TRUNC:
                yield EventKind.RESYNC
            yield from kinds_in(bytes(memoryview(self._buffer)[:size]), protocol, self._own[protocol])


def kinds_in(data: bytes, protocol: int, own_ports: Collection[int] = ()) -> Iterator[EventKind]:
    """What the messages of one datagram of that netlink protocol tell of, passing over what concerns nobody here."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind_number, _, _, port = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        payload = data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3
        ours = port in own_ports
        if protocol == NETLINK_NETFILTER:
            if not ours and _tells_of_our_table(kind_number, payload):
                yield EventKind.NFT
            continue
        kind = _KIND_OF.get(kind_number)
        if kind is None or (ours and kind in _OURS_PASSED_OVER):
            continue
        if kind is not EventKind.ROUTE or _concerns_us(payload):
            yield kind


def _concerns_us(payload: bytes) -> bool:
    """Whether a route stands in main or in a table of ours, and is no cached one."""
    if len(payload) < _RTM_BYTES:
        return True
    if _U32.unpack_from(payload, _RTM_FLAGS_OFFSET)[0] & _RTM_F_CLONED:
        return False
    # One byte has room for small numbers; of a larger one it says 252 (RT_TABLE_COMPAT), and an attribute has it all.
    table = payload[_RTM_TABLE_OFFSET]
    named = _attribute(payload, _RTM_BYTES, _RTA_TABLE)
    if named is not None and len(named) == _U32.size:
        (table,) = _U32.unpack(named)
    return table == MAIN_TABLE_NUMBER or TABLE_BASE < table <= TABLE_BASE + ROUTING_MARK_MASK


def _tells_of_our_table(kind_number: int, payload: bytes) -> bool:
    """Whether something changed in a table of our name, whatever its family. A generation alone names no table."""
    if kind_number >> 8 != _NFNL_SUBSYS_NFTABLES:
        return False
    name = _attribute(payload, _NFGEN_BYTES, _NFTA_TABLE)
    return name is not None and name.rstrip(b"\0") == _OUR_TABLE


def _attribute(payload: bytes, offset: int, wanted: int) -> bytes | None:
    """The first attribute of that kind; None if there is none."""
    return next((data for kind, data in attributes(payload, offset) if kind == wanted), None)


def _subscribed(protocol: int, groups: Collection[int], buffer_bytes: int) -> socket.socket:
    """A socket that gets what the kernel tells these groups."""
    with asking("ask the kernel to tell what changes"):
        try:
            made = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol
            )
        except OSError as problem:
            raise NetlinkError(problem.errno or errno.EIO) from problem
        try:
            try:
                made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
            except PermissionError:  # beyond net.core.rmem_max, which takes root outside of user namespaces
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            made.bind((0, sum(1 << group - 1 for group in groups)))
        except OSError as problem:
            made.close()
            raise NetlinkError(problem.errno or errno.EIO) from problem
        return made
