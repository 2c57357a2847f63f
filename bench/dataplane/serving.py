"""A client and a server with real TCP at the ends of a rig, where there were only frames."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

from bench.dataplane.rig import CLIENT_END, CLIENT_MAC, GATEWAY_MAC, far_end
from bench.dataplane.site import LAN_ADDRESSES, LAN_ROUTERS
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.dataplane.rig import Rig

_SERVER: Final = ("198.51.100.7", 443)

#: One packet on the uplink is one packet in the router: nothing comes as a bundle that is cut up later.
_UNBUNDLED: Final = "gso_max_segs 1"

#: Closing resets: no socket stays behind to wait for stragglers.
_AT_ONCE: Final = struct.pack("ii", 1, 0)

#: So much is sent before any of it is read: both sockets together must have room for it.
_PIECE_BYTES: Final = 1 << 16
_ROOM_BYTES: Final = 4 * _PIECE_BYTES
_PATIENCE_S: Final = 10.0


class Hosts:
    """Gives a rig's ends addresses, IPv4 only; both ends run in this thread, so that its CPU time is all of it."""

    def __init__(self, rig: Rig, stack: contextlib.ExitStack) -> None:
        self._clients = rig.clients
        self._internet = rig.internet
        router = LAN_ADDRESSES[Family.IPV4].split("/")[0]
        lines = [
            f"link set {CLIENT_END} address {CLIENT_MAC.hex(':')} {_UNBUNDLED}",
            f"addr add {LAN_ROUTERS[Family.IPV4]}/24 dev {CLIENT_END}",
            f"route add default via {router}",
        ]
        self._clients.run(["ip", "-batch", "-"], stdin="\n".join(lines))
        lines = [f"addr add {_SERVER[0]}/32 dev lo"]
        for uplink in rig.site.uplinks:
            lines.append(f"link set {far_end(uplink)} address {GATEWAY_MAC} {_UNBUNDLED}")
            lines.append(f"addr add {uplink.gateway(Family.IPV4)}/24 dev {far_end(uplink)}")
        self._internet.run(["ip", "-batch", "-"], stdin="\n".join(lines))
        with self._internet.entered():
            self._listener = stack.enter_context(socket.create_server(_SERVER, backlog=16))
        self._listener.settimeout(_PATIENCE_S)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM_BYTES)

    def connect(self, count: int) -> None:
        """Open and reset so many connections, one after the other.

        Raises:
            OSError: one did not come to be.
        """
        with self._clients.entered():
            for _ in range(count):
                client, server = self._open()
                client.close()
                server.close()

    def _open(self) -> tuple[socket.socket, socket.socket]:
        client = socket.socket()
        client.settimeout(_PATIENCE_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        client.connect(_SERVER)
        server, _ = self._listener.accept()
        server.settimeout(_PATIENCE_S)
        return client, server

    @contextlib.contextmanager
    def download(self) -> Iterator[Callable[[int], None]]:
        """A connection, and what fetches so many kilobytes from the server over it."""
        with self._clients.entered():
            client, server = self._open()
        with client, server:
            space = bytearray(_PIECE_BYTES)

            def fetch(kilobytes: int) -> None:
                for _ in range(0, kilobytes, _PIECE_BYTES // 1024):
                    server.sendall(bytes(_PIECE_BYTES))
                    left = _PIECE_BYTES
                    while left:
                        left -= client.recv_into(space, left)

            yield fetch
