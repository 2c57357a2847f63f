"""What sends the probes of each method, opened when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.kernel.probes.echo import Echo
from evenflow.kernel.probes.neighbour import Neighbour
from evenflow.kernel.probes.tcp import TcpConnect
from evenflow.model.health import ProbeMethod

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from evenflow.kernel.probes.ledger import Ledger
    from evenflow.kernel.probes.probe import Prober
    from evenflow.kernel.probes.way import Way
    from evenflow.model.flow import Family

# DNS and HTTP bring a library each, which only who uses them shall wait and pay for.


def prepare(methods: Iterable[ProbeMethod]) -> None:
    """Load now what these methods need, so that no probe has to wait for it."""
    asked = frozenset(methods)
    if ProbeMethod.DNS in asked:
        import evenflow.kernel.probes.dns_query  # noqa: F401, PLC0415 - see above; used by name below
    if asked & {ProbeMethod.HTTP, ProbeMethod.HTTPS}:
        from evenflow.kernel.probes.http_get import default_tls  # noqa: PLC0415 - see above

        if ProbeMethod.HTTPS in asked:
            default_tls()


class Probers:
    """Those of one way."""

    def __init__(self, way: Way, ledger: Ledger, loop: asyncio.AbstractEventLoop, *, at_once: bool) -> None:
        """`at_once`: answers are read when they come, not when `collect` is called."""
        self._at_once = at_once
        self._way = way
        self._ledger = ledger
        self._loop = loop
        self._opened: dict[tuple[ProbeMethod, Family], Prober] = {}

    def of(self, method: ProbeMethod, family: Family) -> Prober:
        """What sends probes of that method; opened when it is not.

        Raises:
            OSError: it can't be opened.
        """
        prober = self._opened.get((method, family))
        if prober is None or prober.closed:
            prober = self._opened[method, family] = self._open(method, family)
        return prober

    def collect(self) -> None:
        """Read what has come."""
        for prober in tuple(self._opened.values()):
            prober.collect()

    def close(self) -> None:
        """Close all. They are opened anew when they are needed."""
        for prober in self._opened.values():
            prober.close()
        self._opened.clear()

    def _open(self, method: ProbeMethod, family: Family) -> Prober:
        common = (self._way, self._ledger, self._loop)
        match method:
            case ProbeMethod.ICMP:
                return Echo(*common, family, at_once=self._at_once)
            case ProbeMethod.NEIGHBOUR:
                return Neighbour(*common, family, lambda: self.of(ProbeMethod.ICMP, family), at_once=self._at_once)
            case ProbeMethod.TCP:
                return TcpConnect(*common)
            case ProbeMethod.DNS:
                from evenflow.kernel.probes.dns_query import DnsQuery  # noqa: PLC0415 - see above

                return DnsQuery(*common)
            case ProbeMethod.HTTP | ProbeMethod.HTTPS:
                from evenflow.kernel.probes.http_get import HttpGet  # noqa: PLC0415 - see above

                return HttpGet(*common)
