"""The reconcile pass: read actual, compile desired, diff, apply, read back, verify.

Nothing is remembered between passes: what is ours is read from the kernel each time.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.compile import compile_router, seed_of
from evenflow.core.failover import AS_USUAL
from evenflow.core.plan import EMPTY, in_force, make_plan
from evenflow.errors import InputError, SystemRefusedError, VerifyError
from evenflow.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenflow.core.failover import Standing
    from evenflow.kernel.linux import Kernel
    from evenflow.model.dataplane import Dataplane, Operation, Plan
    from evenflow.model.finding import Finding
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: An abstract socket address is held by one process of a network namespace and let go with it (unix(7)).
_LOCK_ADDRESS = "\0evenflow-apply"


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a pass would do.

    Attributes:
        desired: what is to be read back afterwards.
        actual: what was there before.
        plan: the difference.
        seed: of the classifiers' hashes: as asked, else as in the kernel, else drawn.
        findings: what compiling had to say.
    """

    desired: Dataplane
    actual: Dataplane
    plan: Plan
    seed: int
    findings: tuple[Finding, ...] = ()


def look_ahead(
    kernel: Kernel, router: Router, machine: Machine, seed: int | None = None, standing: Standing = AS_USUAL
) -> Prospect:
    """Read actual, compile desired, diff.

    Raises:
        InputError: the router can't be compiled for this machine.
        SystemRefusedError: the kernel could not be read.
    """
    present = kernel.read_dataplane(())
    if seed is None:
        seed = seed_of(present)
    if seed is None:
        # Not to be guessed from outside: who knows it can choose the uplink of each connection.
        seed = secrets.randbits(32)
    compiled = compile_router(router, machine, seed, standing)
    errors = [finding for finding in compiled.findings if finding.severity is Severity.ERROR]
    if errors or compiled.dataplane is None:
        raise InputError(errors)
    actual = kernel.read_dataplane(compiled.dataplane.sysctls)
    # A setting that this machine does not have (IPv6 switched off) can't be asked of it.
    wanted = {name: value for name, value in compiled.dataplane.sysctls.items() if name in actual.sysctls}
    desired = in_force(replace(compiled.dataplane, sysctls=wanted), actual)
    return Prospect(desired, actual, make_plan(desired, actual), seed, compiled.findings)


def look_at_down(kernel: Kernel) -> Prospect:
    """What it takes to take all of ours away.

    Raises:
        SystemRefusedError: the kernel could not be read.
    """
    actual = kernel.read_dataplane(())
    return Prospect(EMPTY, actual, make_plan(EMPTY, actual), 0)


def carry_out(kernel: Kernel, prospect: Prospect, progress: Callable[[Operation], None] = lambda _: None) -> None:
    """Apply, read back, verify. Whatever fails, the old state is put back before this raises.

    Raises:
        SystemRefusedError: the kernel refused an operation.
        VerifyError: what is read back is not what was asked.
    """
    try:
        for operation in prospect.plan.operations:
            progress(operation)
            kernel.execute(operation)
        _verify(kernel, prospect.desired)
    except BaseException:
        with _undisturbed():
            _put_back(kernel, prospect)
        raise


def _verify(kernel: Kernel, desired: Dataplane) -> None:
    found = kernel.read_dataplane(desired.sysctls)
    left = make_plan(desired, found)
    if not left.in_sync:
        kinds = ", ".join(sorted({type(operation).__name__ for operation in left.operations}))
        raise VerifyError(
            f"the kernel took the change, but reads back otherwise ({len(left.operations)} differences: {kinds}); "
            f"is something else changing the same routes, rules or table?"
        )


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that ask this process to end wait until what is within is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _put_back(kernel: Kernel, prospect: Prospect) -> None:
    before = prospect.actual
    settings = {name: before.sysctls[name] for name in before.saved if name in before.sysctls}
    now = kernel.read_dataplane({*prospect.desired.sysctls, *before.saved})
    for operation in make_plan(replace(before, sysctls=settings), now).operations:
        # What can't be put back must not keep the rest from being put back.
        with contextlib.suppress(SystemRefusedError):
            kernel.execute(operation)


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Keep a second evenflow from changing the same kernel at the same time.

    Raises:
        SystemRefusedError: another one is at work.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        try:
            lock.bind(_LOCK_ADDRESS)
        except OSError as problem:
            raise SystemRefusedError(
                "another evenflow is at work on this machine: a daemon (`evenflow status` asks it, `evenflow reload` "
                "has it read its configuration anew), or a change that is done in a moment"
            ) from problem
        yield
