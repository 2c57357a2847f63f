"""Whatever a script is, converting it ends with a text or a finding of severity error, and the text reads back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.formats import policy, routeros
from evenflow.formats.configuration import Loaded
from evenflow.formats.routeros.version import Version
from evenflow.formats.routeros.writing.conversion import POLICY, SCRIPT, Wishes, convert
from evenflow.model.finding import has_errors
from hotel import hotel_script
from property.test_routeros_any_input import PIECES, mutated

VERSIONS = st.sampled_from([Version(6, 49), Version(7, 4), Version(7, 21)])
SCRIPTS = mutated() | st.lists(PIECES, max_size=40).map("".join)


def loaded(text: str) -> Loaded:
    parsed = routeros.parse(text, "a.rsc")
    return Loaded(parsed.router, parsed.findings)


@settings(max_examples=150, deadline=None)
@given(SCRIPTS, VERSIONS)
def test_any_script_becomes_a_script_or_an_error(text: str, version: Version) -> None:
    read = loaded(text)
    made = convert(read, text.encode(), SCRIPT, Wishes(version))
    assert made.text is not None or has_errors(made.findings)
    # Where the script itself is wrong (a client without an interface), so may be what is made of it.
    assert has_errors(read.findings) or "not-said" not in {finding.code for finding in made.findings}


@settings(max_examples=150, deadline=None)
@given(SCRIPTS)
def test_any_script_becomes_a_policy_or_an_error(text: str) -> None:
    made = convert(loaded(text), text.encode(), POLICY, Wishes())
    assert made.text is not None or has_errors(made.findings)
    if made.text is not None:
        assert policy.parse(made.text).policy is not None or has_errors(made.findings)


def test_the_hotel_keeps_each_rule_and_loses_none_in_silence() -> None:
    text = hotel_script()
    script = convert(loaded(text), text.encode(), SCRIPT, Wishes())
    assert not has_errors(script.findings)
    assert script.text is not None
    before, after = routeros.parse(text).router, routeros.parse(script.text).router
    assert [len(part) for part in (after.mangle, after.nat, after.routes)] == [
        len(part) for part in (before.mangle, before.nat, before.routes)
    ]
    lifted = convert(loaded(text), text.encode(), POLICY, Wishes())
    assert lifted.text is not None
    found = policy.parse(lifted.text).policy
    assert found is not None
    assert dict(found.balance.weights) == {"to-fibre": 3, "to-cable": 2, "to-dsl": 1, "to-lte": 0}
    assert set(found.lan) == {"bridge-office", *(f"vlan{100 + floor}" for floor in range(1, 28))}
    left = [finding for finding in lifted.findings if finding.code == "rule-left"]
    # For bookings and telephones, and on each of 27 floors for video and two queues.
    assert len(left) == 2 + 27 * 3
    assert len([finding for finding in lifted.findings if finding.code == "nat-left"]) == 1 + 8
