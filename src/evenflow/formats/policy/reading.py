"""From TOML to a `Policy`, with a finding for each mistake at its line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.policy.balance import read_balance
from evenflow.formats.policy.document import Document, Table
from evenflow.formats.policy.health import read_health
from evenflow.formats.policy.hooks import read_hooks
from evenflow.formats.policy.positions import positions
from evenflow.formats.policy.uplink import read_interface, read_uplinks
from evenflow.model.finding import Finding, Origin, error
from evenflow.model.policy import Policy

if TYPE_CHECKING:
    from evenflow.formats.policy.uplink import UplinkEntry

_KEYS = ("lan", "uplink", "balance", "health", "hooks")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says. `policy` is None when a finding is an error."""

    policy: Policy | None
    findings: tuple[Finding, ...] = ()


def parse(text: str, file: str = "") -> Parsed:
    """Read a policy; one finding per mistake, in the order of their lines.

    Args:
        text: the whole TOML document.
        file: the name that the findings are to give.
    """
    text = text.removeprefix("\ufeff")
    try:
        values = tomllib.loads(text)
        places = positions(text) if values else {}
    except tomllib.TOMLDecodeError as problem:
        return Parsed(None, (_syntax_error(str(problem), text, file),))
    except (ValueError, RecursionError) as problem:
        # Numbers of thousands of digits, dates that are none, lists a thousand deep: not the errors of TOML.
        return Parsed(None, (error("toml-syntax", Origin(file), f"this is not TOML that can be used: {problem}"),))
    if not values:
        return Parsed(None, (error("empty", Origin(file), _EMPTY),))
    document = Document(file, places)
    policy = _read_policy(document, Table(document, (), values, ""))
    findings = tuple(sorted(document.findings, key=lambda finding: finding.where.line))
    return Parsed(None if findings else policy, findings)


_EMPTY = 'nothing is stated; a policy has at least lan = ["IF"] and one [uplink.NAME] with its interface'

_PLACE = re.compile(r"(.*) \(at (?:line ([0-9]+), column [0-9]+|end of document)\)", re.DOTALL)


def _syntax_error(said: str, text: str, file: str) -> Finding:
    """One finding from what tomllib says; its exception carries the place in its text only (until Python 3.14)."""
    match = _PLACE.fullmatch(said)
    what = match[1] if match else said
    last = text.rstrip().count("\n") + 1
    line = int(match[2]) if match and match[2] else last
    declared_twice = re.fullmatch(r"Cannot declare \((.*?),?\) twice", what)
    if declared_twice:
        name = ".".join(part.strip(" '\"") for part in declared_twice[1].split(","))
        what = f"[{name}] stands here a second time; give it another name, or put both together"
    elif what == "Cannot overwrite a value":
        what = "this key has a value already; leave one of the two out"
    else:
        what = f"this is not TOML: {what[:1].lower()}{what[1:]}"
    return error("toml-syntax", Origin(file, line), what)


def _read_policy(document: Document, top: Table) -> Policy | None:
    misspelt = top.refuse_unknown(_KEYS)
    lan = _read_lan(top, missing_is_known="lan" in misspelt)
    health = read_health(top, "health")
    uplinks = read_uplinks(top, health, missing_is_known="uplink" in misspelt)
    _refuse_shared(document, lan, uplinks)
    balance = read_balance(top, uplinks)
    hooks = read_hooks(top)
    if document.findings or balance is None:
        return None
    read = tuple(entry.uplink for entry in uplinks if entry.uplink is not None)
    return Policy(lan, read, balance, hooks, file=document.file, lan_origin=document.origin(("lan",), "lan"))


def _read_lan(top: Table, *, missing_is_known: bool) -> tuple[str, ...]:
    if "lan" not in top.values:
        if not missing_is_known:
            top.complain(
                "lan-missing", "lan", 'there is no lan; state the interfaces of the local network: lan = ["IF"]'
            )
        return ()
    names = top.strings("lan", 'lan = ["br0"]')
    if names is None:
        return ()
    if not names:
        top.complain("lan-missing", "lan", 'lan names no interface; state those of the local network: lan = ["IF"]')
    found: dict[str, None] = {}
    for index, name in names:
        if name in found:
            top.complain("interface-shared", ("lan", index), f"lan: interface {name} is given twice; leave one out")
        elif read_interface(top, ("lan", index), name) is not None:
            found[name] = None
    return tuple(found)


def _refuse_shared(document: Document, lan: tuple[str, ...], uplinks: tuple[UplinkEntry, ...]) -> None:
    """An interface has one part to play."""
    owner: dict[str, str] = {}
    for entry in uplinks:
        if entry.interface is None:
            continue
        what = f"uplink {entry.name}: interface {entry.interface} is"
        if entry.interface in lan:
            message = f"{what} also in lan; take it out of one of the two"
        elif entry.interface in owner:
            message = f"{what} already the interface of uplink {owner[entry.interface]}; give each uplink its own"
        else:
            owner[entry.interface] = entry.name
            continue
        document.complain("interface-shared", ("uplink", entry.name, "interface"), f"uplink {entry.name}", message)
