"""The parts of the data plane's bench that need no kernel: what is sent, what it comes to, how it is told."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network
from random import Random
from typing import TYPE_CHECKING

import pytest
from bench.dataplane import plot
from bench.dataplane.balance import implausible
from bench.dataplane.cpu_time import Spent
from bench.dataplane.figures import Case, Spread, figures, spread
from bench.dataplane.frames import Ends, answer, draw, ends_of, frame
from bench.dataplane.layouts import LAYOUTS, LIMIT, mwan3, vyos
from bench.dataplane.layouts.mwan import marks_of
from bench.dataplane.report import Machine, Result, to_json, to_markdown
from bench.dataplane.site import CLIENTS, make_site

from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from pathlib import Path

FOUR = Ends(ip_address("10.20.0.9"), ip_address("198.18.0.7"), 4321, 53)
SIX = Ends(ip_address("2001:db8:fffe::9"), ip_address("2001:db8:b000::7"), 4321, 53)
HERE, THERE = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")


def ones_complement_sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_a_frame_has_right_checksums_there_and_back(ends: Ends) -> None:
    for content in (sent := frame(ends, HERE, THERE), answer(sent)):
        header_bytes = 20 if ends is FOUR else 40
        network, datagram = content[14 : 14 + header_bytes], content[14 + header_bytes :]
        addresses = network[12:20] if ends is FOUR else network[8:40]
        pseudo = addresses + bytes((0, 17)) + len(datagram).to_bytes(2, "big")
        assert ones_complement_sum(pseudo + datagram) == 0xFFFF
        assert ends is SIX or ones_complement_sum(network) == 0xFFFF


@pytest.mark.parametrize("ends", [FOUR, SIX])
def test_an_answer_goes_back_where_the_frame_came_from(ends: Ends) -> None:
    back = answer(frame(ends, HERE, THERE))
    assert back[:12] == HERE + THERE
    assert ends_of(back) == Ends(ends.destination, ends.source, ends.destination_port, ends.source_port)


def test_what_is_not_udp_has_no_ends() -> None:
    assert ends_of(HERE + THERE + b"\x08\x06" + bytes(28)) is None
    assert ends_of(frame(FOUR, HERE, THERE).replace(b"\x40\x11", b"\x40\x06")) is None


@pytest.mark.parametrize("family", BOTH_FAMILIES)
def test_flows_come_from_the_clients_and_need_no_port_changed(family: Family) -> None:
    drawn = draw(5000, family, Random(1))
    assert len({(one.source_port, one.destination, one.destination_port) for one in drawn}) == 5000
    assert all(one.source in ip_network(CLIENTS[family]) for one in drawn)
    diverted = [ip_network(diversion.network(family)) for diversion in make_site(2, 1000).diversions]
    assert not any(one.destination in network for one in drawn[:20] for network in diverted)


def test_a_diversion_holds_for_its_destination_and_no_other_does() -> None:
    diversions = make_site(3, 600).diversions
    for family in BOTH_FAMILIES:
        networks = [ip_network(one.network(family)) for one in diversions]
        for number in (0, 1, 255, 256, 599):
            there = diversions[number].destination(family)
            assert [n for n, network in enumerate(networks) if there in network] == [number]


@pytest.mark.parametrize("uplinks", [0, 201])
def test_there_is_room_for_so_many_uplinks_only(uplinks: int) -> None:
    with pytest.raises(ValueError, match="uplinks"):
        make_site(uplinks, 0)


def test_shares_that_chance_does_not_explain() -> None:
    site = make_site(2, 0)
    assert implausible(site, {"wan0": 1366, "wan1": 682}) == []
    assert implausible(site, {"wan0": 1024, "wan1": 1024}) == [
        "wan0 got 1024, likely are 1233 to 1493",
        "wan1 got 1024, likely are 555 to 815",
    ]


def test_marks_have_room_for_all_uplinks() -> None:
    assert marks_of(make_site(2, 0)).mask == marks_of(make_site(60, 0)).mask == 0x3F00
    assert marks_of(make_site(61, 0)).mask == 0x7F00
    wide = make_site(128, 0)
    marks = marks_of(wide)
    assert len({marks.of(uplink) for uplink in wide.uplinks} | {0, marks.unreachable, marks.default}) == 131


def test_mwan3s_draws_come_to_the_weights() -> None:
    text = "".join(command.text for command in mwan3.commands(make_site(4, 0)) if "ip6tables" not in command.program[0])
    draws = re.findall(r"mwan3_policy_balanced .*? --probability (\S+) -j MARK --set-xmark 0x(\d)00", text)
    # The uplinks have weights 2, 1, 2, 1: the last stands first, with 1 of 6; the first takes what is left.
    assert draws == [("0.166", "4"), ("0.400", "3"), ("0.333", "2")]


def test_vyoss_tables_are_none_of_the_kernels() -> None:
    routing = next(iter(vyos.new_commands(make_site(128, 0)))).text
    tables = {int(number) for number in re.findall(r"route add .* table (\d+)", routing)}
    assert len(tables) == 128
    assert not tables & {253, 254, 255}


def test_every_rival_says_where_it_is_from_and_what_it_takes() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
    assert all(layout.source for layout in LAYOUTS)
    assert LIMIT.missing() == []


def test_a_spread_is_median_and_quartiles() -> None:
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(3.0, 2.0, 4.0)


def test_ratios_are_within_a_round() -> None:
    rounds = [{"limit": Spent(1.0), "ours": Spent(1.5)}, {"limit": Spent(10.0), "ours": Spent(15.0)}]
    limit, ours = figures(Case(2, 1, Family.IPV4, "known"), rounds, "limit")
    assert limit.ratio == Spread(1.0, 1.0, 1.0)
    assert ours.ratio == Spread(1.5, 1.5, 1.5)
    assert ours.cost_ns.median == 8.25e9
    assert ours.instructions is None


def test_instructions_are_told_where_they_are_counted() -> None:
    assert Spent(3.0, 900).since(Spent(1.0, 100)).divided(4) == Spent(0.5, 200)
    assert Spent(3.0).since(Spent(1.0, 100)).divided(2) == Spent(1.0)
    rounds = [{"limit": Spent(1.0, count)} for count in (300.0, 100.0, 200.0)]
    (limit,) = figures(Case(2, 1, Family.IPV4, "known"), rounds, "limit")
    assert limit.instructions == 200


def result(*, counts: bool) -> Result:
    found = []
    for uplinks, rules in ((2, 1), (2, 100), (32, 1)):
        for family in BOTH_FAMILIES:
            for what in ("known", "answers", "new"):
                rounds = [
                    {
                        "kernel ECMP": Spent(5e-6, 4000 if counts else None),
                        "evenflow": Spent(6e-6 * step, 5000 if counts else None),
                    }
                    for step in (1.0, 1.1, 1.2)
                ]
                found += figures(Case(uplinks, rules, family, what), rounds, "kernel ECMP")
    machine = Machine("Some CPU", 2, "6.1", counts)
    return Result(machine, 3, "kernel ECMP", {"evenflow": "this tree"}, {"mwan3": "it needs ipset"}, tuple(found))


def test_markdown_tells_machine_sources_and_who_is_missing() -> None:
    told = to_markdown(result(counts=False))
    assert "Some CPU, 2 CPUs, Linux 6.1" in told
    assert "This machine does not count instructions." in told
    assert "- mwan3 is not measured: it needs ipset" in told
    assert "| uplinks / rules | 2 / 1 | 2 / 100 | 32 / 1 |" in told
    assert told.count("| evenflow | 1.32 (1.26–1.38) | 1.32 (1.26–1.38) | 1.32 (1.26–1.38) |") == 6
    assert "| kernel ECMP | 5,000 ns |" in told
    assert "- evenflow: this tree" in told


def test_markdown_tells_instructions_where_they_are_counted() -> None:
    told = to_markdown(result(counts=True))
    assert "does not count" not in told
    assert "| kernel ECMP | 5,000 ns, 4,000 instructions |" in told
    assert "| evenflow | 1.32 (1.26–1.38), 5,000 instructions |" in told


def test_json_has_every_figure() -> None:
    plain = json.loads(json.dumps(to_json(result(counts=False))))
    assert len(plain["figures"]) == 36
    assert plain["figures"][0]["case"] == {"uplinks": 2, "rules": 1, "family": "ip", "what": "known"}
    assert plain["left_out"] == {"mwan3": "it needs ipset"}


def test_the_picture_is_one(tmp_path: Path) -> None:
    plot.draw(result(counts=False), tmp_path / "dataplane.png")
    assert (tmp_path / "dataplane.png").read_bytes().startswith(b"\x89PNG")
