"""A kernel to test, and hands to do to its machine what its owner does: the same for the real one and for the fake."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Protocol

import pytest

from evenflow.kernel.fake import FakeKernel
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.model.flow import Family
from evenflow.model.machine import LinkAddress
from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.kernel.linux import Kernel
    from evenflow.model.dataplane import FibRoute, FibRule

SYSCTLS = {"net/ipv4/ip_forward": "0", "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/all/log_martians": "0"}


def need_program(name: str, package: str) -> None:
    """Skip without that program; fail where everything has to be there."""
    # An ordinary user's PATH lacks the folder where Debian keeps nft.
    if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return
    missing = f"the program {name} is missing (Debian: apt install {package})"
    if os.environ.get("CI") or os.environ.get("EVENFLOW_REQUIRE_ALL"):
        pytest.fail(missing)
    pytest.skip(missing)


def need_large_sends() -> None:
    """Skip where this process may not send more than net.core.wmem_max at once, which no root of its own world may."""
    so_sndbufforce = 32
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, so_sndbufforce, 1 << 20)
        except PermissionError:
            pytest.skip("a change of several megabytes needs root outside of user namespaces")


class World(Protocol):
    """A machine with a kernel."""

    kernel: Kernel

    def add_link(self, name: str) -> None: ...
    def set_link(self, name: str, *, up: bool) -> None: ...
    def delete_link(self, name: str) -> None: ...
    def add_address(self, link: str, address: str) -> None: ...
    def delete_address(self, link: str, address: str) -> None: ...
    def add_foreign_route(self, route: FibRoute) -> None: ...
    def add_foreign_rule(self, rule: FibRule) -> None: ...
    def close(self) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.fake = FakeKernel(sysctls=SYSCTLS)
        self.kernel: Kernel = self.fake
        self.fake.add_link("lo")

    def add_link(self, name: str) -> None:
        self.fake.add_link(name)

    def set_link(self, name: str, *, up: bool) -> None:
        self.fake.set_link(name, up=up)

    def delete_link(self, name: str) -> None:
        self.fake.delete_link(name)

    def add_address(self, link: str, address: str) -> None:
        self.fake.add_address(LinkAddress(link, ip_interface(address)))

    def delete_address(self, link: str, address: str) -> None:
        self.fake.delete_address(LinkAddress(link, ip_interface(address)))

    def add_foreign_route(self, route: FibRoute) -> None:
        self.fake.add_foreign_route(route)

    def add_foreign_rule(self, rule: FibRule) -> None:
        self.fake.add_foreign_rule(rule)

    def close(self) -> None:
        pass


def route_words(route: FibRoute) -> list[str]:
    """A route as arguments of `ip route add`."""
    words = [] if route.kind is RouteKind.UNICAST else [route.kind.value]
    words += [str(route.destination), "table", str(route.table), "metric", str(route.metric)]
    words += ["proto", str(route.protocol)]
    for hop in route.hops:
        words += ["nexthop"] if len(route.hops) > 1 else []
        words += ["via", str(hop.gateway)] if hop.gateway else []
        words += ["dev", hop.interface]
    return words


class LinuxWorld:
    def __init__(self) -> None:
        need_program("ip", "iproute2")
        with contextlib.ExitStack() as unwinding:
            self.namespace = unwinding.enter_context(NetworkNamespace.create())
            with self.namespace.entered():
                self.linux = unwinding.enter_context(LinuxKernel())
            self._stack = unwinding.pop_all()
        self.kernel: Kernel = self.linux

    def ip(self, *words: str) -> str:
        return self.namespace.run(["ip", *words])

    def nft(self, *words: str, stdin: str | None = None) -> str:
        need_program("nft", "nftables")
        return self.namespace.run(["nft", *words], stdin=stdin)

    def nftables_generation(self) -> int:
        return self.linux.nftables.generation()

    def add_link(self, name: str) -> None:
        other = f"{name}-far"
        self.ip("link", "add", "name", name, "type", "veth", "peer", "name", other)
        self.ip("link", "set", "dev", other, "up")
        self.ip("link", "set", "dev", name, "up")

    def set_link(self, name: str, *, up: bool) -> None:
        self.ip("link", "set", "dev", name, "up" if up else "down")

    def delete_link(self, name: str) -> None:
        self.ip("link", "delete", "dev", name)

    def add_address(self, link: str, address: str) -> None:
        without_detection: Sequence[str] = ("nodad",) if ":" in address else ()
        self.ip("address", "add", address, "dev", link, *without_detection)

    def delete_address(self, link: str, address: str) -> None:
        self.ip("address", "delete", address, "dev", link)

    def add_foreign_route(self, route: FibRoute) -> None:
        self.ip("-4" if route.family is Family.IPV4 else "-6", "route", "add", *route_words(route))

    def add_foreign_rule(self, rule: FibRule) -> None:
        family = "-4" if rule.family is Family.IPV4 else "-6"
        words = ["priority", str(rule.priority), "fwmark", f"{rule.mark:#x}/{rule.mask:#x}"]
        self.ip(family, "rule", "add", *words, "table", str(rule.table), "protocol", str(rule.protocol))

    def close(self) -> None:
        self._stack.close()
