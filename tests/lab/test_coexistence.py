"""What others have on the machine is byte for byte the same after apply, a change of configuration, and down."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow import cli
from evenflow.core.seed import seed_of
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"

LINKS = """
link add USER_01 type bridge
link add ether2 type veth peer name lan-far
link set ether2 master USER_01
link add ether1 type veth peer name isp1-far
link add pppoe-out1 type veth peer name isp2-far
link set pppoe-out1 arp off
link set USER_01 up
link set ether2 up
link set lan-far up
link set ether1 up
link set isp1-far up
link set pppoe-out1 up
link set isp2-far up
addr add 10.10.0.1/16 dev USER_01
addr add 100.64.1.2/24 dev ether1
addr add 100.64.2.2 peer 100.64.2.1 dev pppoe-out1
"""

#: A namespace inherits some of these from the machine that the tests run on.
SETTINGS = (
    "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv4.ip_forward=0",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.accept_redirects=1",
    "net.ipv4.conf.default.ignore_routes_with_linkdown=0",
    "net.ipv6.conf.default.ignore_routes_with_linkdown=0",
)

FOREIGN_ROUTING = """
route add 203.0.113.0/24 via 100.64.1.1 metric 7
route add default via 100.64.1.77 metric 900 proto dhcp
route add default via 100.64.1.9 table 77
route add blackhole 192.0.2.0/24 table 20009 proto 42
rule add fwmark 0x4000/0x4000 lookup 77 priority 100
rule add from 10.10.9.0/24 lookup 77 priority 21500
rule add fwmark 0x100000/0xff0000 lookup 77 priority 30000 protocol 42
rule add from 10.10.8.0/24 lookup 77 priority 300 protocol 239
route add 192.0.2.128/25 via 100.64.1.1 table 77 proto 239
"""

#: Of some devices the owner has said otherwise than of all.
FOREIGN_SETTINGS = (
    "net.ipv4.conf.ether2.forwarding=1",
    "net.ipv4.conf.default.forwarding=1",
    "net.ipv6.conf.ether2.forwarding=1",
    "net.ipv4.conf.all.accept_redirects=0",
    "net.ipv4.conf.ether1.rp_filter=1",
    "net.ipv4.conf.ether2.rp_filter=1",
)

FOREIGN_NFT = """
table inet filter {
    set blocked { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.9 } }
    chain forward {
        type filter hook forward priority 0; policy accept;
        ip saddr @blocked drop
        meta mark set meta mark | 0x00100000
        ct mark set ct mark | 0x10000000
    }
}
table ip nat {
    chain prerouting { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.10.1.1:80; }
}
"""


def snapshot(namespace: NetworkNamespace) -> dict[str, str]:
    """Everything that a configuration could touch."""
    found = {
        "nft": namespace.run(["nft", "-a", "list", "ruleset"]),
        "rule": namespace.run(["ip", "rule"]),
        "rule6": namespace.run(["ip", "-6", "rule"]),
        "route": namespace.run(["ip", "route", "show", "table", "all"]),
        "route6": namespace.run(["ip", "-6", "route", "show", "table", "all"]),
    }
    with namespace.entered():
        for path in sorted(Path("/proc/sys/net").rglob("*")):
            if path.is_file() and path.stat().st_mode & 0o600 == 0o600 and "neigh" not in path.parts:
                try:
                    found[str(path)] = path.read_text()
                except OSError:  # some need an argument, or are written only
                    continue
    return found


def foreign(shot: dict[str, str]) -> dict[str, str]:
    """The same without what is ours by its signs: table, protocol number."""
    kept = dict(shot)
    tables = re.findall(r"^table .*?^}$", shot["nft"], re.DOTALL | re.MULTILINE)
    kept["nft"] = "\n".join(table for table in tables if not table.startswith("table inet evenflow ")) + "\n"
    for name in ("rule", "rule6", "route", "route6"):
        kept[name] = "".join(line for line in shot[name].splitlines(keepends=True) if "proto 239" not in line)
    return kept


def changes(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """What differs between two snapshots."""
    keys = before.keys() | after.keys()
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def build(made: NetworkNamespace) -> None:
    """The interfaces of the examples. Duplicate address detection is off: it would change routes a second later."""
    made.run(["sysctl", "-qw", *SETTINGS])
    made.run(["ip", "-batch", "-"], stdin=LINKS)
    deadline = time.monotonic() + 10
    while "tentative" in made.run(["ip", "-6", "addr"]) or "state UNKNOWN" in made.run(
        ["ip", "link", "show", "ether1"]
    ):
        assert time.monotonic() < deadline, "the links never settled"


@pytest.fixture
def machine() -> Iterator[NetworkNamespace]:
    with NetworkNamespace.create() as made:
        build(made)
        made.run(["ip", "-batch", "-"], stdin=FOREIGN_ROUTING)
        made.run(["nft", "-f", "-"], stdin=FOREIGN_NFT)
        made.run(["sysctl", "-qw", *FOREIGN_SETTINGS])
        yield made


def evenflow(machine: NetworkNamespace, *arguments: str) -> int:
    with machine.entered():
        return cli.main(arguments)


SYSCTLS_OF_OURS = (
    "rp_filter",
    "accept_redirects",
    "ignore_routes_with_linkdown",
    "ip_forward",
    "forwarding",
    "accept_ra",
)


@pytest.mark.kernel
def test_what_is_foreign_stays(machine: NetworkNamespace) -> None:
    before = snapshot(machine)
    for name in ("seed.toml", "seed.rsc", "seed.toml"):
        assert evenflow(machine, "apply", str(EXAMPLES / name)) == 0
        now, then = foreign(snapshot(machine)), foreign(before)
        changed = {key for key in now.keys() | then.keys() if now.get(key) != then.get(key)}
        assert {key for key in changed if not key.endswith(SYSCTLS_OF_OURS)} == set()
    assert evenflow(machine, "down") == 0
    assert changes(before, snapshot(machine)) == {}


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["seed.toml", "seed.rsc"])
def test_a_second_apply_has_nothing_to_do(
    machine: NetworkNamespace, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evenflow(machine, "apply", str(EXAMPLES / name)) == 0
    after_one = snapshot(machine)
    capsys.readouterr()
    assert evenflow(machine, "apply", str(EXAMPLES / name)) == 0
    assert capsys.readouterr().out == "in sync: nothing to do\n"
    assert evenflow(machine, "plan", str(EXAMPLES / name), "--json") == 0
    assert '"in_sync": true' in capsys.readouterr().out
    assert snapshot(machine) == after_one


@pytest.mark.kernel
def test_plan_changes_nothing(machine: NetworkNamespace) -> None:
    before = snapshot(machine)
    assert evenflow(machine, "plan", str(EXAMPLES / "seed.toml")) == 0
    assert evenflow(machine, "check", str(EXAMPLES / "seed.toml")) == 0
    assert changes(before, snapshot(machine)) == {}


@pytest.mark.kernel
def test_a_foreign_route_in_the_way_is_named_and_left(
    machine: NetworkNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.run(["ip", "route", "add", "default", "via", "100.64.1.9", "metric", "2", "proto", "dhcp"])
    before = snapshot(machine)
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.rsc")) == 1
    assert "route-conflict" in capsys.readouterr().err
    assert changes(before, snapshot(machine)) == {}


@pytest.mark.kernel
def test_the_seed_stays_the_same_over_changes(machine: NetworkNamespace) -> None:
    seeds = set()
    for name in ("seed.toml", "seed.rsc", "seed.toml"):
        assert evenflow(machine, "apply", str(EXAMPLES / name)) == 0
        with machine.entered(), LinuxKernel() as kernel:
            seeds.add(seed_of(kernel.read_dataplane()))
    assert len(seeds) == 1
    assert None not in seeds


@pytest.mark.kernel
def test_a_reverse_path_filter_is_loosened_and_never_tightened(machine: NetworkNamespace) -> None:
    filters = [f"net.ipv4.conf.{name}.rp_filter" for name in ("ether1", "pppoe-out1", "ether2", "all")]
    assert machine.run(["sysctl", "-n", *filters]).split() == ["1", "0", "1", "0"]
    assert evenflow(machine, "apply", str(EXAMPLES / "seed.rsc")) == 0
    assert machine.run(["sysctl", "-n", *filters]).split() == ["2", "0", "1", "0"]


@pytest.mark.kernel
def test_settings_lost_with_the_table_are_told(machine: NetworkNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    policy = str(EXAMPLES / "seed.toml")
    assert evenflow(machine, "apply", policy) == 0
    machine.run(["nft", "flush", "ruleset"])
    capsys.readouterr()
    for command in ("plan", "apply"):
        assert evenflow(machine, command, policy) == 0
        assert "net/ipv4/ip_forward" in capsys.readouterr().err.partition("[settings-lost]")[0]
    assert evenflow(machine, "apply", policy) == 0
    assert capsys.readouterr() == ("in sync: nothing to do\n", "")
    with machine.entered(), LinuxKernel() as kernel:
        assert kernel.read_dataplane().saved == {}


# --- router advertisements

TWO_LINES = """
lan = ["lan"]
[uplink.a]
interface = "wan0"
gateway = "auto"
[uplink.b]
interface = "wan1"
gateway = "192.0.2.129"
"""


def advertise(far: NetworkNamespace, link: str) -> None:
    """One router advertisement (RFC 4861, 4.2), good for half an hour."""
    with far.entered(), socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        index = socket.if_nametoindex(link)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sender.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, index))


@pytest.fixture
def advertised() -> Iterator[NetworkNamespace]:
    """A host that three routers have told of themselves: on an uplink whose gateway is learnt, on one with its gateway
    stated, and on a line that evenflow has nothing to do with."""
    links = ("wan0", "wan1", "other")
    with NetworkNamespace.create() as made, NetworkNamespace.create() as far:
        settings = ["net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.accept_ra=1"]
        for namespace in (made, far):
            namespace.run(["sysctl", "-qw", *settings, "net.ipv6.conf.all.forwarding=0", "net.ipv4.ip_forward=0"])
        lines = [f"link add {name} type veth peer name f-{name} netns {far.path}" for name in links]
        lines += [f"link set {name} up" for name in links] + ["link add lan type bridge", "link set lan up"]
        made.run(["ip", "-batch", "-"], stdin="\n".join([*lines, "addr add 192.0.2.130/25 dev wan1"]))
        far.run(["ip", "-batch", "-"], stdin="\n".join(f"link set f-{name} up" for name in links))
        deadline = time.monotonic() + 10
        while len(defaults(made)) < len(links):
            assert time.monotonic() < deadline, "the advertisements never arrived"
            for name in links:
                with contextlib.suppress(OSError):  # no link-local address yet to send from
                    advertise(far, f"f-{name}")
        yield made


def defaults(machine: NetworkNamespace) -> set[str]:
    """The links that have a default route of somebody else's in main."""
    said = machine.run(["ip", "-6", "route", "show", "default"])
    return set(re.findall(r"dev (\S+) proto ra", said))


@pytest.mark.kernel
def test_advertised_routes_outlive_apply_and_down(advertised: NetworkNamespace, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TWO_LINES)
    before = snapshot(advertised)
    assert evenflow(advertised, "apply", str(tmp_path / "p.toml")) == 0
    assert defaults(advertised) == {"wan0", "wan1", "other"}
    assert evenflow(advertised, "plan", str(tmp_path / "p.toml")) == 0
    assert evenflow(advertised, "down") == 0
    assert defaults(advertised) == {"wan0", "wan1", "other"}
    after = snapshot(advertised)
    assert {key for key in changes(before, after) if not key.startswith("route")} == set()  # those count their seconds
