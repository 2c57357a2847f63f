"""Every failover scenario, as `evenflow lab NAME` plays it; what failed is shown with its timeline."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from evenflow.lab.scenarios import SCENARIOS, FailoverScenario, play_scenario
from evenflow.lab.timeline import print_played

pytestmark = [pytest.mark.lab, pytest.mark.kernel]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_it_holds(scenario: FailoverScenario) -> None:
    played = play_scenario(scenario)
    shown = io.StringIO()
    print_played(played, Console(file=shown, width=120))
    assert played.held, shown.getvalue()
    assert played.timeline
