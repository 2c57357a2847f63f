"""A simulation gives each flow the fate that a trace gives it, and counts them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential.bench import FIVE
from differential.chance import drawn_by_chance, drawn_by_counters
from differential.policies import draw_policy
from differential.routers import Draw
from differential.worlds import MACHINE
from evenflow.core.arrivals import Arrivals
from evenflow.core.columns import engine
from evenflow.core.draws import Draws, ends_by_chance
from evenflow.core.following import uplink_of
from evenflow.core.lower import lower
from evenflow.core.simulate import Simulated, Simulation
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import uplinks
from evenflow.model.flow import Family, Packet
from evenflow.model.flows import FlowBlock

if TYPE_CHECKING:
    from evenflow.model.router import Router


def block_of(packets: list[Packet]) -> FlowBlock:
    """Flows of one family that begin with these packets; each has its number in bytes."""
    family = packets[0].family
    words = 1 if family is Family.IPV4 else 4

    def addresses(numbers: list[int]) -> np.ndarray:
        columns = [[number >> 32 * (words - 1 - word) & 0xFFFF_FFFF for number in numbers] for word in range(words)]
        return np.array(columns[0] if words == 1 else columns, np.uint32)

    return FlowBlock(
        family,
        addresses([int(packet.source) for packet in packets]),
        addresses([int(packet.destination) for packet in packets]),
        np.array([packet.protocol for packet in packets], np.uint8),
        np.array([packet.source_port for packet in packets], np.uint16),
        np.array([packet.destination_port for packet in packets], np.uint16),
        np.arange(1, len(packets) + 1, dtype=np.uint64),
    )


def flows_of(draw: Draw) -> dict[Family, list[Packet]]:
    found: dict[Family, list[Packet]] = {family: [] for family in Family}
    for connection in range(24):
        drawn = draw.packet(connection)
        ports = (drawn.source_port, drawn.destination_port) if drawn.has_ports else (0, 0)
        found[drawn.family].append(Packet(drawn.source, drawn.destination, drawn.protocol, *ports))
    return found


def agrees(router: Router, draw: Draw, seed: int) -> None:
    simulation = Simulation(Simulated(router, MACHINE, seed), engine("numpy"))
    known = uplinks(router)
    tracer, arrivals = Tracer(router, MACHINE, seed), Arrivals(router, MACHINE, known)
    flows, amounts, draws = Counter[str](), Counter[str](), Draws()
    for packets in flows_of(draw).values():
        for number, packet in enumerate(packets, start=1):
            came = replace(packet, in_interface=arrivals.interface(packet.source, packet.destination))
            first = tracer.trace(came, 0, draws)
            ways = [uplink_of(tracer.trace(came, choice, draws), known) for choice in range(first.ways)]
            draws = draws.after(first.drawn)
            rest = f"{first.disposition.value} {first.out_interface if first.ways == 1 else None}"
            for way in ways:
                end = rest if way is None else way
                flows[end] += 60 // len(ways)
                amounts[end] += 60 * number // len(ways)
        for start in range(0, len(packets), 7):
            if packets[start : start + 7]:
                part = block_of(packets)
                rows = slice(start, start + 7)
                simulation.add(
                    replace(
                        part,
                        source=part.source[..., rows],
                        destination=part.destination[..., rows],
                        protocol=part.protocol[rows],
                        source_port=part.source_port[rows],
                        destination_port=part.destination_port[rows],
                        size_bytes=part.size_bytes[rows] if part.size_bytes is not None else None,
                    )
                )
    load = simulation.load()
    counted = {one.name: one.flows for one in load.uplinks}
    assert counted == pytest.approx({name: flows[name] / 60 for name in counted}, abs=0.51)
    sizes = {one.name: one.size_bytes for one in load.uplinks}
    assert sizes == pytest.approx({name: amounts[name] / 60 for name in sizes}, abs=0.51)
    ends = {f"{one.disposition.value} {one.interface}": one.flows for one in load.elsewhere}
    assert ends == pytest.approx({end: count / 60 for end, count in flows.items() if end not in sizes}, abs=0.51)
    assert load.flows == 24


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_a_script_router_is_simulated_as_it_is_traced(number: int, seed: int) -> None:
    draw = Draw(Random(number))
    agrees(draw.router(), draw, seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_a_policy_is_simulated_as_it_is_traced(number: int, seed: int) -> None:
    draw = Draw(Random(number))
    agrees(lower(draw_policy(draw)), draw, seed)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_counters_move_on_from_flow_to_flow(number: int, seed: int) -> None:
    agrees(drawn_by_counters(number, FIVE).router, Draw(Random(number)), seed)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, (1 << 32) - 1))
def test_what_is_left_to_chance_ends_as_it_may(number: int, seed: int) -> None:
    router = drawn_by_chance(number, FIVE).router
    simulation = Simulation(Simulated(router, MACHINE, seed), engine("numpy"))
    tracer, arrivals = Tracer(router, MACHINE, seed), Arrivals(router, MACHINE, uplinks(router))
    for packets in flows_of(Draw(Random(number))).values():
        found = simulation.add(block_of(packets)) if packets else ()
        for packet, outcome in zip(packets, found, strict=True):
            came = replace(packet, in_interface=arrivals.interface(packet.source, packet.destination))
            ends = [part.end for part in ends_by_chance(partial(tracer.trace, came, 0), Draws())]
            of_this = simulation.outcome(int(outcome))
            assert (of_this.disposition, of_this.interface) in {
                (end.disposition, end.out_interface if end.ways == 1 else None) for end in ends
            }
