"""What several commands need: a configuration read, findings told, exit statuses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from evenflow.errors import InputError
from evenflow.formats.configuration import accepting_unsupported
from evenflow.model.finding import Origin, Severity, has_errors, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.formats.configuration import Loaded
    from evenflow.model.finding import Finding
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

#: design: 0 done, 1 the user's mistake, 2 wrong usage, 3 the system refused; 4 done, but what there is to say about it
#: could not be written; 130 is what shells give to Ctrl-C.
DONE, MISTAKE, USAGE, REFUSED, UNTOLD, INTERRUPTED = 0, 1, 2, 3, 4, 130


def load(file: str, *, accept_unsupported: bool = False) -> Loaded:
    """Read a policy (`.toml`) or a RouterOS script (`.rsc`) and look it over.

    With `accept_unsupported`, what RouterOS does and evenflow can't is no error, but a warning.

    Raises:
        InputError: the file can't be read at all.
    """
    from evenflow.kernel.files import read_configuration

    return read_configuration(file, accept_unsupported=accept_unsupported)


def load_for_this_machine(
    file: str, machine: Machine, *, accept_unsupported: bool = False
) -> tuple[Router, tuple[Finding, ...]]:
    """A router that can run here, and findings that do not keep it from doing so; arguments as for `load`.

    Raises:
        InputError: it can't; all findings are with it.
    """
    from evenflow.core.lint import lint_machine

    loaded = load(file, accept_unsupported=accept_unsupported)
    findings = loaded.findings
    if loaded.router is not None and not has_errors(findings):
        findings = (*findings, *lint_machine(loaded.router, machine))
    if loaded.router is None or has_errors(findings):
        raise InputError((*findings, *how_to_accept(findings)))
    return loaded.router, findings


def how_to_accept(findings: Iterable[Finding]) -> Iterator[Finding]:
    """That the unsupported can be accepted, where nothing else is in the way."""
    findings = tuple(findings)
    accepted = accepting_unsupported(findings)
    if has_errors(findings) and not has_errors(accepted):
        count = sum(before != after for before, after in zip(findings, accepted, strict=True))
        where = Origin(next(finding.where.file for finding in findings if finding.severity is Severity.ERROR))
        things, them = ("thing", "it") if count == 1 else ("things", "them")
        what = f"{count} {things} in it can't run here; --accept-unsupported runs the rest without {them}"
        yield warning("accept-unsupported", where, what)


def tell(findings: Iterable[Finding]) -> None:
    """Print findings to standard error, one a line; remarks are for `evenflow check`."""
    for finding in findings:
        if finding.severity is not Severity.INFO:
            complain(str(finding))


def complain(line: str) -> None:
    """Print a line to standard error. Where that can't be written nobody is to be told, and the work goes on."""
    try:
        if sys.stderr is not None:
            print(line, file=sys.stderr)
    except OSError:
        give_up(sys.stderr)


def print_json(value: dict[str, Any], *, indent: int | None = 2, flush: bool = False) -> None:
    """One JSON object, for programs and people alike; in letters that standard output can take."""
    plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    print(json.dumps(value, indent=indent, ensure_ascii=plain), flush=flush)


class UnwrittenError(Exception):
    """Standard output can't be written. Nobody can take it for another error: it is of no other kind."""


class _Output(io.FileIO):
    """Standard output, whose errors can be told from others."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as problem:
            raise UnwrittenError(problem.strerror) from problem


def prepare_output() -> None:
    """Letters that the encoding lacks are written as escapes; what can't be written raises `UnwrittenError`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out = sys.stdout
    if out is sys.__stdout__ and isinstance(out, io.TextIOWrapper):
        raw = _Output(out.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw),
            out.encoding,
            out.errors,
            line_buffering=out.line_buffering or out.write_through,
        )


def finish_output() -> None:
    """Write what is left. Raises `UnwrittenError`."""
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up(stream: TextIO | None) -> None:
    """Let go of a stream that can't be written: else Python tries again when it ends, and changes the exit status."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


def open_kernel() -> Any:
    """The kernel of this machine; use it in a `with`. Raises SystemRefusedError."""
    from evenflow.kernel.linux import LinuxKernel

    return LinuxKernel()
