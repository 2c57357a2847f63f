"""The classifier and the classes of packets, on columns of many flows.

What `core/pcc.py` and `core/classes.py` say of one packet, an engine works out for all rows of a block. There are two:
NumPy in blocks that stay in the processor's cache, and a loop that Numba compiles. Both give the same, bit for bit.
Nothing here is loaded before an engine is asked for: NumPy and Numba are optional.
"""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast

from evenflow.errors import NotInstalledError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evenflow.core.classes import PacketClasses, Partition
    from evenflow.model.flows import FlowBlock
    from evenflow.model.matcher import Classifier

EngineName = Literal["auto", "numpy", "numba"]

#: From so many rows on, "auto" takes Numba: before, what it saves is less than what it takes to load and compile
#: (docs/design/simulate.md).
NUMBA_PAYS_ROWS = 50_000_000


class Engine(Protocol):
    """Works on columns. One engine has one set of buffers: each thread needs its own.

    As long as it lives it keeps a table for each partition and each tuple of classes that it was given: give it the
    same objects for every block.

    Every answer is uint32 unless it says something else, shape (n,). `out`, where given, has that type and shape and
    lies in one piece; it is filled and returned. A column of the wrong type is a TypeError, of the wrong shape a
    ValueError.
    """

    @property
    def name(self) -> str:
        """The package that does the work: "numpy" or "numba"."""

    def buckets(
        self, block: FlowBlock, classifier: Classifier, modulus: int, seed: int, out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """The bucket of each row, 0 to modulus - 1: `pcc.classify`. The modulus is 1 to 2^32 - 1."""

    def bucket_classes(
        self,
        block: FlowBlock,
        classifier: Classifier,
        classes: tuple[int, ...],
        seed: int,
        out: NDArray[np.uint32] | None = None,
    ) -> NDArray[np.uint32]:
        """`classes[bucket]` of each row; the modulus is their number. So `PacketClasses.buckets` has them."""

    def address_classes(
        self, words: NDArray[np.uint32], partition: Partition, out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """The class of each address, as in `FlowBlock`: shape (n,) for 32 bits, (4, n) for 128."""

    def number_classes(
        self,
        values: NDArray[np.uint8] | NDArray[np.uint16],
        partition: Partition,
        out: NDArray[np.uint32] | None = None,
    ) -> NDArray[np.uint32]:
        """The class of each protocol number (uint8, 8 bits) or port (uint16, 16 bits), shape (n,)."""

    def combinations(
        self, block: FlowBlock, classes: PacketClasses, seed: int, out: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """The classes of all fields of each row as one number: the place in an array of that many dimensions.

        The last dimension runs fastest; they are source, destination, protocol, source port, destination port, and
        then the classifiers. Here, `out` and the answer are int64.
        """


def engine(name: EngineName = "auto", rows: int | None = None) -> Engine:
    """The engine of that name.

    Args:
        name: "auto" is Numba where it is installed and worth its start, else NumPy.
        rows: about how many there will be; None where nobody knows, which happens with texts and captures: they
            take so much longer to read than to classify that "auto" stays with NumPy.

    Raises:
        NotInstalledError: its package is missing, or can't be loaded.
    """
    if name == "auto":
        if rows is not None and rows >= NUMBA_PAYS_ROWS:
            with contextlib.suppress(NotInstalledError):
                return engine("numba")
        name = "numpy"
    module, kind, extra = _ENGINES[name]
    try:
        loaded = import_module(module)
    except ImportError as problem:
        raise NotInstalledError(f"{problem}: to install what it takes, pip install 'evenflow[{extra}]'") from problem
    return cast("Engine", getattr(loaded, kind)())


#: Module and class of each engine, and the extra that installs what it imports.
_ENGINES = {
    "numpy": ("evenflow.core.columns_numpy", "NumpyEngine", "simulate"),
    "numba": ("evenflow.core.columns_numba", "NumbaEngine", "fast"),
}
