"""What happened in a scenario, in order: what the lab did, what the daemon told, what clients saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: seconds since the scenario began, who ("lab", "daemon", "clients"), and what."""

    at_s: float
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Check:
    """A claim, what was seen, and whether it held."""

    claim: str
    seen: str
    held: bool


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario as it was played."""

    name: str
    summary: str
    timeline: tuple[Entry, ...]
    checks: tuple[Check, ...]
    took_s: float

    @property
    def held(self) -> bool:
        """Whether every claim held; a scenario without claims did not."""
        return bool(self.checks) and all(check.held for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """A stable object; seconds since the scenario began."""
        return {
            "name": self.name,
            "summary": self.summary,
            "held": self.held,
            "took_s": round(self.took_s, 3),
            "timeline": [{"at_s": round(one.at_s, 3), "who": one.who, "what": one.what} for one in self.timeline],
            "checks": [{"claim": one.claim, "seen": one.seen, "held": one.held} for one in self.checks],
        }


_STYLES = {"lab": "bold", "daemon": "cyan", "clients": "default"}


def print_played(played: Played, console: Console) -> None:
    """The timeline, the claims, and a verdict."""
    console.print(Text.assemble((played.name, "bold"), ": ", played.summary))
    lines = Table(box=None, pad_edge=False, show_header=False)
    lines.add_column(justify="right", style="dim")
    lines.add_column()
    lines.add_column(overflow="fold")
    for entry in played.timeline:
        style = _STYLES.get(entry.who, "default")
        lines.add_row(f"{entry.at_s:8.3f} s", Text(entry.who, style), Text(entry.what, style))
    console.print(lines)
    claims = Table(box=None, pad_edge=False, show_header=False)
    for check in played.checks:
        word = Text("held", "green") if check.held else Text("FAILED", "bold red")
        claims.add_row(word, Text(check.claim), Text(check.seen, "" if check.held else "red"))
    console.print(claims)


def print_verdict(all_played: Sequence[Played], console: Console) -> None:
    """One line for all."""
    failed = [played.name for played in all_played if not played.held]
    if failed:
        console.print(Text(f"{len(failed)} of {len(all_played)} scenarios failed: {', '.join(failed)}", "bold red"))
    else:
        told = f"all {len(all_played)} scenarios held" if len(all_played) > 1 else "the scenario held"
        console.print(Text(told, "bold green"))
