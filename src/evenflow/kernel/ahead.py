"""Reading ahead: what is read next is read while what has been read is worked on."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_END: Final = object()


def read_ahead(items: Iterator[T], count: int = 2) -> Iterator[T]:
    """The same items; up to `count` of them are fetched in a thread before they are asked for.

    What the thread meets is raised here, in its turn. Closing the iterator waits for the one that is being fetched.
    """
    with ThreadPoolExecutor(1, "reading") as reader:
        waiting = deque(reader.submit(next, items, _END) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(reader.submit(next, items, _END))
                yield item  # type: ignore[misc]  # what is not the end is an item
        finally:
            reader.shutdown(wait=True, cancel_futures=True)
