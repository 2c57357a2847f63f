"""The kernel behind one interface: read the machine, read what is ours, carry out one operation.

`LinuxKernel` is the real one, `evenflow.kernel.fake.FakeKernel` one in memory. Both pass the same tests, those in
tests/contract.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from evenflow.core import saved
from evenflow.kernel import sysctl
from evenflow.kernel.listing import Derived
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.nftables import Nftables
from evenflow.kernel.rtnetlink import RouteNetlink
from evenflow.model.dataplane import (
    ROUTE_PROTOCOL,
    AddRoute,
    AddRouteRule,
    Dataplane,
    DeleteRoute,
    DeleteRouteRule,
    FibRoute,
    FibRule,
    NftTransaction,
    Operation,
    SetSysctl,
)
from evenflow.model.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evenflow.kernel.rt_codec import LinkCounters
    from evenflow.model.nft import NftTable

_R = TypeVar("_R", FibRoute, FibRule)


class Kernel(Protocol):
    """What evenflow needs of a kernel."""

    def read_machine(self) -> Machine:
        """Links, addresses, and the routes and route rules of others.

        Raises:
            SystemRefusedError: it can't be read.
        """

    def read_dataplane(self, sysctl_names: Iterable[str] = ()) -> Dataplane:
        """All of ours, and the sysctls of those names and of the saved ones; a name that is not there is left out.

        The sets that keep something are not part of the table: they become `saved` and `standing`.

        Raises:
            SystemRefusedError: it can't be read.
        """

    def execute(self, operation: Operation) -> None:
        """Carry out one operation: all of it or nothing.

        To delete a route or route rule that is gone already is no error: they go with their device.

        Raises:
            NotPermittedError: the caller may not.
            NotSupportedError: the kernel lacks what it takes.
            SystemRefusedError: it does not fit to what is there.
        """


class LinuxKernel:
    """The kernel, in the network namespace that the thread is in when this is made. Not for several threads at once.

    Close it, or use it as a context manager.
    """

    def __init__(self) -> None:
        """Open the sockets.

        Raises:
            SystemRefusedError: they can't be opened.
        """
        with contextlib.ExitStack() as unwinding:
            self._namespace = unwinding.enter_context(NetworkNamespace.current())
            self.nftables = unwinding.enter_context(Nftables())
            self.routing = unwinding.enter_context(RouteNetlink())
            self._stack = unwinding.pop_all()
        self._machine: Derived[Machine] = Derived(Machine)
        self._foreign: Derived[tuple[FibRoute, ...]] = Derived(_foreign)
        self._foreign_rules: Derived[tuple[FibRule, ...]] = Derived(_foreign)
        self._kept: Derived[_Kept] = Derived(_Kept)
        self._ours: Derived[frozenset[FibRoute]] = Derived(_ours)
        self._our_rules: Derived[frozenset[FibRule]] = Derived(_ours)
        self._sysctls: dict[str, str] = {}
        self._dataplane: Derived[Dataplane] = Derived(_as_dataplane)

    def read_machine(self) -> Machine:
        """See `Kernel`. The very object from before when nothing is another."""
        links = self.routing.links()
        routes = self._foreign.of(self.routing.routes(links=links))
        rules = self._foreign_rules.of(self.routing.rules())
        return self._machine.of(links, self.routing.addresses(links), routes, rules)

    def read_dataplane(self, sysctl_names: Iterable[str] = ()) -> Dataplane:
        """See `Kernel`. The very object from before when the same names are asked for and nothing is another."""
        kept = self._kept.of(self.nftables.read_table())
        with self._inside():
            read = {name: sysctl.read(name) for name in sorted({*sysctl_names, *kept.saved})}
        sysctls = {name: value for name, value in read.items() if value is not None}
        if sysctls != self._sysctls:
            self._sysctls = sysctls
        routes = self._ours.of(self.routing.routes(ROUTE_PROTOCOL))
        return self._dataplane.of(kept, routes, self._our_rules.of(self.routing.rules()), self._sysctls)

    @property
    def ports(self) -> frozenset[tuple[int, int]]:
        """Netlink protocol and port of the sockets that changes are asked for with: events name them."""
        return frozenset({self.routing.port, self.nftables.port})

    def link_counters(self) -> dict[str, LinkCounters]:
        """What each link has carried since it is there."""
        return self.routing.link_counters()

    def execute(self, operation: Operation) -> None:
        """See `Kernel`."""
        match operation:
            case NftTransaction():
                self.nftables.run(operation)
            case AddRoute(route, replacing):
                self.routing.add_route(route, replacing=replacing)
            case DeleteRoute(route):
                self.routing.delete_route(route)
            case AddRouteRule(rule):
                self.routing.add_rule(rule)
            case DeleteRouteRule(rule):
                self.routing.delete_rule(rule)
            case SetSysctl(name, value):
                with self._inside():
                    sysctl.write(name, value)

    def close(self) -> None:
        """Close the sockets."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        """/proc/sys/net shows the namespace of the thread that opens a file; the sockets stay in their own.

        Entering takes CAP_SYS_ADMIN, which a daemon with CAP_NET_ADMIN alone lacks: so only where it is needed.
        """
        if Path("/proc/thread-self/ns/net").stat().st_ino == Path(self._namespace.path).stat().st_ino:
            yield
        else:
            with self._namespace.entered():
                yield


class _Kept:
    """Our table, and what it keeps."""

    def __init__(self, table: NftTable | None) -> None:
        self.table = saved.without_kept(table)
        self.saved = saved.from_table(table, saved.SAVED_SET)
        self.standing = saved.from_table(table, saved.STANDING_SET)


def _foreign(found: Iterable[_R]) -> tuple[_R, ...]:
    return tuple(item for item in found if not item.is_ours)


def _ours(found: Iterable[_R]) -> frozenset[_R]:
    return frozenset(item for item in found if item.is_ours)


def _as_dataplane(
    kept: _Kept, routes: frozenset[FibRoute], rules: frozenset[FibRule], sysctls: Mapping[str, str]
) -> Dataplane:
    return Dataplane(kept.table, routes, rules, sysctls, kept.saved, kept.standing)
