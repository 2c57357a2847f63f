"""`plan`, `apply`, `down`: a configuration and the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.cli.telling import DONE, load_for_this_machine, open_kernel, print_json, tell

if TYPE_CHECKING:
    import argparse

    from evenflow.kernel.linux import Kernel
    from evenflow.kernel.reconcile import Prospect
    from evenflow.model.finding import Finding


def plan(arguments: argparse.Namespace) -> int:
    """`evenflow plan`: what apply would change, and nothing else happens."""
    from evenflow.formats.plan import findings_to_json, plan_to_json, render_lines

    with open_kernel() as kernel:
        prospect, findings = _look_ahead(kernel, arguments)
    if arguments.json:
        print_json({**plan_to_json(prospect.plan), "findings": findings_to_json(findings)})
        return DONE
    tell(findings)
    for operation in prospect.plan.operations:
        for line in render_lines(operation):
            print(line)
    if prospect.plan.in_sync:
        print("in sync: nothing to do")
    return DONE


def _look_ahead(kernel: Kernel, arguments: argparse.Namespace) -> tuple[Prospect, tuple[Finding, ...]]:
    from evenflow.kernel.reconcile import look_ahead

    machine = kernel.read_machine()
    router, findings = load_for_this_machine(arguments.config, machine, accept_unsupported=arguments.accept_unsupported)
    prospect = look_ahead(kernel, router, machine, arguments.seed)
    return prospect, (*findings, *prospect.findings)


def apply(arguments: argparse.Namespace) -> int:
    """`evenflow apply`: make it so once, read it back, verify it; on any failure the old state is put back."""
    from evenflow.formats.plan import findings_to_json, plan_to_json
    from evenflow.kernel.lock import only_one
    from evenflow.kernel.reconcile import carry_out

    with open_kernel() as kernel, only_one():
        prospect, findings = _look_ahead(kernel, arguments)
        if not arguments.json:
            tell(findings)
        carry_out(kernel, prospect)
    if arguments.json:
        print_json({"applied": True, **plan_to_json(prospect.plan), "findings": findings_to_json(findings)})
    else:
        print(_summary(prospect))
    return DONE


def _summary(prospect: Prospect) -> str:
    if prospect.plan.in_sync:
        return "in sync: nothing to do"
    desired = prospect.desired
    table = desired.table
    rules = sum(len(chain.rules) for chain in table.chains.values()) if table else 0
    return (
        f"applied and verified: {len(prospect.plan.operations)} operations; in force are {rules} nft rules, "
        f"{len(desired.routes)} routes, {len(desired.rules)} route rules, {len(desired.sysctls)} sysctls"
    )


def down(arguments: argparse.Namespace) -> int:
    """`evenflow down`: take all of ours away."""
    from evenflow.formats.plan import findings_to_json, plan_to_json
    from evenflow.kernel.lock import only_one
    from evenflow.kernel.reconcile import carry_out, look_at_down

    with open_kernel() as kernel, only_one():
        prospect = look_at_down(kernel)
        if not arguments.json:
            tell(prospect.findings)
        carry_out(kernel, prospect)
    if arguments.json:
        findings = findings_to_json(prospect.findings)
        print_json({"applied": True, **plan_to_json(prospect.plan), "findings": findings})
    elif prospect.plan.in_sync:
        print("nothing of evenflow's is here")
    else:
        print(f"all of evenflow's is gone: {len(prospect.plan.operations)} operations, verified")
    return DONE
