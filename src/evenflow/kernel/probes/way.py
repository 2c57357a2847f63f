"""The way that probes take: a network namespace, an interface, a mark.

Formats: socket(7) for the options, netdevice(7) for the interface requests, rtnetlink(7) for the route.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.netlink import NETLINK_ROUTE, NetlinkError, NetlinkSocket, Request, attribute, by_kind
from evenflow.kernel.rt_codec import ADDRESS_FAMILY
from evenflow.model.flow import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flow import Address

# linux/sockios.h, linux/if.h, linux/if_arp.h
_SIOCGIFNAME, _SIOCGIFFLAGS, _SIOCGIFADDR, _SIOCGIFHWADDR, _SIOCGIFINDEX = 0x8910, 0x8913, 0x8915, 0x8927, 0x8933
_NAME_BYTES: Final = 15
_IFREQ_NUMBER: Final = struct.Struct("=16si20x")
_IFREQ_FLAGS: Final = struct.Struct("=16sH22x")
_IFREQ_HARDWARE: Final = struct.Struct("=16sH6s16x")
_IFF_LOOPBACK, _IFF_POINTOPOINT, _IFF_NOARP = 0x8, 0x10, 0x80
_ARPHRD_ETHER: Final = 1

_SO_MARK: Final = 36

_RTM_GETROUTE: Final = 26
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_RTA_DST, _RTA_OIF, _RTA_PREFSRC, _RTA_MARK = 1, 4, 7, 16


@dataclass(frozen=True, slots=True)
class Hop:
    """How an address is reached.

    Attributes:
        interface, index: the device.
        hardware: its Ethernet address, 6 bytes; None for a device that looks up no neighbours (NOARP, point-to-point,
            not Ethernet).
        source: our own address that packets leave with, packed.
    """

    interface: str
    index: int
    hardware: bytes | None
    source: bytes


class Way:
    """Makes sockets whose packets go by one interface with one mark.

    They belong to the network namespace that the thread was in when this was made, wherever it is now.
    """

    def __init__(self, interface: str | None, mark: int) -> None:
        """Of that interface, or none; with that mark, or (0) none.

        Raises:
            OSError: no socket could be made.
        """
        self.interface = interface
        self._mark = mark
        self._home = NetworkNamespace.current()
        self._home_inode = _inode_of_namespace()
        self._netlink: NetlinkSocket | None = None
        try:
            self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError:
            self._home.close()
            raise

    def index(self) -> int:
        """The interface's index at this moment; 0 when there is no interface to bind to.

        Raises:
            OSError: ENODEV, no interface has the name.
        """
        return self._index_of(self.interface) if self.interface is not None else 0

    def open(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket, bound and marked; the caller closes it.

        Raises:
            OSError: no such interface, a capability is missing, the kernel lacks the family.
        """
        made = self._open_at_home(family, kind, protocol)
        try:
            if family != socket.AF_PACKET:
                if self._mark:
                    made.setsockopt(socket.SOL_SOCKET, _SO_MARK, struct.pack("=I", self._mark))
                if self.interface is not None:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode() + b"\0")
        except OSError:
            made.close()
            raise
        return made

    def socket_address(self, address: Address, port: int = 0) -> tuple[str, int] | tuple[str, int, int, int]:
        """An address as a socket takes it; a link-local one with the interface's index.

        Raises:
            OSError: ENODEV, no interface has the name.
        """
        said = socket.inet_ntop(ADDRESS_FAMILY[family_of(address)], address.packed)
        if address.version == 4:
            return said, port
        scope = 0
        if address.is_link_local:
            scope = self._index_of(address.scope_id) if address.scope_id else self.index()
        return said, port, 0, scope

    def hop_to(self, address: Address) -> Hop:
        """By which device, and with which address of ours, a packet to `address` leaves now.

        Raises:
            OSError: no route, no such interface; EADDRNOTAVAIL, no address to ask a neighbour with.
        """
        family = ADDRESS_FAMILY[family_of(address)]
        parts = [_ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0), attribute(_RTA_DST, address.packed)]
        index = self.index() or (int(self.socket_address(address)[3]) if address.version == 6 else 0)  # type: ignore[misc]
        if index:
            parts.append(attribute(_RTA_OIF, struct.pack("=I", index)))
        if self._mark:
            parts.append(attribute(_RTA_MARK, struct.pack("=I", self._mark)))
        held = by_kind(self._ask(Request(_RTM_GETROUTE, b"".join(parts))), _ROUTE.size)
        index = struct.unpack("=I", held[_RTA_OIF])[0] if _RTA_OIF in held else index
        name = self._name_of(index)
        hardware = self._hardware_of(name)
        if hardware is not None and address.version == 4:
            # For a device without an address the kernel would take that of another one.
            fcntl.ioctl(self._control, _SIOCGIFADDR, _IFREQ_NUMBER.pack(_name(name), 0))
        if _RTA_PREFSRC not in held:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        return Hop(name, index, hardware, held[_RTA_PREFSRC])

    def close(self) -> None:
        """Let go of the namespace. Sockets that were made stay open."""
        self._control.close()
        self._home.close()
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def _open_at_home(self, family: int, kind: int, protocol: int) -> socket.socket:
        with self._at_home():
            return socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        # To enter a namespace takes CAP_SYS_ADMIN, which a daemon has no other need of: its thread never moves.
        if _inode_of_namespace() == self._home_inode:
            yield
        else:
            with self._home.entered():
                yield

    def _ask(self, request: Request) -> bytes:
        try:
            if self._netlink is None:
                with self._at_home():
                    self._netlink = NetlinkSocket(NETLINK_ROUTE)
            replies = self._netlink.request(request)
        except NetlinkError as problem:
            raise OSError(problem.number, os.strerror(problem.number)) from problem
        if not replies:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return replies[0]

    def _index_of(self, name: str) -> int:
        answer = fcntl.ioctl(self._control, _SIOCGIFINDEX, _IFREQ_NUMBER.pack(_name(name), 0))
        return int(_IFREQ_NUMBER.unpack(answer)[1])

    def _name_of(self, index: int) -> str:
        answer = fcntl.ioctl(self._control, _SIOCGIFNAME, _IFREQ_NUMBER.pack(b"", index))
        name: bytes = _IFREQ_NUMBER.unpack(answer)[0]
        return name.rstrip(b"\0").decode()

    def _hardware_of(self, name: str) -> bytes | None:
        answer = fcntl.ioctl(self._control, _SIOCGIFFLAGS, _IFREQ_FLAGS.pack(_name(name), 0))
        if _IFREQ_FLAGS.unpack(answer)[1] & (_IFF_LOOPBACK | _IFF_POINTOPOINT | _IFF_NOARP):
            return None
        answer = fcntl.ioctl(self._control, _SIOCGIFHWADDR, _IFREQ_HARDWARE.pack(_name(name), 0, b""))
        _, kind, address = _IFREQ_HARDWARE.unpack(answer)
        return address if kind == _ARPHRD_ETHER else None


def _name(name: str) -> bytes:
    """A name for a request; one that is too long would be cut, and another interface meant.

    Raises:
        OSError: no interface can have that name.
    """
    encoded = name.encode()
    if len(encoded) > _NAME_BYTES:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return encoded


def _inode_of_namespace() -> int:
    # Namespaces are files of one file system (nsfs), so the inode alone tells them apart.
    return os.stat("/proc/thread-self/ns/net").st_ino  # noqa: PTH116 - at each socket; a Path costs more than the call
