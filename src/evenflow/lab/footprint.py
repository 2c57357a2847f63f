"""What a configuration leaves in a kernel: everything that it may change, read by other programs than it uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenflow.lab.world import World

_COMMANDS: Final = {
    "nft": ("nft", "-s", "list", "ruleset"),
    "route rules, IPv4": ("ip", "-4", "-N", "rule", "show"),
    "route rules, IPv6": ("ip", "-6", "-N", "rule", "show"),
    "routes, IPv4": ("ip", "-4", "-N", "route", "show", "table", "all"),
    "routes, IPv6": ("ip", "-6", "-N", "route", "show", "table", "all"),
    "addresses": ("ip", "-o", "address", "show"),
}

_SYSCTL_TREES: Final = ("net/core", "net/ipv4", "net/ipv6", "net/netfilter")

# These count; they are no settings.
_COUNTERS: Final = frozenset({"nf_conntrack_count"})


def footprint(world: World, node: str) -> dict[str, frozenset[str]]:
    """The lines of everything in a namespace that a balancer may change, by what they are.

    Raises:
        SystemRefusedError: a program could not tell.
    """
    found = {
        name: frozenset(line.strip() for line in world[node].run(command).splitlines())
        for name, command in _COMMANDS.items()
    }
    with world.inside(node):
        found["sysctls"] = frozenset(_sysctls())
    return found


def _sysctls() -> list[str]:
    lines = []
    for tree in _SYSCTL_TREES:
        for folder, _, names in os.walk(Path("/proc/sys", tree)):
            for name in names:
                if name in _COUNTERS:
                    continue
                try:
                    value = Path(folder, name).read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError):
                    continue  # some can only be written, some are for the first namespace alone
                lines.append(f"{folder}/{name} = {value}")
    return lines


def difference(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """The lines that came (`+`) and went (`-`), by what they are; only kinds that differ."""
    found = {}
    for name in before:
        lines = [f"- {line}" for line in sorted(before[name] - after[name])]
        lines += [f"+ {line}" for line in sorted(after[name] - before[name])]
        if lines:
            found[name] = lines
    return found
