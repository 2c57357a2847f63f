"""What several commands need: a configuration read, findings told, exit statuses."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from evenflow.errors import InputError
from evenflow.model.finding import Severity, has_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.configuration import Loaded
    from evenflow.model.finding import Finding
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: design: 0 done, 1 the user's mistake, 2 wrong usage, 3 the system refused; 130 is what shells give to Ctrl-C.
DONE, MISTAKE, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130


def load(file: str) -> Loaded:
    """Read a policy (`.toml`) or a RouterOS script (`.rsc`) and look it over.

    Raises:
        InputError: the file can't be read at all.
    """
    from evenflow.kernel.files import read_configuration

    return read_configuration(file)


def load_for_this_machine(file: str, machine: Machine) -> tuple[Router, tuple[Finding, ...]]:
    """A router that can run here, and findings that do not keep it from doing so.

    Raises:
        InputError: it can't; all findings are with it.
    """
    from evenflow.core.lint import lint_machine

    loaded = load(file)
    findings = loaded.findings
    if loaded.router is not None and not has_errors(findings):
        findings = (*findings, *lint_machine(loaded.router, machine))
    if loaded.router is None or has_errors(findings):
        raise InputError(findings)
    return loaded.router, findings


def tell(findings: Iterable[Finding]) -> None:
    """Print findings to standard error, one a line; remarks are for `evenflow check`."""
    for finding in findings:
        if finding.severity is not Severity.INFO:
            print(finding, file=sys.stderr)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object, for programs and people alike."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def open_kernel() -> Any:
    """The kernel of this machine; use it in a `with`. Raises SystemRefusedError."""
    from evenflow.kernel.linux import LinuxKernel

    return LinuxKernel()
