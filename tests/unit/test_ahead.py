"""Reading ahead: the same items, in the same order, and nothing goes on after the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from evenflow.kernel.ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("length", [0, 1, 2, 3, 50])
def test_items_and_their_order_are_the_same(length: int) -> None:
    assert list(read_ahead(iter(range(length)))) == list(range(length))


def test_what_is_read_next_is_read_while_one_is_worked_on() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert second.wait(10)
    assert list(ahead) == [2]


def test_a_failure_is_raised_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("unplugged")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="unplugged"):
        next(ahead)


def test_who_stops_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(1000)))
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == before
