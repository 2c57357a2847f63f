"""Where a traced packet meets the router, as the options of `evenflow trace` ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.cli.scene import configuration, live_place, place_of, router_with, scene_at
from evenflow.core.supposed import Arrival
from evenflow.core.what_if import WhatIf

if TYPE_CHECKING:
    import argparse

    from evenflow.cli.scene import Scene


def scene_of(arguments: argparse.Namespace) -> Scene:
    """Read the configuration, find the machine, let happen what is to be supposed.

    Raises:
        InputError: the configuration has errors, or something can't be supposed.
        SystemRefusedError: the kernel can't be read, or nothing of evenflow's is in force where it was asked for.
    """
    router = router_with(
        configuration(arguments.config, accept_unsupported=arguments.accept_unsupported), arguments.set_weight
    )
    if arguments.live:
        place = live_place(router)
    else:
        place = place_of(router, arguments.machine, Arrival(arguments.in_interface, arguments.src, arguments.dst))
    what_if = WhatIf(tuple(arguments.down), tuple(arguments.drained), tuple(arguments.no_carrier))
    return scene_at(router, place, what_if, arguments.seed)
