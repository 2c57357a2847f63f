"""The engine that needs nothing but NumPy.

Each step of the hash is one pass over a column. Over the whole of a long column each pass would fetch everything from
memory and write it back; so all passes are made over a few thousand rows, whose values stay in the processor's cache,
before the next few thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from evenflow.core.columns_keys import (
    KeyColumns,
    address_words,
    answer,
    check_modulus,
    check_numbers,
    key_columns,
)
from evenflow.core.columns_tables import ROOT_BITS, ClassTable, Remembered, class_table, direct_table
from evenflow.model.flow import PORT_PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from evenflow.core.classes import PacketClasses, Partition
    from evenflow.model.flows import FlowBlock
    from evenflow.model.matcher import Classifier

    _Words = tuple[NDArray[np.uint32], ...]

#: The type of what a table holds.
N = TypeVar("N", bound=np.integer[Any])

#: Measured (docs/design/simulate.md): with 8,192 rows a third of the time goes into calling NumPy so often, with all of
#: a long column at once most of it into fetching from memory; from 32,768 to 131,072 it is all the same.
BLOCK_ROWS = 32768

#: The words of jhash's state.
_A, _B, _C = 0, 1, 2

#: lookup3's mix() as core/pcc.py has it: the word that changes, the one that is rotated into it, by how many bits. The
#: third is then added to the second.
_MIX = ((_A, _C, 4), (_B, _A, 6), (_C, _B, 8), (_A, _C, 16), (_B, _A, 19), (_C, _B, 4))

#: Its final(), likewise.
_FINAL = ((_C, _B, 14), (_A, _C, 11), (_B, _A, 25), (_C, _B, 16), (_A, _C, 4), (_B, _A, 14), (_C, _B, 24))

#: Counts of bits as arrays, since a Python integer would be turned into one anew in each pass.
_BITS = tuple(np.array(number, np.uint32) for number in range(33))

_PORT_PROTOCOLS = tuple(np.array(number, np.uint8) for number in sorted(PORT_PROTOCOLS))

#: jhash reads whole blocks of 12 bytes in the machine's byte order. Read so, a key's word in network order is …
_OF_BLOCK = np.dtype(">u4")
#: … and what remains is read as little-endian on every machine, which turns the bytes of the number around.
_OF_REST = np.dtype(np.uint32).newbyteorder("S")


class NumpyEngine:
    """See `evenflow.core.columns.Engine`."""

    name = "numpy"

    def __init__(self, block_rows: int = BLOCK_ROWS) -> None:
        self._rows = block_rows
        self._hash = _Hash(block_rows)
        self._wide = np.empty(block_rows, np.uint64)
        self._tables: Remembered[ClassTable] = Remembered()
        self._direct: Remembered[NDArray[np.uint32]] = Remembered()

    def buckets(
        self, block: FlowBlock, classifier: Classifier, modulus: int, seed: int, out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """See `Engine.buckets`."""
        check_modulus(modulus)
        out = answer(out, len(block), np.uint32)
        key = key_columns(block, classifier, seed)
        for rows in self._parts(len(block)):
            for where, hashed in self._hash.of(key, rows):
                out[rows][where] = self._scaled(hashed, modulus)
        return out

    def bucket_classes(
        self,
        block: FlowBlock,
        classifier: Classifier,
        classes: tuple[int, ...],
        seed: int,
        out: NDArray[np.uint32] | None = None,
    ) -> NDArray[np.uint32]:
        """See `Engine.bucket_classes`."""
        check_modulus(len(classes))
        out = answer(out, len(block), np.uint32)
        key = key_columns(block, classifier, seed)
        table = self._direct.get(classes, lambda: np.asarray(classes, np.uint32))
        for rows in self._parts(len(block)):
            for where, hashed in self._hash.of(key, rows):
                out[rows][where] = table[self._scaled(hashed, len(classes)).view(np.int64)]
        return out

    def address_classes(
        self, words: NDArray[np.uint32], partition: Partition, out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """See `Engine.address_classes`."""
        columns = address_words(words, partition)
        out = answer(out, columns.shape[1], np.uint32)
        table = self._tables.get(partition, lambda: class_table(partition))
        for rows in self._parts(len(out)):
            self._walk(table, columns[:, rows], out[rows])
        return out

    def number_classes(
        self,
        values: NDArray[np.uint8] | NDArray[np.uint16],
        partition: Partition,
        out: NDArray[np.uint32] | None = None,
    ) -> NDArray[np.uint32]:
        """See `Engine.number_classes`."""
        out = answer(out, check_numbers(values, partition), np.uint32)
        table = self._direct.get(partition, lambda: direct_table(partition))
        for rows in self._parts(len(out)):
            self._look_up(table, values[rows], out[rows])
        return out

    def combinations(
        self, block: FlowBlock, classes: PacketClasses, seed: int, out: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """See `Engine.combinations`."""
        out = answer(out, len(block), np.int64)
        out[:] = 0
        for count, column in self._dimensions(block, classes, seed):
            out *= count
            out += column
        return out

    def _dimensions(
        self, block: FlowBlock, classes: PacketClasses, seed: int
    ) -> Iterator[tuple[int, NDArray[np.uint32]]]:
        """For each field with more than one class their number, and the class of each row."""
        for part, words in ((classes.source, block.source), (classes.destination, block.destination)):
            if part.count > 1:
                yield part.count, self.address_classes(words, part)
        for part, numbers in (
            (classes.protocol, block.protocol),
            (classes.source_port, block.source_port),
            (classes.destination_port, block.destination_port),
        ):
            if part.count > 1:
                yield part.count, self.number_classes(numbers, part)
        for classifier, each in classes.buckets.items():
            if max(each):
                yield max(each) + 1, self.bucket_classes(block, classifier, each, seed)

    def _parts(self, rows: int) -> Iterator[slice]:
        return (slice(first, min(first + self._rows, rows)) for first in range(0, rows, self._rows))

    def _scaled(self, hashed: NDArray[np.uint32], modulus: int) -> NDArray[np.uint64]:
        wide = self._wide[: len(hashed)]
        np.copyto(wide, hashed)
        np.multiply(wide, np.uint64(modulus), wide)
        np.right_shift(wide, np.uint64(32), wide)
        return wide

    def _look_up(self, table: NDArray[N], places: NDArray[np.unsignedinteger[Any]], out: NDArray[N]) -> None:
        index = self._wide[: len(places)].view(np.int64)
        np.copyto(index, places)
        # No place is outside of its table; but where NumPy is to look for that, it fills a copy of `out` first.
        np.take(table, index, out=out, mode="wrap")

    def _walk(self, table: ClassTable, columns: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
        """Follow the table; after the first step only the rows that are not decided yet."""
        cells = out.view(np.int32)
        self._look_up(table.cells, columns[0] >> (32 - ROOT_BITS), cells)
        rows = np.flatnonzero(cells < 0)
        bits = ROOT_BITS
        while len(rows):
            shift = 32 - table.page_bits - bits % 32
            steps = columns[bits // 32, rows] >> shift & ((1 << table.page_bits) - 1)
            found = table.cells[steps - cells[rows]]
            cells[rows] = found
            rows = rows[found < 0]
            bits += table.page_bits


class _Hash:
    """jhash of the rows of a block, and the buffers for it."""

    def __init__(self, block_rows: int) -> None:
        self._state = np.empty((3, block_rows), np.uint32)
        self._spare = np.empty((2, block_rows), np.uint32)
        self._flag = np.empty((2, block_rows), np.bool_)

    def of(self, key: KeyColumns, rows: slice) -> Iterator[tuple[slice | NDArray[np.intp], NDArray[np.uint32]]]:
        """The hash of these rows: once for all, or those with ports and then those without.

        Each comes with the places in the block that it is for, and is good until the next is asked for.
        """
        addresses = [column[rows] for column in key.addresses]
        ports = [column[rows] for column in key.ports]
        with_ports = self._with_ports(key.protocol[rows]) if ports else None
        if with_ports is None or not with_ports.any():
            yield slice(None), self._jhash(addresses, [], key.initial_without_ports, len(key.protocol[rows]))
            return
        yield slice(None), self._jhash(addresses, ports, key.initial, len(with_ports))
        if not with_ports.all():
            others = np.flatnonzero(~with_ports)
            some = [column[others] for column in addresses]
            yield others, self._jhash(some, [], key.initial_without_ports, len(others))

    def _with_ports(self, protocol: NDArray[np.uint8]) -> NDArray[np.bool_]:
        found, flag = self._flag[0, : len(protocol)], self._flag[1, : len(protocol)]
        found[:] = False
        for number in _PORT_PROTOCOLS:
            np.equal(protocol, number, flag)
            np.logical_or(found, flag, found)
        return found

    def _jhash(
        self, addresses: list[NDArray[np.uint32]], ports: list[NDArray[np.uint16]], initial: int, rows: int
    ) -> NDArray[np.uint32]:
        """`pcc.jhash` of each row; ports are always in what remains after the last whole block of 12 bytes."""
        state: _Words = tuple(self._state[:, :rows])
        spare: _Words = tuple(self._spare[:, :rows])
        word = spare[0]
        words = len(addresses) + bool(ports)
        whole = max(words - 1, 0) // 3 * 3
        start = np.array(initial, np.uint32)
        for column in state[words:]:
            column[:] = start
        for place in range(words):
            if place and place % 3 == 0:
                _mix(state, spare)
            if place < len(addresses):
                np.copyto(word, addresses[place].view(_OF_BLOCK if place < whole else _OF_REST))
            else:
                _pack(ports, spare)
            target = state[place % 3]
            np.add(word, target if place >= 3 else start, target)
        if words:
            _final(state, spare)
        return state[_C]


def _pack(ports: list[NDArray[np.uint16]], spare: _Words) -> None:
    """Into the first of the spare columns: one port or two as four bytes of a key, read as its rest is."""
    word, other = spare
    np.copyto(other, ports[0])
    np.left_shift(other, _BITS[16], other)
    if len(ports) == 2:
        np.copyto(word, ports[1])
        np.bitwise_or(other, word, other)
    np.copyto(word, other.view(_OF_REST))


def _mix(state: _Words, spare: _Words) -> None:
    for one, other, bits in _MIX:
        np.subtract(state[one], state[other], state[one])
        np.bitwise_xor(state[one], _rotated(state[other], bits, spare), state[one])
        np.add(state[other], state[3 - one - other], state[other])


def _final(state: _Words, spare: _Words) -> None:
    for one, other, bits in _FINAL:
        np.bitwise_xor(state[one], state[other], state[one])
        np.subtract(state[one], _rotated(state[other], bits, spare), state[one])


def _rotated(word: NDArray[np.uint32], bits: int, spare: _Words) -> NDArray[np.uint32]:
    high, low = spare
    np.left_shift(word, _BITS[bits], high)
    np.right_shift(word, _BITS[32 - bits], low)
    return np.bitwise_or(high, low, high)
