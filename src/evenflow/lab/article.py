"""The article's scenario: brought up, balanced, kept, filled, answered, cut, restored, and taken away."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from evenflow.errors import EvenflowError, LabError
from evenflow.lab import failover, steps
from evenflow.lab.page import render_html
from evenflow.lab.progress import SilentProgress
from evenflow.lab.results import Report, StepResult
from evenflow.lab.running import run
from evenflow.lab.stage import Configuration, Scenario, Stage
from evenflow.lab.topology import ROUTER, article_topology
from evenflow.lab.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from evenflow.lab.progress import Progress
    from evenflow.lab.topology import Topology


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a scenario.

    Attributes:
        key: a letter.
        name: what is shown while it plays.
        play: plays it.
    """

    key: str
    name: str
    play: Callable[[Stage], Awaitable[StepResult]]


#: The article's steps, in order. A later one builds on what the earlier ones left.
ARTICLE_STEPS: Final = (
    Step("a", "bring it up", steps.bring_up),
    Step("b", "balance new connections", steps.balance),
    Step("c", "keep each connection to one uplink", steps.keep),
    Step("d", "fill both uplinks", steps.fill),
    Step("e", "answer by the uplink that was asked", steps.answer),
    Step("f", "cut isp1", failover.cut),
    Step("g", "restore isp1", failover.restore),
    Step("h", "leave no trace", steps.take_down),
)


def play_article(
    bring_up: Callable[[], None],
    take_down: Callable[[], None],
    *,
    title: str,
    html: Path | None = None,
    progress: Progress | None = None,
    scenario: Scenario | None = None,
) -> Report:
    """Build the article's world, play all its steps in it, and tear it down, whatever happens.

    Call `evenflow.kernel.namespaces.enter_private` first: the namespaces are made inside the caller's.

    Args:
        bring_up: makes the lab's router a balancer; called inside the router's namespace.
        take_down: undoes that; called there, too. It is called once whenever `bring_up` was, also after a failure.
        title: what is played, for the report.
        html: where the report is written as a page; None writes none.
        progress: told how far it is.
        scenario: how much of everything; None is the full size, a bit over half a minute.

    Raises:
        LabError: the lab could not be built, or the page not be written. (A step that can't be played has not held; it
            is in the report.)
        SystemRefusedError: a program of the system refused.
        Whatever `bring_up` and `take_down` raise.
        KeyboardInterrupt: Ctrl-C; by then everything is torn down.
    """
    configuration = Configuration(bring_up, take_down)
    with World(article_topology()) as world:
        report = run(play(world, configuration, ARTICLE_STEPS, title=title, progress=progress, scenario=scenario))
    if html is not None:
        try:
            html.write_text(render_html(report), encoding="utf-8")
        except OSError as problem:
            raise LabError(
                f"all was played, but the report can't be written to {html}: {problem.strerror}"
            ) from problem
    return report


async def play(
    world: World,
    configuration: Configuration,
    chosen: Sequence[Step],
    *,
    title: str,
    progress: Progress | None = None,
    scenario: Scenario | None = None,
) -> Report:
    """Play steps in a world that is there. Raises as `play_article`."""
    progress = progress or SilentProgress()
    results: list[StepResult] = []
    began_s = time.monotonic()
    async with Stage(world, configuration, scenario or Scenario(), progress) as stage:
        try:
            for step in chosen:
                progress.step_started(step.key, step.name)
                step_began_s = time.monotonic()
                result = await _play_step(step, stage)
                results.append(replace(result, took_s=time.monotonic() - step_began_s))
                progress.step_ended(results[-1])
        except BaseException as problem:
            if stage.found.brought_up:
                _take_down_after(problem, world, configuration)
            raise
    return _report(world.topology, stage, results, title, time.monotonic() - began_s)


async def _play_step(step: Step, stage: Stage) -> StepResult:
    try:
        return await step.play(stage)
    except LabError as problem:
        return StepResult(step.key, step.name, held=False, explanation=f"It could not be played: {problem}.")


def _take_down_after(problem: BaseException, world: World, configuration: Configuration) -> None:
    """Undo the configuration; whatever that says does not hide the first problem."""
    try:
        with world.inside(ROUTER):
            configuration.take_down()
    except (EvenflowError, OSError) as second:
        problem.add_note(f"and then the configuration could not be taken down: {second}")


def _report(topology: Topology, stage: Stage, results: Sequence[StepResult], title: str, duration_s: float) -> Report:
    return Report(
        title=title,
        topology=topology,
        steps=tuple(results),
        shares=stage.found.shares,
        samples=tuple(stage.meter.samples),
        moments=tuple(stage.meter.moments),
        duration_s=duration_s,
    )
