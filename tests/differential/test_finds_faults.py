"""That the differential test finds what it is there for: with any one of these faults planted, it fails.

If a round that showed a fault does not any more (the draw has changed), the others are searched, which takes longer;
`python -m pytest -rP` tells the first one that does, to be put in its place. If none does, the draw has a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from differential.bench import FIVE, ODD, Bench
from differential.faults import COMPILER, INTERPRETER, Fault
from differential.rounds import drawn, play
from differential.test_kernel_agrees import ROUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def benches() -> Iterator[tuple[Bench, Bench]]:
    made = (Bench(FIVE), Bench(ODD))
    yield made
    for bench in made:
        bench.close()


def is_shown(benches: Sequence[Bench], number: int) -> bool:
    """Whether the round of a number has mismatches."""
    bench = benches[number % len(benches)]
    return bool(play(bench, drawn(number, bench.plan)).mismatches)


def assert_is_found(benches: Sequence[Bench], fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the rounds that `make test` plays, none of which has a mismatch without the fault, has some with it."""
    fault.plant(monkeypatch)
    found = next((number for number in (fault.shown_by, *range(ROUNDS)) if is_shown(benches, number)), None)
    print(f"{fault.what}: shown by round {found}")  # noqa: T201 - for who has to find another round
    assert found is not None
    assert found < ROUNDS


@pytest.mark.parametrize("fault", COMPILER, ids=lambda fault: fault.what)
def test_a_fault_in_the_compiler_is_found(
    benches: tuple[Bench, Bench], fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_is_found(benches, fault, monkeypatch)


@pytest.mark.parametrize("fault", INTERPRETER, ids=lambda fault: fault.what)
def test_a_fault_in_the_interpreter_is_found(
    benches: tuple[Bench, Bench], fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_is_found(benches, fault, monkeypatch)
