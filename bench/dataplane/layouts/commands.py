"""Programs of the system that put a layout into a router, and what several layouts have in common. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.dataplane.site import Diversion, Site, Uplink


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments, and what it gets on its standard input."""

    program: tuple[str, ...]
    text: str = ""


def ip(family: Family, lines: Iterable[str]) -> Command:
    """Lines for the program ip, each without that word."""
    return Command(("ip", "-4" if family is Family.IPV4 else "-6", "-batch", "-"), _joined(lines))


def nft(lines: Iterable[str]) -> Command:
    """A file for the program nft, loaded at once."""
    return Command(("nft", "-f", "-"), _joined(lines))


def iptables(family: Family, tables: Sequence[Command]) -> Iterator[Command]:
    """Tables for iptables-restore(8), the legacy one, for which mwan3 and others were written."""
    program = "iptables-legacy-restore" if family is Family.IPV4 else "ip6tables-legacy-restore"
    yield from (Command((program, *table.program), table.text) for table in tables)


def restore(table: str, chains: Iterable[str], rules: Iterable[str]) -> Command:
    """One table for `iptables`: the names of its own chains, and its rules."""
    own = [f":{chain} - [0:0]" for chain in chains]
    return Command((), _joined([f"*{table}", *own, *rules, "COMMIT"]))


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def chain(name: str, rules: Iterable[str], hook: str = "") -> Iterator[str]:
    """A chain of nft's; `hook` as `type filter hook prerouting priority mangle`."""
    yield f"chain {name} {{"
    if hook:
        yield f"{hook}; policy accept;"
    yield from rules
    yield "}"


def default_route(uplink: Uplink, family: Family, table: int) -> str:
    """By one uplink, in a table of its own."""
    return f"route add default via {uplink.gateway(family)} dev {uplink.interface} table {table}"


def multipath(site: Site, family: Family) -> Command:
    """A default route by all uplinks. Not in a batch: a line of that may have a hundred words only."""
    hops = [
        f"nexthop via {uplink.gateway(family)} dev {uplink.interface} weight {uplink.weight}" for uplink in site.uplinks
    ]
    program = f"ip -{4 if family is Family.IPV4 else 6} route add default scope global {' '.join(hops)}"
    return Command(tuple(program.split()))


def match(diversion: Diversion, family: Family) -> str:
    """What a diversion asks for, in nft's words."""
    asked = f"{family.value} daddr {diversion.network(family)}"
    return asked if diversion.port is None else f"{asked} udp dport {diversion.port}"


def iptables_match(diversion: Diversion, family: Family) -> str:
    """What a diversion asks for, in the words of iptables."""
    asked = f"-d {diversion.network(family)}"
    return asked if diversion.port is None else f"{asked} -p udp -m udp --dport {diversion.port}"


def masquerade(site: Site) -> Iterator[str]:
    """Source NAT as most would write it: a rule for each uplink."""
    rules = (f'oifname "{uplink.interface}" masquerade' for uplink in site.uplinks)
    return chain("postrouting", rules, "type nat hook postrouting priority srcnat")
