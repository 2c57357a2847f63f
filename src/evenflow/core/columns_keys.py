"""What of a block enters the hash, and whether columns are what they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from evenflow.core.pcc import jhash, key_length_bytes

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from evenflow.core.classes import Partition
    from evenflow.model.flow import Family
    from evenflow.model.flows import FlowBlock
    from evenflow.model.matcher import Classifier


N = TypeVar("N", bound="np.integer[Any]")


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """The columns that are hashed, in the order of the key.

    Attributes:
        addresses: one for each 32-bit word of the addresses, shape (n,).
        ports: likewise; they enter for the protocols with ports only.
        protocol: says which those are.
        initial, initial_without_ports: what jhash begins with: the seed and the length of the key are in it.
    """

    addresses: tuple[NDArray[np.uint32], ...]
    ports: tuple[NDArray[np.uint16], ...]
    protocol: NDArray[np.uint8]
    initial: int
    initial_without_ports: int


def key_columns(block: FlowBlock, classifier: Classifier, seed: int) -> KeyColumns:
    """The key of each row, by columns.

    Raises:
        TypeError, ValueError: a column is not what `FlowBlock` says.
    """
    fields, shape = classifier.fields, (len(block),)
    words = block.family.address_bits // 32
    check("protocol", block.protocol, np.uint8, shape)
    addresses: list[NDArray[np.uint32]] = []
    for name, column, wanted in (
        ("source", block.source, fields.source_address),
        ("destination", block.destination, fields.destination_address),
    ):
        check(name, column, np.uint32, shape if words == 1 else (words, *shape))
        if wanted:
            addresses.extend(column.reshape(words, *shape))
    ports: list[NDArray[np.uint16]] = []
    for name, port, wanted in (
        ("source_port", block.source_port, fields.source_port),
        ("destination_port", block.destination_port, fields.destination_port),
    ):
        check(name, port, np.uint16, shape)
        if wanted:
            ports.append(port)
    initial, without = (_initial(classifier, block.family, seed, with_ports=one) for one in (True, False))
    return KeyColumns(tuple(addresses), tuple(ports), block.protocol, initial, without)


def _initial(classifier: Classifier, family: Family, seed: int, *, with_ports: bool) -> int:
    # The hash of an empty key is what jhash begins with.
    return (jhash(b"", seed) + key_length_bytes(classifier, family, with_ports=with_ports)) % (1 << 32)


def check(name: str, column: NDArray[np.generic], dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """That a column has exactly this type, in the machine's byte order, and this shape.

    Raises:
        TypeError, ValueError: it has not.
    """
    if column.dtype != dtype:
        raise TypeError(f"the column {name} is {column.dtype}, not {np.dtype(dtype)}")
    if column.shape != shape:
        raise ValueError(f"the column {name} has the shape {column.shape}, not {shape}")


def answer(out: NDArray[N] | None, rows: int, dtype: type[N]) -> NDArray[N]:
    """Where to put the answer for so many rows: `out`, or a new column.

    Raises:
        TypeError, ValueError: `out` is no place for it.
    """
    if out is None:
        return np.empty(rows, dtype)
    check("out", out, dtype, (rows,))
    if not out.flags.c_contiguous:
        raise ValueError("the column out does not lie in one piece")
    return out


def address_words(addresses: NDArray[np.uint32], partition: Partition) -> NDArray[np.uint32]:
    """Addresses of the partition's family, as `FlowBlock` has them, by words: shape (1, n) or (4, n).

    Raises:
        TypeError, ValueError: they are not that.
    """
    words, rows = partition.bits // 32, addresses.shape[-1] if addresses.ndim else 0
    check("addresses", addresses, np.uint32, (rows,) if words == 1 else (words, rows))
    return addresses.reshape(words, rows)


def check_numbers(values: NDArray[np.uint8] | NDArray[np.uint16], partition: Partition) -> int:
    """That the values have as many bits as the partition; how many they are.

    Raises:
        TypeError, ValueError: they have not.
    """
    rows = len(values)
    check("numbers", values, np.dtype(f"u{partition.bits // 8}"), (rows,))
    return rows


def check_modulus(modulus: int) -> None:
    """That a bucket fits into 32 bits.

    Raises:
        ValueError: it does not.
    """
    if not 0 < modulus < 1 << 32:
        raise ValueError(f"a hash of 32 bits can't be scaled to {modulus} buckets")
