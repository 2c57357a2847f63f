"""A configuration, a policy or a RouterOS script by its suffix, as the router that it means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.model.finding import Finding, Origin, Severity, Unread, error, has_errors
from evenflow.model.policy import Hooks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.policy import Policy
    from evenflow.model.router import Router


_NOBODY = Hooks()

#: Standard input as the name of a file: a RouterOS script, as `/export` prints one.
STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as it was read: the router, None where it can't be told, and what there is to say.

    Attributes:
        hooks: those that a policy tells of events; a script has none.
        policy: what the router was lowered from.
        stated: the router with the rules that can't run, where a script has such; None where all of it runs.
        unread: what of a script was not read, so that nothing can be told of its absence.
    """

    router: Router | None
    findings: tuple[Finding, ...]
    hooks: Hooks = _NOBODY
    policy: Policy | None = None
    stated: Router | None = None
    unread: Unread = Unread.NOTHING


def parse(content: bytes, file: str, *, accept_unsupported: bool = False) -> Loaded:
    """Read the content of `file` (whose suffix tells what it is) and look it over; arguments as for `read`.

    A script is looked over with the rules that can't run: what they set is set on RouterOS.
    """
    from evenflow.core.lint import lint

    loaded = read(content, file, accept_unsupported=accept_unsupported)
    if loaded.router is None or has_errors(accepting_unsupported(loaded.findings)):
        return loaded
    return replace(loaded, findings=(*loaded.findings, *lint(loaded.stated or loaded.router)))


def read(content: bytes, file: str, *, accept_unsupported: bool = False) -> Loaded:
    """Read the content of `file`; of findings only those of reading it, without a look at what it means together.

    Args:
        content: all of it.
        file: its name, whose suffix tells what it is; `STANDARD_INPUT` is a script.
        accept_unsupported: what RouterOS does and evenflow can't is no error, but a warning.
    """
    reader = {"toml": _policy, "rsc": _script, STANDARD_INPUT: _script}.get(file.rpartition(".")[2].lower())
    if reader is None:
        message = "is neither a policy (.toml) nor a RouterOS script (.rsc); give it the suffix that tells"
        return Loaded(None, (error("unknown-suffix", Origin(file), message),))
    loaded = reader(content, file)
    return replace(loaded, findings=accepting_unsupported(loaded.findings)) if accept_unsupported else loaded


def all_findings(loaded: Loaded, *, shown: bool = True, withheld: bool = False) -> tuple[Finding, ...]:
    """What `parse` tells, and what only the exact meaning shows, as `evenflow check` has it; `shown`: with witnesses.

    Without the rules that can't run it is another router: what is exact of that one is not so of the one that is meant.
    What may follow from lines that were not read is among them only with `withheld`.
    """
    from evenflow.core.lint.exact import exact_findings

    if loaded.router is None or (loaded.stated is not None and has_errors(loaded.findings)):
        return loaded.findings
    unread = Unread.NOTHING if withheld else loaded.unread
    return exact_findings(loaded.router, loaded.findings, shown=shown, unread=unread)


def accepting_unsupported(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with a warning in place of each error that says what RouterOS does and evenflow can't."""
    from evenflow.formats.routeros import UNSUPPORTED

    return tuple(
        replace(finding, severity=Severity.WARNING)
        if finding.severity is Severity.ERROR and finding.code in UNSUPPORTED
        else finding
        for finding in findings
    )


def _policy(content: bytes, file: str) -> Loaded:
    try:
        text = content.decode()
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        message = "a policy is UTF-8 text, and this byte is not; save it as UTF-8"
        return Loaded(None, (error("not-utf8", Origin(file, line), message),))
    from evenflow.core.lower import lower
    from evenflow.formats import policy

    parsed = policy.parse(text, file)
    if parsed.policy is None:
        return Loaded(None, parsed.findings)
    return Loaded(lower(parsed.policy), parsed.findings, parsed.policy.hooks, parsed.policy)


def _script(content: bytes, file: str) -> Loaded:
    from evenflow.formats import routeros

    parsed = routeros.parse(content, file)
    stated = None if parsed.stated == parsed.router else parsed.stated
    return Loaded(parsed.router, parsed.findings, stated=stated, unread=parsed.unread)
