"""Debian's dnsmasq and udhcpc in namespaces: a provider that gives addresses away, and a router that takes them."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Network

    from evenflow.kernel.namespaces import NetworkNamespace

#: What Debian's udhcpc does with a lease. It writes to two places that are outside of every namespace.
DEBIAN_SCRIPT: Final = Path("/etc/udhcpc/default.script")

#: dnsmasq gives no lease for less than two minutes: what happens within a test, the test makes happen.
LEASE_S: Final = 120


@dataclass(frozen=True)
class Offer:
    """What a provider gives to its subscriber: always the one address, and a way out."""

    address: IPv4Address
    gateway: IPv4Address


@dataclass(frozen=True)
class Advertisement:
    """What a provider's router says of itself: a prefix, and whether a default route leads to it (RFC 4861)."""

    prefix: IPv6Network
    is_default: bool = True


class Provider:
    """dnsmasq on one interface. What it offers can be another at any time; it forgets all leases then."""

    def __init__(self, namespace: NetworkNamespace, interface: str, log: Path) -> None:
        self._namespace, self._interface, self._log = namespace, interface, log
        self._process: subprocess.Popen[str] | None = None

    def offers(self, what: Offer | Advertisement) -> None:
        """Offer this from now on, and nothing else."""
        self.stop()
        with self._log.open("a", encoding="utf-8") as log:
            self._process = self._namespace.start(
                ["dnsmasq", *self._options(), *_said(what, self._interface)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )

    def _options(self) -> list[str]:
        return [
            "--keep-in-foreground", "--log-facility=-", "--log-dhcp",
            "--conf-file=/dev/null", "--pid-file=", "--leasefile-ro", "--port=0",
            # The only user that there is when an ordinary one has made the namespaces.
            "--user=root", "--group=",
            f"--interface={self._interface}", "--bind-interfaces", "--no-ping", "--dhcp-authoritative",
        ]  # fmt: skip

    def stop(self) -> None:
        """Be silent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _said(what: Offer | Advertisement, interface: str) -> list[str]:
    if isinstance(what, Offer):
        return [
            f"--dhcp-range={what.address},{what.address},255.255.255.0,{LEASE_S}",
            f"--dhcp-option=option:router,{what.gateway}",
        ]
    return [
        "--enable-ra",
        f"--dhcp-range={what.prefix.network_address},ra-only,{what.prefix.prefixlen},{LEASE_S}",
        f"--ra-param={interface},4,{600 if what.is_default else 0}",
    ]


class Subscriber:
    """udhcpc on one interface, with Debian's own script."""

    def __init__(self, namespace: NetworkNamespace, interface: str, folder: Path) -> None:
        self._namespace, self._interface, self._folder = namespace, interface, folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Ask for a lease, and keep it."""
        assert self._process is None
        log: IO[str]
        with (self._folder / "udhcpc.log").open("a", encoding="utf-8") as log:
            self._process = self._namespace.start(
                ["udhcpc", "-f", "-i", self._interface, "-s", str(self._script()), "-t", "20", "-T", "1", "-A", "1"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )

    def _script(self) -> Path:
        """Debian's script, with the machine's name servers and its log out of its reach."""
        text = DEBIAN_SCRIPT.read_text(encoding="utf-8")
        text = text.replace("/etc/resolv.conf", str(self._folder / "resolv.conf"))
        text = text.replace("/sbin/resolvconf", "/nonexistent").replace("logger -t", "echo")
        kept = self._folder / "udhcpc.script"
        kept.write_text(text, encoding="utf-8")
        kept.chmod(0o755)
        return kept

    def renew(self) -> None:
        """Ask the provider again, now."""
        self._signal(signal.SIGUSR1)

    def release(self) -> None:
        """Give the lease back: the script takes addresses and routes away, as when one runs out."""
        self._signal(signal.SIGUSR2)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.poll() is None, "udhcpc has ended"
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it at once; what it has put into the kernel stays there."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
