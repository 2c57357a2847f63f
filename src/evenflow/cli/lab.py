"""`lab`: a router played in network namespaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import evenflow
from evenflow.cli.telling import DONE, MISTAKE, USAGE, complain, load, load_for_this_machine, open_kernel, print_json
from evenflow.errors import InputError
from evenflow.model.finding import has_errors

if TYPE_CHECKING:
    import argparse


def lab(arguments: argparse.Namespace) -> int:
    """`evenflow lab`: play a scenario in network namespaces; nothing outside them is touched."""
    from rich.console import Console

    from evenflow.kernel.namespaces import enter_private
    from evenflow.lab.article import play_article
    from evenflow.lab.progress import ConsoleProgress
    from evenflow.lab.scenarios import scenario_named
    from evenflow.lab.terminal import print_report

    if arguments.scenario and (arguments.scenario == "failover" or scenario_named(arguments.scenario)):
        return _play_scenarios(arguments)
    file = arguments.scenario or str(Path(evenflow.__file__).parent / "examples" / "seed.rsc")
    loaded = load(file)
    if loaded.router is None or has_errors(loaded.findings):
        raise InputError(loaded.findings)
    html = None if arguments.no_html else Path(arguments.html)
    if html is not None and (why := _unwritable(html)):
        complain(f"evenflow: can't write the report to {html}: {why}; choose another with --html, or give --no-html")
        return USAGE
    enter_private()
    with ConsoleProgress(Console(stderr=arguments.json)) as progress:
        report = play_article(
            lambda: _apply_in_lab(file, arguments.seed),
            _down_in_lab,
            title=Path(file).name,
            html=html,
            progress=progress,
        )
    if arguments.json:
        print_json(report.to_json())
    else:
        print_report(report, Console())
        if html is not None:
            print(f"the report with pictures: {html.resolve()}")
    return DONE if report.held else MISTAKE


def _unwritable(file: Path) -> str:
    """Why a file can't be written, "" if it can; asked before half a minute is spent on what is to stand in it."""
    try:
        with file.open("ab"):
            return ""
    except OSError as problem:
        return problem.strerror or str(problem)


def _play_scenarios(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from evenflow.kernel.namespaces import enter_private
    from evenflow.lab.scenarios import SCENARIOS, must_be_playable, play_scenario
    from evenflow.lab.timeline import print_played, print_verdict

    chosen = [scenario for scenario in SCENARIOS if arguments.scenario in ("failover", scenario.name)]
    must_be_playable(chosen)
    enter_private()
    console = Console(stderr=arguments.json)
    played = []
    for scenario in chosen:
        played.append(play_scenario(scenario, seed=arguments.seed))
        print_played(played[-1], console)
    print_verdict(played, console)
    if arguments.json:
        print_json({"scenarios": [one.to_json() for one in played]})
    return DONE if all(one.held for one in played) else MISTAKE


def _apply_in_lab(file: str, seed: int | None) -> None:
    from evenflow.kernel.reconcile import carry_out, look_ahead

    with open_kernel() as kernel:
        machine = kernel.read_machine()
        router, _ = load_for_this_machine(file, machine)
        carry_out(kernel, look_ahead(kernel, router, machine, seed))


def _down_in_lab() -> None:
    from evenflow.kernel.reconcile import carry_out, look_at_down

    with open_kernel() as kernel:
        carry_out(kernel, look_at_down(kernel))
