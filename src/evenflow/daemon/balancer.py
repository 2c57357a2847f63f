"""The balancer: a router, how its watches stand, and the reconcile pass that makes the kernel so.

The pass reads aloud: read actual, compile desired, diff, apply, read back, verify. It remembers nothing that it could
not read from the kernel; what it keeps between passes only spares work that would end the same.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from evenflow.core.compile import compile_router
from evenflow.core.failback import moved, spreads, standing_in
from evenflow.core.failover import owners_now
from evenflow.core.handover import Bridged, bridge
from evenflow.core.numbering import number_router
from evenflow.core.plan import in_force, make_plan
from evenflow.core.seed import seed_of
from evenflow.errors import InputError, SystemRefusedError
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.model.dataplane import CONNECTION_MARK_MASK, AddRoute, AddRouteRule
from evenflow.model.finding import Severity
from evenflow.model.matcher import MarkKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evenflow.core.compile import Compiled
    from evenflow.core.failover import Standing
    from evenflow.kernel.conntrack import Conntrack
    from evenflow.kernel.linux import Kernel
    from evenflow.model.dataplane import Dataplane, Operation
    from evenflow.model.finding import Finding
    from evenflow.model.flow import Address
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router, SpreadAction

#: New entries can be made between the deletion and the look at what is left: by packets that met the old owners.
_FLUSH_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass did.

    Attributes:
        operations: carried out, in order.
        failures: what the kernel refused, each in words; the next pass tries again.
        left: how many differences were read back afterwards.
        wanted_change: whether something else was desired than in the pass before; if not, operations mended drift.
        moved: for each spread's old owner none; how many buckets each new owner got.
    """

    operations: tuple[Operation, ...] = ()
    failures: tuple[str, ...] = ()
    left: int = 0
    wanted_change: bool = False
    moved: Mapping[str, int] | None = None

    @property
    def in_sync(self) -> bool:
        """Whether the kernel is as desired now."""
        return not self.failures and not self.left

    @property
    def mended_routing(self) -> bool:
        """Whether routes or route rules had been gone that were there before."""
        return not self.wanted_change and any(isinstance(each, AddRoute | AddRouteRule) for each in self.operations)


class Balancer:
    """One router in one kernel.

    Attributes:
        router: as configured.
        standing: how its watches stand; set it, then call `reconcile`.
        seed: of the classifiers.
    """

    def __init__(self, kernel: Kernel, conntrack: Conntrack, router: Router, seed: int | None = None) -> None:
        self._kernel, self._conntrack = kernel, conntrack
        self.router = router
        self._bridged = Bridged(kernel.read_machine(), {})
        present = kernel.read_dataplane(())
        known = seed if seed is not None else seed_of(present)
        self.seed = known if known is not None else secrets.randbits(32)
        # As the last evenflow left them: buckets that were still away stay so.
        self.standing = standing_in(present, router, self.machine, self.seed)
        self._compiled: tuple[Router, Machine, Standing, Compiled] | None = None
        self._desired: Dataplane | None = None
        self._in_force = self.standing
        #: What was compiled and what was read when nothing was to be done. The kernel's reader gives the same object
        #: again as long as nothing has changed.
        self._settled: tuple[Compiled, Dataplane] | None = None

    def bring_up(self, router: Router | None = None) -> Sequence[Finding]:
        """Put the router (or a new one) in force, all of it or nothing.

        Connections of uplinks that the new router does not have are deleted: they would go on by no uplink.

        Raises:
            InputError: it can't be compiled for this machine.
            SystemRefusedError: the kernel refused; what was in force before still is.
        """
        machine = self._kernel.read_machine()
        wanted = router or self.router
        prospect = look_ahead(self._kernel, wanted, machine, self.seed, self.standing)
        carry_out(self._kernel, prospect)
        gone = self._marks(self.router) - self._marks(wanted)
        self.router, self._bridged = wanted, Bridged(machine, {})
        self._desired, self._in_force = prospect.desired, self.standing
        for number in gone:
            self._delete_marked(number)
        return prospect.findings

    @property
    def machine(self) -> Machine:
        """As last looked at."""
        return self._bridged.machine

    def look(self, now_s: float) -> Machine:
        """Read the machine; a default route that has just gone is taken to be there for a moment longer."""
        self._bridged = bridge(self._kernel.read_machine(), self._bridged, now_s)
        return self.machine

    def look_again_s(self) -> float | None:
        """When to look again though nothing happens; None: no need."""
        return self._bridged.until_s

    def reconcile(self) -> Pass:
        """One pass over the machine that was last looked at. What can't be done is told, and the rest is done.

        Raises:
            SystemRefusedError: the kernel could not even be read.
        """
        compiled = self._compile()
        errors = tuple(str(finding) for finding in compiled.findings if finding.severity is Severity.ERROR)
        if compiled.dataplane is None or errors:
            return Pass(failures=errors)
        actual = self._kernel.read_dataplane(compiled.dataplane.sysctls)
        if self._settled is not None and self._settled[0] is compiled and self._settled[1] is actual:
            return Pass(moved={})
        there = {name: value for name, value in compiled.dataplane.sysctls.items() if name in actual.sysctls}
        # What was before evenflow is known here even when somebody has deleted the table that keeps it.
        saved = self._desired.saved if self._desired is not None and actual.table is None else {}
        desired = in_force(replace(compiled.dataplane, sysctls=there, saved=saved), actual)
        plan = make_plan(desired, actual)
        changed = self._desired is None or _wish(self._desired) != _wish(desired)
        failures = tuple(self._execute(plan.operations))
        left = 0
        if plan.operations:
            left = len(make_plan(desired, self._kernel.read_dataplane(desired.sysctls)).operations)
        moves = self._moves()
        self._settled = (compiled, actual) if not plan.operations else None
        if not failures and not left:
            self._desired, self._in_force = desired, self.standing
        return Pass(plan.operations, failures, left, changed, moves)

    def flush(self, connection_mark: str) -> int:
        """Delete the connections of an uplink, and make sure that none is left; about how many there were.

        Raises:
            SystemRefusedError: the kernel refused, or new ones come faster than they can be deleted.
        """
        number = number_router(self.router).mark(MarkKind.CONNECTION, connection_mark)
        before = self._conntrack.count()
        self._delete_marked(number, self._own_addresses())
        return max(0, before - self._conntrack.count())

    def shares(self) -> dict[str, int]:
        """Buckets owned by each mark now, over all spreads."""
        found: dict[str, int] = {}
        for spread in spreads(self.router):
            for owner in owners_now(spread, self.standing):
                if owner is not None:
                    found[owner] = found.get(owner, 0) + 1
        return found

    def mark_numbers(self) -> dict[str, int]:
        """The number of each connection mark."""
        return dict(number_router(self.router).connection_marks)

    # --- inside ------------------------------------------------------------------------------------------------

    def _compile(self) -> Compiled:
        """The desired state; compiled again only when something that it depends on is another."""
        before = self._compiled
        if before is not None and before[:3] == (self.router, self.machine, self.standing):
            return before[3]
        compiled = compile_router(self.router, self.machine, self.seed, self.standing)
        self._compiled = (self.router, self.machine, self.standing, compiled)
        return compiled

    def _execute(self, operations: Sequence[Operation]) -> Sequence[str]:
        failures = []
        for operation in operations:
            try:
                self._kernel.execute(operation)
            except SystemRefusedError as problem:
                failures.append(str(problem))
        return failures

    def _moves(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for spread in spreads(self.router):
            for owner, count in self._moves_of(spread).items():
                found[owner] = found.get(owner, 0) + count
        return found

    def _moves_of(self, spread: SpreadAction) -> dict[str, int]:
        if self._in_force == self.standing:
            return {}
        return moved(owners_now(spread, self._in_force), owners_now(spread, self.standing))

    def _marks(self, router: Router) -> set[int]:
        with contextlib.suppress(ValueError):
            return set(number_router(router).connection_marks.values())
        return set()

    def _own_addresses(self) -> frozenset[Address]:
        return frozenset(own.address.ip for own in self.machine.addresses)

    def _delete_marked(self, number: int, inbound_to: Collection[Address] = ()) -> None:
        """Delete, and look whether any is left that could hang.

        A line that is lost for its latency, say, still brings connections in; they are marked anew, and rightly so.
        """
        for _ in range(_FLUSH_TRIES):
            self._conntrack.delete_marked(number, CONNECTION_MARK_MASK)
            left = self._conntrack.entries(number, CONNECTION_MARK_MASK)
            if all(entry.original.destination in inbound_to for entry in left):
                return
        raise SystemRefusedError(
            f"connections with mark {number:#x} are made faster than they are deleted; is something else marking them?"
        )


def _wish(dataplane: Dataplane) -> Dataplane:
    """What was wished for, without what was only found there."""
    return replace(dataplane, saved={})


def must_not_have_errors(findings: Sequence[Finding]) -> None:
    """Raise InputError if one of the findings is an error."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise InputError(errors)
