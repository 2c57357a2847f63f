"""A machine made up from a configuration, and what is let happen to it."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING

import evenflow
from evenflow.core.failover import AS_USUAL, Standing
from evenflow.core.lint import lint_machine
from evenflow.core.numbering import number_router
from evenflow.core.routing import resolve
from evenflow.core.supposed import Arrival, supposed_machine
from evenflow.core.uplinks import uplinks
from evenflow.core.what_if import WhatIf, suppose
from evenflow.formats import configuration
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from hotel import hotel_script

if TYPE_CHECKING:
    from evenflow.core.supposed import Supposed
    from evenflow.core.what_if import Outcome
    from evenflow.model.router import Router

EXAMPLES = Path(evenflow.__file__).parent / "examples"


def router(name: str) -> Router:
    return script((EXAMPLES / name).read_text(), name)


def script(text: str, name: str = "r.rsc") -> Router:
    made = configuration.read(text.encode(), name).router
    assert made is not None
    return made


def arrival(interface: str | None, source: str, destination: str) -> Arrival:
    return Arrival(interface, ip_address(source), ip_address(destination))


def usable(of: Router, supposed: Supposed) -> set[tuple[str, int]]:
    """Table and distance of the IPv4 routes that the machine can have."""
    numbers = number_router(of)
    names = {numbers.table(name): name for name in numbers.routing_marks} | {254: "main"}
    return {
        (names[route.table], route.metric)
        for route in resolve(of, supposed.machine, numbers).routes
        if route.family is Family.IPV4 and not names[route.table].startswith("*")
    }


def test_every_route_of_the_examples_can_be_used() -> None:
    seed = router("seed.rsc")
    both = {(table, distance) for table in ("isp1", "isp2", "main") for distance in (1, 2)}
    assert usable(seed, supposed_machine(seed)) == both
    policy = router("seed.toml")
    last = {("isp1", 250), ("isp2", 250)}
    assert usable(policy, supposed_machine(policy)) == {(t, d) for t, d in both if t != "main"} | last


def test_it_is_a_machine_that_the_linter_finds_nothing_wrong_with() -> None:
    for made in (router("seed.rsc"), router("seed.toml"), script(hotel_script())):
        errors = [f for f in lint_machine(made, supposed_machine(made).machine) if f.severity is Severity.ERROR]
        assert errors == []


def test_what_the_file_states_is_not_made_up() -> None:
    supposed = supposed_machine(script(hotel_script()))
    assert {str(own.address) for own in supposed.machine.addresses if own.interface == "ether1"} == {"203.0.113.2/30"}
    made_up = {own.interface for own in supposed.machine.addresses if own.address.ip in supposed.made_up}
    assert made_up == {"pppoe-dsl"}
    assert supposed.remarks == ("not told by the file: the addresses of pppoe-dsl",)


def test_ports_of_a_bridge_belong_to_it() -> None:
    link = supposed_machine(router("seed.rsc")).machine.link("ether2")
    assert link is not None
    assert link.master == "USER_01"


def test_the_sender_is_there() -> None:
    seed = router("seed.toml")
    supposed = supposed_machine(seed, arrival("USER_01", "10.10.1.5", "198.51.100.7"))
    routes = {str(route.destination): route.hops[0].interface for route in supposed.machine.routes}
    assert routes["10.10.1.5/32"] == "USER_01"
    known = supposed_machine(router("seed.rsc"), arrival("USER_01", "10.10.1.5", "198.51.100.7"))
    assert "10.10.1.5/32" not in {str(route.destination) for route in known.machine.routes}


def test_what_comes_in_by_an_uplink_goes_to_its_address() -> None:
    supposed = supposed_machine(router("seed.rsc"), arrival("ether1", "198.51.100.7", "100.64.1.77"))
    own = [one for one in supposed.machine.addresses if one.address == ip_interface("100.64.1.77/32")]
    assert [one.interface for one in own] == ["ether1"]
    assert ip_address("100.64.1.77") not in supposed.made_up
    assert ("isp1", 1) in usable(router("seed.rsc"), supposed)
    to_the_lan = supposed_machine(router("seed.rsc"), arrival("ether1", "198.51.100.7", "10.10.1.5"))
    assert ip_interface("10.10.1.5/32") not in {one.address for one in to_the_lan.machine.addresses}


ONE_KNOWN = """\
/ip address
add address=203.0.113.2/30 interface=ether1
/ip route
add gateway=203.0.113.1
add gateway=192.0.2.1 distance=2
"""


def test_a_gateway_that_no_interface_knows_is_told() -> None:
    """The file gives the networks of gateways, so this one is a slip."""
    supposed = supposed_machine(script(ONE_KNOWN))
    (remark,) = supposed.remarks
    assert "192.0.2.1" in remark
    assert usable(script(ONE_KNOWN), supposed) == {("main", 1)}


def test_a_gateway_behind_another_needs_that_route() -> None:
    text = (
        "/ip address\nadd address=192.0.2.2/24 interface=ether1\n/ip route\n"
        "add dst-address=8.8.8.8/32 gateway=192.0.2.1 scope=10\n"
        "add dst-address=0.0.0.0/0 gateway=8.8.8.8 target-scope=11\n"
    )
    supposed = supposed_machine(script(text))
    assert supposed.made_up == frozenset()
    assert len(usable(script(text), supposed)) == 1
    assert len(resolve(script(text), supposed.machine, number_router(script(text))).routes) == 2


# --- what if ------------------------------------------------------------------------------------------------------


def outcome(of: Router, standing: Standing = AS_USUAL, **what: tuple[str, ...]) -> Outcome:
    return suppose(of, uplinks(of), supposed_machine(of).machine, WhatIf(**what), standing)


def test_what_is_watched_is_down_and_what_is_not_loses_its_link() -> None:
    seed = router("seed.rsc")
    assert outcome(seed, down=("isp1",)).standing == Standing(down=frozenset({"ether1"}))
    unwatched = outcome(seed, down=("isp2",))
    assert unwatched.standing == AS_USUAL
    link = unwatched.machine.link("pppoe-out1")
    assert link is not None
    assert not link.up
    assert not [route for route in unwatched.machine.routes if route.hops[0].interface == "pppoe-out1"]


def test_an_uplink_is_named_by_its_interface_too() -> None:
    assert outcome(router("seed.toml"), down=("ether1",)).standing.down == {"isp1"}


def test_what_holds_already_goes_on_to_hold() -> None:
    standing = Standing(frozenset({"isp2"}), frozenset({"isp2"}), {"isp1": frozenset({3})})
    more = outcome(router("seed.toml"), standing, drained=("isp1",)).standing
    assert more == Standing(frozenset({"isp2"}), frozenset({"isp1", "isp2"}), {"isp1": frozenset({3})})
    assert outcome(router("seed.toml"), standing, down=("isp1",)).standing.away == {}


def test_a_pulled_cable_keeps_the_routes() -> None:
    pulled = outcome(router("seed.toml"), no_carrier=("isp1",))
    link = pulled.machine.link("ether1")
    assert link is not None
    assert (link.up, link.carrier) == (True, False)
    assert pulled.machine.routes == supposed_machine(router("seed.toml")).machine.routes


def test_nothing_happens_when_one_of_several_is_unknown() -> None:
    asked = outcome(router("seed.toml"), down=("isp1", "isp3"), drained=("isp4",))
    assert [(f.code, f.where.file) for f in asked.findings] == [
        ("unknown-uplink", "--down"),
        ("unknown-uplink", "--drained"),
    ]
    assert asked.standing == AS_USUAL
