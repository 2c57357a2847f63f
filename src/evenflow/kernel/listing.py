"""Reading the same list again and again, at little cost while nothing in it is another.

Nothing is taken on trust: the kernel lists everything each time. But an answer that is byte for byte the one from
before means what that one meant, and so does each message in it: neither is decoded again, and the very same objects
come out, so that whoever compares them needs no time either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenflow.kernel.netlink import Dump, NetlinkSocket, Request

T = TypeVar("T")

#: A longer list (all routes of the Internet are a million) is decoded each time: to remember it would take the memory
#: of the machine.
_REMEMBERED: Final = 32_768


class Listing(Generic[T]):
    """A dump, and what its messages mean."""

    def __init__(
        self, netlink: NetlinkSocket, request: Request, decode: Callable[[bytes, Mapping[int, str]], T | None]
    ) -> None:
        """`decode` makes an item of a payload and of the names of the links, or None for what is to be left out."""
        self._netlink, self._request, self._decode = netlink, request, decode
        self._dump: Dump | None = None
        self._names: Mapping[int, str] = {}
        self._known: dict[bytes, T | None] = {}
        self._items: tuple[T, ...] = ()

    def read(self, names: Mapping[int, str]) -> tuple[T, ...]:
        """The items as they are now, in the kernel's order; the very tuple from before when all is as it was.

        Raises:
            NetlinkError: the kernel refused.
        """
        dump = self._netlink.dump_again(self._request, self._dump)
        if names != self._names:
            self._names, self._known = dict(names), {}
        elif dump is self._dump:
            return self._items
        before = self._known
        known = {
            payload: before[payload] if payload in before else self._decode(payload, names) for payload in dump.payloads
        }
        items = tuple(item for payload in dump.payloads if (item := known[payload]) is not None)
        small = len(items) <= _REMEMBERED
        self._dump, self._known, self._items = (dump, known, items) if small else (None, {}, ())
        return items


class Derived(Generic[T]):
    """What follows from some objects; worked out anew only when one of them is another object than the last time.

    The objects must not change.
    """

    def __init__(self, work_out: Callable[..., T]) -> None:
        self._work_out = work_out
        self._sources: tuple[object, ...] = ()
        self._result: list[T] = []

    def of(self, *sources: object) -> T:
        """What follows from `sources`."""
        same = len(sources) == len(self._sources) and all(
            one is other for one, other in zip(sources, self._sources, strict=True)
        )
        if not (same and self._result):
            self._result = [self._work_out(*sources)]
            self._sources = sources
        return self._result[0]
