"""What an engine says of columns is what the interpreter says of each packet, bit for bit."""

from __future__ import annotations

import struct
import sys
from bisect import bisect_right
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.core import columns_numpy, pcc
from evenflow.core.classes import partition
from evenflow.core.columns import NUMBA_PAYS_ROWS, engine
from evenflow.core.columns_numba import NumbaEngine, compiled
from evenflow.core.columns_numpy import BLOCK_ROWS, NumpyEngine
from evenflow.core.columns_tables import class_table
from evenflow.core.pcc import classify
from evenflow.errors import NotInstalledError
from evenflow.model.flow import BOTH_FAMILIES, GRE, ICMP, PORT_PROTOCOLS, TCP, UDP, Family, Packet
from evenflow.model.flows import FlowBlock
from evenflow.model.matcher import Classifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from evenflow.core.classes import Partition
    from evenflow.core.columns import Engine

#: NumPy with blocks so short that a few rows fill several.
ENGINES: dict[str, Engine] = {"numpy": NumpyEngine(16), "numba": NumbaEngine()}
PROTOCOLS = {
    "with ports": sorted(PORT_PROTOCOLS),
    "without": [ICMP, GRE, 0, 255],
    "mixed": [*sorted(PORT_PROTOCOLS), ICMP, GRE, 255],
}

#: From a number to its neighbours, and to those a page of the table further on.
OFFSETS = st.integers(-3, 3) | st.sampled_from([1 << 8, 1 << 16, 1 << 24])

engines = pytest.mark.parametrize("one", ENGINES.values(), ids=ENGINES)
seeds = st.integers(0, (1 << 32) - 1)


def flows(family: Family, rows: int, protocols: list[int], number: int) -> FlowBlock:
    random = np.random.default_rng(number)
    shape = (rows,) if family is Family.IPV4 else (4, rows)
    source, destination = (random.integers(0, 1 << 32, shape, np.uint32) for _ in range(2))
    source_port, destination_port = (random.integers(0, 1 << 16, rows, np.uint16) for _ in range(2))
    protocol = random.choice(np.array(protocols, np.uint8), rows)
    return FlowBlock(family, source, destination, protocol, source_port, destination_port)


def numbers(words: NDArray[np.uint32]) -> list[int]:
    """The addresses of a column."""
    if words.ndim == 1:
        return [int(word) for word in words]
    return [int.from_bytes(word.astype(">u4").tobytes(), "big") for word in words.T]


def packets(block: FlowBlock) -> list[Packet]:
    address = IPv4Address if block.family is Family.IPV4 else IPv6Address
    addresses = ([address(number) for number in numbers(words)] for words in (block.source, block.destination))
    rest = (column.tolist() for column in (block.protocol, block.source_port, block.destination_port))
    return [Packet(*fields) for fields in zip(*addresses, *rest, strict=True)]


def class_of(number: int, cut: Partition) -> int:
    return cut.classes[bisect_right(cut.starts, number) - 1]


@engines
@pytest.mark.parametrize("family", BOTH_FAMILIES)
@pytest.mark.parametrize("classifier", Classifier)
@settings(max_examples=15, deadline=None)
@given(
    number=st.integers(0, 1 << 32),
    rows=st.integers(0, 50),
    protocols=st.sampled_from(list(PROTOCOLS.values())),
    modulus=st.one_of(st.integers(1, 300), st.sampled_from([1024, 65536, 65537, (1 << 32) - 1])),
    seed=seeds,
)
def test_the_buckets_of_a_block_are_those_of_its_packets(
    *,
    one: Engine,
    family: Family,
    classifier: Classifier,
    number: int,
    rows: int,
    protocols: list[int],
    modulus: int,
    seed: int,
) -> None:
    block = flows(family, rows, protocols, number)
    expected = [classify(packet, classifier, modulus, seed) for packet in packets(block)]
    found = one.buckets(block, classifier, modulus, seed)
    assert found.dtype == np.uint32
    assert found.tolist() == expected
    if modulus <= 300:
        classes = tuple(value % 7 for value in range(modulus))
        assert one.bucket_classes(block, classifier, classes, seed).tolist() == [classes[value] for value in expected]


@pytest.mark.parametrize("classifier", Classifier)
def test_a_big_endian_machine_reads_whole_blocks_otherwise(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There the bytes of a key in network order are the number as it stands, both in the definition and in a column.
    def unpack_from(_: str, key: bytes, position: int) -> tuple[int, ...]:
        return struct.unpack_from(">3I", key, position)

    monkeypatch.setattr(pcc, "struct", SimpleNamespace(unpack_from=unpack_from, unpack=struct.unpack, pack=struct.pack))
    monkeypatch.setattr(columns_numpy, "_OF_BLOCK", np.dtype(np.uint32))
    block = flows(Family.IPV6, 30, PROTOCOLS["mixed"], 1)
    expected = [classify(packet, classifier, 1000, 1) for packet in packets(block)]
    assert ENGINES["numpy"].buckets(block, classifier, 1000, 1).tolist() == expected


@pytest.mark.parametrize("rows", [4095, 4096, 4097, BLOCK_ROWS + 1])
@pytest.mark.parametrize("family", BOTH_FAMILIES)
def test_rows_at_the_ends_of_parts_are_rows_like_others(family: Family, rows: int) -> None:
    block = flows(family, rows, [TCP], 1)
    block.protocol[[0, 4094, rows - 1]] = ICMP
    expected = ENGINES["numpy"].buckets(block, Classifier.BOTH_ADDRESSES_AND_PORTS, 1000, 1).tolist()
    for other in (NumbaEngine(), NumpyEngine()):
        assert other.buckets(block, Classifier.BOTH_ADDRESSES_AND_PORTS, 1000, 1).tolist() == expected


def cuts(bits: int) -> st.SearchStrategy[Partition]:
    """Partitions whose spans begin and end close to each other, and anywhere."""
    top = (1 << bits) - 1
    near = st.builds(lambda at, by: min(max(at + by, 0), top), st.sampled_from([0, 5 << (bits // 2), top]), OFFSETS)
    ends = st.tuples(near | st.integers(0, top), near | st.integers(0, top)).map(sorted)
    return st.lists(ends, max_size=12).map(lambda spans: partition([[(first, last)] for first, last in spans], bits))


def places(cut: Partition, number: int) -> list[int]:
    """Numbers on both sides of each start, and some by chance."""
    top = (1 << cut.bits) - 1
    random = np.random.default_rng(number)
    anywhere = [int.from_bytes(random.bytes(cut.bits // 8), "big") for _ in range(20)]
    return [0, top, *cut.starts, *(start - 1 for start in cut.starts[1:]), *anywhere]


def words_of(addresses: list[int], family: Family) -> NDArray[np.uint32]:
    packed = b"".join(address.to_bytes(family.address_bits // 8, "big") for address in addresses)
    words = np.frombuffer(packed, ">u4").astype(np.uint32)
    return words if family is Family.IPV4 else words.reshape(-1, 4).T


@engines
@pytest.mark.parametrize("family", BOTH_FAMILIES)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), number=st.integers(0, 1 << 32))
def test_the_class_of_an_address_is_that_of_its_span(
    one: Engine, family: Family, data: st.DataObject, number: int
) -> None:
    cut = data.draw(cuts(family.address_bits))
    addresses = places(cut, number)
    found = one.address_classes(words_of(addresses, family), cut)
    assert found.dtype == np.uint32
    assert found.tolist() == [class_of(address, cut) for address in addresses]


@engines
@pytest.mark.parametrize("family", BOTH_FAMILIES)
def test_a_long_address_list_is_looked_up_alike(one: Engine, family: Family) -> None:
    bits = family.address_bits
    random = np.random.default_rng(1)
    firsts = sorted({int.from_bytes(random.bytes(bits // 8), "big") >> 7 << 7 for _ in range(500)})
    cut = partition([[(first, first + 99) for first in firsts], [(firsts[0] + 3, firsts[0] + 3)]], bits)
    assert class_table(cut).page_bits == 8
    addresses = places(cut, 2)
    assert one.address_classes(words_of(addresses, family), cut).tolist() == [class_of(one, cut) for one in addresses]


@engines
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_class_of_a_number_is_that_of_its_span(
    one: Engine, bits: int, dtype: type[np.uint8 | np.uint16], data: st.DataObject
) -> None:
    cut = data.draw(cuts(bits))
    chosen: NDArray[Any] = np.array(places(cut, 1), dtype)
    assert one.number_classes(chosen, cut).tolist() == [class_of(int(number), cut) for number in chosen]


@engines
@pytest.mark.parametrize("family", BOTH_FAMILIES)
def test_a_block_without_rows_has_no_buckets_and_no_classes(one: Engine, family: Family) -> None:
    block = flows(family, 0, [TCP], 1)
    assert one.buckets(block, Classifier.BOTH_ADDRESSES_AND_PORTS, 4, 1).shape == (0,)
    assert one.address_classes(block.source, partition([], family.address_bits)).shape == (0,)
    assert one.number_classes(block.protocol, partition([], 8)).shape == (0,)


@engines
@pytest.mark.parametrize("family", BOTH_FAMILIES)
def test_columns_need_not_lie_in_one_piece(one: Engine, family: Family) -> None:
    whole = flows(family, 200, PROTOCOLS["mixed"], 1)
    apart = FlowBlock(
        family,
        whole.source[..., ::3],
        whole.destination[..., ::3],
        whole.protocol[::3],
        whole.source_port[::3],
        whole.destination_port[::3],
    )
    for classifier in Classifier:
        expected = one.buckets(whole, classifier, 100, 1)[::3]
        assert one.buckets(apart, classifier, 100, 1).tolist() == expected.tolist()
    cut = partition([[(1 << 31, (1 << 32) - 1)]], family.address_bits)
    assert one.address_classes(apart.source, cut).tolist() == one.address_classes(whole.source, cut)[::3].tolist()
    ports = partition([[(1000, 30000)]], 16)
    expected = one.number_classes(whole.source_port, ports)[::3]
    assert one.number_classes(apart.source_port, ports).tolist() == expected.tolist()


@engines
def test_some_columns_may_be_for_reading_only(one: Engine) -> None:
    block = flows(Family.IPV6, 40, PROTOCOLS["mixed"], 1)
    expected = one.buckets(block, Classifier.BOTH_ADDRESSES_AND_PORTS, 100, 1).tolist()
    for column in (block.source, block.source_port):
        column.flags.writeable = False
    assert one.buckets(block, Classifier.BOTH_ADDRESSES_AND_PORTS, 100, 1).tolist() == expected


@engines
def test_an_answer_goes_where_it_is_told_to(one: Engine) -> None:
    block = flows(Family.IPV4, 40, PROTOCOLS["mixed"], 1)
    out = np.zeros(40, np.uint32)
    asked: list[Callable[[NDArray[np.uint32] | None], NDArray[np.uint32]]] = [
        lambda out: one.buckets(block, Classifier.BOTH_PORTS, 9, 1, out),
        lambda out: one.bucket_classes(block, Classifier.BOTH_PORTS, (3, 1, 2), 1, out),
        lambda out: one.address_classes(block.source, partition([[(0, 1 << 31)]], 32), out),
        lambda out: one.number_classes(block.source_port, partition([[(0, 1 << 15)]], 16), out),
    ]
    for ask in asked:
        assert ask(out) is out
        assert out.tolist() == ask(None).tolist()


@engines
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("source", np.int32),
        ("source", np.uint64),
        ("destination", np.dtype(np.uint32).newbyteorder("S")),
        ("protocol", np.int64),
        ("source_port", np.int16),
        ("destination_port", np.uint32),
    ],
)
def test_a_column_of_another_type_is_refused(one: Engine, name: str, dtype: np.dtype[np.generic]) -> None:
    block = flows(Family.IPV4, 5, [TCP], 1)
    wrong = replace(block, **{name: getattr(block, name).astype(dtype)})
    with pytest.raises(TypeError, match=f"the column {name} is .*, not "):
        one.buckets(wrong, Classifier.BOTH_ADDRESSES_AND_PORTS, 4, 1)


@engines
@pytest.mark.parametrize("name", ["source", "source_port"])
def test_a_column_of_another_length_is_refused(one: Engine, name: str) -> None:
    block = flows(Family.IPV4, 5, [TCP], 1)
    with pytest.raises(ValueError, match=f"the column {name} has the shape"):
        one.buckets(replace(block, **{name: getattr(block, name)[:-1]}), Classifier.SRC_ADDRESS, 4, 1)


@engines
def test_addresses_of_the_other_family_are_refused(one: Engine) -> None:
    block = flows(Family.IPV6, 5, [UDP], 1)
    with pytest.raises(ValueError, match="the column source has the shape"):
        one.buckets(replace(block, family=Family.IPV4), Classifier.SRC_ADDRESS, 4, 1)
    with pytest.raises(ValueError, match="the column addresses has the shape"):
        one.address_classes(block.source, partition([], 32))
    with pytest.raises(ValueError, match="the column addresses has the shape"):
        one.address_classes(block.source[0], partition([], 128))


@engines
def test_numbers_of_another_size_are_refused(one: Engine) -> None:
    with pytest.raises(TypeError, match="the column numbers is uint16, not uint8"):
        one.number_classes(np.zeros(3, np.uint16), partition([], 8))


@engines
@pytest.mark.parametrize(
    ("out", "problem"),
    [
        (np.zeros(5, np.int64), TypeError),
        (np.zeros(4, np.uint32), ValueError),
        (np.zeros(10, np.uint32)[::2], ValueError),
    ],
)
def test_an_answer_has_one_type_and_place(
    one: Engine, out: NDArray[np.uint32], problem: type[TypeError | ValueError]
) -> None:
    with pytest.raises(problem, match="the column out"):
        one.buckets(flows(Family.IPV4, 5, [TCP], 1), Classifier.SRC_ADDRESS, 4, 1, out)


@engines
@pytest.mark.parametrize("modulus", [0, -1, 1 << 32])
def test_a_hash_is_not_scaled_to_what_it_has_no_bits_for(one: Engine, modulus: int) -> None:
    with pytest.raises(ValueError, match="can't be scaled"):
        one.buckets(flows(Family.IPV4, 5, [TCP], 1), Classifier.SRC_ADDRESS, modulus, 1)


def test_numba_is_taken_where_it_pays() -> None:
    assert engine("auto", NUMBA_PAYS_ROWS).name == "numba"
    assert engine("auto", NUMBA_PAYS_ROWS - 1).name == engine("auto").name == engine("numpy").name == "numpy"


def test_without_numba_there_is_numpy_or_one_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "evenflow.core.columns_numba")
    monkeypatch.setitem(sys.modules, "numba", None)
    assert engine("auto", NUMBA_PAYS_ROWS).name == "numpy"
    with pytest.raises(NotInstalledError, match=r"evenflow\[fast\]"):
        engine("numba")


def test_a_loop_is_compiled_where_no_folder_can_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    def doubled(number: int) -> int:
        return 2 * number

    assert compiled(doubled)(21) == 42
