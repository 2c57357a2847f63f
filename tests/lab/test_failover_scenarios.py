"""Every failover scenario, as `evenflow lab NAME` plays it; what failed is shown with its timeline."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from evenflow.cli import REFUSED, main
from evenflow.lab import dhcp
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


@pytest.mark.parametrize("name", ["dhcp", "failover"])
def test_without_its_programs_nothing_is_played(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dhcp, "_PACKAGES", {"no-dnsmasq": "dnsmasq-base", "sh": "dash", "no-udhcpc": "udhcpc"})
    assert main(["lab", name]) == REFUSED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "evenflow: the lab's DHCP needs what is not installed: no-dnsmasq, no-udhcpc; "
        "on Debian and Ubuntu: apt-get install dnsmasq-base udhcpc\n"
    )
