"""The article's steps, played with packets, on routers that were configured by hand.

A right router shows that the lab's claims can hold; each wrong one shows that the lab notices.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.errors import LabError
from evenflow.kernel.namespaces import run
from evenflow.lab.article import ARTICLE_STEPS, play, play_article
from evenflow.lab.stage import Configuration, Scenario
from evenflow.lab.topology import MEGABIT, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from evenflow.lab.results import Report, StepResult

pytestmark = pytest.mark.lab

# Chance fails a right router once in a million counts.
SMALL = Scenario(
    connections=90,
    downloads=16,
    download_s=1.0,
    settle_s=0.8,
    inbound=3,
    watched=45,
    before_cut_s=0.7,
    after_cut_s=1.2,
    after_restore_s=0.8,
    connections_after=60,
    chance_outside=Fraction(1, 1_000_000),
    # On a busy machine the first tenth of a second of a download is not yet at full rate.
    least_rate=0.8,
    open_timeout_s=1.5,
)

PREROUTING = """
    chain prerouting {
        type filter hook prerouting priority mangle; policy accept;
        iifname "ether1" ct state new ct mark 0 ct mark set 1
        iifname "pppoe-out1" ct state new ct mark 0 ct mark set 2
        iifname "USER_01" ct state new ct mark 0 fib daddr type != local meta l4proto tcp ct mark set jhash ip saddr . ip daddr . th sport . th dport mod 3 seed SEED map { 0 : 1, 1 : 1, 2 : 2 }
        iifname "USER_01" meta mark set ct mark
    }
"""  # noqa: E501 - nft ends a statement at the end of a line
OUTPUT = """
    chain output {
        type route hook output priority mangle; policy accept;
        ct mark != 0 meta mark set ct mark
    }
"""
SOURCE_NAT = """
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname { "ether1", "pppoe-out1" } masquerade
    }
"""
GUARD = """
    chain guard {
        type filter hook postrouting priority srcnat + 10; policy accept;
        oifname "ether1" ip saddr != 100.64.1.2 drop
        oifname "pppoe-out1" ip saddr != 100.64.2.2 drop
    }
"""
RULESET = PREROUTING + OUTPUT + SOURCE_NAT + GUARD
MAIN = ("default via 100.64.1.1 metric 1", "default dev pppoe-out1 metric 2")
BACKUPS = ("default dev pppoe-out1 table 101 metric 2", "default via 100.64.1.1 table 102 metric 2")
PRIMARIES = ("default via 100.64.1.1 table 101 metric 1", "default dev pppoe-out1 table 102 metric 1")
RULES = ("pref 21001 fwmark 1 lookup 101", "pref 21002 fwmark 2 lookup 102")


def by_hand(ruleset: str = RULESET, routes: tuple[str, ...] = (*MAIN, *PRIMARIES, *BACKUPS)) -> Configuration:
    """A router with the article's marks, and what takes it away again."""

    def up() -> None:
        seed = str(random.getrandbits(32))
        run(["nft", "-f", "-"], stdin=f"table inet by_hand {{{ruleset.replace('SEED', seed)}}}")
        commands = [f"rule add {rule}" for rule in RULES] + [f"route add {route}" for route in routes]
        run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
        _set_linkdown("1")

    def down() -> None:
        run(["nft", "delete table inet by_hand"])
        commands = [f"rule del {rule}" for rule in RULES] + [f"route del {route}" for route in routes]
        run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
        _set_linkdown("0")

    return Configuration(up, down)


def _set_linkdown(value: str) -> None:
    for folder in Path("/proc/sys/net/ipv4/conf").iterdir():
        (folder / "ignore_routes_with_linkdown").write_text(value, encoding="ascii")


def play_steps(keys: str, configuration: Configuration, scenario: Scenario = SMALL) -> dict[str, StepResult]:
    """Play some of the article's steps; the results by key."""
    chosen = [step for step in ARTICLE_STEPS if step.key in keys]
    with World(article_topology(clients=60)) as world:
        report = asyncio.run(play(world, configuration, chosen, title="by hand", scenario=scenario))
    return {step.key: step for step in report.steps}


def test_a_right_router_holds_in_every_step(tmp_path: Path) -> None:
    configuration, page = by_hand(), tmp_path / "report.html"
    report = play_article(configuration.bring_up, configuration.take_down, title="by hand", html=page, scenario=SMALL)
    assert [step.key for step in report.steps] == list("abcdefgh")
    failed = [(step.key, [row.cells for row in step.rows if not row.held]) for step in report.steps if not step.held]
    assert failed == []
    assert report.held
    _check_figures(report)
    assert "all 8 steps held" in page.read_text(encoding="utf-8")
    assert json.loads(json.dumps(report.to_json()))["held"] is True


def _check_figures(report: Report) -> None:
    figures = {step.key: step.figures for step in report.steps}
    assert sum(share.connections for share in report.shares) == SMALL.connections
    # Every connection shakes hands, sends, is answered and is closed: at least ten packets.
    assert isinstance(packets := figures["c"]["packets"], int)
    assert packets >= 10 * SMALL.connections
    # More than was shaped would mean that the lab does not shape.
    assert isinstance(total_bps := figures["d"]["total_bps"], int)
    assert 0.8 * 40 * MEGABIT < total_bps < 1.05 * 40 * MEGABIT
    assert [moment.label for moment in report.moments] == [
        "connections", "downloads", "traffic", "isp1 cut", "isp1 restored",
    ]  # fmt: skip
    cut, restored = report.moments[-2:]
    dark = [one for one in report.samples if one.uplink == "isp1" and cut.at_s + 0.3 < one.at_s < restored.at_s]
    assert dark
    assert all(one.to_router_bps == 0 for one in dark)


def test_a_share_of_one_to_one_is_noticed() -> None:
    wrong = by_hand(RULESET.replace("mod 3", "mod 2").replace("{ 0 : 1, 1 : 1, 2 : 2 }", "{ 0 : 1, 1 : 2 }"))
    # 400 connections: 1:1 lies as good as never in the range of 2:1.
    found = play_steps("ab", wrong, replace(SMALL, connections=400, chance_outside=Fraction(1, 1000)))
    assert found["a"].held
    assert not found["b"].held


def test_a_connection_over_both_uplinks_is_noticed() -> None:
    # Each packet draws its uplink anew; the source address stays, so that the connections even work.
    marks = "meta mark set numgen random mod 2 map { 0 : 1, 1 : 2 }"
    source_nat = SOURCE_NAT.replace("masquerade", "snat ip to 100.64.1.2")
    wrong = by_hand(PREROUTING.replace("meta mark set ct mark", marks) + source_nat)
    found = play_steps("abc", wrong)["c"]
    assert not found.held
    assert found.figures["answered"] == SMALL.connections
    assert isinstance(strays := found.figures["strays"], int)
    # A connection of ten packets keeps to one uplink by luck once in a thousand times.
    assert strays > SMALL.connections * 0.9


def test_an_answer_by_the_wrong_uplink_is_noticed() -> None:
    found = play_steps("ae", by_hand(PREROUTING.replace('iifname "USER_01" meta mark set', "#") + SOURCE_NAT))["e"]
    assert not found.held
    right = [row for row in found.rows if row.held]
    assert {row.cells[0] for row in right} == {"isp1"}, "the main table leads to isp1, so only that is right"
    wrong = [row for row in found.rows if not row.held]
    assert {row.cells[3] for row in wrong} == {f"{SMALL.inbound} by isp1"}


def test_a_router_without_backup_routes_is_noticed() -> None:
    found = play_steps("afg", by_hand(routes=(*MAIN[:1], *PRIMARIES)))
    assert not found["f"].held
    assert found["f"].figures["moved_after_ms"] is None
    assert found["f"].figures["others_kept"] == found["f"].figures["others"] != 0
    assert found["g"].held, "the carrier is back, and so is the way"


def test_a_source_address_that_leaks_is_noticed() -> None:
    wrong = by_hand(PREROUTING + OUTPUT + SOURCE_NAT.replace('"ether1", "pppoe-out1"', '"ether1"'))
    found = play_steps("abc", wrong)["c"]
    assert not found.held
    assert isinstance(foreign := found.figures["foreign_packets"], int)
    assert foreign > 0


def test_what_is_left_behind_is_noticed() -> None:
    right = by_hand()

    def leave_a_rule() -> None:
        right.take_down()
        run(["ip", "rule", "add", "pref", "21003", "lookup", "103"])

    found = play_steps("ah", Configuration(right.bring_up, leave_a_rule))["h"]
    assert not found.held
    assert [row.cells[2] for row in found.rows if not row.held] == ["+ 21003:\tfrom all lookup 103"]


def test_a_router_that_does_nothing_fails_and_is_reported() -> None:
    nothing = Configuration(lambda: None, lambda: None)
    found = play_steps("abcefgh", nothing, replace(SMALL, connections=6, connections_after=6, inbound=1))
    assert [key for key, step in found.items() if step.held] == ["h"]
    assert "could not be played" in found["f"].explanation
    assert "could not be played" in found["g"].explanation


def test_downloads_that_never_come_are_a_step_that_did_not_hold() -> None:
    found = play_steps("d", Configuration(lambda: None, lambda: None), replace(SMALL, downloads=2, settle_s=0.0))
    assert not found["d"].held
    assert isinstance(total_bps := found["d"].figures["total_bps"], int)
    assert total_bps < MEGABIT / 10, "nothing but a question for an address"


def test_too_few_descriptors_are_said_so() -> None:
    with pytest.raises(LabError, match="ulimit"):
        play_steps("a", by_hand(), replace(SMALL, connections=500_000_000))
