"""Clients: which have most traffic, and how many show more than one public address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import numpy as np

from evenflow.core.simulate_amounts import amounts_of, sizes_of
from evenflow.model.flow import Family
from evenflow.model.simulation import Client, Stickiness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from evenflow.model.flows import FlowBlock

#: IPv4 clients are counted in pages of this many neighbouring addresses.
_PAGE_BITS = 12
_PAGE = 1 << _PAGE_BITS

#: Bytes of memory for all pages together.
_MOST_BYTES = 256 << 20

#: IPv6 clients that are told apart.
_MOST_KEYS = 200_000

#: Pairs of client and server that are told apart; with more, a random part of them is. A percentage is then known to
#: half a point and better.
_MOST_PAIRS = 50_000

#: Odd numbers that mix the bits of addresses well: the golden ratio's, and those of splitmix64 (Steele and others,
#: "Fast splittable pseudorandom number generators", 2014).
_MIX = (np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(0xBF58_476D_1CE4_E5B9))


class Clients:
    """Traffic by source address and uplink; `width` columns, the last for what leaves by none."""

    def __init__(self, width: int, loops: ModuleType | None = None) -> None:
        """`loops`: those of `core.simulate_numba`, if they are to count."""
        self._width, self._loops = width, loops
        self._pages = np.full(1 << (32 - _PAGE_BITS), -1, np.int32)
        self._page_numbers: list[int] = []
        self._most_pages = max(1, _MOST_BYTES // (_PAGE * width * 16))
        self._counts = np.zeros((0, _PAGE, width, 2))  # flows and amounts
        self._others: dict[tuple[int, ...], NDArray[np.float64]] = {}
        self._left_out = 0
        self._seen = 0

    def add(self, block: FlowBlock, columns: NDArray[np.int32]) -> None:
        """Add flows; `columns` has shape (n,)."""
        self._seen += len(block)
        if block.family is not Family.IPV4:
            self._add_other(block.source, columns, amounts_of(block))
        elif self._loops is None:
            self._add_ipv4(block.source, columns, amounts_of(block))
        else:
            self._add_by_loop(self._loops, block, columns)

    def _add_by_loop(self, loops: ModuleType, block: FlowBlock, columns: NDArray[np.int32]) -> None:
        fixed = block.source, columns, sizes_of(block), self._pages, _PAGE_BITS
        row = loops.count_clients(*fixed, self._counts, 0)
        while row < len(block):
            if not self._make_pages(np.unique(block.source[row:] >> _PAGE_BITS)):
                self._add_ipv4(block.source[row:], columns[row:], amounts_of(block)[row:])
                return
            row = loops.count_clients(*fixed, self._counts, row)

    def _add_ipv4(self, source: NDArray[np.uint32], columns: NDArray[np.int32], amounts: NDArray[np.float64]) -> None:
        pages = self._pages[source >> _PAGE_BITS]
        if (pages < 0).any():
            self._make_pages(np.unique(source[pages < 0] >> _PAGE_BITS))
            pages = self._pages[source >> _PAGE_BITS]
            if (kept := pages >= 0).sum() < len(source):
                self._left_out += len(source) - int(kept.sum())
                source, columns, amounts, pages = source[kept], columns[kept], amounts[kept], pages[kept]
        cells = pages.astype(np.int64) << _PAGE_BITS
        cells |= source & (_PAGE - 1)
        cells *= self._width
        cells += columns
        flat = self._counts.reshape(-1, 2)
        np.add.at(flat[:, 0], cells, 1.0)
        np.add.at(flat[:, 1], cells, amounts)

    def _make_pages(self, wanted: NDArray[np.uint32]) -> bool:
        """Make those that are not there yet; whether there is room for all."""
        lacking = wanted[self._pages[wanted] < 0]
        new = lacking[: self._most_pages - len(self._page_numbers)].tolist()
        for page in new:
            self._pages[page] = len(self._page_numbers)
            self._page_numbers.append(page)
        if len(self._counts) < len(self._page_numbers):
            more = max(len(self._counts), len(self._page_numbers) - len(self._counts))
            self._counts = np.concatenate([self._counts, np.zeros((more, *self._counts.shape[1:]))])
        return len(new) == len(lacking)

    def _add_other(self, source: NDArray[np.uint32], columns: NDArray[np.int32], amounts: NDArray[np.float64]) -> None:
        distinct, inverse = np.unique(source, axis=1, return_inverse=True)
        cells = inverse.reshape(-1) * self._width + columns
        size = distinct.shape[1] * self._width
        flows = np.bincount(cells, minlength=size).reshape(-1, self._width)
        sums = np.bincount(cells, amounts, size).reshape(-1, self._width)
        for number, words in enumerate(map(tuple, distinct.T.tolist())):
            if words not in self._others and len(self._others) >= _MOST_KEYS:
                self._left_out += int(flows[number].sum())
                continue
            found = self._others.setdefault(words, np.zeros((2, self._width)))
            found[0] += flows[number]
            found[1] += sums[number]

    # --- answers -----------------------------------------------------------------------------------------------------

    def top(self, count: int, names: Sequence[str]) -> tuple[Client, ...]:
        """The clients with most traffic; `names` are those of the columns but the last."""
        found = [*self._top_ipv4(count, names), *self._top_others(count, names)]
        found.sort(key=lambda client: (-client.size_bytes, -client.flows, str(client.address)))
        return tuple(found[:count])

    def _top_ipv4(self, count: int, names: Sequence[str]) -> Iterator[Client]:
        counts = self._counts.reshape(-1, self._width, 2)
        flows, amounts = counts[..., 0], counts[..., 1]
        totals = amounts.sum(axis=1)
        if not len(totals):
            return
        for row in np.argpartition(-totals, min(count, len(totals)) - 1)[:count].tolist():
            if flows[row].any():
                number = self._page_numbers[row >> _PAGE_BITS] << _PAGE_BITS | row & (_PAGE - 1)
                yield _client(IPv4Address(number), flows[row].tolist(), amounts[row].tolist(), names)

    def _top_others(self, count: int, names: Sequence[str]) -> Iterator[Client]:
        for words, (flows, amounts) in sorted(self._others.items(), key=lambda item: -float(item[1][1].sum()))[:count]:
            number = sum(word << 32 * (3 - place) for place, word in enumerate(words))
            yield _client(IPv6Address(number), flows.tolist(), amounts.tolist(), names)

    def stickiness(self, pairs: Pairs) -> Stickiness:
        """How many clients leave by more than one uplink; the same of pairs."""
        tables = [self._counts[..., 0].reshape(-1, self._width), *(sums[:1] for sums in self._others.values())]
        used = [(table[:, :-1] > 0).sum(axis=1) for table in tables]
        clients = sum(int((ways > 0).sum()) for ways in used)
        split = sum(int((ways > 1).sum()) for ways in used)
        part = 1 - self._left_out / self._seen if self._seen else 1.0
        return Stickiness(clients, split, pairs.count, pairs.split, part)


def _client(
    address: IPv4Address | IPv6Address, flows: Sequence[float], amounts: Sequence[float], names: Sequence[str]
) -> Client:
    by_uplink = {name: int(amount) for name, amount in zip(names, amounts, strict=False) if amount}
    return Client(address, int(sum(flows)), int(sum(amounts)), by_uplink)


class Pairs:
    """Pairs of client and server that leave by more than one uplink: of many a random part, chosen by a hash."""

    def __init__(self, width: int, loops: ModuleType | None = None) -> None:
        """At most 63 columns, the last for what leaves by none."""
        self._none, self._loops = width - 1, loops
        self._shift = 0
        self._keys = np.zeros(0, np.uint64)
        self._ways = np.zeros(0, np.uint64)
        self._waiting: list[tuple[NDArray[np.uint64], NDArray[np.uint64]]] = []

    def add(self, block: FlowBlock, columns: NDArray[np.int32]) -> None:
        """Add flows."""
        if self._loops is not None and block.family is Family.IPV4:
            ends = block.source, block.destination, columns
            for first in range(0, len(block), _MOST_PAIRS):
                parts = (column[first : first + _MOST_PAIRS] for column in ends)
                self._put(*self._loops.pairs_of(*parts, self._none, self._shift))
            return
        keys = _mixed(block)
        rows = np.flatnonzero(columns < self._none if not self._shift else self._chosen(keys) & (columns < self._none))
        self._put(keys[rows], np.uint64(1) << columns[rows].astype(np.uint64))

    def _chosen(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """The keys of the random part that is looked at: those whose first bits are 0."""
        return keys < np.uint64(1 << (64 - self._shift))

    def _put(self, keys: NDArray[np.uint64], ways: NDArray[np.uint64]) -> None:
        self._waiting.append((keys, ways))
        if sum(len(waiting) for waiting, _ in self._waiting) > _MOST_PAIRS:
            self._merge()

    def _merge(self) -> None:
        """Put together what is known of each pair; of too many, keep a random half, and again."""
        keys, ways = (np.concatenate(parts) for parts in zip((self._keys, self._ways), *self._waiting, strict=True))
        self._waiting = []
        order = np.argsort(keys)
        keys, ways = keys[order], ways[order]
        first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.intp)
        self._keys, self._ways = keys[first], np.bitwise_or.reduceat(ways, first) if len(first) else ways
        while len(self._keys) > _MOST_PAIRS:
            self._shift += 1
            kept = self._chosen(self._keys)
            self._keys, self._ways = self._keys[kept], self._ways[kept]

    @property
    def count(self) -> int:
        """About how many pairs there are."""
        self._merge()
        return len(self._keys) << self._shift

    @property
    def split(self) -> int:
        """About how many of them leave by more than one uplink."""
        self._merge()
        return int(np.count_nonzero(self._ways & (self._ways - np.uint64(1)))) << self._shift


def _mixed(block: FlowBlock) -> NDArray[np.uint64]:
    """A hash of both addresses of each row, 64 bits."""
    if block.family is Family.IPV4:
        mixed = block.source.astype(np.uint64) << np.uint64(32) | block.destination
        mixed *= _MIX[0]
    else:
        mixed = np.zeros(len(block), np.uint64)
        for word in (*block.source, *block.destination):
            mixed = (mixed ^ word) * _MIX[0]
            mixed ^= mixed >> np.uint64(29)
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX[1]
    return mixed
