"""`simulate`: what a configuration makes of the flows of a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.cli.scene import arrival_findings, configuration, live_place, place_of, router_with, scene_at
from evenflow.cli.telling import DONE, UNTOLD, complain, print_json
from evenflow.core.draws import most_draws
from evenflow.core.what_if import WhatIf
from evenflow.errors import InputError
from evenflow.model.finding import Origin, error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from evenflow.cli.simulate_runs import Runs
    from evenflow.formats.simulation import Told
    from evenflow.model.finding import Finding
    from evenflow.model.flows import FlowSource


#: What is taken for granted of rules that leave it to counters and chance which packets they take.
_COUNTING = (
    "counters and chance (nth=, random=) run as if the router had just been started, and each flow came to it in its "
    "turn with its first packet"
)


def simulate(arguments: argparse.Namespace) -> int:
    """`evenflow simulate`: tell what each uplink gets of the flows, and what else is asked for."""
    from evenflow.cli.simulate_plots import Plots

    findings = tuple(_contradictions(arguments))
    if findings:
        raise InputError(findings)
    plots = Plots(arguments.plot)
    if plots.unwritable:
        complain(f"evenflow: {plots.unwritable}; choose another with --plot")
        return UNTOLD
    told = _answer(arguments)
    if arguments.json:
        from evenflow.formats.simulation import to_json

        print_json(to_json(told))
    else:
        _draw(told)
    unwritten = plots.write(told)
    if unwritten:
        complain(f"evenflow: {unwritten}")
        return UNTOLD
    return DONE


def _contradictions(arguments: argparse.Namespace) -> Iterator[Finding]:
    """What the options say against each other."""
    if arguments.live and arguments.machine == "supposed":
        yield _wrong("--live", "asks this machine; leave --machine out")
    if arguments.seeds is not None:
        for option, given in (
            ("--seed", arguments.seed is not None),
            ("--live", arguments.live),
            ("--compare", arguments.compare is not None),
        ):
            if given:
                yield _wrong("--seeds", f"goes through seeds of its own; leave it out, or {option}")


def _wrong(option: str, message: str) -> Finding:
    return error("wrong-question", Origin(option), message)


def _answer(arguments: argparse.Namespace) -> Told:
    """What there is to tell.

    Raises:
        InputError: the configuration, the flows or the question has a mistake.
        NotInstalledError: what it takes is missing.
        SystemRefusedError: the kernel can't be read.
    """
    from evenflow.cli.simulate_ways import ways_of
    from evenflow.core.columns import engine
    from evenflow.kernel.files import open_flows

    loaded = configuration(arguments.config, accept_unsupported=arguments.accept_unsupported)
    router = router_with(loaded, arguments.set_weight)
    place = live_place(router) if arguments.live else place_of(router, arguments.machine)
    scene = scene_at(router, place, WhatIf(tuple(arguments.down)), arguments.seed if arguments.seeds is None else 0)
    if arguments.in_interface is not None:
        findings = tuple(arrival_findings(arguments.in_interface, scene.machine))
        if findings:
            raise InputError(findings)
    if most_draws(router) > 1:
        scene = replace(scene, notes=(*scene.notes, _COUNTING))
    ways = ways_of(arguments, loaded, scene, place) if arguments.compare is not None else ()
    chosen = engine(arguments.engine) if arguments.engine != "auto" else None
    source = open_flows(arguments.flows)

    from evenflow.cli.simulate_runs import runs_of  # it takes NumPy, and `open_flows` says so if that is missing

    counting = chosen or engine("auto", source.rows)
    return _counted(
        arguments, runs_of(scene, ways, arguments.in_interface, range(arguments.seeds or 0), counting), source
    )


def _counted(arguments: argparse.Namespace, runs: Runs, source: FlowSource) -> Told:
    from evenflow.cli.simulate_progress import progress
    from evenflow.core.recommend import recommend
    from evenflow.formats.simulation import FlowFile, Told
    from evenflow.kernel.ahead import read_ahead

    with progress(source) as show_progress:
        for block in read_ahead(source.blocks()):
            runs.add(block)
            show_progress(len(block))
    load, compared = runs.main.load(arguments.top), runs.candidates()
    return Told(
        arguments.config,
        FlowFile(arguments.flows, source.what, source.unit, source.skipped()),
        load,
        runs.scene.seed,
        runs.scene.notes,
        runs.shift.moved() if runs.shift is not None else None,
        tuple(one.load() for one in runs.by_seed),
        compared,
        recommend(compared) if compared and load.balanced_flows else None,
    )


def _draw(told: Told) -> None:
    from evenflow.cli.showing import show, width_of_output
    from evenflow.formats.simulation_text import sheet

    show(sheet(told, width_of_output()), told.notes)
