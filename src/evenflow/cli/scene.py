"""Where packets meet a router: the machine, how its uplinks stand, the seed. `trace` and `simulate` ask of the same."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from evenflow.cli.telling import how_to_accept, open_kernel, tell
from evenflow.core.failover import AS_USUAL, stand
from evenflow.core.interfaces import interfaces_used
from evenflow.core.limits import limit_findings
from evenflow.core.reverse_path import LOOSE, REVERSE_PATH_OF_ALL, STRICT, reverse_path, reverse_path_of
from evenflow.core.supposed import supposed_machine
from evenflow.core.unstated import with_likely_interfaces
from evenflow.core.uplinks import uplinks
from evenflow.core.what_if import WhatIf, lost_uplinks, reweigh, suppose
from evenflow.errors import InputError, SystemRefusedError
from evenflow.kernel.files import read_configuration
from evenflow.model.finding import Finding, Origin, Severity, error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evenflow.core.failover import Standing
    from evenflow.core.supposed import Arrival
    from evenflow.core.uplinks import RouterUplink
    from evenflow.formats.configuration import Loaded
    from evenflow.kernel.linux import LinuxKernel
    from evenflow.model.dataplane import Dataplane
    from evenflow.model.flow import Address
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

MachineName = Literal["auto", "this", "supposed"]


@dataclass(frozen=True, slots=True)
class Before:
    """What held before anything was supposed: older connections began then."""

    router: Router
    machine: Machine


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a packet's way depends on besides itself.

    Attributes:
        router: as its watches stand.
        sysctls: as they hold there.
        uplinks: of the configuration.
        notes: what was taken for granted, in words.
        made_up: addresses that were supposed and mean nothing.
        lost: names of the uplinks that are supposed to be lost.
    """

    router: Router
    machine: Machine
    before: Before
    seed: int
    sysctls: Mapping[str, str]
    uplinks: tuple[RouterUplink, ...]
    notes: tuple[str, ...] = ()
    made_up: frozenset[Address] = frozenset()
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """A machine, and what evenflow has in force on it; `seed` None: nothing, or it may not be read."""

    machine: Machine
    sysctls: Mapping[str, str]
    seed: int | None = None
    standing: Standing = AS_USUAL
    notes: tuple[str, ...] = ()
    made_up: frozenset[Address] = frozenset()
    is_supposed: bool = False


def configuration(file: str, *, accept_unsupported: bool = False) -> Loaded:
    """The configuration of a file, which has no errors.

    With `accept_unsupported`, what RouterOS does and evenflow can't is none; what there is of that is told.

    Raises:
        InputError: it has, or can't be read.
    """
    loaded = read_configuration(file, look_over=False, accept_unsupported=accept_unsupported)
    errors = [finding for finding in loaded.findings if finding.severity is Severity.ERROR]
    if loaded.router is not None and not errors:
        errors = list(limit_findings(loaded.router))
    if loaded.router is None or errors:
        raise InputError((*errors, *how_to_accept(errors)))
    if accept_unsupported:
        from evenflow.formats.routeros import UNSUPPORTED

        tell(finding for finding in loaded.findings if finding.code in UNSUPPORTED)
    return loaded


def router_with(loaded: Loaded, weights: Sequence[tuple[str, int]]) -> Router:
    """The router of a configuration, with other weights for some uplinks.

    Raises:
        InputError: they can't have them.
    """
    assert loaded.router is not None
    if not weights:
        return loaded.router
    if loaded.policy is None:
        why = "a RouterOS script has no weights, but rules for each stream; change them in a copy, and ask with that"
        raise InputError([error("no-weights", Origin("--set-weight"), why)])
    from evenflow.core.lower import lower

    changed = reweigh(loaded.policy, dict(weights))
    if isinstance(changed, Finding):
        raise InputError([changed])
    return lower(changed)


def scene_at(router: Router, place: Place, what_if: WhatIf, seed: int | None) -> Scene:
    """The router at that place, with what is to be supposed; `seed` None: the one in force there.

    Raises:
        InputError: something can't be supposed.
    """
    router = with_likely_interfaces(router) if place.is_supposed else router
    known = uplinks(router)
    outcome = suppose(router, known, place.machine, what_if, place.standing)
    if outcome.findings:
        raise InputError(outcome.findings)
    notes = list(place.notes)
    if seed is None and place.seed is None:
        notes.append("no seed is in force here, so 0 is used: with another, connections fall into other streams")
    chosen = next((one for one in (seed, place.seed) if one is not None), 0)
    for word, names in (("lost", what_if.down), ("drained", what_if.drained), ("without carrier", what_if.no_carrier)):
        if names:
            notes.append(f"supposed to be {word}: {', '.join(names)}")
    return Scene(
        stand(router, outcome.standing),
        outcome.machine,
        Before(stand(router, place.standing), place.machine),
        chosen,
        place.sysctls,
        known,
        tuple(notes),
        place.made_up,
        lost_uplinks(known, what_if),
    )


def arrival_findings(name: str, machine: Machine) -> Iterator[Finding]:
    """What speaks against packets coming in by that interface."""
    link = machine.link(name)
    if link is None:
        others = other_names(name, sorted(other.name for other in machine.links))
        yield error("unknown-interface", Origin("--in"), f"there is no interface {name}; {others}")
    elif link.master is not None:
        why = f"{name} is a port of {link.master}, so packets come in by {link.master}"
        yield error("bridge-port", Origin("--in"), why)


def other_names(name: str, names: Sequence[str]) -> str:
    """What may have been meant instead of a name that there is not."""
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"


# --- the machine -----------------------------------------------------------------------------------------------------


def place_of(router: Router, machine: MachineName, arrival: Arrival | None = None) -> Place:
    """This machine where it has the interfaces, else one made up; as the user says. `arrival` is for one made up.

    Raises:
        InputError: this machine was asked for, and lacks an interface.
        SystemRefusedError: the kernel can't be read.
    """
    missing = interfaces_used(router).keys() - {name for _, name in socket.if_nameindex()}
    if machine == "supposed" or (machine == "auto" and missing):
        return _made_up(router, arrival)
    if missing:
        name = min(missing)
        message = f"this machine has no interface {name}; leave --machine out, or say --machine supposed"
        raise InputError([error("interface-missing", interfaces_used(router)[name], message)])
    with open_kernel() as kernel:
        found = kernel.read_machine()
        return Place(
            found,
            _sysctls(found, router),
            _seed_in_force(kernel),
            notes=("the links and addresses are this machine's",),
        )


def _made_up(router: Router, arrival: Arrival | None) -> Place:
    supposed = supposed_machine(router, arrival)
    notes = (
        "the machine is supposed from the file: every link is there and up, if not told otherwise",
        *supposed.remarks,
    )
    return Place(supposed.machine, {}, notes=notes, made_up=supposed.made_up, is_supposed=True)


def _seed_in_force(kernel: LinuxKernel) -> int | None:
    from evenflow.core.seed import seed_of

    try:
        return seed_of(kernel.read_dataplane(()))
    except SystemRefusedError:
        return None  # it takes CAP_NET_ADMIN, and a prediction does not


def _sysctls(machine: Machine, router: Router) -> dict[str, str]:
    """What the reverse-path filter of each link is once evenflow is in force: strict becomes loose on uplinks."""
    from evenflow.kernel import sysctl

    names = [REVERSE_PATH_OF_ALL, *(reverse_path_of(link.name) for link in machine.links)]
    found = {name: value for name in names if (value := sysctl.read(name)) is not None}
    for uplink in uplinks(router):
        if uplink.interface is not None and reverse_path(found, uplink.interface) == STRICT:
            found[reverse_path_of(uplink.interface)] = str(LOOSE)
    return found


# --- what runs here --------------------------------------------------------------------------------------------------


def live_place(router: Router) -> Place:
    """What runs here: its seed, buckets and settings.

    Raises:
        SystemRefusedError: the kernel can't be read, or nothing of evenflow's is in force.
    """
    from evenflow.core.failback import standing_in
    from evenflow.core.seed import seed_of

    with open_kernel() as kernel:
        machine, present = kernel.read_machine(), kernel.read_dataplane(())
        if present.table is None:
            raise SystemRefusedError(
                "nothing of evenflow's is in force here; leave --live out, or `evenflow apply` first"
            )
        seed = seed_of(present)
        standing = standing_in(present, router, machine, seed or 0)
        return _compared(Place(machine, {}, seed, standing), kernel, router, present)


def _compared(place: Place, kernel: LinuxKernel, router: Router, present: Dataplane) -> Place:
    """With the settings that hold, and a word on whether what is in force is this configuration."""
    from evenflow.kernel.reconcile import look_ahead

    prospect = look_ahead(kernel, router, place.machine, place.seed, place.standing)
    notes = ["the links, routes, seed and buckets are those in force here"]
    if not prospect.plan.in_sync:
        notes.append(
            f"what is in force is not this configuration: {len(prospect.plan.operations)} operations apart "
            "(`evenflow plan` shows them); this is what the configuration would do"
        )
    kept = {name: value for name, value in present.standing.items() if value}
    if kept:
        notes.append("watches not as usual: " + ", ".join(f"{name} {value}" for name, value in sorted(kept.items())))
    return replace(place, sysctls=prospect.desired.sysctls, notes=tuple(notes))
