"""Python's collector of cycles, at rest while a script is read.

A script becomes a great many small objects, all of which stay and none of which refers to itself; the collector would
go over them again and again, which took half of the time.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """The collector does not run by itself within; afterwards as before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
