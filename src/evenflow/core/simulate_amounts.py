"""What a flow counts for: its bytes; one, where the file does not tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evenflow.model.flows import FlowBlock

_NONE = np.zeros(0, np.uint64)


def amounts_of(block: FlowBlock) -> NDArray[np.float64]:
    """What each row counts for, shape (n,)."""
    return np.ones(len(block)) if block.size_bytes is None else block.size_bytes.astype(np.float64)


def sizes_of(block: FlowBlock) -> NDArray[np.uint64]:
    """The bytes of each row, as loops take them: empty where the file does not tell them."""
    return _NONE if block.size_bytes is None else block.size_bytes
