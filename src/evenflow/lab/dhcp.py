"""DHCP as people have it: Debian's dnsmasq at a provider, Debian's udhcpc in the router."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from evenflow.errors import LabError, SystemRefusedError
from evenflow.kernel.namespaces import run
from evenflow.kernel.rtnetlink import RouteNetlink
from evenflow.lab.topology import ROUTER, Cable
from evenflow.model.dataplane import MAIN_TABLE_NUMBER
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from evenflow.kernel.namespaces import NetworkNamespace
    from evenflow.lab.topology import LabUplink, Topology
    from evenflow.lab.world import World
    from evenflow.model.flow import Address

#: What Debian's udhcpc does with a lease. It writes to two places that are outside of every namespace.
_DEBIAN_SCRIPT: Final = Path("/etc/udhcpc/default.script")

#: What is started here, and the Debian package of each.
_PACKAGES: Final = {"dnsmasq": "dnsmasq-base", "udhcpc": "udhcpc", str(_DEBIAN_SCRIPT): "udhcpc"}

#: dnsmasq gives no lease for less than two minutes: what happens within a scenario, the scenario makes happen.
LEASE_S: Final = 120

#: Ethernet address of a provider's second gateway: locally administered, and no device's.
_SECOND_MAC: Final = "02:00:64:01:00:fe"


def must_be_installed() -> None:
    """Make sure that what is started here is there.

    Raises:
        SystemRefusedError: it is not; the message names all that is missing, and the Debian packages.
    """
    missing = [program for program in _PACKAGES if not _is_installed(program)]
    if missing:
        packages = " ".join(dict.fromkeys(_PACKAGES[program] for program in missing))
        raise SystemRefusedError(
            f"the lab's DHCP needs what is not installed: {', '.join(missing)}; "
            f"on Debian and Ubuntu: apt-get install {packages}"
        )


def _is_installed(program: str) -> bool:
    try:
        run(["sh", "-c", 'command -v "$0"', program])
    except SystemRefusedError:
        return False
    return True


def leased_topology(topology: Topology) -> Topology:
    """The same network, but its first uplink has no address before its provider gives it one."""
    first, *others = topology.uplinks
    leased = replace(first, is_leased=True)

    def without_address(cable: Cable) -> Cable:
        left = cable.left
        if (left.node, left.port.name) != (ROUTER, first.interface):
            return cable
        return replace(cable, left=replace(left, port=replace(left.port, addresses=())))

    return replace(topology, uplinks=(leased, *others), cables=tuple(map(without_address, topology.cables)))


class Offering(Protocol):
    """What a provider can offer by dnsmasq."""

    def options(self, interface: str) -> list[str]:
        """What dnsmasq is told of it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider gives to its subscriber: always the one address, and a way out."""

    address: Address
    gateway: Address

    def options(self, interface: str) -> list[str]:  # noqa: ARG002 - it is the same on each
        """One address of a network of 256."""
        return [
            f"--dhcp-range={self.address},{self.address},255.255.255.0,{LEASE_S}",
            f"--dhcp-option=option:router,{self.gateway}",
        ]


class _Started:
    """A program that runs in a namespace until it is stopped. Use it as a context manager."""

    def __init__(self, namespace: NetworkNamespace, log: Path) -> None:
        self._namespace, self._log = namespace, log
        self._process: subprocess.Popen[str] | None = None

    def _start(self, command: list[str]) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            self._process = self._namespace.start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True)

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


class Provider(_Started):
    """dnsmasq on one interface. What it offers can be another at any time; it forgets all leases then."""

    def __init__(self, namespace: NetworkNamespace, interface: str, log: Path) -> None:
        super().__init__(namespace, log)
        self._interface = interface

    def offers(self, what: Offering) -> None:
        """Offer this from now on, and nothing else."""
        self.stop()
        self._start(["dnsmasq", *self._options(), *what.options(self._interface)])

    def _options(self) -> list[str]:
        return [
            "--keep-in-foreground", "--log-facility=-", "--log-dhcp",
            "--conf-file=/dev/null", "--pid-file=", "--leasefile-ro", "--port=0",
            # The only user that there is when an ordinary one has made the namespaces.
            "--user=root", "--group=",
            f"--interface={self._interface}", "--bind-interfaces", "--no-ping", "--dhcp-authoritative",
        ]  # fmt: skip


class Subscriber(_Started):
    """udhcpc on one interface, with Debian's own script."""

    def __init__(self, namespace: NetworkNamespace, interface: str, folder: Path) -> None:
        super().__init__(namespace, folder / "udhcpc.log")
        self._interface, self._folder = interface, folder

    def start(self) -> None:
        """Ask for a lease, and keep it."""
        assert self._process is None
        script = str(self._script())
        self._start(["udhcpc", "-f", "-i", self._interface, "-s", script, "-t", "20", "-T", "1", "-A", "1"])

    def _script(self) -> Path:
        """Debian's script, with the machine's name servers and its log out of its reach."""
        text = _DEBIAN_SCRIPT.read_text(encoding="utf-8")
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
        if self._process is None or self._process.poll() is not None:
            raise LabError("udhcpc does not run")
        self._process.send_signal(number)


class SecondGateway:
    """Another gateway at a provider's port, beside the one that has the port's first address.

    It has an Ethernet address of its own, so it is known which of the two a packet is for, and one can fall silent
    while the other answers.

    Attributes:
        address: its IP address.
    """

    def __init__(self, namespace: NetworkNamespace, port: str, first: Address, second: Address) -> None:
        self.address = second
        self._namespace, self._port, self._first = namespace, port, first

    def appear(self) -> None:
        """From now on there are both. Raises SystemRefusedError."""
        self._namespace.run(["ip", "addr", "add", f"{self.address}/24", "dev", self._port])
        self._namespace.run(["nft", "-f", "-"], stdin=f"""
table netdev lab_gateways {{
    counter first {{ }}
    counter second {{ }}
    chain in {{
        type filter hook ingress device "{self._port}" priority 0; policy accept;
        ether daddr {_SECOND_MAC} meta pkttype set host
        ether daddr {_SECOND_MAC} meta protocol ip counter name second accept
        meta pkttype host meta protocol ip counter name first
    }}
}}
table arp lab_gateways {{
    chain in {{
        type filter hook input priority 0; policy accept;
    }}
    chain out {{
        type filter hook output priority 0; policy accept;
        arp saddr ip {self.address} arp saddr ether set {_SECOND_MAC}
    }}
}}
""")  # fmt: skip

    def silence_first(self) -> None:
        """The first gateway hears and says nothing any more. Raises SystemRefusedError."""
        self._namespace.run(["nft", "-f", "-"], stdin=f"""
add rule netdev lab_gateways in meta pkttype host meta protocol ip drop
add rule arp lab_gateways in arp daddr ip {self._first} drop
""")  # fmt: skip

    def packets(self) -> PacketsSeen:
        """IPv4 packets that each has got since both are there. Raises SystemRefusedError."""
        text = self._namespace.run(["nft", "-j", "list", "counters", "table", "netdev", "lab_gateways"])
        counters = [item["counter"] for item in json.loads(text)["nftables"] if "counter" in item]
        return PacketsSeen(**{counter["name"]: counter["packets"] for counter in counters})


@dataclass(frozen=True, slots=True)
class PacketsSeen:
    """How many packets were for a provider's first gateway, and how many for its second."""

    first: int
    second: int


def given_gateways(kernel: RouteNetlink, family: Family, interface: str) -> set[Address | None]:
    """The gateways of the defaults that others than evenflow have put into main for an interface."""
    return {
        hop.gateway
        for route in kernel.routes()
        if route.family is family and route.table == MAIN_TABLE_NUMBER and route.destination.prefixlen == 0
        if not route.is_ours
        for hop in route.hops
        if hop.interface == interface
    }


class LeasedLine:
    """An uplink with DHCP: its provider at one end, its subscriber at the other. Use it as a context manager.

    Attributes:
        uplink: whose line it is.
        gateway: the one that its provider has.
        second: another one that it may get.
        provider, subscriber: the programs; they write their logs into `folder`.
    """

    def __init__(self, world: World, uplink: LabUplink, folder: Path) -> None:
        self.uplink = uplink
        provider, port = world[uplink.provider], uplink.provider_port
        self.gateway = uplink.network[1]
        self.second = SecondGateway(provider, port, self.gateway, uplink.network[-2])
        self._folder = folder
        self.provider = Provider(provider, port, folder / "dnsmasq.log")
        self.subscriber = Subscriber(world[ROUTER], uplink.interface, folder)
        with world.inside(ROUTER):
            self._kernel = RouteNetlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.subscriber.stop()
        self.provider.stop()
        self._kernel.close()

    def offers(self, gateway: Address) -> None:
        """The provider gives the uplink's address with this gateway from now on."""
        self.provider.offers(Offer(self.uplink.address, gateway))

    def has_gateway(self, *gateways: Address) -> bool:
        """Whether the subscriber's program has put just these gateways into the kernel."""
        return given_gateways(self._kernel, Family.IPV4, self.uplink.interface) == set(gateways)

    def log_end(self) -> str:
        """The last lines of what both programs told."""
        lines = [log.read_text(encoding="utf-8", errors="replace") for log in sorted(self._folder.glob("*.log"))]
        return "\n".join("".join(lines).splitlines()[-25:])
