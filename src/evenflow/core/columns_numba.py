"""The engine whose loops Numba compiles: one pass over the columns, so that nothing between key and answer is stored.

The loops of the hash are written so that they become vector instructions: what differs between keys is decided when a
loop is compiled, by the number of columns, and what differs between rows (ports or none) once for some thousand rows.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numba
import numpy as np

from evenflow.core.columns_keys import address_words, answer, check_modulus, check_numbers, key_columns
from evenflow.core.columns_tables import ROOT_BITS, ClassTable, Remembered, class_table, direct_table
from evenflow.model.flow import PORT_PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from evenflow.core.classes import PacketClasses, Partition
    from evenflow.core.columns_keys import KeyColumns
    from evenflow.model.flows import FlowBlock
    from evenflow.model.matcher import Classifier

    Words = tuple[NDArray[np.uint32], ...]
    Ports = tuple[NDArray[np.uint16], ...]

F = TypeVar("F", bound="Callable[..., Any]")
N = TypeVar("N", bound=np.integer[Any])

#: So many rows are asked whether all of them have ports, and hashed while they are in the cache.
_PART_ROWS = 4096

_PORT_PROTOCOLS = tuple(sorted(PORT_PROTOCOLS))

_LITTLE_ENDIAN = sys.byteorder == "little"


def inlined(function: F) -> F:
    """A function for compiled loops to call."""
    return cast("F", numba.njit(function))


def compiled(function: F) -> F:
    """A compiled loop: kept beside this file, else in the user's cache folder, else compiled in each process."""
    try:
        return cast("F", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # "no locator available": neither folder can be written
        return cast("F", numba.njit(nogil=True)(function))


class _State(NamedTuple):
    """The three words of jhash."""

    a: np.uint32
    b: np.uint32
    c: np.uint32


# Numba makes 64 bits of the sum of two 32-bit numbers; np.uint32() around each step brings them back.


@inlined
def _rotated(word: np.uint32, bits: int) -> np.uint32:
    return np.uint32(word << np.uint32(bits)) | np.uint32(word >> np.uint32(32 - bits))


@inlined
def _stirred(word: np.uint32, other: np.uint32, bits: int) -> np.uint32:
    return np.uint32(np.uint32(word - other) ^ _rotated(other, bits))


@inlined
def _mix(state: _State) -> _State:
    """See `pcc.jhash`."""
    a, b, c = state
    a, c = _stirred(a, c, 4), np.uint32(c + b)
    b, a = _stirred(b, a, 6), np.uint32(a + c)
    c, b = _stirred(c, b, 8), np.uint32(b + a)
    a, c = _stirred(a, c, 16), np.uint32(c + b)
    b, a = _stirred(b, a, 19), np.uint32(a + c)
    c, b = _stirred(c, b, 4), np.uint32(b + a)
    return _State(a, b, c)


@inlined
def _taken(word: np.uint32, other: np.uint32, bits: int) -> np.uint32:
    return np.uint32(np.uint32(word ^ other) - _rotated(other, bits))


@inlined
def _final(state: _State) -> np.uint32:
    """See `pcc.jhash`."""
    a, b, c = state
    c = _taken(c, b, 14)
    a = _taken(a, c, 11)
    b = _taken(b, a, 25)
    c = _taken(c, b, 16)
    a = _taken(a, c, 4)
    b = _taken(b, a, 14)
    return _taken(c, b, 24)


@inlined
def _turned(word: np.uint32) -> np.uint32:
    """With its bytes the other way around."""
    outer = np.uint32(word << np.uint32(24)) | np.uint32(word >> np.uint32(24))
    inner = np.uint32(np.uint32(word << np.uint32(8)) & np.uint32(0xFF0000)) | np.uint32(
        np.uint32(word >> np.uint32(8)) & np.uint32(0xFF00)
    )
    return np.uint32(outer | inner)


@inlined
def _absorbed(state: _State, addresses: Words, first: int, row: int) -> _State:
    """The state after a whole block of 12 bytes, which jhash reads in the machine's byte order."""
    a, b, c = addresses[first][row], addresses[first + 1][row], addresses[first + 2][row]
    if _LITTLE_ENDIAN:
        a, b, c = _turned(a), _turned(b), _turned(c)
    return _mix(_State(np.uint32(state.a + a), np.uint32(state.b + b), np.uint32(state.c + c)))


@inlined
def _port_word(ports: Ports, row: int) -> np.uint32:
    """One port or two as four bytes of the key, read as its rest is."""
    if len(ports) == 0:
        return np.uint32(0)
    high = np.uint32(np.uint32(ports[0][row]) << np.uint32(16))
    if len(ports) == 1:
        return _turned(high)
    return _turned(np.uint32(high | np.uint32(ports[1][row])))


@inlined
def _hashed(addresses: Words, ports: Ports, initial: np.uint32, row: int) -> np.uint32:
    """`pcc.jhash` of one row: one or two addresses, of one word or four each, and up to two ports."""
    state = _State(initial, initial, initial)
    if len(addresses) == 4:
        state = _absorbed(state, addresses, 0, row)
    if len(addresses) == 8:
        state = _absorbed(_absorbed(state, addresses, 0, row), addresses, 3, row)
    # What is left is read as little-endian on every machine: the address words that no block of three took, the ports.
    last = _port_word(ports, row)
    if len(addresses) == 0:
        if len(ports) == 0:
            return initial
        return _final(_State(np.uint32(state.a + last), state.b, state.c))
    if len(addresses) == 1 or len(addresses) == 4:
        first = np.uint32(state.a + _turned(addresses[-1][row]))
        return _final(_State(first, np.uint32(state.b + last), state.c))
    first, second = _turned(addresses[-2][row]), _turned(addresses[-1][row])
    return _final(_State(np.uint32(state.a + first), np.uint32(state.b + second), np.uint32(state.c + last)))


@inlined
def _bucket(addresses: Words, ports: Ports, initial: np.uint32, modulus: np.uint64, row: int) -> np.uint32:
    hashed = np.uint64(_hashed(addresses, ports, initial, row))
    return np.uint32((hashed * modulus) >> np.uint64(32))


@inlined
def _count_with_ports(protocol: NDArray[np.uint8]) -> np.uint32:
    count = np.uint32(0)
    for number in protocol:
        count = np.uint32(count + np.uint32(number in _PORT_PROTOCOLS))
    return count


@compiled
def _fill(
    addresses: Words,
    ports: Ports,
    protocol: NDArray[np.uint8],
    initials: tuple[np.uint32, np.uint32],
    modulus: np.uint64,
    classes: NDArray[np.uint32] | None,
    out: NDArray[np.uint32],
) -> None:
    """The bucket of each row, or its class; `initials` are for rows with ports and without."""
    for part in range(0, len(out), _PART_ROWS):
        first, last = np.uint64(part), np.uint64(min(part + _PART_ROWS, len(out)))
        with_ports = _count_with_ports(protocol[first:last]) if len(ports) > 0 else np.uint32(0)
        if with_ports == 0:
            for row in range(first, last):
                out[row] = _bucket(addresses, (), initials[1], modulus, row)
        else:
            for row in range(first, last):
                out[row] = _bucket(addresses, ports, initials[0], modulus, row)
            if with_ports < last - first:
                for row in range(first, last):
                    if protocol[row] not in _PORT_PROTOCOLS:
                        out[row] = _bucket(addresses, (), initials[1], modulus, row)
        if classes is not None:
            # Not in the loops before, since what is found in a table can't be a part of vector instructions.
            for row in range(first, last):
                out[row] = classes[out[row]]


@inlined
def _class_at(words: NDArray[np.uint32], row: int, cells: NDArray[np.int32], page_bits: int) -> int:
    """The class of one address; see `ClassTable`."""
    cell = cells[words[0, row] >> np.uint32(32 - ROOT_BITS)]
    bits = ROOT_BITS
    while cell < 0:
        step = words[bits // 32, row] >> (32 - page_bits - bits % 32) & ((1 << page_bits) - 1)
        cell = cells[step - cell]
        bits += page_bits
    return int(cell)


@compiled
def _walk(words: NDArray[np.uint32], cells: NDArray[np.int32], page_bits: int, out: NDArray[np.uint32]) -> None:
    """The class of each address; see `ClassTable`."""
    for row in range(len(out)):
        out[row] = _class_at(words, row, cells, page_bits)


@compiled
def _look_up(values: NDArray[np.unsignedinteger], classes: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    for row in range(len(out)):
        out[row] = classes[values[row]]


class _Fields(NamedTuple):
    """The columns of a block."""

    source: NDArray[np.uint32]
    destination: NDArray[np.uint32]
    protocol: NDArray[np.uint8]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]


class _FieldTables(NamedTuple):
    """What gives each field its class, and how many classes fields have."""

    source: NDArray[np.int32]
    source_page_bits: int
    destination: NDArray[np.int32]
    destination_page_bits: int
    protocol: NDArray[np.uint32]
    source_port: NDArray[np.uint32]
    destination_port: NDArray[np.uint32]
    destinations: int
    protocols: int
    source_ports: int
    destination_ports: int


@compiled
def _combine(fields: _Fields, tables: _FieldTables, out: NDArray[np.int64]) -> None:
    """The classes of each row's fields as one number."""
    for row in range(len(out)):
        place = np.int64(_class_at(fields.source, row, tables.source, tables.source_page_bits))
        if tables.destinations > 1:
            cell = _class_at(fields.destination, row, tables.destination, tables.destination_page_bits)
            place = place * tables.destinations + cell
        if tables.protocols > 1:
            place = place * tables.protocols + np.int64(tables.protocol[fields.protocol[row]])
        if tables.source_ports > 1:
            place = place * tables.source_ports + np.int64(tables.source_port[fields.source_port[row]])
        if tables.destination_ports > 1:
            place = place * tables.destination_ports + np.int64(tables.destination_port[fields.destination_port[row]])
        out[row] = place


@compiled
def _append(classes: NDArray[np.uint32], count: int, out: NDArray[np.int64]) -> None:
    """One dimension more."""
    for row in range(len(out)):
        out[row] = out[row] * count + np.int64(classes[row])


class NumbaEngine:
    """See `evenflow.core.columns.Engine`."""

    name = "numba"

    def __init__(self) -> None:
        self._tables: Remembered[ClassTable] = Remembered()
        self._direct: Remembered[NDArray[np.uint32]] = Remembered()
        self._fields: Remembered[_FieldTables] = Remembered()

    def buckets(
        self, block: FlowBlock, classifier: Classifier, modulus: int, seed: int, out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """See `Engine.buckets`."""
        check_modulus(modulus)
        out = answer(out, len(block), np.uint32)
        _hash_all(key_columns(block, classifier, seed), modulus, None, out)
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
        table = self._direct.get(classes, lambda: np.asarray(classes, np.uint32))
        _hash_all(key_columns(block, classifier, seed), len(classes), table, out)
        return out

    def address_classes(
        self, words: NDArray[np.uint32], partition: Partition, out: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """See `Engine.address_classes`."""
        columns = address_words(words, partition)
        out = answer(out, columns.shape[1], np.uint32)
        table = self._tables.get(partition, lambda: class_table(partition))
        _walk(_readable(columns), table.cells, table.page_bits, out)
        return out

    def number_classes(
        self,
        values: NDArray[np.uint8] | NDArray[np.uint16],
        partition: Partition,
        out: NDArray[np.uint32] | None = None,
    ) -> NDArray[np.uint32]:
        """See `Engine.number_classes`."""
        out = answer(out, check_numbers(values, partition), np.uint32)
        _look_up(_readable(values), self._direct_table(partition), out)
        return out

    def combinations(
        self, block: FlowBlock, classes: PacketClasses, seed: int, out: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """See `Engine.combinations`."""
        out = answer(out, len(block), np.int64)
        _combine(_fields(block, classes), self._fields.get(classes, lambda: self._field_tables(classes)), out)
        for classifier, each in classes.buckets.items():
            if max(each):
                _append(self.bucket_classes(block, classifier, each, seed), max(each) + 1, out)
        return out

    def _field_tables(self, classes: PacketClasses) -> _FieldTables:
        source, destination = (class_table(side) for side in (classes.source, classes.destination))
        return _FieldTables(
            source.cells,
            source.page_bits,
            destination.cells,
            destination.page_bits,
            self._direct_table(classes.protocol),
            self._direct_table(classes.source_port),
            self._direct_table(classes.destination_port),
            classes.destination.count,
            classes.protocol.count,
            classes.source_port.count,
            classes.destination_port.count,
        )

    def _direct_table(self, partition: Partition) -> NDArray[np.uint32]:
        return self._direct.get(partition, lambda: direct_table(partition))


def _fields(block: FlowBlock, classes: PacketClasses) -> _Fields:
    check_numbers(block.protocol, classes.protocol)
    check_numbers(block.source_port, classes.source_port)
    check_numbers(block.destination_port, classes.destination_port)
    return _Fields(
        _readable(address_words(block.source, classes.source)),
        _readable(address_words(block.destination, classes.destination)),
        _readable(block.protocol),
        _readable(block.source_port),
        _readable(block.destination_port),
    )


def _hash_all(key: KeyColumns, modulus: int, classes: NDArray[np.uint32] | None, out: NDArray[np.uint32]) -> None:
    addresses = tuple(_readable(column) for column in key.addresses)
    ports = tuple(_readable(column) for column in key.ports)
    initials = (np.uint32(key.initial), np.uint32(key.initial_without_ports))
    _fill(addresses, ports, _readable(key.protocol), initials, np.uint64(modulus), classes, out)


def _readable(column: NDArray[N]) -> NDArray[N]:
    """In one piece and not to be written to: Numba compiles once more for each kind of array that it meets."""
    view = np.ascontiguousarray(column).view()
    view.flags.writeable = False
    return view
