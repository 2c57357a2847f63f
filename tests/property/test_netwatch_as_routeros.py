"""Routes with watches are what RouterOS has after the scripts have run, whichever hosts are lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evenflow.core.failover import Standing, stand
from evenflow.formats.routeros import parse
from evenflow.model.finding import Severity

NAMES = "abcd"


@dataclass(frozen=True)
class Static:
    """A route of the file: its distance, and whether it is disabled there."""

    distance: int
    disabled: bool

    def __str__(self) -> str:
        return f"distance={self.distance} disabled={'yes' if self.disabled else 'no'}"


@dataclass(frozen=True)
class Step:
    """One command of a script to one route."""

    route: str
    disabled: bool | None = None
    distance: int | None = None

    def __str__(self) -> str:
        if self.distance is not None:
            return f"/ip route set [find comment={self.route}] distance={self.distance}"
        return f"/ip route {'disable' if self.disabled else 'enable'} [find comment={self.route}]"

    def done(self, route: Static) -> Static:
        if self.distance is not None:
            return replace(route, distance=self.distance)
        return replace(route, disabled=bool(self.disabled))


@dataclass(frozen=True)
class Entry:
    """What is done when a host answers again, and when it is lost."""

    up: tuple[Step, ...]
    down: tuple[Step, ...]


ROUTES = st.lists(st.builds(Static, st.integers(1, 5), st.booleans()), min_size=2, max_size=4)


@st.composite
def entries(draw: st.DrawFn, names: str) -> tuple[Entry, ...]:
    """Each route is switched by one entry at most: what two do to one depends on who was last."""
    free = list(draw(st.permutations(names)))
    found = []
    for _ in range(draw(st.integers(1, 2))):
        own = [free.pop() for _ in range(draw(st.integers(1, 2))) if free]
        up: list[Step] = []
        down: list[Step] = []
        for name in own:
            if draw(st.booleans()):
                up.append(Step(name, distance=draw(st.integers(1, 5))))
                down.append(Step(name, distance=draw(st.integers(1, 5))))
            else:
                better_when_up = draw(st.sampled_from([True, True, False]))
                up.append(Step(name, disabled=not better_when_up))
                down.append(Step(name, disabled=better_when_up))
        found.append(Entry(tuple(up), tuple(down)))
    return tuple(found)


def script(routes: dict[str, Static], watched: tuple[Entry, ...]) -> str:
    lines = ["/ip route"]
    lines += [f"add comment={name} gateway=192.0.2.{ord(name)} {route}" for name, route in routes.items()]
    lines.append("/tool netwatch")
    for number, entry in enumerate(watched, 1):
        up, down = ("; ".join(map(str, steps)) for steps in (entry.up, entry.down))
        lines.append(f'add host=9.9.9.{number} up-script="{up}" down-script="{down}"')
    return "\n".join(lines) + "\n"


def best(routes: dict[str, Static]) -> set[str]:
    """The routes that RouterOS uses: those of the smallest distance."""
    enabled = {name: route.distance for name, route in routes.items() if not route.disabled}
    return {name for name, distance in enabled.items() if distance == min(enabled.values())}


@settings(deadline=None, max_examples=300)
@given(st.data(), ROUTES)
def test_the_best_route_is_the_same(data: st.DataObject, given_routes: list[Static]) -> None:
    routes = dict(zip(NAMES, given_routes, strict=False))
    watched = data.draw(entries("".join(routes)))
    parsed = parse(script(routes, watched), "r.rsc")
    assume(all(finding.severity is Severity.INFO for finding in parsed.findings))
    for lost in product([False, True], repeat=len(watched)):
        expected = dict(routes)
        for entry, gone in zip(watched, lost, strict=True):
            for step in entry.down if gone else entry.up:
                expected[step.route] = step.done(expected[step.route])
        down = {f"netwatch 9.9.9.{number}" for number, gone in enumerate(lost, 1) if gone}
        now = stand(parsed.router, Standing(down=frozenset(down))).routes
        in_force = {route.distance: set[str]() for route in now if route.in_force}
        for route in now:
            if route.in_force:
                in_force[route.distance].add(route.comment)
        assert (in_force[min(in_force)] if in_force else set()) == best(expected), lost
