"""Our nft table in the kernel: read it, change it in one transaction.

By netlink itself and not by the program nft: what is listed is then the same value that was asked for, one changed
element costs 8 µs, and a table with 65,536 elements is one message away.
"""

from __future__ import annotations

import contextlib
import errno
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from evenflow.errors import NotSupportedError, SystemRefusedError
from evenflow.kernel import nft_objects as objects
from evenflow.kernel.netlink import NETLINK_NETFILTER, NetlinkError, NetlinkSocket, Request, asking, by_kind, text
from evenflow.kernel.nft_contents import TableContents, VanishedError
from evenflow.model.dataplane import TABLE_NAME
from evenflow.model.transaction import (
    AddChain,
    AddElements,
    AddFlowtable,
    AddRule,
    AddSet,
    AddTable,
    DeleteChain,
    DeleteElements,
    DeleteFlowtable,
    DeleteSet,
    DeleteTable,
    FlushChain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.model.dataplane import NftTransaction
    from evenflow.model.nft import NftTable
    from evenflow.model.transaction import NftOperation

#: What the kernel says where it lacks flowtables; a device that is missing is ENOENT, too.
_NO_FLOWTABLES = frozenset({errno.ENOENT, errno.EOPNOTSUPP})

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
        self.port = self._netlink.port
        self._known: _Known | None = None
        self._contents = TableContents(self._dump)

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
                operation = owners[problem.index]
                what = describe(operation)
                if isinstance(operation, AddFlowtable) and problem.number in _NO_FLOWTABLES:
                    raise NotSupportedError(
                        f"could not {what}: this kernel has no flowtables, or a device has just gone; load the module "
                        'nf_flow_table_inet, or leave flowtable = "…" out of [balance]'
                    ) from problem
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
        """Our table as it is, None if there is none. The very object from before when nothing in nf_tables is another.

        Raises:
            SystemRefusedError: the kernel refused, or the tables never stood still.
        """
        for _ in range(_READ_TRIES):
            generation, known = self.generation(), self._known
            if known and known.generation == generation and known.header == self._header():
                return known.table
            if not self._is_complete(generation):
                continue
            with contextlib.suppress(VanishedError), asking(f"read the nft table {TABLE_NAME}"):
                header = self._header()
                table = self._contents.read() if header is not None else None
                if self.generation() == generation:
                    self._known = _Known(generation, header, table)
                    return table
        raise SystemRefusedError(f"could not read the nft table {TABLE_NAME}: it changed while it was read, again")

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _header(self) -> bytes | None:
        """The table itself, undecoded; None if there is none. One that a process owns goes without a new generation."""
        with asking(f"read the nft table {TABLE_NAME}"):
            try:
                return self._netlink.request(objects.message(objects.GETTABLE, text(1, TABLE_NAME)))[0]
            except NetlinkError as problem:
                if problem.number == errno.ENOENT:
                    return None
                raise

    def _is_complete(self, generation: int) -> bool:
        """Whether this generation is in force to its last part.

        The kernel counts a change and then makes it, for all to see in the middle of it. But it makes one change at a
        time: an empty one has its turn when the one before is complete.
        """
        with asking("read nf_tables"):
            try:
                self._netlink.batch(objects.NFNL_SUBSYS_NFTABLES, (), generation)
            except NetlinkError as problem:
                if problem.number == errno.ERESTART:
                    return False
                raise
        return True

    def _dump(self, request: Request) -> Sequence[bytes]:
        try:
            return self._netlink.dump(request)
        except NetlinkError as problem:
            if problem.number == errno.ENOENT:
                raise VanishedError from problem
            raise


@dataclass(frozen=True, slots=True)
class _Known:
    """Our table as it was last read: in which generation, the answer about the table itself, and all that is in it."""

    generation: int
    header: bytes | None
    table: NftTable | None


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
        case AddFlowtable(wanted):
            return f"make a flowtable for {', '.join(sorted(wanted.devices))}"
        case DeleteFlowtable(name):
            return f"delete the flowtable {name}"
