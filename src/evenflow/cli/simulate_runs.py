"""The simulations that one question takes, side by side over the same flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.core.recommend import Candidate
from evenflow.core.simulate import Shift, Simulated, Simulation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.cli.scene import Before, Scene
    from evenflow.cli.simulate_ways import Division
    from evenflow.core.columns import Engine
    from evenflow.model.flows import FlowBlock


@dataclass(frozen=True)
class Runs:
    """What is counted.

    Attributes:
        main: the configuration as it is asked for.
        shift: from what was before to `main`, where something is supposed to be lost; it feeds `main`, too.
        by_seed: with seed 0, 1, ….
        ways: the ways that are compared, each with its simulation; that of the first is `main`.
    """

    scene: Scene
    main: Simulation
    shift: Shift | None
    by_seed: tuple[Simulation, ...]
    ways: tuple[tuple[Division, Simulation], ...]

    def add(self, block: FlowBlock) -> None:
        """Count a block in all of them."""
        (self.main if self.shift is None else self.shift).add(block)
        for one in (*self.by_seed, *(simulation for _, simulation in self.ways[1:])):
            one.add(block)

    def candidates(self) -> tuple[Candidate, ...]:
        """The ways that are compared, with what became of the flows."""
        return tuple(
            Candidate(way.name, way.classifier, dict(way.weights), simulation.load()) for way, simulation in self.ways
        )


def runs_of(
    scene: Scene, ways: Sequence[Division], in_interface: str | None, seeds: Sequence[int], engine: Engine
) -> Runs:
    """The simulations that are needed."""

    def simulation(scene: Scene, seed: int | None = None, before: Before | None = None) -> Simulation:
        where = before if before is not None else scene
        chosen = scene.seed if seed is None else seed
        return Simulation(Simulated(where.router, where.machine, chosen, scene.sysctls, in_interface), engine)

    main, shift = simulation(scene), None
    if scene.lost:
        shift = Shift(simulation(scene, before=scene.before), main, scene.lost)
    return Runs(
        scene,
        main,
        shift,
        tuple(simulation(scene, seed) for seed in seeds),
        tuple((way, main if n == 0 else simulation(way.scene)) for n, way in enumerate(ways)),
    )
