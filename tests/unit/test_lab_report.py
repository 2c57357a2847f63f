from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from evenflow.lab.page import render_html
from evenflow.lab.progress import ConsoleProgress
from evenflow.lab.results import Moment, MomentKind, RateSample, Report, Row, Share, StepResult
from evenflow.lab.terminal import print_report
from evenflow.lab.topology import article_topology
from pages import read

GOOD = StepResult(
    "b", "balance", held=True, explanation="Counted.", columns=("uplink", "connections"),
    rows=(Row(("isp1", "400")), Row(("isp2", "200"))), figures={"isp1_connections": 400}, took_s=1.25,
)  # fmt: skip
BAD = StepResult(
    "f", "cut <isp1>", held=False, explanation="Nothing & nobody moved.", columns=("what", "seen"),
    rows=(Row(("first", "never"), held=False), Row(("lost", "3"))), figures={"moved_after_ms": None}, took_s=2.0,
)  # fmt: skip


def report(*steps: StepResult) -> Report:
    return Report(
        title="seed.rsc <1>",
        topology=article_topology(),
        steps=steps,
        shares=(Share("isp1", 400, 600, 2 / 3, 362, 437), Share("isp2", 200, 600, 1 / 3, 163, 238)),
        samples=tuple(
            RateSample(n / 10, uplink, rate_bps, 1e5)
            for n in range(1, 80)
            for uplink, rate_bps in (("isp1", 29.9e6), ("isp2", 9.9e6))
        ),
        moments=(
            Moment(1.0, "downloads"),
            Moment(4.0, "isp1 cut", MomentKind.CUT),
            Moment(6.0, "isp1 restored", MomentKind.RESTORE),
        ),
        duration_s=8.04,
    )


def test_a_report_holds_only_when_every_step_does() -> None:
    assert report(GOOD).held
    assert not report(GOOD, BAD).held
    assert not report().held


def test_json_is_stable() -> None:
    found = json.loads(json.dumps(report(GOOD, BAD).to_json()))
    assert list(found) == ["version", "title", "held", "duration_s", "uplinks", "steps", "moments", "rates"]
    assert found["held"] is False
    assert found["uplinks"][0] == {
        "name": "isp1", "interface": "ether1", "rate_bps": 30_000_000, "connections": 400, "of": 600,
        "share": 0.6667, "target": 0.6667, "chance_low": 362, "chance_high": 437, "held": True,
    }  # fmt: skip
    assert found["steps"][1] == {
        "key": "f", "name": "cut <isp1>", "held": False, "took_s": 2.0, "explanation": "Nothing & nobody moved.",
        "figures": {"moved_after_ms": None}, "columns": ["what", "seen"],
        "rows": [{"cells": ["first", "never"], "held": False}, {"cells": ["lost", "3"], "held": True}],
    }  # fmt: skip
    assert found["moments"][1] == {"at_s": 4.0, "label": "isp1 cut", "kind": "cut"}
    assert found["rates"][0] == {
        "at_s": 0.1, "uplink": "isp1", "to_router_bps": 29_900_000, "from_router_bps": 100_000,
    }  # fmt: skip


def test_a_share_outside_what_chance_allows_has_not_held() -> None:
    share = Share("isp1", 438, 600, 2 / 3, 362, 437)
    assert not share.held
    assert replace(share, connections=437).held
    assert replace(share, connections=362).held
    assert not replace(share, connections=361).held
    assert Share("isp1", 0, 0, 0.5, 0, 0).share == 0.0


def test_the_page_is_one_file_that_asks_nobody() -> None:
    page = render_html(report(GOOD, BAD))
    reader = read(page)
    assert not [(tag, name) for tag, name, _ in reader.attributes if name in {"src", "srcset", "href", "xlink:href"}]
    assert not re.search(r"url\(|@import|<script|https?://", page)
    assert "prefers-color-scheme: dark" in page


def test_the_page_shows_every_step_and_its_verdict() -> None:
    reader = read(render_html(report(GOOD, BAD)))
    for text in ("seed.rsc <1>", "balance", "cut <isp1>", "Nothing & nobody moved.", "isp1 cut", "isp1 restored"):
        assert text in reader.texts
    assert "✗ 1 of 2 steps failed" in reader.texts
    assert "400 of 600, 66.7%" in reader.texts
    assert "100.64.1.2" in " ".join(reader.texts)
    assert "✓ all 1 steps held" in read(render_html(report(GOOD))).texts


def test_the_time_without_carrier_is_shaded() -> None:
    page = render_html(report(GOOD))
    left, width = (float(value) for value in re.findall(r'class="cut" x="([\d.]+)" y="\d+" width="([\d.]+)"', page)[0])
    lines = [float(value) for value in re.findall(r'class="moment" x1="([\d.]+)"', page)]
    assert left == lines[1]
    assert left + width == pytest.approx(lines[2], abs=0.2)


def test_a_link_is_as_wide_as_its_share() -> None:
    page = render_html(report(GOOD))
    widths = {n: float(re.findall(rf'class="line-{n}" x1=[^>]*stroke-width="([\d.]+)"', page)[0]) for n in (0, 1)}
    assert widths[0] > 1.5 * widths[1] > 0


def test_a_page_without_figures_is_a_page() -> None:
    empty = Report("nothing", article_topology(), ())
    assert "✗ no step was played" in read(render_html(empty)).texts


def shown(*steps: StepResult) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_report(report(*steps), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_names_what_failed() -> None:
    text = shown(GOOD, BAD)
    assert "seed.rsc <1>: 1 of 2 steps failed: (f) cut <isp1>" in text
    assert re.search(r"first +never +not held", text)
    assert re.search(r"isp1 +400\s", text)
    assert "all 1 steps held" in shown(GOOD)
    assert "no step was played" in shown()


def test_progress_without_a_terminal_is_a_line_a_step() -> None:
    console = Console(file=io.StringIO(), width=100)
    with ConsoleProgress(console) as progress:
        progress.step_started("b", "balance")
        progress.note("opening")
        progress.step_ended(GOOD)
        progress.step_ended(BAD)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["held", "FAILED"]
    assert "(f) cut <isp1>" in lines[1]


def test_progress_on_a_terminal_leaves_no_live_line() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)

    def play_and_be_interrupted() -> None:
        with ConsoleProgress(console) as progress:
            progress.step_started("b", "balance")
            progress.note("opening [600]")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play_and_be_interrupted()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("\x1b[?25h") == 1, "the cursor is shown again"
