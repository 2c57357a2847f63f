"""`evenflow check`: what is wrong with a configuration; with `--fix` what mends it, where it is a RouterOS script."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenflow.cli.telling import DONE, MISTAKE, USAGE, complain, load, open_kernel, print_json
from evenflow.errors import SystemRefusedError
from evenflow.formats.configuration import STANDARD_INPUT
from evenflow.model.finding import Severity, has_errors

if TYPE_CHECKING:
    import argparse

    from evenflow.model.machine import Machine


def check(arguments: argparse.Namespace) -> int:
    """`evenflow check`: findings, also about this machine, but those only as warnings: it may be meant for another."""
    wrong = _wrong_usage(arguments)
    if wrong:
        complain(f"evenflow check: {wrong}")
        return USAGE
    if arguments.fix:
        from evenflow.cli.check_fix import fix

        return fix(arguments)
    return _look_over(arguments)


def _wrong_usage(arguments: argparse.Namespace) -> str:
    """What is wrong about the options, "" if nothing is."""
    if arguments.in_place and arguments.config == STANDARD_INPUT:
        return "--in-place writes over a file, and standard input is none; name one with --output"
    if arguments.fix:
        is_policy = arguments.config.lower().endswith(".toml")
        return (
            "--fix mends RouterOS scripts (.rsc) only; in a policy change what the findings name" if is_policy else ""
        )
    given = [name for name in ("output", "in_place", "force") if getattr(arguments, name)]
    return f"--{given[0].replace('_', '-')} goes with --fix only" if given else ""


def _look_over(arguments: argparse.Namespace) -> int:
    from evenflow.core.lint import lint_machine
    from evenflow.core.lint.machine import for_a_checker
    from evenflow.formats.configuration import all_findings
    from evenflow.formats.plan import findings_to_json

    loaded = load(arguments.config, accept_unsupported=arguments.accept_unsupported)
    findings = all_findings(loaded)
    if loaded.router is not None and not has_errors(findings):
        machine = _machine_if_readable()
        if machine is not None:
            about_here = lint_machine(loaded.router, machine)
            if loaded.policy is None:
                findings += for_a_checker(about_here, loaded.router, machine)
            else:
                findings += tuple(replace(finding, severity=Severity.WARNING) for finding in about_here)
    if arguments.json:
        print_json({"findings": findings_to_json(findings)})
    else:
        for finding in findings:
            print(finding)
            if finding.witness:
                print(f"    see: {finding.witness}")
        if not findings:
            print(f"{arguments.config}: nothing to remark")
    return MISTAKE if has_errors(findings) else DONE


def _machine_if_readable() -> Machine | None:
    try:
        with open_kernel() as kernel:
            machine: Machine = kernel.read_machine()
            return machine
    except SystemRefusedError:
        return None  # a checker need not be on a router at all
