"""The reconcile pass: read actual, compile desired, diff, apply, read back, verify.

Nothing is remembered between passes: what is ours is read from the kernel each time.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.core.compile import compile_router
from evenflow.core.failover import AS_USUAL
from evenflow.core.plan import EMPTY, in_force, make_plan
from evenflow.core.saved import SAVED_SET, tampered
from evenflow.core.seed import seed_of
from evenflow.core.settings import of_unknown_past, to_be_read
from evenflow.errors import InputError, SystemRefusedError, VerifyError
from evenflow.formats.plan import render_lines
from evenflow.model.dataplane import TABLE_NAME
from evenflow.model.finding import Origin, Severity, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evenflow.core.failover import Standing
    from evenflow.kernel.linux import Kernel
    from evenflow.model.dataplane import Dataplane, Operation, Plan
    from evenflow.model.finding import Finding
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: So many of the differences are told when what is read back is not what was asked.
_SHOWN = 3


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
    actual = kernel.read_dataplane(to_be_read(compiled.dataplane.sysctls, machine, present.saved))
    desired = in_force(compiled.dataplane, actual)
    findings = (*compiled.findings, *_lost_settings(desired, actual, router.file))
    return Prospect(desired, actual, make_plan(desired, actual), seed, findings)


def _lost_settings(desired: Dataplane, actual: Dataplane, file: str) -> Iterator[Finding]:
    """Somebody has deleted our table (nft flush ruleset) or emptied that set, and the settings from before are gone."""
    names = of_unknown_past(desired, actual)
    if names:
        yield warning(
            "settings-lost",
            Origin(file),
            f"somebody has {_what_was_done(actual)}, which kept the settings from before evenflow; `evenflow down` "
            f"will leave these as they are now: {', '.join(names)}; set them by hand (`sysctl --system`) after it",
        )


def _what_was_done(actual: Dataplane) -> str:
    if actual.table is None:
        return "deleted evenflow's nft table"
    return f"changed the set {SAVED_SET} of evenflow's nft table"


def look_at_down(kernel: Kernel) -> Prospect:
    """What it takes to take all of ours away.

    Raises:
        SystemRefusedError: the kernel could not be read.
    """
    actual = kernel.read_dataplane(())
    findings: tuple[Finding, ...] = ()
    if tampered(actual):
        back = f"only these go back: {', '.join(sorted(actual.saved))}" if actual.saved else "none goes back"
        findings = (
            warning(
                "settings-lost",
                Origin(f"nft table inet {TABLE_NAME}"),
                f"somebody has {_what_was_done(actual)}, which kept the settings from before evenflow; {back}; set the "
                "others by hand (`sysctl --system`)",
            ),
        )
    return Prospect(EMPTY, actual, make_plan(EMPTY, actual), 0, findings)


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
    except BaseException as problem:
        with _undisturbed():
            left = _put_back(kernel, prospect)
        if not left:
            raise
        told = f"not everything could be put back as it was: {'; '.join(left)}"
        if isinstance(problem, SystemRefusedError):
            raise type(problem)(f"{problem}; and {told}") from problem
        problem.add_note(told)
        raise


def _verify(kernel: Kernel, desired: Dataplane) -> None:
    found = kernel.read_dataplane(desired.sysctls)
    left = make_plan(desired, found)
    if not left.in_sync:
        lines = [line for operation in left.operations for line in render_lines(operation)]
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise VerifyError(
            "the kernel took the change, but reads back otherwise; is something else changing the same routes, rules "
            f"or table? It would still take: {'; '.join(lines[:_SHOWN])}{more}"
        )


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that ask this process to end wait until what is within is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _put_back(kernel: Kernel, prospect: Prospect) -> Sequence[str]:
    """Make it as it was; what could not be done, in words. What can't be put back must not keep the rest from it."""
    before = prospect.actual
    settings = {name: before.sysctls[name] for name in before.saved if name in before.sysctls}
    left: list[str] = []
    try:
        now = kernel.read_dataplane({*prospect.desired.sysctls, *before.saved})
        for operation in make_plan(replace(before, sysctls=settings), now).operations:
            try:
                kernel.execute(operation)
            except SystemRefusedError as problem:
                left.append(str(problem))
    except Exception as problem:  # noqa: BLE001 - whatever it is, what went wrong first is what the user must hear
        left.append(str(problem) or type(problem).__name__)
    return left
