"""A configuration, a policy or a RouterOS script by its suffix, as the router that it means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.model.finding import Finding, Origin, error, has_errors
from evenflow.model.policy import Hooks

if TYPE_CHECKING:
    from evenflow.model.policy import Policy
    from evenflow.model.router import Router


_NOBODY = Hooks()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as it was read: the router, None where it can't be told, and what there is to say.

    `hooks` are those that a policy tells of events; a script has none. `policy` is what the router was lowered from.
    """

    router: Router | None
    findings: tuple[Finding, ...]
    hooks: Hooks = _NOBODY
    policy: Policy | None = None


def parse(content: bytes, file: str) -> Loaded:
    """Read the content of `file` (whose suffix tells what it is) and look it over."""
    from evenflow.core.lint import lint

    loaded = read(content, file)
    if loaded.router is None or has_errors(loaded.findings):
        return loaded
    return replace(loaded, findings=(*loaded.findings, *lint(loaded.router)))


def read(content: bytes, file: str) -> Loaded:
    """Read the content of `file`; of findings only those of reading it, without a look at what it means together."""
    reader = {"toml": _policy, "rsc": _script}.get(file.rpartition(".")[2])
    if reader is None:
        message = "is neither a policy (.toml) nor a RouterOS script (.rsc); give it the suffix that tells"
        return Loaded(None, (error("unknown-suffix", Origin(file), message),))
    return reader(content, file)


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
    return Loaded(parsed.router, parsed.findings)
