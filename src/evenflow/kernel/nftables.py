"""Our nft table in the kernel: read it, change it in one transaction.

By netlink itself and not by the program nft: what is listed is then the same value that was asked for, one changed
element costs 8 µs, and a table with 65,536 elements is one message away.
"""

from __future__ import annotations

import contextlib
import errno
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from evenflow.errors import NotSupportedError, SystemRefusedError
from evenflow.kernel import nft_objects as objects
from evenflow.kernel.netlink import NETLINK_NETFILTER, NetlinkError, NetlinkSocket, Request, asking, by_kind, text
from evenflow.model.dataplane import TABLE_NAME
from evenflow.model.nft import NftChain, NftTable
from evenflow.model.transaction import (
    AddChain,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
)

if TYPE_CHECKING:
    from evenflow.model.dataplane import NftTransaction
    from evenflow.model.nft import NftSet, SetElement, Verdict
    from evenflow.model.transaction import NftOperation

#: How often a whole table is read anew because somebody changed some nft table meanwhile.
_READ_TRIES = 50


class Nftables:
    """Our table, in the network namespace that the thread is in when this is made."""

    def __init__(self) -> None:
        """Open the socket.

        Raises:
            NotSupportedError: this kernel has no nfnetlink.
        """
        with asking("open a netlink socket for nf_tables"):
            self._netlink = NetlinkSocket(NETLINK_NETFILTER)

    def run(self, transaction: NftTransaction) -> None:
        """Carry out a transaction: all of it at once or nothing.

        Raises:
            NotPermittedError: CAP_NET_ADMIN is missing.
            NotSupportedError: this kernel lacks nf_tables or a part of it.
            SystemRefusedError: it does not fit to what is there; the message names the operation.
        """
        requests: list[Request] = []
        owners: list[NftOperation] = []
        for set_id, operation in enumerate(transaction.operations, start=1):
            encoded = objects.encode_operation(operation, set_id)
            requests += encoded
            owners += [operation] * len(encoded)
        if not requests:
            return
        try:
            self._netlink.batch(objects.NFNL_SUBSYS_NFTABLES, requests)
        except NetlinkError as problem:
            what = "change the nft table"
            if problem.index is not None:
                what = describe(owners[problem.index])
            with asking(what):
                raise

    def generation(self) -> int:
        """A number that changes with every change to any nft table of this namespace.

        Raises:
            NotSupportedError: this kernel has no nf_tables.
            SystemRefusedError: the kernel refused.
        """
        try:
            reply = self._netlink.request(objects.message(objects.GETGEN))[0]
        except NetlinkError as problem:
            if problem.number == errno.EINVAL:  # what nfnetlink says of a subsystem that nobody has registered
                raise NotSupportedError(
                    "this kernel has no nf_tables; load it (`modprobe nf_tables`), or run a kernel that has it"
                ) from problem
            with asking("read nf_tables"):
                raise
        return int(struct.unpack("!I", by_kind(reply, objects.FAMILY_HEADER_BYTES)[1])[0])

    def read_table(self) -> NftTable | None:
        """Our table as it is, None if there is none.

        Raises:
            SystemRefusedError: the kernel refused, or the tables never stood still.
        """
        for _ in range(_READ_TRIES):
            before = self.generation()
            with contextlib.suppress(_VanishedError):
                table = self._read_once()
                if self.generation() == before:
                    return table
        raise SystemRefusedError(f"could not read the nft table {TABLE_NAME}: it changed while it was read, again")

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_once(self) -> NftTable | None:
        in_table = text(1, TABLE_NAME)
        with asking(f"read the nft table {TABLE_NAME}"):
            try:
                self._netlink.request(objects.message(objects.GETTABLE, in_table))
            except NetlinkError as problem:
                if problem.number == errno.ENOENT:
                    return None
                raise
            chains = self._read_chains(in_table)
            return NftTable(chains, self._read_sets(in_table))

    def _read_chains(self, in_table: bytes) -> dict[str, NftChain]:
        listed = filter(objects.is_ours, self._dump(objects.message(objects.GETCHAIN)))
        chains = {chain.name: chain for chain in map(objects.decode_chain, listed)}
        rules = {name: list(chain.rules) for name, chain in chains.items()}
        for payload in filter(objects.is_ours, self._dump(objects.message(objects.GETRULE, in_table))):
            rules.setdefault(objects.chain_of_rule(payload), []).append(objects.decode_rule(payload))
        return {name: replace(chain, rules=tuple(rules[name])) for name, chain in chains.items()}

    def _read_sets(self, in_table: bytes) -> dict[str, NftSet]:
        sets: dict[str, NftSet] = {}
        for payload in filter(objects.is_ours, self._dump(objects.message(objects.GETSET, in_table))):
            declared = objects.decode_set(payload)
            # One that is not of our kinds comes with an element that says so.
            if declared and not declared.elements:
                declared = replace(declared, elements=self._read_elements(in_table, declared.name))
            if declared:
                sets[declared.name] = declared
        return sets

    def _read_elements(self, in_table: bytes, name: str) -> frozenset[SetElement]:
        """The elements of one set.

        After many were added, the kernel's hash table grows in the background. A dump that goes on in the larger table
        counts off as many elements as it has listed already, but in another order: some come twice and as many not at
        all. Nothing else tells, so a dump in which one comes twice is done again.
        """
        verdicts: dict[bytes, Verdict] = {}
        for _ in range(_READ_TRIES):
            payloads = self._dump(objects.message(objects.GETSETELEM, in_table, text(2, name)))
            listed = [element for payload in payloads for element in objects.decode_elements(payload, verdicts)]
            elements = frozenset(listed)
            if len(elements) == len(listed):
                return elements
        raise _VanishedError

    def _dump(self, request: Request) -> list[bytes]:
        try:
            return self._netlink.dump(request)
        except NetlinkError as problem:
            if problem.number == errno.ENOENT:
                raise _VanishedError from problem
            raise


class _VanishedError(Exception):
    """Something that was listed a moment ago is gone: read anew."""


def describe(operation: NftOperation) -> str:
    """What an operation asks for, for messages: "delete the chain mark"."""
    match operation:
        case AddTable():
            return f"make the nft table {TABLE_NAME}"
        case DeleteTable():
            return f"delete the nft table {TABLE_NAME}"
        case AddChain(name):
            return f"make the nft chain {name}"
        case FlushChain(name):
            return f"delete the rules of the nft chain {name}"
        case DeleteChain(name):
            return f"delete the nft chain {name}"
        case AddRule(chain, rule):
            said = f" ({rule.comment})" if rule.comment else ""
            return f"add a rule{said} to the nft chain {chain}"
        case AddSet(declaration):
            return f"make the nft set {declaration.name}"
        case DeleteSet(name):
            return f"delete the nft set {name}"
        case AddElements(name, elements):
            return f"add {len(elements)} elements to the nft set {name}"
        case DeleteElements(name, elements):
            return f"delete {len(elements)} elements of the nft set {name}"
