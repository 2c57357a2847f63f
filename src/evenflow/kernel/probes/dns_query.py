"""DNS query: does the server answer, and truthfully as far as can be seen?

Format: RFC 1035; dnspython reads and writes it. Each query goes from a socket of its own, connected to the server: the
kernel draws a random port and lets only datagrams from the server's address and port in.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype

from evenflow.kernel.probes.probe import reason_of
from evenflow.kernel.rt_codec import ADDRESS_FAMILY
from evenflow.model.flow import family_of

if TYPE_CHECKING:
    import asyncio

    from evenflow.kernel.probes.ledger import Ledger
    from evenflow.kernel.probes.probe import Probe
    from evenflow.kernel.probes.way import Way

#: Room for any answer over UDP without EDNS (512 bytes), and then some for servers that don't care.
_RECEIVE_BYTES: Final = 4096

#: Wrong answers that are looked at for each query. Who sends more wants to keep us busy.
_WRONG_ANSWERS: Final = 8

_GOOD: Final = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})


def query_for(name: str) -> dns.message.QueryMessage:
    """A query with a random identifier: the address of `name`, or with "" the name servers of the root.

    Raises:
        OSError: EINVAL, it is no name.
    """
    try:
        if not name:
            return dns.message.make_query(dns.name.root, dns.rdatatype.NS)
        return dns.message.make_query(dns.name.from_text(name), dns.rdatatype.A)
    except dns.exception.DNSException as problem:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from problem


def fault_of(wire: bytes, query: dns.message.Message) -> str:
    """What is wrong with an answer to `query`; "" when it counts."""
    try:
        answer = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return "not readable"
    if not answer.flags & dns.flags.QR or answer.opcode() != dns.opcode.QUERY:
        return "not an answer"
    if answer.id != query.id:
        return "wrong id"
    if answer.question != query.question:
        return "wrong question"
    rcode = dns.rcode.to_text(answer.rcode())
    return "" if answer.rcode() in _GOOD else f"rcode {rcode}" if rcode.isdigit() else rcode


class DnsQuery:
    """A new socket and query for each probe."""

    closed = False

    def __init__(self, way: Way, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> None:
        self._way = way
        self._ledger = ledger
        self._loop = loop
        self._asking: dict[Probe, socket.socket] = {}

    def send(self, probe: Probe) -> None:
        """Send a query.

        Raises:
            OSError: it could not be sent.
        """
        query = query_for(probe.target.name)
        where = self._way.socket_address(probe.address, probe.target.port)
        made = self._way.open(ADDRESS_FAMILY[family_of(probe.address)], socket.SOCK_DGRAM)
        try:
            made.connect(where)
            made.send(query.to_wire())
        except OSError:
            made.close()
            raise
        self._asking[probe] = made
        self._loop.add_reader(made, self._read, probe, query)

    def collect(self) -> None:
        """The loop does it by itself."""

    def forget(self, probe: Probe) -> None:
        """Its time is over."""
        made = self._asking.pop(probe, None)
        if made is not None:
            self._loop.remove_reader(made)
            made.close()

    def close(self) -> None:
        """Give up all."""
        for probe in tuple(self._asking):
            self.forget(probe)

    def _read(self, probe: Probe, query: dns.message.Message) -> None:
        try:
            wire = self._asking[probe].recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as problem:  # an ICMP error came
            self.forget(probe)
            self._ledger.lost(probe, reason_of(problem))
            return
        fault = fault_of(wire, query)
        if not fault:
            self.forget(probe)
            self._ledger.answered(probe, None)
            return
        # A lie may be a forger's, and the right answer still come.
        probe.remark = f"wrong answer: {fault}"
        self._ledger.ignore(fault)
        probe.key += 1
        if probe.key >= _WRONG_ANSWERS:
            self.forget(probe)
