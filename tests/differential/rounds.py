"""A round: a router drawn by its number, applied to a bench, and met by packets."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING
from unittest import mock

from differential.play import Play
from differential.policies import draw_policy, draw_standing
from differential.routers import Draw
from differential.scripts import draw_losses, draw_script, read_script
from evenflow.core import routing
from evenflow.core.compile import guard, known, nat, runs
from evenflow.core.compile.conditions import COMPARED
from evenflow.core.draws import has_chance
from evenflow.core.failover import AS_USUAL, Standing, stand
from evenflow.core.lower import lower
from evenflow.kernel.reconcile import carry_out, look_ahead, look_at_down
from evenflow.model.flow import UDP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from differential.bench import Bench, Plan
    from differential.play import Compared
    from evenflow.model.flow import Packet
    from evenflow.model.router import Router

CONNECTIONS = 30

#: Of so many routers one is that of a policy, the next that of a script as people write them; the rest is anything.
KINDS = 5

#: One UDP packet in so many comes in two parts.
FRAGMENTED = 5


@dataclass(frozen=True)
class Round:
    """A router, how its uplinks stand, and the first packets of connections to it."""

    router: Router
    standing: Standing
    seed: int
    packets: tuple[Packet, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, (self.standing, *self.router.mangle, *self.router.nat)))


@dataclass(frozen=True)
class Played:
    """What was compared, how many packets met counters or chance, and what the kernel did otherwise than said."""

    compared: Counter[Compared]
    drawn: int
    mismatches: list[str]


def drawn(number: int, plan: Plan) -> Round:
    """The round of a number, on a bench of that plan."""
    draw = Draw(Random(number), plan)
    router, standing = _router(draw, number % KINDS)
    return Round(router, standing, draw.random.getrandbits(32), tuple(draw.packet(n) for n in range(CONNECTIONS)))


def _router(draw: Draw, kind: int) -> tuple[Router, Standing]:
    if kind == 0:
        policy = draw_policy(draw)
        return lower(policy), draw_standing(draw, policy)
    if kind == 1:
        router = read_script(draw_script(draw))
        return router, draw_losses(draw, router)
    return draw.router(), AS_USUAL


@contextlib.contextmanager
def comparing(count: int) -> Iterator[None]:
    """Up to so many interfaces are compared, more are looked up: the benches have too few for lookups else."""
    with contextlib.ExitStack() as stack:
        for module in (guard, known, nat, runs):
            stack.enter_context(mock.patch.object(module, "COMPARED", count))
        yield


def play(bench: Bench, drawn_round: Round) -> Played:
    """Apply the router, send packets, what comes back for them, and what follows that; compare."""
    router, standing, seed = drawn_round.router, drawn_round.standing, drawn_round.seed
    with bench.inside() as kernel:
        if any(map(has_chance, router.mangle)):
            carry_out(kernel, look_at_down(kernel))  # a chain that stays as it is goes on counting
        machine = kernel.read_machine()
        with comparing(COMPARED if seed % 2 else 1), mock.patch.object(routing, "_WORTH_JUMPING", 2 + seed % 3):
            carry_out(kernel, look_ahead(kernel, router, machine, seed, standing))
        names = [f"net/ipv4/conf/{link.name}/rp_filter" for link in machine.links]
        sysctls = kernel.read_dataplane(["net/ipv4/conf/all/rp_filter", *names]).sysctls
    bench.forget()
    game = Play(bench, stand(router, standing), machine, seed, sysctls)
    opened = []
    for number, packet in enumerate(drawn_round.packets):
        fragmented = packet.protocol == UDP and packet.in_interface is not None and number % FRAGMENTED == 0
        opened.append(game.first_and_second(packet, fragmented=fragmented))
    found = game.mismatches()
    answered = [game.reply(game.error(connection)) for connection in opened]
    found = found or game.mismatches()
    for connection in answered:
        game.follow(connection)
    return Played(game.compared, game.met_chance(), found or game.mismatches())


def compare(benches: Sequence[Bench], numbers: Iterable[int]) -> Counter[Compared]:
    """Play the rounds of these numbers, on the benches in turn; what was compared. Raises AssertionError."""
    compared: Counter[Compared] = Counter()
    for number in numbers:
        bench = benches[number % len(benches)]
        drawn_round = drawn(number, bench.plan)
        played = play(bench, drawn_round)
        compared += played.compared
        assert not played.mismatches, f"round {number}: {drawn_round}\n\n" + "\n".join(played.mismatches[:3])
    return compared
