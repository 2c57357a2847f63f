"""The faults of `tests/corpus/faults`, mended: each becomes what its twin is, or is left with the reason."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.core.following import next_packet, reply_to
from evenflow.core.supposed import supposed_machine
from evenflow.core.trace import Tracer
from evenflow.core.uplinks import uplinks
from evenflow.core.witness import ordinary_packets, strangers
from evenflow.formats.configuration import all_findings, parse
from evenflow.formats.routeros.mending import Mended, mend
from evenflow.formats.routeros.mending.ways import ways
from evenflow.model.finding import Severity
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Finding
    from evenflow.model.flow import Packet
    from evenflow.model.router import Router
    from evenflow.model.trace import Trace

CORPUS = Path(__file__).parents[1] / "corpus" / "faults"
FAULTS = sorted(file.stem for file in CORPUS.glob("*.rsc") if ".right." not in file.name)
TOLD = "# told: "

#: What only the person can say: who is in a list, which rule goes, who gets the rest.
LEFT = {
    "address-list-never-defined",
    "chain-that-nobody-jumps-to",
    "counted-for-each-packet",
    "dead-nat-rule",
    "dead-rule-after-accept",
    "dead-rule-of-icmp-ports",
    "interface-list-empty",
    "interface-list-never-defined",
    "jump-to-nothing",
    "mixed-denominators",
    "only-in-table",
    "remainder-missing",
    "weights-against-the-speeds",
}
MENDED = [name for name in FAULTS if name not in LEFT]

#: Its twin has another kind of uplink, of which there is somebody to ask.
TWIN_IS_ANOTHER_ROUTER = {"check-gateway-on-an-interface"}


def content(name: str) -> bytes:
    return (CORPUS / f"{name}.rsc").read_bytes()


def fault(name: str) -> str:
    return content(name).decode().splitlines()[0].removeprefix(TOLD)


@cache
def mended(name: str) -> Mended:
    found = mend(content(name), f"{name}.rsc")
    assert found is not None
    return found


def router(source: bytes) -> Router:
    found = parse(source, "any.rsc")
    assert found.router is not None
    return found.stated or found.router


def grave(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings if finding.severity is not Severity.INFO]


def packets(of: Router) -> Iterator[Packet]:
    """From local hosts to the Internet, the router and the uplinks' networks; from the Internet to the router."""
    machine = supposed_machine(of).machine
    outside = {uplink.interface for uplink in uplinks(of)}
    for own in machine.addresses:
        if own.interface in outside:
            yield from islice(strangers(own.address.ip, own.interface), 8)
            continue
        for packet in islice(ordinary_packets(machine, own.interface, Family.IPV4), 24):
            yield packet
            for other in machine.addresses:
                yield replace(packet, destination=other.address.ip)
                if other.interface != own.interface:
                    yield replace(packet, destination=other.address.ip - 1)


def outcome(trace: Trace) -> tuple[object, ...]:
    return trace.disposition, trace.out_interface, trace.connection_mark, trace.snat


def fates(of: Router, sent: list[Packet]) -> list[tuple[object, ...]]:
    """Of each packet, the next one of its connection, and the answer to it."""
    tracer = Tracer(of, supposed_machine(of).machine, seed=7)
    found = []
    for packet in sent:
        first = tracer.trace(packet)
        later, answer = tracer.trace(next_packet(packet, first)), tracer.trace(reply_to(packet, first))
        found.append((*outcome(first), *outcome(later), *outcome(answer)))
    return found


def test_the_lists_are_those_of_the_corpus() -> None:
    assert set(FAULTS) >= LEFT
    assert len(MENDED) >= 25


@pytest.mark.parametrize("name", MENDED)
def test_a_mended_fault_is_gone_and_nothing_else_has_come(name: str) -> None:
    assert fault(name) not in {finding.code for finding in mended(name).findings}
    assert grave(mended(name).findings) == []
    assert fault(name) in {each.finding.code for each in mended(name).mends}
    assert mended(name).left == ()


@pytest.mark.parametrize("name", MENDED)
def test_shares_are_those_of_the_twin(name: str) -> None:
    right, made = router(content(f"{name}.right")), router(mended(name).source)
    assert [(u.name, u.target) for u in uplinks(made)] == [(u.name, u.target) for u in uplinks(right)]


@pytest.mark.parametrize("name", [name for name in MENDED if name not in TWIN_IS_ANOTHER_ROUTER])
def test_packets_go_where_they_go_by_the_twin(name: str) -> None:
    right, made = router(content(f"{name}.right")), router(mended(name).source)
    sent = list(packets(right))
    assert len(sent) > 100
    assert fates(made, sent) == fates(right, sent)


@pytest.mark.parametrize("name", MENDED)
def test_the_mended_is_not_mended_again(name: str) -> None:
    again = mend(mended(name).source, f"{name}.rsc")
    assert again is not None
    assert again.source == mended(name).source
    assert again.mends == ()


@pytest.mark.parametrize("name", sorted(LEFT))
def test_what_needs_a_person_is_left_with_the_reason(name: str) -> None:
    left = [each for each in mended(name).left if each.finding.code == fault(name)]
    assert left
    assert all(each.why for each in left)
    assert fault(name) in {finding.code for finding in mended(name).findings}
    told = all_findings(parse(content(name), f"{name}.rsc"))
    assert {each.finding for each in left} <= set(told)


@pytest.mark.parametrize("name", FAULTS)
def test_a_right_script_stays_as_it_is(name: str) -> None:
    source = content(f"{name}.right")
    made = mend(source, f"{name}.right.rsc")
    assert made is not None
    # What a table has no second route for is a remark of a right script, too.
    if {each.finding.code for each in made.mends} - {"no-second-route"}:
        pytest.fail(str(made.mends))
    assert ways(router(made.source)) == ways(router(source))
    assert made.mends or made.source == source
