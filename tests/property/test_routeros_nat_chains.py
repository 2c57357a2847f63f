"""NAT chains that are written out do to every packet what the chains themselves do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.core.matching import Sight, Surroundings, holds
from evenflow.formats.routeros.nat_chains import StatedNat, can_return, written_out
from evenflow.formats.routeros.notes import Notes
from evenflow.model.finding import Origin
from evenflow.model.flow import Family, Packet
from evenflow.model.matcher import (
    AddressMatch,
    AddressRange,
    Direction,
    InInterface,
    Matcher,
    PortMatch,
    ProtocolMatch,
)
from evenflow.model.router import DestinationNat, JumpAction, ReturnAction, Router

CHAINS = ("dstnat", "a", "b")
AROUND = Surroundings(Router())


def packets() -> list[Packet]:
    sources = [ip_address("10.0.0.1"), ip_address("10.0.0.2")]
    return [
        Packet(source, ip_address("192.0.2.1"), protocol, 1000, port, interface)
        for source, protocol, port, interface in product(sources, (1, 6, 17), (22, 80), ("ether1", "ether2"))
    ]


def matchers() -> st.SearchStrategy[Matcher]:
    one = ip_address("10.0.0.1")
    plain: list[Matcher] = [
        AddressMatch(Direction.SOURCE, AddressRange(one, one)),
        InInterface("ether1"),
        ProtocolMatch(6),
        ProtocolMatch(17),
        PortMatch(Direction.DESTINATION, ((80, 80),)),
    ]
    return st.sampled_from([replace(matcher, negated=negated) for matcher in plain for negated in (False, True)])


@st.composite
def rules(draw: st.DrawFn) -> list[StatedNat]:
    made = []
    for number in range(draw(st.integers(3, 9))):
        chain = draw(st.sampled_from(CHAINS))
        asked = tuple(draw(st.lists(matchers(), max_size=2, unique=True)))
        later = CHAINS[CHAINS.index(chain) + 1 :]  # so that no jump comes back
        what = draw(st.sampled_from(["nat", "return", *(["jump", "jump"] if later else [])]))
        action = DestinationNat(None, (number + 1, number + 1))
        if what == "return" and can_return(asked):
            made.append(StatedNat(chain, asked, ReturnAction(), Family.IPV4, "", Origin("r", number)))
        elif what == "jump":
            jump = JumpAction(draw(st.sampled_from(later)))
            made.append(StatedNat(chain, asked, jump, Family.IPV4, "", Origin("r", number)))
        else:
            made.append(StatedNat(chain, asked, action, Family.IPV4, "", Origin("r", number)))
    return made


def takes(asked: tuple[Matcher, ...], packet: Packet) -> bool:
    sight = Sight(packet.in_interface or "", "", None, None, None, packet)
    return all(holds(matcher, sight, AROUND) for matcher in asked)


def by_the_chains(rules: list[StatedNat], chain: str, packet: Packet) -> object:
    """The action that decides, as RouterOS finds it; None if none does."""
    for rule in rules:
        if rule.chain != chain or not takes(rule.matchers, packet):
            continue
        if isinstance(rule.action, ReturnAction):
            return None
        if not isinstance(rule.action, JumpAction):
            return rule.action
        found = by_the_chains(rules, rule.action.chain, packet)
        if found is not None:
            return found
    return None


@settings(max_examples=300, deadline=None)
@given(rules())
def test_each_packet_meets_the_same_action(stated: list[StatedNat]) -> None:
    written = written_out(stated, Notes("r"))
    for packet in packets():
        decides = next((rule.action for rule in written if takes(rule.matchers, packet)), None)
        assert decides == by_the_chains(stated, "dstnat", packet), (stated, packet)
