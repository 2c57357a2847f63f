"""Links, addresses, routes and route rules of the kernel: read them, add and delete ours.

A route or rule of somebody else is never replaced and never deleted. Where the kernel would do it (a replacing request
takes whatever has the same key; a deleting one takes the first that has what it names), it is asked first.
"""

from __future__ import annotations

import errno
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from evenflow.errors import SystemRefusedError
from evenflow.kernel import rt_codec
from evenflow.kernel.listing import Derived, Listing
from evenflow.kernel.netlink import (
    NETLINK_ROUTE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkError,
    NetlinkSocket,
    Request,
    asking,
)
from evenflow.model.flow import BOTH_FAMILIES
from evenflow.model.router import RouteKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evenflow.kernel.rt_codec import LinkCounters
    from evenflow.model.dataplane import FibRoute, FibRule
    from evenflow.model.machine import Link, LinkAddress

T = TypeVar("T")

_GETLINK, _GETADDR = 18, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWRULE, _DELRULE, _GETRULE = 32, 33, 34

#: What the kernel says when what is to be deleted is not there: no such rule, route, table or device.
_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV})


class RouteNetlink:
    """Links, addresses, routes and rules, in the network namespace that the thread is in when this is made."""

    def __init__(self) -> None:
        """Open the socket.

        Raises:
            SystemRefusedError: it can't be opened.
        """
        with asking("open a netlink socket for routes"):
            self._netlink = NetlinkSocket(NETLINK_ROUTE)
        self.port = self._netlink.port
        self._links = _Links()
        addresses = Request(_GETADDR, rt_codec.addresses_request())
        self._addresses = Listing(self._netlink, addresses, rt_codec.decode_address)
        self._routes: dict[int | None, _BothFamilies[FibRoute]] = {}
        self._rules = _BothFamilies(
            Listing(self._netlink, Request(_GETRULE, rt_codec.rules_request(family)), _as_rule)
            for family in BOTH_FAMILIES
        )

    def links(self) -> tuple[Link, ...]:
        """All links, by index."""
        request = Request(_GETLINK, rt_codec.links_request(with_statistics=False))
        with asking("read the links"):
            return self._links.read(self._netlink.dump(request))

    def link_counters(self) -> dict[str, LinkCounters]:
        """What each link has carried since it is there."""
        request = Request(_GETLINK, rt_codec.links_request(with_statistics=True))
        with asking("read the links"):
            payloads = self._netlink.dump(request)
        names = rt_codec.link_names(payloads)
        return dict(zip(names.values(), map(rt_codec.decode_counters, payloads), strict=True))

    def addresses(self, links: Iterable[Link] | None = None) -> tuple[LinkAddress, ...]:
        """All addresses in use, of both families. `links` are those just read, to spare reading them again."""
        names = self._names(links)
        with asking("read the addresses"):
            return self._addresses.read(names)

    def routes(self, protocol: int | None = None, links: Iterable[Link] | None = None) -> tuple[FibRoute, ...]:
        """All routes of both families in all tables but `local`; with `protocol` only those with that number.

        `links` are those just read, to spare reading them again.
        """
        names = self._names(links)
        if protocol not in self._routes:
            # The kernel chooses by protocol; one before 4.20 lists all the same.
            def decode(data: bytes, names: Mapping[int, str]) -> FibRoute | None:
                route = rt_codec.decode_route(data, names)
                return route if route and (protocol is None or route.protocol == protocol) else None

            self._routes[protocol] = _BothFamilies(
                Listing(self._netlink, Request(_GETROUTE, rt_codec.routes_request(family, protocol or 0)), decode)
                for family in BOTH_FAMILIES
            )
        with asking("read the routes"):
            return self._routes[protocol].read(names)

    def rules(self, protocol: int | None = None) -> tuple[FibRule, ...]:
        """All route rules of both families in the kernel's order; with `protocol` only those with that number."""
        with asking("read the route rules"):
            found = self._rules.read({})
        return found if protocol is None else tuple(rule for rule in found if rule.protocol == protocol)

    def add_route(self, route: FibRoute, *, replacing: bool = False) -> None:
        """Add a route. With `replacing`, one with the same key and protocol gives way to it in the same step.

        Raises:
            SystemRefusedError: another one has the same key; a link is missing or down; a gateway is our own.
            NotPermittedError: CAP_NET_ADMIN is missing.
        """
        what = f"add the route {rt_codec.describe_route(route)}"
        indexes = self._indexes(route)
        missing = next((hop.interface for hop in route.hops if hop.interface not in indexes), None)
        if missing is not None:
            raise SystemRefusedError(f"could not {what}: there is no link {missing}")
        if replacing and any(other.protocol != route.protocol for other in self._with_key(route, {})):
            raise SystemRefusedError(f"could not {what}: {self._taken(route)}")
        flags = NLM_F_CREATE | (NLM_F_REPLACE if replacing else NLM_F_EXCL)
        try:
            self._netlink.request(Request(_NEWROUTE, rt_codec.encode_route(route, indexes), flags))
        except NetlinkError as problem:
            if problem.number == errno.EEXIST:
                raise SystemRefusedError(f"could not {what}: {self._taken(route)}") from problem
            with asking(what):
                raise

    def delete_route(self, route: FibRoute) -> None:
        """Delete a route: the one with this key, protocol, type and these hops. If it is gone already, all is well.

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            SystemRefusedError: any other refusal.
        """
        # The kernel takes what fits: one with any metric where none is named, one with more hops than are named, and of
        # another type for IPv6. So it is asked first; but for no more than the few that it could be.
        wanted = replace(route, metric=rt_codec.kernel_metric(route))
        indexes = self._indexes(wanted)
        names = {index: name for name, index in indexes.items()}
        if wanted not in self._with_key(wanted, names, wanted.protocol):
            return
        request = Request(_DELROUTE, rt_codec.encode_route(wanted, indexes, deleting=True))
        with asking(f"delete the route {rt_codec.describe_route(route)}"):
            self._delete(request)

    def add_rule(self, rule: FibRule) -> None:
        """Add a route rule.

        Raises:
            SystemRefusedError: it is there already, or the kernel refused it.
            NotPermittedError: CAP_NET_ADMIN is missing.
        """
        with asking(f"add the {rt_codec.describe_rule(rule)}"):
            self._netlink.request(Request(_NEWRULE, rt_codec.encode_rule(rule), NLM_F_CREATE | NLM_F_EXCL))

    def delete_rule(self, rule: FibRule) -> None:
        """Delete a route rule: exactly this one. If it is gone already, all is well.

        The kernel deletes the first rule that has what the request names, and a request can't name "no mark". Where
        another rule with the same priority stands before it and would be taken, that one is first added again behind:
        so there is no moment without it.

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            SystemRefusedError: any other refusal.
        """
        with asking(f"delete the {rt_codec.describe_rule(rule)}"):
            while (victim := self._first_victim(rule)) is not None:
                if victim != rule:
                    self._netlink.request(Request(_NEWRULE, rt_codec.encode_rule(victim), NLM_F_CREATE))
                self._delete(Request(_DELRULE, rt_codec.encode_rule(rule)))
                if victim == rule:
                    return

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _names(self, links: Iterable[Link] | None = None) -> dict[int, str]:
        return {link.index: link.name for link in (self.links() if links is None else links)}

    def _indexes(self, route: FibRoute) -> dict[str, int]:
        """The index of each link of a route that there is; asked one by one, since a machine can have hundreds."""
        found: dict[str, int] = {}
        for name in {hop.interface for hop in route.hops}:
            try:
                payloads = self._netlink.request(Request(_GETLINK, rt_codec.link_request(name)))
            except NetlinkError as problem:
                if problem.number not in (errno.ENODEV, errno.ERANGE, errno.EINVAL):
                    raise
                continue  # there is none of that name, or none could have it
            (found[name],) = rt_codec.link_names(payloads)
        return found

    def _taken(self, route: FibRoute) -> str:
        """That `route` can't be added, and for which other ones."""
        others = self._with_key(route, self._names())
        said = "; ".join(rt_codec.describe_route(other) for other in others)
        return f"there is a route with the same destination and metric: {said}" if said else "there is such a route"

    def _with_key(self, route: FibRoute, names: Mapping[int, str], protocol: int = 0) -> list[FibRoute]:
        """The routes in the kernel with the key of `route`; with `protocol` perhaps only those with that number.

        Links that `names` lacks have their number for a name.
        """
        key = replace(route, metric=rt_codec.kernel_metric(route)).key
        request = Request(_GETROUTE, rt_codec.table_request(route.family, route.table, protocol))
        with asking("read the routes"):
            try:
                payloads = self._netlink.dump(request)
            except NetlinkError as problem:
                # A table that nobody has put a route into does not exist.
                if problem.number not in _GONE:
                    raise
                return []
        return [other for data in payloads if (other := rt_codec.decode_route(data, names)) and other.key == key]

    def _first_victim(self, rule: FibRule) -> FibRule | None:
        """The rule that the kernel would delete for `rule`; None when `rule` is not there."""
        fitting = [other for other in self.rules(rule.protocol) if _fits(rule, other)]
        return fitting[0] if rule in fitting else None

    def _delete(self, request: Request) -> None:
        try:
            self._netlink.request(request)
        except NetlinkError as problem:
            if problem.number not in _GONE:
                raise


class _BothFamilies(Generic[T]):
    """The same list of both families, as one."""

    def __init__(self, listings: Iterable[Listing[T]]) -> None:
        self._listings = tuple(listings)
        self._joined: Derived[tuple[T, ...]] = Derived(lambda *parts: tuple(itertools.chain(*parts)))

    def read(self, names: Mapping[int, str]) -> tuple[T, ...]:
        """See `Listing.read`."""
        return self._joined.of(*(listing.read(names) for listing in self._listings))


class _Links:
    """The links in a list; decoded again only when more than their counters is another."""

    def __init__(self) -> None:
        self._quiet: list[bytes] = []
        self._counters_at: list[list[slice]] = []
        self._links: tuple[Link, ...] = ()

    def read(self, payloads: Sequence[bytes]) -> tuple[Link, ...]:
        """By index; the very tuple from before when they are as they were."""
        # With the same bytes before them, length included, the counters stand where they stood.
        quiet = [_without(data, places) for data, places in zip(payloads, self._counters_at, strict=False)]
        if len(payloads) == len(self._quiet) and quiet == self._quiet:
            return self._links
        names = rt_codec.link_names(payloads)
        links = (rt_codec.decode_link(data, names) for data in payloads)
        self._links = tuple(sorted(links, key=lambda link: link.index))
        self._counters_at = [rt_codec.counters_at(data) for data in payloads]
        self._quiet = [_without(data, places) for data, places in zip(payloads, self._counters_at, strict=True)]
        return self._links


def _without(data: bytes, places: Iterable[slice]) -> bytes:
    """All of `data` but what stands in `places`, which follow each other."""
    parts, offset = [], 0
    for place in places:
        parts.append(data[offset : place.start])
        offset = place.stop
    return b"".join((*parts, data[offset:]))


def _as_rule(data: bytes, _names: Mapping[int, str]) -> FibRule | None:
    return rt_codec.decode_rule(data)


def _fits(named: FibRule, other: FibRule) -> bool:
    """Whether the kernel would take `other` for `named` when it deletes (rule_find in net/core/fib_rules.c)."""

    def agree(wanted: object, has: object) -> bool:
        return not wanted or wanted == has

    suppressing = named.suppress_prefix_length
    return (
        named.family is other.family
        and named.priority == other.priority
        and named.kind is other.kind
        and (named.kind is not RouteKind.UNICAST or agree(named.table, other.table))
        and agree(named.mark, other.mark)
        and agree(named.mask, other.mask)
        and agree(named.in_interface, other.in_interface)
        and agree(named.source, other.source)
        and agree(named.destination, other.destination)
        and (suppressing is None or suppressing == other.suppress_prefix_length)
    )
