"""Scripts in each form that occurs, and what is to be read of them: `tests/corpus/reading/NAME.rsc` and `NAME.toml`.

What an expectation leaves out must not be there. With EVENFLOW_WRITE_GOLDEN set, the expectations are written anew:
read the difference then.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.core.rule_words import action, conditions
from evenflow.core.uplinks import uplinks
from evenflow.formats import configuration
from evenflow.formats.routeros import UNSUPPORTED, Parsed, parse
from evenflow.formats.routeros.pasted import untagged, visible
from evenflow.formats.routeros.source import decode
from evenflow.model.finding import Severity, has_errors
from evenflow.model.flow import BOTH_FAMILIES
from evenflow.model.matcher import UnsupportedMatch
from evenflow.model.router import AddressGateway, LearnedGateway, RouteKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.model.router import AddressList, Gateway, Interface, MangleRule, NatRule, Route, RouteRule

CORPUS = Path(__file__).parents[1] / "corpus" / "reading"
FILES = sorted(CORPUS.glob("*.rsc"))


def rules(found: Iterable[MangleRule | NatRule]) -> list[str]:
    return [" ".join(f"{rule.chain}: {conditions(rule)} {_families(rule)}=> {action(rule.action)}".split())
            for rule in found]  # fmt: skip


def _families(rule: MangleRule | NatRule | RouteRule) -> str:
    return "" if rule.families == BOTH_FAMILIES else f"({rule.families[0].value}) "


def gateway(given: Gateway) -> str:
    if isinstance(given, LearnedGateway):
        return f"learnt by {given.interface}" + (f" or {given.fallback}" if given.fallback else "")
    if not isinstance(given, AddressGateway):
        return given.interface
    return str(given.address) + (f"%{given.interface}" if given.interface else "") + (
        f"@{given.table}" if given.table else "")  # fmt: skip


def route(given: Route) -> str:
    parts = [given.table, str(given.destination), f"distance {given.distance}"]
    if given.kind is RouteKind.UNICAST:
        parts.append("via " + ", ".join(map(gateway, given.gateways)))
    else:
        parts.append(given.kind.value)
    if given.check_gateway:
        parts.append(f"check {given.check_gateway.value}")
    if (given.scope, given.target_scope) != (30, 10):
        parts.append(f"scope {given.scope} {given.target_scope}")
    if given.preferred_source:
        parts.append(f"from {given.preferred_source}")
    parts += [f"while {watch}" for watch in given.watches]
    return " ".join(parts)


def route_rule(given: RouteRule) -> str:
    asked = {"from": given.source, "to": given.destination, "in": given.interface, "mark": given.routing_mark,
             "min-prefix": given.min_prefix}  # fmt: skip
    words = [f"{name} {value}" for name, value in asked.items() if value is not None]
    return " ".join([*words, f"{_families(given)}=> {given.action.value}", given.table or ""]).strip()


def interface(given: Interface) -> str:
    words = [given.name, given.kind, *map(str, given.addresses)]
    words += [f"in {given.bridge}"] if given.bridge else []
    words += [f"{given.bandwidth_bps} bit/s"] if given.bandwidth_bps else []
    return " ".join(word for word in words if word)


def address_list(given: AddressList) -> str:
    return f"{given.name}: {' '.join(f'{each.first}-{each.last}' for each in given.ranges)}".strip()


def told(parsed: Parsed) -> list[str]:
    return [f"{finding.where.line} {finding.severity.value} {finding.code}" for finding in parsed.findings]


def understood(parsed: Parsed) -> dict[str, object]:
    """What is read of a script, in words; what there is nothing of is left out."""
    router = parsed.router
    stated: list[MangleRule | NatRule] = [*parsed.stated.mangle, *parsed.stated.nat]
    left_out = [each for each in stated if any(isinstance(matcher, UnsupportedMatch) for matcher in each.matchers)]
    found: dict[str, object] = {
        "mangle": rules(router.mangle),
        "nat": rules(router.nat),
        "left-out": rules(left_out),
        "routes": [route(each) for each in router.routes],
        "routes-of-scripts": [each.table for each in parsed.stated.routes[len(router.routes) :]],
        "route-rules": [route_rule(each) for each in router.rules],
        "tables": [table.name for table in router.tables],
        "interfaces": [interface(each) for each in router.interfaces],
        "interface-lists": [f"{each.name}: {' '.join(sorted(each.members))}" for each in router.interface_lists],
        "address-lists": [address_list(each) for each in router.address_lists],
        "findings": told(parsed),
        "statements": dict(Counter(each.kind.value for each in parsed.statements)),
        "shares": {each.name: str(each.target) for each in uplinks(router) if each.target},
    }
    return {name: value for name, value in found.items() if value}


def as_toml(found: dict[str, object]) -> str:
    lines = []
    for name, value in found.items():
        if isinstance(value, list):
            lines += [f"{name} = [", *(f"    {json.dumps(each, ensure_ascii=False)}," for each in value), "]"]
    for name, value in found.items():
        if isinstance(value, dict):
            lines += ["", f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(each)}" for key, each in value.items())]
    return "\n".join(lines).strip() + "\n"


def test_there_are_scripts() -> None:
    assert len(FILES) >= 60
    assert {file.stem for file in CORPUS.glob("*.toml")} <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_script_is_read_as_expected(file: Path) -> None:
    found = understood(parse(file.read_bytes(), file.name))
    expected = file.with_suffix(".toml")
    if os.environ.get("EVENFLOW_WRITE_GOLDEN"):
        expected.write_text(as_toml(found))
    assert expected.exists(), "a script without its expectation"
    assert found == tomllib.loads(expected.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_line_is_in_a_statement(file: Path) -> None:
    parsed = parse(file.read_bytes(), file.name)
    covered = {line for each in parsed.statements for line in range(each.origin.line, each.last_line + 1)}
    lines = untagged(visible(decode(file.read_bytes()))).split("\n")
    assert {number for number, line in enumerate(lines, 1) if line.strip(" \t;\\")} <= covered


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_unsupported_can_be_accepted_and_nothing_else(file: Path) -> None:
    content = file.read_bytes()
    plain, accepting = (configuration.read(content, file.name, accept_unsupported=accept) for accept in (False, True))
    errors = {finding.code for finding in plain.findings if finding.severity is Severity.ERROR}
    assert has_errors(accepting.findings) == bool(errors - UNSUPPORTED)
    assert [finding.where for finding in plain.findings] == [finding.where for finding in accepting.findings]
    assert accepting.router == plain.router
