"""A configuration as another one: policies and scripts, each as either.

What is written is read back and compared; what the other form can't say is a finding.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from evenflow.core.lift import lift
from evenflow.core.routeros import for_routeros, percent
from evenflow.core.script_form import script_form, with_handles
from evenflow.formats import policy as policies
from evenflow.formats import routeros
from evenflow.formats.routeros.version import Version, version_of
from evenflow.formats.routeros.writing.keeping import Kept, about_kept, kept_of_clients, kept_rules
from evenflow.formats.routeros.writing.keys import CURRENT, KEYS
from evenflow.formats.routeros.writing.script import render
from evenflow.model.finding import NOWHERE, Finding, Origin, error, has_errors, info, printable
from evenflow.model.router import LearnedGateway, Router

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.core.routeros import Unfolded
    from evenflow.formats.configuration import Loaded
    from evenflow.formats.routeros.statement import Statement
    from evenflow.model.policy import Policy

#: The two forms, by the suffix of their files.
POLICY, SCRIPT = "toml", "rsc"

#: `--max-error-percent`, unless told otherwise.
USUAL_ERROR = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a script is to be written.

    Attributes:
        version: the release that is to run it; None: that of the file it is made from, else the current one.
        most_error: how far a share may be from its weight, as a part of all connections.
    """

    version: Version | None = None
    most_error: Fraction = USUAL_ERROR


@dataclass(frozen=True, slots=True)
class Conversion:
    """The other configuration, None where nothing can be written, and what there is to say."""

    text: str | None
    findings: tuple[Finding, ...]


def convert(loaded: Loaded, content: bytes, form: str, wishes: Wishes) -> Conversion:
    """`loaded`, read from `content`, in another form.

    Args:
        loaded: a configuration that was read, with the findings of reading it.
        content: of its file; where it is a script, its release and other menus are looked up there.
        form: `POLICY` or `SCRIPT`.
        wishes: for a script.
    """
    if loaded.policy is not None:
        if form == POLICY:
            return Conversion(policies.render(loaded.policy), loaded.findings)
        return _unfolded(loaded.policy, loaded.findings, wishes)
    if loaded.router is None or (has_errors(loaded.findings) and comparable(loaded.router) == Router()):
        return Conversion(None, loaded.findings)
    if form == POLICY:
        return _lifted(loaded.router, loaded.findings)
    return _rewritten(loaded.router, loaded.findings, content, wishes)


# --- to a script -----------------------------------------------------------------------------------------------------


def _unfolded(policy: Policy, findings: tuple[Finding, ...], wishes: Wishes) -> Conversion:
    version = wishes.version or CURRENT
    unfolded = for_routeros(policy, version.major, wishes.most_error)
    written = _written(unfolded.router, version, _about_policy(policy, unfolded, wishes))
    fasttrack = info("fasttrack", policy.balance.origin, f"FastTrack, if it is on, skips all marks: {_FASTTRACK}")
    return replace(written, findings=(*findings, *unfolded.findings, fasttrack, *written.findings))


def _rewritten(router: Router, findings: tuple[Finding, ...], content: bytes, wishes: Wishes) -> Conversion:
    statements = routeros.parse_statements(content, router.file).statements
    said = version_of(statements)
    version = wishes.version or (said if said is not None and said.major >= CURRENT.major else CURRENT)
    rules = kept_rules(router, statements, findings, version.major)
    written = _written(router, version, _about_script(router), Kept(rules, kept_of_clients(statements)))
    what = (
        "only the routing is written: addresses, bridges, PPP clients and every other menu stay as they are "
        "on the router. What the script makes stands beside what the router has: take its old mangle and NAT rules, "
        "routes and tables of the same names out first"
    )
    only = info("only-routing", Origin(router.file), what)
    told = (*about_kept(findings, rules), only, *_disabled(statements), *written.findings)
    return replace(written, findings=told)


def _disabled(statements: Iterable[Statement]) -> Iterator[Finding]:
    off = [each for each in statements if each.menu in KEYS and each.get("disabled") in ("yes", "true")]
    if off:
        what = f"{len(off)} disabled items, from this one on, are not written: they do nothing as long as they are off"
        yield info("disabled-left-out", off[0].origin, what)


def _written(router: Router, version: Version, remarks: Iterable[str], kept: Kept | None = None) -> Conversion:
    """The script, read back."""
    form = script_form(router, version.major)
    stated = with_handles(form.router)
    text = render(stated, version, remarks, kept or Kept())
    return Conversion(text, (*form.findings, *_unlike(stated, text)))


def _unlike(stated: Router, text: str) -> Iterator[Finding]:
    """Read, compare: a script that says anything else than it was made from has an error."""
    wanted, read = comparable(stated), comparable(routeros.parse(text).router)
    for kind in _IN_ORDER + _IN_ANY_ORDER:
        items, found = getattr(wanted, kind), getattr(read, kind)
        if items == found or (kind in _IN_ANY_ORDER and Counter(items) == Counter(found)):
            continue
        lost = [item for item in items if item not in found] or items
        named = next((name for key in ("name", "comment") if (name := getattr(lost[0], key, ""))), "") if lost else ""
        what = f"the {kind.replace('_', ' ')} of the script do not read back as they were meant"
        mend = "a name in it has a sign that can't stand there; rename it"
        yield error("not-said", Origin(stated.file), f"{what}{f', first {named}' if named else ''}: {mend}")


#: The lists of a router: those whose order counts, and those that may come in another one.
_IN_ORDER = ("mangle", "nat", "rules")
_IN_ANY_ORDER = ("tables", "routes", "interface_lists", "address_lists")


def comparable(router: Router) -> Router:
    """A router without where things stand, and without what follows from the rest or is no part of a script."""
    return Router(
        mangle=tuple(replace(rule, origin=NOWHERE) for rule in router.mangle),
        nat=tuple(replace(rule, origin=NOWHERE) for rule in router.nat),
        tables=tuple(replace(table, origin=NOWHERE) for table in router.tables),
        routes=tuple(replace(route, origin=NOWHERE, watches=(), gateway_watches=()) for route in router.routes),
        rules=tuple(replace(rule, origin=NOWHERE) for rule in router.rules),
        interface_lists=tuple(replace(each, origin=NOWHERE) for each in router.interface_lists),
        address_lists=tuple(replace(each, origin=NOWHERE) for each in router.address_lists),
    )


# --- what stands at the head -----------------------------------------------------------------------------------------

_FASTTRACK = "/ip firewall filter set [find action=fasttrack-connection] connection-mark=no-mark"


def _about_policy(policy: Policy, unfolded: Unfolded, wishes: Wishes) -> Iterator[str]:
    yield f"Made from {policy.file}."
    yield ""
    weights = dict(policy.balance.weights)
    shares = ", ".join(f"{n} {percent(s)} (weight {weights[n]})" for n, s in unfolded.unfolding.shares.items())
    streams = len(unfolded.unfolding.owners)
    yield f"Shares of new connections, of {streams} streams: {shares}."
    found, allowed = percent(unfolded.unfolding.error), percent(wishes.most_error)
    yield f"No share is further than {found} of all connections from its weight; {allowed} is allowed."
    for name, asking in unfolded.asking.items():
        whom = " and ".join(map(str, asking.hosts)) or "its gateway"
        yield f"Uplink {name} is asked at {whom}." if asking.check else f"Uplink {name} is not asked."
    yield from _advice(unfolded.router)


def _about_script(router: Router) -> Iterator[str]:
    yield f"Made from {router.file}; only its routing, without addresses, PPP clients and other menus."
    yield from _advice(router)


def _advice(router: Router) -> Iterator[str]:
    yield ""
    yield "FastTrack skips marks. If there is such a rule, it must leave marked connections alone:"
    yield f"  {_FASTTRACK}"
    learnt = (gateway for route in router.routes for gateway in route.gateways if isinstance(gateway, LearnedGateway))
    for interface in dict.fromkeys(gateway.interface for gateway in learnt):
        yield f"The script makes the DHCP client of {interface}. One that is there must be handed over before:"
        yield f"  /ip dhcp-client set [find interface={interface}] comment=evenflow"


# --- to a policy -----------------------------------------------------------------------------------------------------


def _lifted(router: Router, findings: tuple[Finding, ...]) -> Conversion:
    """The policy, read back: names that Linux can't have are found there."""
    lifted = lift(router)
    if lifted.policy is None:
        return Conversion(None, (*findings, *lifted.findings))
    text = f"# Made from {printable(router.file)} by evenflow convert.\n{policies.render(lifted.policy)}"
    parsed = policies.parse(text, router.file)
    where = Origin(router.file)
    problems = [
        replace(each, where=where, message=f"of the written policy: {each.message}") for each in parsed.findings
    ]
    return Conversion(text, (*findings, *lifted.findings, *problems))
