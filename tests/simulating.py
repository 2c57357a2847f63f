"""Asking `evenflow simulate`: flows of the article's LAN, and the ways to ask."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

import evenflow
from evenflow import cli
from schema import SIMULATE_SCHEMA, faults

EXAMPLES = Path(evenflow.__file__).parent / "examples"
RSC, TOML = str(EXAMPLES / "seed.rsc"), str(EXAMPLES / "seed.toml")
NOON_S = 1_763_640_000

Capture = pytest.CaptureFixture[str]


def write_flows(file: Path, count: int = 400, columns: str = "src,dst,proto,sport,dport,bytes,time") -> str:
    """Some clients of the article's LAN and some servers; always the same ones."""
    draw = random.Random(7)
    with file.open("w", newline="") as written:
        writer = csv.DictWriter(written, columns.split(","), extrasaction="ignore")
        writer.writeheader()
        for n in range(count):
            writer.writerow(
                {
                    "src": f"10.10.1.{draw.randrange(10, 40)}",
                    "dst": f"198.51.100.{draw.randrange(1, 60)}",
                    "proto": draw.choice(("tcp", "tcp", "udp", "icmp")),
                    "sport": draw.randrange(32768, 61000),
                    "dport": draw.choice((80, 443)),
                    "bytes": draw.randrange(100, 1_000_000),
                    "time": NOON_S + 10 * n,
                }
            )
    return str(file)


def ask(capsys: Capture, *arguments: str) -> dict[str, Any]:
    status = cli.main(["simulate", *arguments, "--json"])
    out = capsys.readouterr().out
    assert status == cli.DONE, out
    told: dict[str, Any] = json.loads(out)
    assert faults(told, SIMULATE_SCHEMA) == []
    return told


def drawn(capsys: Capture, *arguments: str) -> str:
    assert cli.main(["simulate", *arguments]) == cli.DONE
    return capsys.readouterr().out


def refused(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert cli.main(["simulate", *arguments, "--json"]) == cli.MISTAKE
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert isinstance(finding, dict)
    return finding


def flows_of(told: dict[str, Any]) -> dict[str, int]:
    return {name: uplink["flows"] for name, uplink in told["uplinks"].items()}
